"""Frames from a moving camera in a moving scene, one after the other."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from holotime.progress import Progress, no_progress, track
from holotime.render.cameras import Camera, EquirectCamera
from holotime.render.holes import fill_holes
from holotime.render.raster import rasterize
from holotime.scene4d import Gaussians, Scene4D

Color = tuple[float, float, float]


def scene_time(scene: Scene4D, seconds: float) -> float:
    """Scene time t for a moment of the video: a loop starts over, anything else stays at its last frame."""
    t = seconds / scene.duration
    return t % 1.0 if scene.loop else min(max(t, 0.0), 1.0)


def to_bytes(color: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[H, W, 3] float sRGB in [0, 1] to uint8, rounded."""
    return (np.clip(color, 0, 1) * 255 + 0.5).astype(np.uint8)


def render_frame(gaussians: Gaussians, camera: Camera, *, background: Color | None = None) -> NDArray[np.uint8]:
    """[H, W, 3] one opaque frame: over ``background``, or (None) with holes filled from their surroundings."""
    if background is not None:
        return to_bytes(rasterize(gaussians, camera, background=background).color)
    return to_bytes(fill_holes(rasterize(gaussians, camera), wrap=isinstance(camera, EquirectCamera)))


def render_frames(
    scene: Scene4D,
    shots: Iterable[tuple[Camera, float]],
    *,
    background: Color | None = None,
    progress: Progress = no_progress,
) -> Iterator[NDArray[np.uint8]]:
    """Frames [H, W, 3] of a camera path, drawn one by one as they are taken.

    ``shots``: the camera of each frame and its moment in seconds after the scene's beginning; a looping scene repeats
    as often as the path needs, any other rests on its last frame. ``background`` as in :func:`render_frame`.
    """
    for camera, seconds in track(shots, progress, "rendering"):
        yield render_frame(scene.at(scene_time(scene, seconds)), camera, background=background)
