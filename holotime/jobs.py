"""Jobs by name: what a worker process runs. Inputs and results are files; parameters come from an untrusted client.

``generate``: inputs ``panorama`` and, optionally, ``hint``; settings of :class:`holotime.pipeline.GenerateConfig`.
``render``: input ``scene`` and, optionally, ``path``: a camera path as JSON, one {"matrix": 4x4 camera-to-world with
OpenCV axes, "fov_x": radians} a frame; settings of :class:`RenderConfig`.
``export``: input ``scene``; settings of :class:`holotime.export.job.ExportConfig`.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import camera_path
from holotime.config import from_params, setting
from holotime.errors import InputError
from holotime.export.job import ExportConfig, export
from holotime.job_context import NO_CONTEXT, JobContext
from holotime.pipeline import GenerateConfig, JobProgress, generate, write_results
from holotime.presets import presets_root
from holotime.progress import Progress, no_progress, track
from holotime.render import EquirectCamera, PerspectiveCamera, render_frames, render_vr, upright
from holotime.scene4d import Scene4D

PROJECTIONS = ("ods", "equirect", "perspective")
Pose = tuple[NDArray[np.float64], float]  # [4, 4] camera-to-world with OpenCV axes, horizontal field of view in radians
MAX_PATH = 100_000  # poses in a camera path that a client sends


@dataclass(frozen=True)
class RenderConfig:
    """What a scene is rendered to."""

    projection: str = setting("ods", "ods (stereo top-bottom), equirect or perspective", choices=PROJECTIONS)
    camera: str = setting("", "preset camera path; the eye stands still if empty")
    width: int = setting(1024, "width of the picture, of one eye in stereo, in pixels", range=(32, 16384))
    height: int | None = setting(None, "height of a perspective picture in pixels; 9/16 of the width if empty")
    fps: float | None = setting(None, "frames per second; the scene's own if empty", range=(1, 240))
    seconds: float | None = setting(None, "length; the scene's own or the path's if empty", range=(0.01, 3600))
    ipd: float = setting(0.064, "distance of the eyes in metres, for ods", range=(0, 1))


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
    if "panorama" not in inputs:
        raise InputError("A generate job needs the input 'panorama'.")
    try:
        result = generate(
            inputs["panorama"], config, cache_dir, hint=inputs.get("hint"), progress=progress, context=context
        )
    except InputError as error:
        # The file that the worker reads has a digest for a name; the artist knows it by another.
        text = str(error).replace(str(inputs["panorama"]), config.name or "The panorama")
        raise InputError(text.replace("--fit", "the setting fit")) from error
    return write_results(result, out_dir)


def _render(
    params: dict, inputs: dict, out_dir: Path, cache_dir: Path, progress: JobProgress, context: JobContext
) -> dict[str, Path]:
    config = from_params(RenderConfig, params)
    if "scene" not in inputs:
        raise InputError("A render job needs the input 'scene'.")
    scene = Scene4D.load(inputs["scene"])
    path = read_path(inputs["path"]) if "path" in inputs else None
    name = video_name(config)
    render_to(scene, config, out_dir / name, path=path, progress=lambda f, note="": progress("render", f, note, None))
    return {name: out_dir / name}


def _export(
    params: dict, inputs: dict, out_dir: Path, cache_dir: Path, progress: JobProgress, context: JobContext
) -> dict[str, Path]:
    config = from_params(ExportConfig, params)
    if "scene" not in inputs:
        raise InputError("An export job needs the input 'scene'.")
    scene = Scene4D.load(inputs["scene"])
    made = export(scene, config, out_dir, progress=lambda f, note="": progress("export", f, note, None))
    return {made.name: made}


JOBS: dict[str, Callable[..., dict[str, Path]]] = {"generate": _generate, "render": _render, "export": _export}


def video_name(config: RenderConfig) -> str:
    """A file name that tells a player what the video is."""
    flat = f"camera_{config.camera}.mp4" if config.camera else "camera.mp4"
    return {"ods": "vr_360_TB.mp4", "equirect": "vr_360.mp4", "perspective": flat}[config.projection]


def read_path(path: Path) -> list[Pose]:
    """A camera path that a client keyed by hand: JSON, one {"matrix": 4x4, "fov_x": radians} a frame."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        poses = [(np.asarray(pose["matrix"], np.float64), float(pose["fov_x"])) for pose in data]
    except (OSError, TypeError, KeyError, ValueError, AttributeError) as error:
        raise InputError(
            f"The camera path cannot be read ({error}). Want [{{matrix: 4x4, fov_x: radians}}]."
        ) from error
    if not 0 < len(poses) <= MAX_PATH:
        raise InputError(f"The camera path has {len(poses)} poses; it must have 1 to {MAX_PATH}.")
    for i, (matrix, fov) in enumerate(poses):
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not 0.01 < fov < 3.1:
            raise InputError(f"Pose {i} of the camera path needs a finite 4x4 matrix and 0.01 < fov_x < 3.1 radians.")
        if np.abs(matrix[:3, :3] @ matrix[:3, :3].T - np.eye(3)).max() > 1e-3:
            raise InputError(f"Pose {i} of the camera path is scaled or sheared; a camera may only turn and move.")
    return poses


