"""Render: from Gaussians at a time to pictures.

Cameras are 4x4 camera-to-world with OpenCV axes (x right, y down, z forward). An equirect camera's centre column looks
along its z axis, its right edge turns to its x axis. ``upright()`` is the pose of the panorama itself: eye at the
origin, centre along the world's +Y.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


def upright(position: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> NDArray[np.float64]:
    """[4, 4] camera-to-world looking along +Y with Z up, at ``position`` (metres)."""
    pose = np.eye(4)
    pose[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    pose[:3, 3] = position
    return pose


@dataclass(frozen=True)
class EquirectCamera:
    """A whole panorama. With ``eye`` it is one eye of an omnidirectional stereo pair."""

    width: int  # pixels, twice the height
    height: int  # pixels
    pose: NDArray = field(default_factory=upright)  # [4, 4] camera-to-world
    eye: float = 0.0  # metres to the right of the centre along the eye circle: -ipd/2 left eye, +ipd/2 right, 0 mono


@dataclass(frozen=True)
class PerspectiveCamera:
    """A pinhole with square pixels; the principal point is the picture's centre."""

    width: int  # pixels
    height: int  # pixels
    fov_x: float  # horizontal field of view, radians
    pose: NDArray = field(default_factory=upright)  # [4, 4] camera-to-world


Camera = EquirectCamera | PerspectiveCamera


@dataclass(frozen=True)
class Picture:
    """What a rasterizer gives back. Colour is premultiplied by alpha (black behind)."""

    color: NDArray[np.float32]  # [H, W, 3] sRGB
    alpha: NDArray[np.float32]  # [H, W] in [0, 1]
    distance: NDArray[np.float32]  # [H, W] expected distance along the ray in metres (alpha weighted), +inf at alpha 0
