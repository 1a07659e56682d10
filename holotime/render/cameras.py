"""Cameras and the picture that a rasterizer gives back.

Cameras are 4x4 camera-to-world with OpenCV axes (x right, y down, z forward). An equirect camera's centre column looks
along its z axis, its right edge turns to its x axis. ``upright()`` is the pose of the panorama itself: eye at the
origin, centre along the world's +Y.

Equirect, fisheye and cube-face cameras see parts of one sphere: a splat looks the same in all of them (footprints in
the tangent plane, sorted by distance), so that faces and halves fit together. A perspective camera draws as the
published pinhole rasterizers do: footprints in the picture plane, sorted by depth.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from holotime.errors import InputError

NEAR_SPHERE = 0.05  # metres from the eye of a panorama
NEAR_PINHOLE = 0.2  # metres of depth


def upright(position: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> NDArray[np.float64]:
    """[4, 4] camera-to-world looking along +Y with Z up, at ``position`` (metres)."""
    pose = np.eye(4)
    pose[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    pose[:3, 3] = position
    return pose


def _check(width: int, height: int, pose: NDArray, near: float, far: float) -> None:
    if not 0 < near < far:
        raise InputError(f"A camera must clip between two positive distances, nearer first, got {near} and {far} m.")
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
    half: bool = False  # only the 180 degrees around the centre (VR180); the picture is then square
    near: float = NEAR_SPHERE  # metres from the eye under which nothing is drawn
    far: float = math.inf  # metres from the eye beyond which nothing is drawn

    def __post_init__(self) -> None:
        _check(self.width, self.height, self.pose, self.near, self.far)
        if self.half and (self.width != self.height or self.width % 2):
            raise InputError(f"Half a panorama is square, with an even size, got {self.width} x {self.height} pixels.")
        if not self.half and self.width != 2 * self.height:
            raise InputError(f"A panorama is twice as wide as high, got {self.width} x {self.height} pixels.")

    @property
    def first(self) -> int:
        """The column of the whole panorama (2 * height columns) where this picture begins."""
        return self.height - self.width // 2

    @property
    def pixel(self) -> float:
        """Radians that a row is high."""
        return math.pi / self.height


@dataclass(frozen=True)
class FisheyeCamera:
    """An equidistant fisheye (dome master): the radius from the centre is proportional to the angle from the axis."""

    size: int  # pixels on a side; the image circle touches the edges
    angle: float = math.pi  # radians across the circle
    pose: NDArray = field(default_factory=upright)  # [4, 4] camera-to-world
    near: float = NEAR_SPHERE  # metres from the eye under which nothing is drawn
    far: float = math.inf  # metres from the eye beyond which nothing is drawn

    def __post_init__(self) -> None:
        _check(self.size, self.size, self.pose, self.near, self.far)
        if not 0 < self.angle < 2 * math.pi:
            raise InputError(f"A fisheye sees less than 360 degrees, got {math.degrees(self.angle):.1f}.")

    @property
    def width(self) -> int:
        """Pixels."""
        return self.size

    @property
    def height(self) -> int:
        """Pixels."""
        return self.size

    @property
    def pixel(self) -> float:
        """Radians between two pixels along a radius."""
        return self.angle / self.size


@dataclass(frozen=True)
class FaceCamera:
    """A face of a cube map: 90 degrees, flat, but drawn as part of the sphere so that the six fit at their edges."""

    size: int  # pixels on a side
    pose: NDArray = field(default_factory=upright)  # [4, 4] camera-to-world
    near: float = NEAR_SPHERE  # metres from the eye under which nothing is drawn
    far: float = math.inf  # metres from the eye beyond which nothing is drawn

    def __post_init__(self) -> None:
        _check(self.size, self.size, self.pose, self.near, self.far)

    @property
    def width(self) -> int:
        """Pixels."""
        return self.size

    @property
    def height(self) -> int:
        """Pixels."""
        return self.size

    @property
    def pixel(self) -> float:
        """Radians of a pixel, on the average over the face."""
        return 0.5 * math.pi / self.size


@dataclass(frozen=True)
class PerspectiveCamera:
    """A pinhole with square pixels."""

    width: int  # pixels
    height: int  # pixels
    fov_x: float  # horizontal field of view of a picture without ``axis``, radians
    pose: NDArray = field(default_factory=upright)  # [4, 4] camera-to-world
    axis: tuple[float, float] = (0.0, 0.0)  # pixels that the optical axis lies right of and below the picture's centre
    near: float = NEAR_PINHOLE  # metres of depth under which nothing is drawn
    far: float = math.inf  # metres of depth beyond which nothing is drawn

    def __post_init__(self) -> None:
        _check(self.width, self.height, self.pose, self.near, self.far)
        if not 0 < self.fov_x < math.pi:
            raise InputError(f"A pinhole sees less than 180 degrees, got {math.degrees(self.fov_x):.1f}.")

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return 0.5 * self.width / math.tan(0.5 * self.fov_x)

    @property
    def center(self) -> tuple[float, float]:
        """Where the optical axis meets the picture, in pixels from its left and upper edge."""
        return 0.5 * self.width + self.axis[0], 0.5 * self.height + self.axis[1]


SphereCamera = EquirectCamera | FisheyeCamera | FaceCamera
Camera = SphereCamera | PerspectiveCamera


@dataclass(frozen=True)
class Picture:
    """What a rasterizer gives back. Colour is premultiplied by alpha (black behind), unless a background was given."""

    color: NDArray[np.float32]  # [H, W, 3] sRGB
    alpha: NDArray[np.float32]  # [H, W] in [0, 1]
    distance: NDArray[np.float32]  # [H, W] expected distance along the ray in metres (alpha weighted), +inf at alpha 0
