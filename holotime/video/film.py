"""From a scene and a wish to shots: for every frame a view, a moment and what the file should say about it."""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotime import __version__, camera_path
from holotime.camera_path import PathError, Pose
from holotime.errors import InputError
from holotime.presets import presets_root
from holotime.progress import Progress, no_progress
from holotime.render.views import Frame, Output, View, renderer
from holotime.safe_walk import SafeWalk, recall
from holotime.scene4d import Scene4D
from holotime.video.config import STEREO, RenderConfig
from holotime.video.playback import Playback
from holotime.video.spherical import Sphere

STILL_FOV = math.radians(75)  # of a flat picture from a still eye
STILL = 1e-3  # metres from the eye that are no walk
SPHERES = {
    "equirect": Sphere(),
    "ods": Sphere(stereo="top_bottom"),
    "vr180": Sphere("half_equirect", "left_right"),
    "cubemap": Sphere("cubemap"),
}


@dataclass(frozen=True)
class CameraPath:
    """A camera from a file: its poses and their pace."""

    poses: list[Pose]
    fps: float | None = None  # frames per second if the file says so


@dataclass
class Film:
    """Everything that is drawn, in order."""

    scene: Scene4D
    config: RenderConfig
    view: View  # of which every frame has its own pose and lens
    poses: list[Pose]
    fps: float
    playback: Playback
    closes: bool  # it may be repeated without a jump
    notes: list[str] = field(default_factory=list)  # what the artist should know
    drawn_by: str = ""  # the backend, known when drawing begins

    @property
    def sphere(self) -> Sphere | None:
        """The spherical metadata of a video; None for a flat one and a fisheye, for which there is none."""
        return SPHERES.get(self.view.projection)

    def shot(self, index: int) -> tuple[View, float]:
        """(view, seconds after the scene's beginning) of frame ``index``."""
        pose = self.poses[index]
        view = dataclasses.replace(
            self.view, pose=np.asarray(pose.matrix, np.float64), fov=pose.fov_x, shift=pose.shift, clip=pose.clip
        )
        return view, self.playback.seconds(self.scene, index / self.fps)

    def draw(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Frames as they are drawn."""
        draws = renderer(self.config.backend, self.scene)
        self.drawn_by = f"{draws.backend} ({draws.note})"
        return draws.draw_many(self.shot(i) for i in indices)

    def pictures(self, indices: Sequence[int]) -> Iterator[NDArray]:
        """What a video encodes: [H, W, 3] uint8 or float32, [H, W, 4] where transparent."""
        for frame in self.draw(indices):
            color = frame.color
            if self.view.projection == "cubemap":
                color = turned_caps(color)
            if frame.alpha is not None:
                color = np.concatenate([color, frame.alpha[..., None]], axis=-1)
            yield color

    def identity(self) -> dict[str, Any]:
        """What the pictures depend on, for a render that is resumed."""
        poses = [(p.matrix, p.fov_x, p.shift, p.clip) for p in self.poses]
        settings = {f.name: getattr(self.view, f.name) for f in dataclasses.fields(self.view) if f.name != "pose"}
        return {
            "version": __version__,
            "scene": self.scene.digest(),
            "view": repr(settings),
            "poses": hashlib.sha256(repr(poses).encode()).hexdigest(),
            "playback": repr(self.playback),
            "fps": self.fps,
            "backend": renderer(self.config.backend, self.scene).backend,
        }


def plan(
    scene: Scene4D,
    config: RenderConfig,
    *,
    path: CameraPath | camera_path.Preset | None = None,
    cache: Path | None = None,
    progress: Progress = no_progress,
) -> Film:
    """Everything about a film that can be known before drawing. InputError for what cannot be.

    ``path``: a camera from a file, instead of the one that ``config`` names. ``cache``: a folder that keeps the safe
    volume of a scene that does not know its own.
    """
    playback = Playback(config.repeat, config.phase, config.speed)  # type: ignore[arg-type]
    fps = config.fps or (path.fps if isinstance(path, CameraPath) else None) or scene.fps
    projection = config.shape()
    behind = {"black": (0.0, 0.0, 0.0)}.get(config.behind, config.behind)
    view = View(
        projection,  # type: ignore[arg-type]
        config.size(),
        ipd_m=config.ipd,
        fit="horizontal",
        dome=config.dome,  # type: ignore[arg-type]
        output=Output("float32", behind, behind == "transparent", config.distance),  # type: ignore[arg-type]
    )
    notes: list[str] = []
    try:
        if path is None and config.camera:
            path = camera_path.find(camera_path.load_presets(presets_root() / "cameras"), config.camera)
        if path is None:
            poses, closes = _still(scene, config, playback, fps), True
        else:
            make, closes = _moving(config, fps, path)
            poses = _safe(scene, config, make, notes, cache, progress)
        if config.level if config.level is not None else (projection in STEREO and not isinstance(path, CameraPath)):
            poses = camera_path.level(poses)
    except PathError as error:
        raise InputError(str(error)) from error
    closes = closes and playback.closes(scene, len(poses) / fps)
    return Film(scene, config, view, poses, fps, playback, closes, notes)


def _still(scene: Scene4D, config: RenderConfig, playback: Playback, fps: float) -> list[Pose]:
    """The eye's own place for one round of the scene, or as long as is wished."""
    whole = playback.round_of(scene) if config.repeat == "ping-pong" else len(scene.frame_times()) / scene.fps
    seconds = config.seconds or whole / (abs(playback.speed) or 1.0)
    return [camera_path.still(STILL_FOV)] * max(1, round(seconds * fps))


def _moving(
    config: RenderConfig, fps: float, path: CameraPath | camera_path.Preset
) -> tuple[Callable[[float], list[Pose]], bool]:
    """(the path at a scale, whether its end runs into its beginning)."""
    if isinstance(path, camera_path.Preset):
        seconds, params = config.seconds or path.duration, config.parameters or {}
        frames, size = max(1, round(seconds * fps)), camera_path.check_params(path, params)["scale"]

        def evaluate(factor: float) -> list[Pose]:  # scaled from within, so that it still looks at its target
            return camera_path.evaluate(path, frames, {**params, "scale": factor * size}, seconds=seconds)

        return evaluate, path.loop
    poses = camera_path.resample_fps(path.poses, path.fps, fps) if path.fps else path.poses
    if config.seconds is not None:
        poses = camera_path.resample(poses, max(1, round(config.seconds * fps)))
    return lambda factor: camera_path.scale(poses, factor), False


def _safe(
    scene: Scene4D,
    config: RenderConfig,
    make: Callable[[float], list[Pose]],
    notes: list[str],
    cache: Path | None,
    progress: Progress,
) -> list[Pose]:
    """The path inside the safe volume, as far as the artist wants it; ``notes`` gets what was done."""
    poses = make(1.0)
    places = np.array([pose.position for pose in poses])
    farthest = np.linalg.norm(places, axis=1).max()
    if farthest < STILL:
        return poses
    walk = SafeWalk.of(scene)
    if walk is None:
        walk, was_kept = recall(scene, cache, progress=progress)
        known = "taken from an earlier render" if was_kept else "measured"
        notes.append(f"The scene does not know its safe volume; it was {known}.")
    factor = walk.factor(places)
    if factor >= 1:
        return poses
    reach = f"the camera goes {farthest:.2f} m from the eye"
    if config.safe == "off":
        notes.append(
            f"Warning: {reach}, beyond the safe volume: more than {100 * walk.share:.0f} % of some pictures will show "
            f"holes or stretched splats. A scale of {factor:.2f} would stay inside."
        )
        return poses
    if config.safe == "clamp":
        notes.append(f"The path was clamped to the safe volume ({reach}).")
        inside = walk.clamp(places)
        return [camera_path.placed(pose, tuple(place)) for pose, place in zip(poses, inside.tolist(), strict=True)]
    for _ in range(4):  # a path that looks at a target bends a little when it is scaled
        poses = make(factor)
        again = walk.factor(np.array([pose.position for pose in poses]))
        if again >= 1:
            break
        factor *= again
    notes.append(f"The path was scaled to {factor:.2f} of its size to stay in the safe volume ({reach}).")
    return poses


def turned_caps(picture: NDArray) -> NDArray:
    """A cube map [H, W, C] with its up and down faces turned by half a turn.

    Drawn, they are upright for a head that tilts; the spherical metadata of a video wants up's top in front and down's
    top behind (Spherical Video V2 RFC, ``cbmp`` layout 0).
    """
    size = picture.shape[0] // 2
    out = picture.copy()
    out[:size, 2 * size :] = picture[:size, 2 * size :][::-1, ::-1]
    out[size:, :size] = picture[size:, :size][::-1, ::-1]
    return out


def read_camera(path: Path) -> CameraPath | camera_path.Preset:
    """A camera from a file: our own JSON, nerfstudio's camera-path JSON, or a preset in TOML."""
    try:
        if path.suffix.lower() == ".toml":
            return camera_path.load_preset(path)
    except PathError as error:
        raise InputError(str(error)) from error
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The camera path {path} cannot be read ({error}). Give a JSON or a preset's name.") from error
    try:
        if '"camera_path"' in text:
            poses, fps = camera_path.from_nerfstudio(text)
            return CameraPath(poses, fps)
        return CameraPath(camera_path.from_json(text))
    except PathError as error:
        raise InputError(str(error)) from error
