"""Three flat pictures that cover the sphere: what looks at pictures without knowing of spheres looks at these.

The band around the equator is rows of the equirect itself, its width a circle. Each pole's cap is an azimuthal
equidistant picture, where the pole is a point like any other; near it the equirect's rows are stretched and turn too
fast for networks and optical flow alike. Results are carried back to the equirect and cross-faded where band and cap
overlap.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.perceive.flow import CAP_EDGE, CAP_FROM, CAP_FULL, wrap_difference

BAND_EDGE = math.radians(70)  # latitude where the band ends; beyond CAP_FULL it is context only
REACH = math.pi / 2 - CAP_EDGE  # angle from a pole to the middle of a cap's sides


@dataclass(frozen=True)
class Charts:
    """Where band and caps lie in an equirect of [height, width]; sides of all are multiples of ``step``."""

    height: int
    width: int
    top: int  # first row of the band
    bottom: int  # row after its last
    side: int  # n, of the caps' pictures

    @property
    def focal(self) -> float:
        """Pixels a radian in the caps."""
        return 0.5 * self.side / REACH

    def cut(self, picture: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Band [h, W(, C)], north and south cap [n, n(, C)] of an equirect [H, W(, C)] of this or a near size."""
        x, y = _cap_columns(self)
        caps = [sample_cubic(picture, x, y if north else self.height - y) for north in (True, False)]
        return np.ascontiguousarray(picture[self.top : self.bottom]), caps[0], caps[1]


def charts_for(height: int, width: int, step: int) -> Charts:
    """The charts of an equirect; ``height`` and ``width`` must be multiples of ``step``."""
    rows = math.ceil(BAND_EDGE / math.pi * height)  # above the equator
    rows = min(math.ceil(2 * rows / step) * step, height)
    top = (height - rows) // 2
    side = math.ceil(2 * REACH / math.pi * height / step) * step
    return Charts(height, width, top, top + rows, side)


@lru_cache(maxsize=4)
def _cap_columns(charts: Charts) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """[n, n] continuous column and row of the equirect under each pixel of the north cap."""
    grid = (np.arange(charts.side) + 0.5 - 0.5 * charts.side) / charts.focal
    px, py = np.meshgrid(grid, grid)
    angle, bearing = np.hypot(px, py), np.arctan2(px, py)  # the bearing is a longitude
    x = (bearing / (2 * math.pi) + 0.5) * charts.width
    return x.astype(np.float32), (angle / math.pi * charts.height).astype(np.float32)


@dataclass(frozen=True)
class Place:
    """Where the pixels of an equirect [H, W] that a cap serves lie in that cap."""

    rows: slice  # of the equirect
    u: NDArray[np.float32]  # [r, W] column in the cap, centres at integers
    v: NDArray[np.float32]  # [r, W] row
    weight: NDArray[np.float32]  # [r, 1] how far the cap has taken over from the band


@lru_cache(maxsize=8)
def place(charts: Charts, north: bool, height: int, width: int) -> Place:
    """For an equirect of any size [height, width], which may be larger than the one that was cut."""
    sign = 1 if north else -1
    phi = sphere.latitudes(height)
    inside = np.flatnonzero(sign * phi > CAP_FROM)
    angle = (math.pi / 2 - sign * phi[inside].astype(np.float64))[:, None]
    lam = sphere.longitudes(width).astype(np.float64)[None, :]
    u = charts.focal * angle * np.sin(lam) + 0.5 * charts.side - 0.5
    v = charts.focal * angle * np.cos(lam) + 0.5 * charts.side - 0.5
    t = np.clip((sign * phi[inside] - CAP_FROM) / (CAP_FULL - CAP_FROM), 0, 1)[:, None]
    rows = slice(int(inside[0]), int(inside[-1]) + 1)
    return Place(rows, u.astype(np.float32), v.astype(np.float32), (t * t * (3 - 2 * t)).astype(np.float32))


def look_up(at: Place, values: NDArray, scale: int = 1) -> NDArray:
    """[r, W(, C)] values of a cap [scale n, scale n(, C)] at the pixels that it serves; cubic where it is enlarged."""
    u, v = (at.u, at.v) if scale == 1 else ((c + 0.5) * scale - 0.5 for c in (at.u, at.v))
    method = cv2.INTER_LINEAR if scale == 1 else cv2.INTER_CUBIC
    return cv2.remap(np.ascontiguousarray(values), u, v, method, borderMode=cv2.BORDER_REPLICATE)


def carry_back(charts: Charts, motion: NDArray, north: bool, height: int, width: int) -> tuple[NDArray, NDArray]:
    """Displacements (dx, dy) [r, W, 2] in pixels of an equirect [height, width] from those of a cap [n, n, 2].

    Also gives what the pixels are weighted with, [r, 1, 1]. The short way around.
    """
    at = place(charts, north, height, width)
    moved = look_up(at, motion)
    middle = 0.5 * charts.side - 0.5
    px, py = (at.u + moved[..., 0] - middle) / charts.focal, (at.v + moved[..., 1] - middle) / charts.focal
    x = (np.arctan2(px, py) / (2 * math.pi) + 0.5) * width
    angle = np.hypot(px, py) / math.pi * height
    y = angle if north else height - angle
    dx = wrap_difference(x - (np.arange(width, dtype=np.float32) + 0.5), width)
    dy = y - (np.arange(height, dtype=np.float32)[at.rows, None] + 0.5)
    return np.stack([dx, dy], -1).astype(np.float32), at.weight[..., None]


def sample_cubic(picture: NDArray, x: NDArray, y: NDArray) -> NDArray:
    """Equirect [H, W(, C)] at continuous x, y [h, w], wrapping and crossing the poles; cubic."""
    width = picture.shape[1]
    padded = sphere.pad(picture, 4, 4)
    columns, rows = (np.mod(x, width) + 3.5).astype(np.float32), (y + 3.5).astype(np.float32)
    return cv2.remap(np.ascontiguousarray(padded), columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
