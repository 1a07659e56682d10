"""VR video: a 360 degree file, mono or stereo, that a headset recognises."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from holotime.clip import write_frames
from holotime.errors import InputError
from holotime.progress import Progress, no_progress
from holotime.render.cameras import EquirectCamera, upright
from holotime.render.frames import render_frame, scene_time
from holotime.render.spherical import STEREO_MODES, Stereo, add_spherical
from holotime.scene4d import Scene4D

IPD = 0.064  # metres between the eyes of an average adult
MOST_PIXELS = 139264 * 256  # of one H.264 frame: level 6.2 allows 139 264 macroblocks of 16 x 16 (35.6 MP)


def eye_cameras(width: int, *, stereo: Stereo, ipd: float = IPD, pose: NDArray | None = None) -> list[EquirectCamera]:
    """The cameras of one frame from top to bottom: the left eye, the right eye; or a single one."""
    pose = upright() if pose is None else pose
    eyes = (-0.5 * ipd, 0.5 * ipd) if stereo == "top_bottom" else (0.0,)
    return [EquirectCamera(width, width // 2, pose, eye) for eye in eyes]


def render_vr(
    scene: Scene4D,
    path: Path | str,
    *,
    width: int = 2048,
    stereo: Stereo = "top_bottom",
    ipd: float = IPD,
    fps: float | None = None,
    seconds: float | None = None,
    pose: NDArray | None = None,
    crf: int = 16,
    progress: Progress = no_progress,
) -> Path:
    """Render a scene as a 360 degree H.264 MP4 with spherical metadata, frame by frame.

    ``width``: pixels of one eye's panorama, a multiple of 4. ``stereo``: "top_bottom" (left eye on top, omnidirectional
    stereo, ``ipd`` metres between the eyes) or "mono". ``fps``: the scene's own by default. ``seconds``: length, the
    scene's own by default; a loop repeats, anything else rests on its last frame. ``pose``: where the head is, [4, 4].
    What no splat covers is filled from its surroundings. The file appears under its name only when it is complete.
    """
    if stereo not in STEREO_MODES:
        raise InputError(f"Unknown stereo layout {stereo!r}. Use one of: {', '.join(STEREO_MODES)}.")
    if width < 64 or width % 4:
        raise InputError(f"The width of a VR video must be a multiple of 4 and at least 64 pixels, got {width}.")
    if not 0 <= ipd <= 1:
        raise InputError(f"An eye distance of {ipd} m is not plausible. People have about 0.064 m.")
    rate = fps if fps is not None else scene.fps
    length = seconds if seconds is not None else len(scene.frame_times()) / scene.fps
    total = round(length * rate) if rate > 0 else 0
    if total < 1:
        raise InputError(f"{length} s at {rate} frames per second is not one frame. Ask for a longer video.")
    cameras = eye_cameras(width, stereo=stereo, ipd=ipd, pose=pose)
    if len(cameras) * width * width // 2 > MOST_PIXELS:
        widest = math.isqrt(2 * MOST_PIXELS // len(cameras)) // 4 * 4
        raise InputError(
            f"A frame of {width} x {len(cameras) * width // 2} pixels is beyond what H.264 players show (35.6 MP). "
            f"Use a width of at most {widest}."
        )

    def frames() -> Iterator[NDArray[np.uint8]]:
        for k in range(total):
            gaussians = scene.at(scene_time(scene, k / rate))
            yield np.concatenate([render_frame(gaussians, camera) for camera in cameras])

    path = Path(path)
    untagged = path.with_name(f".{path.name}.untagged.mp4")
    comment = "holotime loop" if scene.loop and abs(length / scene.duration % 1.0) < 1e-6 else ""
    try:
        write_frames(untagged, frames(), rate, crf=crf, comment=comment, total=total, progress=progress)
        return add_spherical(untagged, stereo=stereo, output=path)
    finally:
        untagged.unlink(missing_ok=True)
