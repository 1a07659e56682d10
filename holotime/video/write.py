"""Writing a film: a video, one still, or a folder of pictures."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotime.camera_path import Preset
from holotime.errors import InputError
from holotime.files import write_whole
from holotime.progress import Progress, no_progress, part, track
from holotime.render.cameras import upright
from holotime.render.views import Frame, Output, View, renderer
from holotime.scene4d import Scene4D
from holotime.video import exr, stills
from holotime.video.config import RenderConfig
from holotime.video.encode import disk_errors
from holotime.video.film import CameraPath, Film, plan
from holotime.video.segments import VideoSpec, write_video

VIDEOS = (".mp4", ".mov")
STILLS = (".png", ".jpg", ".jpeg", ".exr")
ENDINGS = (*VIDEOS, *STILLS)
KINDS = ("png", "jpg", "exr")  # of pictures in a folder
PLANNING = 0.05  # share of the progress, where the safe volume has to be measured


@dataclass(frozen=True)
class Made:
    """What came out of a render."""

    pictures: int
    size: tuple[int, int]  # of each, pixels
    fps: float
    backend: str  # what drew
    notes: list[str] = field(default_factory=list)  # what the artist should know
    video: dict[str, Any] = field(default_factory=dict)  # encoder and the like, for a video

    def as_dict(self) -> dict[str, Any]:
        """For a report or the command line."""
        size = f"{self.size[0]} x {self.size[1]}"
        rest = {"pictures": self.pictures, "size": size, "fps": self.fps, "drawn_by": self.backend, **self.video}
        return {**rest, **({"notes": self.notes} if self.notes else {})}


def render_to(
    scene: Scene4D,
    config: RenderConfig,
    output: Path,
    *,
    path: CameraPath | Preset | None = None,
    frames: range | None = None,
    audio: Path | None = None,
    parts: Path | None = None,
    cache: Path | None = None,
    kind: str = "png",
    progress: Progress = no_progress,
) -> Made:
    """Render to a video (.mp4, .mov), a still (.png, .jpg, .exr), or a folder with one picture a frame.

    ``path``: a camera from a file. ``frames``: only these. ``audio``: a file whose sound goes along with a video.
    ``parts``: where an unfinished video waits. ``cache``: a folder that keeps what was measured of the scene. ``kind``:
    of the pictures in a folder. InputError, before any work, for what cannot be.
    """
    suffix = output.suffix.lower()
    video, single = suffix in VIDEOS, suffix in STILLS
    kind = suffix[1:] if single else kind
    if config.distance != "none" and (video or kind != "exr"):
        raise InputError("A distance channel needs EXR. Name the output .exr, or choose exr for a folder of pictures.")
    if config.behind == "transparent" and kind == "jpg" and not video:
        raise InputError("JPEG keeps no transparency. Use PNG or EXR.")
    if audio is not None and not video:
        raise InputError("Pictures have no sound. Name the output .mp4 or .mov, or leave the audio out.")
    if video:
        _check_video(scene, config, suffix)
    film = plan(scene, config, path=path, cache=cache, progress=part(progress, 0, PLANNING))
    progress = part(progress, PLANNING, 1)
    chosen = frames if frames is not None else range(1 if single else len(film.poses))
    if len(chosen) == 0 or chosen.stop > len(film.poses):
        raise InputError(f"The render has frames 0 to {len(film.poses) - 1}; {chosen.start}:{chosen.stop} is outside.")
    if single and len(chosen) > 1:
        raise InputError(f"{output} is one picture, {len(chosen)} frames were asked for. Give a folder.")
    report = {}
    if video:
        report = _write_video(film, output, chosen, audio, parts, progress)
    else:
        _write_pictures(film, output, chosen, kind, single, progress)
    return Made(len(chosen), film.view.size, film.fps, film.drawn_by, film.notes, report)


def _check_video(scene: Scene4D, config: RenderConfig, suffix: str) -> None:
    """Refuse a video that the preset's player is known not to show, or that cannot be written."""
    codec, bits, _ = config.encoding()
    if config.behind == "transparent" and codec != "prores4444":
        raise InputError(f"{codec} keeps no transparency. Use the codec prores4444 (.mov), or an EXR or PNG sequence.")
    (width, height), fps, preset = config.size(), config.fps or scene.fps, config.video_preset()
    if preset is not None:
        preset.check(width, height, fps, codec, bits)
    VideoSpec(width, height, 1, fps, codec, bits, hardware=config.hardware).encoder(suffix)  # type: ignore[arg-type]


