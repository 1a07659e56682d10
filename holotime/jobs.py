"""Jobs by name: what a worker process runs. Inputs and results are files; parameters come from an untrusted client.

``panorama``: input, optionally, ``photo``; settings of :class:`holotime.panorama.config.PanoramaConfig`.
``generate``: inputs ``panorama`` (unless the settings say that it comes from the text) and, optionally, ``hint``;
settings of :class:`holotime.pipeline.GenerateConfig`.
``render``: input ``scene`` and, optionally, ``path`` (a camera as JSON, see ``holotime.camera_path.from_json``) and
``audio`` (a file with sound); settings of :class:`holotime.video.config.RenderConfig`.
``export``: input ``scene``; settings of :class:`holotime.export.job.ExportConfig`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from holotime.cache import digest_of
from holotime.config import from_params
from holotime.errors import InputError
from holotime.export.job import ExportConfig, export
from holotime.job_context import NO_CONTEXT, JobContext
from holotime.panorama.config import PanoramaConfig
from holotime.pipeline import GenerateConfig, JobProgress, generate
from holotime.results import write_results
from holotime.scene4d import Scene4D
from holotime.video.codecs import CODECS
from holotime.video.config import RenderConfig
from holotime.video.film import SPHERES, read_camera
from holotime.video.write import render_to


def run_job(
    kind: str,
    params: dict[str, Any],
    inputs: dict[str, Path],
    out_dir: Path,
    cache_dir: Path,
    progress: JobProgress,
    context: JobContext = NO_CONTEXT,
) -> dict[str, Path]:
    """Run one job; name -> path of each result below ``out_dir``. InputError for a job that cannot be run."""
    if kind not in JOBS:
        raise InputError(f"Unknown kind of job '{kind}'. Known are {', '.join(JOBS)}.")
    return JOBS[kind](params, inputs, out_dir, cache_dir, progress, context)


def _generate(
    params: dict, inputs: dict, out_dir: Path, cache_dir: Path, progress: JobProgress, context: JobContext
) -> dict[str, Path]:
    config = from_params(GenerateConfig, params)
    source = inputs.get("panorama")
    if source is None and config.panorama != "text":
        raise InputError("A generate job needs the input 'panorama', or the setting panorama: text.")
    try:
        result = generate(source, config, cache_dir, hint=inputs.get("hint"), progress=progress, context=context)
    except InputError as error:
        # The file that the worker reads has a digest for a name; the artist knows it by another.
        text = str(error).replace(str(source), config.name or "The panorama") if source else str(error)
        raise InputError(text.replace("--fit", "the setting fit")) from error
    return write_results(result, out_dir)


def _panorama(
    params: dict, inputs: dict, out_dir: Path, cache_dir: Path, progress: JobProgress, context: JobContext
) -> dict[str, Path]:
    from holotime.panorama.job import make_panorama
    from holotime.report import write_report

    config = from_params(PanoramaConfig, params)
    out_dir.mkdir(parents=True, exist_ok=True)
    numbers = make_panorama(
        config, inputs.get("photo"), out_dir / "panorama.png", cache_dir, progress=progress, context=context
    )
    write_report(out_dir, numbers)
    return {name: out_dir / name for name in ("panorama.png", "report.json", "report.html")}


def _render(
    params: dict, inputs: dict, out_dir: Path, cache_dir: Path, progress: JobProgress, context: JobContext
) -> dict[str, Path]:
    config = from_params(RenderConfig, params)
    if "scene" not in inputs:
        raise InputError("A render job needs the input 'scene'.")
    name = video_name(config)
    path = read_camera(inputs["path"]) if "path" in inputs else None

    def report(fraction: float, note: str = "") -> None:
        progress("render", fraction, note, None)

    made = render_to(
        Scene4D.load(inputs["scene"]),
        config,
        out_dir / name,
        path=path,
        audio=inputs.get("audio"),
        cache=cache_dir,
        parts=context.checkpoints("render", digest_of(params=params, inputs=sorted(map(str, inputs.values())))),
        progress=report,
    )
    progress("render", 1.0, " ".join(made.notes), None)
    return {name: out_dir / name}


def _export(
    params: dict, inputs: dict, out_dir: Path, cache_dir: Path, progress: JobProgress, context: JobContext
) -> dict[str, Path]:
    config = from_params(ExportConfig, params)
    if "scene" not in inputs:
        raise InputError("An export job needs the input 'scene'.")
    scene = Scene4D.load(inputs["scene"])

    def report(fraction: float, note: str = "") -> None:
        progress("export", fraction, note, None)

    made = export(scene, config, out_dir, progress=report)
    return {made.name: made}


JOBS: dict[str, Callable[..., dict[str, Path]]] = {
    "panorama": _panorama,
    "generate": _generate,
    "render": _render,
    "export": _export,
}


def video_name(config: RenderConfig) -> str:
    """A file name that tells a player what the video is."""
    suffix = CODECS[config.encoding()[0]].containers[0]
    projection = config.shape()
    if projection in SPHERES:
        return f"vr{SPHERES[projection].name_suffix}{suffix}"
    if projection == "fisheye":
        return f"dome_{config.dome}{suffix}"
    return f"camera_{config.camera}{suffix}" if config.camera else f"camera{suffix}"
