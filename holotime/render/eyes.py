"""Which camera draws which part of a picture: eyes of a stereo pair, faces of a cube map.

Top-bottom: the left eye on top. Side by side: the left eye on the left. A cube map is three faces wide and two high,
``right left up / down front back``, each upright as seen from inside: FFmpeg's v360 ``c3x2`` in its default order.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.render.cameras import Camera, EquirectCamera, FaceCamera, upright

CUBE_LAYOUT = ("right", "left", "up", "down", "front", "back")  # left to right, then the second row


@dataclass(frozen=True)
class Panel:
    """A part of a picture and the camera that sees it."""

    name: str  # "left" and "right" eye, the name of a cube face, or "all"
    x: int  # first column in the whole picture
    y: int  # first row in the whole picture
    camera: Camera  # knows the panel's width and height

    @property
    def rows(self) -> slice:
        """The rows of the whole picture that belong to the panel."""
        return slice(self.y, self.y + self.camera.height)

    @property
    def columns(self) -> slice:
        """The columns of the whole picture that belong to the panel."""
        return slice(self.x, self.x + self.camera.width)


def top_bottom(width: int, pose: NDArray, ipd: float, near: float, far: float) -> tuple[Panel, ...]:
    """Omnidirectional stereo, each eye ``width`` x ``width / 2`` pixels; ``ipd`` metres between the eyes."""
    height = width // 2
    return tuple(
        Panel(name, 0, y, EquirectCamera(width, height, pose, eye, near=near, far=far))
        for name, y, eye in (("left", 0, -0.5 * ipd), ("right", height, 0.5 * ipd))
    )


def side_by_side(
    size: int, pose: NDArray, ipd: float, near: float, far: float, *, turning: bool = True
) -> tuple[Panel, ...]:
    """VR180: two half panoramas of ``size`` pixels on a side.

    ``turning`` eyes walk round the eye circle with the columns (omnidirectional stereo: depth is right wherever the
    viewer looks); fixed eyes stand ``ipd`` metres apart as the lenses of a VR180 camera do (depth fades to the sides).
    """
    panels = []
    for name, x, offset in (("left", 0, -0.5 * ipd), ("right", size, 0.5 * ipd)):
        moved = np.array(pose, np.float64)
        if not turning:
            moved[:3, 3] += offset * moved[:3, 0]
        camera = EquirectCamera(size, size, moved, offset if turning else 0.0, half=True, near=near, far=far)
        panels.append(Panel(name, x, 0, camera))
    return tuple(panels)


def cube(size: int, pose: NDArray, near: float, far: float) -> tuple[Panel, ...]:
    """Six faces of ``size`` pixels on a side, in ``CUBE_LAYOUT``; "front" looks along the pose's z axis."""
    turns = sphere.cube_rotations()
    level = upright()[:3, :3]
    panels = []
    for k, name in enumerate(CUBE_LAYOUT):
        turned = np.array(pose, np.float64)
        turned[:3, :3] = turned[:3, :3] @ level.T @ turns[name]
        panels.append(Panel(name, k % 3 * size, k // 3 * size, FaceCamera(size, turned, near, far)))
    return tuple(panels)


def raised(pose: NDArray) -> NDArray[np.float64]:
    """``pose`` [4, 4] with the head tilted back by a quarter turn: its z axis looks up, the front is at the bottom."""
    turned = np.array(pose, np.float64)
    turned[:3, :3] = turned[:3, :3] @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    return turned


def focal_length(width: int, height: int, fov: float, fit: str) -> float:
    """Focal length in pixels of a pinhole whose ``fov`` (radians) spans the side that ``fit`` names."""
    side = {"horizontal": width, "vertical": height, "auto": max(width, height)}[fit]
    return 0.5 * side / math.tan(0.5 * fov)
