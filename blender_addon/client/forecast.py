"""How long a job will take and how much memory it needs, from what earlier jobs on this machine took. No bpy here."""

from typing import Any

from .job_ledger import Entry

BASE_MEGABYTES, MEGABYTES_PER_FRAME = 750.0, 20.0  # a megapixel and frame


def seconds_forecast(entries: list[Entry], params: dict[str, Any]) -> tuple[float, int]:
    """(seconds that a ``generate`` job will take, how many earlier jobs of this machine say so).

    The time grows with pixels and frames and, more slowly, with splats. The pace of each earlier job against the
    model tells how fast this machine is; their median scales it.
    """
    paces = sorted(
        entry.seconds / _model_seconds(entry.params)
        for entry in entries
        if entry.kind == "generate" and entry.seconds > 0 and {"width", "frames", "budget"} <= entry.params.keys()
    )
    pace = paces[len(paces) // 2] if paces else 1.0
    return pace * _model_seconds(params), len(paces)


def memory_forecast(params: dict[str, Any]) -> float:
    """Bytes of main memory that a ``generate`` job of the embedded stages needs at its peak (measured, see the guide).

    A fixed part for the library, and per pixel and frame the clip, its distance, flow and the lift's working arrays.
    """
    megapixel_frames = params["width"] ** 2 / 2e6 * params["frames"]
    return (BASE_MEGABYTES + MEGABYTES_PER_FRAME * megapixel_frames + 3e-4 * params["budget"]) * 1e6


def _model_seconds(params: dict[str, Any]) -> float:
    """Seconds on the two cores that the defaults were measured on: 8 s + 4.6 s a megapixel and frame + splats."""
    megapixel_frames = params["width"] ** 2 / 2e6 * params["frames"]
    return 8.0 + 4.6 * megapixel_frames + 1e-5 * params["budget"]
