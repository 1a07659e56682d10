"""How long a job will take and how much memory it needs. No bpy here.

The sidecar knows best: it learns from every job that it has run. :class:`Forecasts` keeps what it said about the jobs
that are set in the panel. Without a sidecar, or until it has answered, what earlier jobs on this machine took serves.
"""

import time
from collections.abc import Callable
from typing import Any

from .job_ledger import Entry

PAUSE_SECONDS = 0.3  # between two questions, while a slider is dragged

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


class Forecasts:
    """The sidecar's forecasts for the jobs as they are set. A panel asks; the pump sends the question."""

    def __init__(self) -> None:
        self._wanted: dict[str, dict[str, Any]] = {}  # kind -> parameters as they are set
        self._known: dict[str, tuple[dict[str, Any], Any]] = {}  # kind -> (parameters, ForecastReply)
        self._asked: dict[str, dict[str, Any]] = {}  # kind -> parameters of the question that is under way
        self._last = 0.0

    def of(self, kind: str, params: dict[str, Any]) -> tuple[Any | None, bool]:
        """(what the sidecar said about such a job, whether about exactly this one); (None, False) before it did.

        Cheap enough for a panel's draw.
        """
        self._wanted[kind] = params
        about, reply = self._known.get(kind, (None, None))
        return reply, about == params

    def ask(self, send: Callable[[str, dict[str, Any], Callable[[Any | None], None]], None]) -> None:
        """Ask what is wanted and not known. ``send(kind, params, answered)``; answered(None) when it was refused."""
        now = time.monotonic()
        for kind, params in self._wanted.items():
            if self._asked.get(kind) == params or self._known.get(kind, (None,))[0] == params:
                continue
            if now - self._last < PAUSE_SECONDS:
                return
            self._last, self._asked[kind] = now, params
            send(kind, params, lambda reply, kind=kind, params=params: self._answered(kind, params, reply))

    def _answered(self, kind: str, params: dict[str, Any], reply: Any | None) -> None:
        if reply is not None:
            self._known[kind] = params, reply
            if self._asked.get(kind) == params:
                del self._asked[kind]

    def outdated(self) -> None:
        """Jobs have ended: ask anew, and show what is known meanwhile."""
        self._known = {kind: ({}, reply) for kind, (_, reply) in self._known.items()}

    def clear(self) -> None:
        """Another sidecar, or none: nothing is known."""
        self._known.clear()
        self._asked.clear()