def _write_video(
    film: Film, output: Path, chosen: range, audio: Path | None, parts: Path | None, progress: Progress
) -> dict[str, Any]:
    config = film.config
    codec, bits, crf = config.encoding()
    spec = VideoSpec(*film.view.size, len(chosen), film.fps, codec, bits, crf, config.effort, config.hardware)  # type: ignore[arg-type]
    if bits == 8:
        film.view = replace(film.view, output=replace(film.view.output, dtype="uint8"))
    whole = film.closes and len(chosen) == len(film.poses)
    report = write_video(
        output,
        lambda wanted: film.pictures([chosen[i] for i in wanted]),
        spec,
        identity={**film.identity(), "frames": [chosen.start, chosen.stop]},
        sphere=film.sphere,
        audio=audio,
        comment="holotime loop" if whole else "",
        parts=parts,
        progress=progress,
    )
    if film.sphere is not None and not output.stem.endswith(film.sphere.name_suffix):
        wanted = f"{film.sphere.name_suffix}{output.suffix}"
        film.notes.append(f"Players that go by the file's name want it to end in {wanted}.")
    return report.as_dict()


def _write_pictures(
    film: Film, output: Path, chosen: Sequence[int], kind: str, single: bool, progress: Progress
) -> None:
    with disk_errors(output):
        (output.parent if single else output).mkdir(parents=True, exist_ok=True)
        drawn = track(film.draw(chosen), progress, "rendering", total=len(chosen))
        for i, frame in zip(chosen, drawn, strict=True):
            write_picture(output if single else output / f"{i:05d}.{kind}", frame, film.view)


def write_picture(path: Path, frame: Frame, view: View) -> None:
    """One frame as PNG, JPEG or EXR, by the file's ending; it appears under its name only when it is complete."""
    suffix = path.suffix.lower()
    if suffix == ".exr":
        planar = view.output.distance == "planar"
        exr.write(path, frame.color, alpha=frame.alpha, distance=frame.distance, planar=planar)
        return
    color = _bytes(frame.color)
    if frame.alpha is not None and suffix == ".png":
        color = np.concatenate([color, _bytes(frame.alpha)[..., None]], axis=-1)
    write_whole(path, stills.encode(color, suffix, view.projection))


def _bytes(values: NDArray) -> NDArray[np.uint8]:
    """Values in [0, 1] as uint8, rounded; uint8 stays."""
    return values if values.dtype == np.uint8 else (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def render_eyes(
    scene: Scene4D,
    views: dict[str, tuple[float, float, float]],
    frames: list[int],
    folder: Path,
    *,
    width: int,
    backend: str = "auto",
    progress: Progress = no_progress,
) -> int:
    """VIEW_FRAME.png panoramas from moved eyes (metres from the origin), as a ground-truth set names them."""
    times = scene.frame_times()
    if any(not 0 <= f < len(times) for f in frames):
        raise InputError(f"The scene has frames 0 to {len(times) - 1}; {frames} were asked for.")
    size, output = (width, width // 2), Output("uint8", "fill", alpha=False, distance="none")
    wanted = [(n, View("equirect", size, upright(eye), output=output), f) for n, eye in views.items() for f in frames]
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        drawn = renderer(backend, scene).draw_many((view, f / scene.fps) for _, view, f in wanted)
        pictures = track(drawn, progress, "rendering", total=len(wanted))
        for (name, view, f), picture in zip(wanted, pictures, strict=True):
            write_picture(folder / f"{name}_{f:02d}.png", picture, view)
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
