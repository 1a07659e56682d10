"""Surfaces: what a distance map says about the shape around each pixel, without smearing over depth edges."""

import math
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere

PARALLAX_STEP = 0.3  # metres; the eye displacement with which depth differences are turned into pixels
MAX_STRETCH = 10.0  # a splat is at most this many times longer along the ray than across it
F32 = NDArray[np.float32]


@dataclass(frozen=True)
class Surface:
    """A distance map as smooth pieces.

    ``slope`` is d(ln distance) per radian towards the east and towards the south: 0 for a surface that faces the ray.
    """

    inverse: F32  # [H, W] 1 / distance in 1/m; the sky lies on a far shell
    slope: F32  # [H, W, 2] east, south

    def parallax(self) -> F32:
        """[H, W] pixels by which each pixel moves when the eye moves by PARALLAX_STEP."""
        return self.inverse * np.float32(PARALLAX_STEP * self.inverse.shape[1] / (2 * math.pi))


def parallax_pixels(inverse: F32) -> F32:
    """Inverse distances [...]x[W last] in 1/m to pixels of parallax under PARALLAX_STEP."""
    return inverse * np.float32(PARALLAX_STEP * inverse.shape[-1] / (2 * math.pi))


def invert(distance: NDArray, sky_distance: float) -> F32:
    """Distance in metres [...], +inf for sky, to inverse distance; nothing is farther than ``sky_distance``."""
    return np.maximum(1 / np.asarray(distance, np.float32), np.float32(1 / sky_distance))


def snap_edges(inverse: F32, threshold: float = 1.5) -> F32:
    """Turn soft steps of an inverse distance map [H, W] into sharp ones.

    An interpolated or predicted map runs through all distances between an object and what lies behind it, over a few
    pixels: a sheet of rubber once the eye moves. Where a 5 x 5 window spans more than ``threshold`` pixels of
    parallax, a pixel takes the nearer one of its window's extremes. Smooth slopes stay below the threshold.
    """
    wide = sphere.pad(inverse, 2, 2)

    def extremes(size: int) -> tuple[F32, F32]:
        kernel = np.ones((size, size), np.uint8)
        low, high = cast(F32, cv2.erode(wide, kernel)), cast(F32, cv2.dilate(wide, kernel))
        return low[2:-2, 2:-2], high[2:-2, 2:-2]

    low, high = extremes(5)
    below, above = extremes(3)
    step = parallax_pixels(high - low) > threshold
    # On a ramp both a nearer and a farther neighbour differ; on a plateau beside an edge only one does.
    ramp = parallax_pixels(np.minimum(inverse - below, above - inverse)) > 0.2 * threshold
    snapped = np.where(inverse - low < high - inverse, low, high)
    return np.where(step & ramp, snapped, inverse).astype(np.float32)


def measure(inverse: F32) -> Surface:
    """The slopes of an inverse distance map [H, W].

    One-sided log differences on both sides of a pixel are combined by minmod (the smaller of two that agree in sign,
    else zero; Harten 1983), so that a pixel beside a depth edge takes the slope of its own side and a thin or noisy
    one faces the ray.
    """
    height, width = inverse.shape
    log_distance = -np.log(sphere.pad(inverse, 1, 1))
    step = 2 * math.pi / width
    cos_phi = np.cos(sphere.latitudes(height).astype(np.float64))[:, None].astype(np.float32)

    def minmod(a: F32, b: F32) -> F32:
        return np.where(a * b > 0, np.where(np.abs(a) < np.abs(b), a, b), np.float32(0))

    dx, dy = np.diff(log_distance[1:-1], axis=1), np.diff(log_distance[:, 1:-1], axis=0)
    east = minmod(dx[:, :-1], dx[:, 1:]) / (step * cos_phi)
    south = minmod(dy[:-1], dy[1:]) / (math.pi / height)
    slope = np.stack([east, south], -1).astype(np.float32)
    length = np.linalg.norm(slope, axis=-1, keepdims=True)
    return Surface(inverse, slope * np.minimum(1, MAX_STRETCH / np.maximum(length, 1e-6)))
