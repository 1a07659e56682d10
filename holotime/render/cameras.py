"""Cameras and the picture that a rasterizer gives back.

Cameras are 4x4 camera-to-world with OpenCV axes (x right, y down, z forward). An equirect camera's centre column looks
along its z axis, its right edge turns to its x axis. ``upright()`` is the pose of the panorama itself: eye at the
origin, centre along the world's +Y.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from holotime.errors import InputError


def upright(position: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> NDArray[np.float64]:
    """[4, 4] camera-to-world looking along +Y with Z up, at ``position`` (metres)."""
    pose = np.eye(4)
    pose[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    pose[:3, 3] = position
    return pose


def _check(width: int, height: int, pose: NDArray) -> None:
    if width < 1 or height < 1:
        raise InputError(f"A camera of {width} x {height} pixels has no picture. Give a positive width and height.")
    matrix = np.asarray(pose, np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise InputError(f"A camera pose must be a finite 4 x 4 camera-to-world matrix, got shape {matrix.shape}.")
    if np.abs(matrix[:3, :3].T @ matrix[:3, :3] - np.eye(3)).max() > 1e-3 or np.linalg.det(matrix[:3, :3]) < 0:
        raise InputError("A camera pose must be a rotation and a position, without scale, shear or mirror.")


@dataclass(frozen=True)
class EquirectCamera:
    """A whole panorama. With ``eye`` it is one eye of an omnidirectional stereo pair."""

    width: int  # pixels, twice the height
    height: int  # pixels
    pose: NDArray = field(default_factory=upright)  # [4, 4] camera-to-world
    eye: float = 0.0  # metres to the right of the centre along the eye circle: -ipd/2 left eye, +ipd/2 right, 0 mono

    def __post_init__(self) -> None:
        _check(self.width, self.height, self.pose)
        if self.width != 2 * self.height:
            raise InputError(f"A panorama is twice as wide as high, got {self.width} x {self.height} pixels.")


@dataclass(frozen=True)
class PerspectiveCamera:
    """A pinhole with square pixels; the principal point is the picture's centre."""

    width: int  # pixels
    height: int  # pixels
    fov_x: float  # horizontal field of view, radians
    pose: NDArray = field(default_factory=upright)  # [4, 4] camera-to-world

    def __post_init__(self) -> None:
        _check(self.width, self.height, self.pose)
        if not 0 < self.fov_x < math.pi:
            raise InputError(f"A pinhole sees less than 180 degrees, got {math.degrees(self.fov_x):.1f}.")

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return 0.5 * self.width / math.tan(0.5 * self.fov_x)


Camera = EquirectCamera | PerspectiveCamera


@dataclass(frozen=True)
class Picture:
    """What a rasterizer gives back. Colour is premultiplied by alpha (black behind), unless a background was given."""

    color: NDArray[np.float32]  # [H, W, 3] sRGB
    alpha: NDArray[np.float32]  # [H, W] in [0, 1]
    distance: NDArray[np.float32]  # [H, W] expected distance along the ray in metres (alpha weighted), +inf at alpha 0