def _poses(config: RenderConfig, scene: Scene4D, fps: float) -> list[Pose]:
    """The preset's poses, or a still eye for the scene's length."""
    if not config.camera:
        return [(upright(), math.radians(75))] * max(1, round((config.seconds or scene.duration) * fps))
    try:
        preset = camera_path.find(camera_path.load_presets(presets_root() / "cameras"), config.camera)
        seconds = config.seconds or preset.duration
        path = camera_path.evaluate(preset, max(1, round(seconds * fps)), seconds=seconds)
    except camera_path.PathError as error:
        raise InputError(str(error)) from error
    return [(np.asarray(pose.matrix, np.float64), float(pose.fov_x)) for pose in path]


def render_to(
    scene: Scene4D,
    config: RenderConfig,
    output: Path,
    *,
    path: list[Pose] | None = None,
    frames: range | None = None,
    progress: Progress = no_progress,
) -> int:
    """Render to an .mp4, or to PNG frames in a folder; the number of pictures. ``frames`` picks some of them."""
    from holotime.clip import write_frames

    fps = config.fps or scene.fps
    video = output.suffix.lower() == ".mp4"
    still_eye = path is None and not config.camera
    if config.projection in ("ods", "equirect") and still_eye and video and frames is None:
        stereo = "top_bottom" if config.projection == "ods" else "mono"
        render_vr(
            scene,
            output,
            width=config.width,
            stereo=stereo,
            ipd=config.ipd,
            fps=config.fps,
            seconds=config.seconds,
            progress=progress,
        )
        return max(1, round((config.seconds or scene.duration) * fps))
    if config.projection == "ods":
        raise InputError("A stereo panorama is written as a whole video from a still eye; leave out path and frames.")
    poses = path if path is not None else _poses(config, scene, fps)
    chosen = frames or range(len(poses))
    if chosen.stop > len(poses):
        raise InputError(f"The render has frames 0 to {len(poses) - 1}; {chosen.start}:{chosen.stop} is outside.")
    height = config.height or (
        config.width // 2 if config.projection == "equirect" else config.width * 9 // 16 // 2 * 2
    )
    cameras = [
        EquirectCamera(config.width, height, pose)
        if config.projection == "equirect"
        else PerspectiveCamera(config.width, height, fov, pose)
        for pose, fov in poses
    ]
    pictures = render_frames(scene, [(cameras[i], i / fps) for i in chosen])
    if video:
        write_frames(output, pictures, fps, total=len(chosen), progress=progress)
        return len(chosen)
    output.mkdir(parents=True, exist_ok=True)
    for i, picture in zip(chosen, track(pictures, progress, "rendering", total=len(chosen)), strict=True):
        _write_png(output / f"{i:05d}.png", picture)
    return len(chosen)


def render_eyes(
    scene: Scene4D,
    views: dict[str, tuple[float, float, float]],
    frames: list[int],
    folder: Path,
    *,
    width: int,
    progress: Progress = no_progress,
) -> int:
    """VIEW_FRAME.png panoramas from moved eyes (metres from the origin), as a ground-truth set names them."""
    times = scene.frame_times()
    if any(not 0 <= f < len(times) for f in frames):
        raise InputError(f"The scene has frames 0 to {len(times) - 1}; {frames} were asked for.")
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [(name, eye, f) for name, eye in views.items() for f in frames]
    cameras = [(EquirectCamera(width, width // 2, upright(eye)), f / scene.fps) for _, eye, f in wanted]
    pictures = track(render_frames(scene, cameras), progress, "rendering", total=len(wanted))
    for (name, _, f), picture in zip(wanted, pictures, strict=True):
        _write_png(folder / f"{name}_{f:02d}.png", picture)
    return len(wanted)


def read_eyes(path: Path) -> tuple[dict[str, tuple[float, float, float]], list[int] | None]:
    """Views (name -> eye in metres) and frames of a JSON file {"views": {name: [x, y, z]}, "frames": [...]}."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        views = {str(name): (float(x), float(y), float(z)) for name, (x, y, z) in data["views"].items()}
        frames = [int(f) for f in data["frames"]] if "frames" in data else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path} cannot be read ({error}). Want {{'views': {{name: [x, y, z]}}}}.") from error
    return views, frames


def _write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    if not cv2.imwrite(str(path), picture[..., ::-1]):
        raise InputError(f"Cannot write {path}. Choose another place.")
