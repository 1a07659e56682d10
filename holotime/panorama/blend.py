"""Joining what was made to what was given, and enlarging, on the circle."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere

REACH = math.radians(12)  # how far from a photo's border its colours lead the picture round it


def lanczos(image: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """A panorama [h, 2h, 3] at [height, 2 * height, 3], windowed sinc, round the seam and over the poles."""
    if height <= image.shape[0]:
        return sphere.resize(image, height)
    margin = 8
    scale = image.shape[0] / height
    padded = np.ascontiguousarray(sphere.pad(image, margin, margin))
    x, y = ((np.arange(n, dtype=np.float64) + 0.5) * scale - 0.5 + margin for n in (2 * height, height))
    columns, rows = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    return np.asarray(cv2.remap(padded, columns, rows, cv2.INTER_LANCZOS4), np.uint8)


def join(made: NDArray[np.uint8], given: NDArray[np.uint8], known: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """``given`` bit for bit where ``known`` [H, W], and round it ``made`` [H, W, 3], led to the given colours.

    At the border the difference of both is carried outwards (a normalised blur of it) and dies away within REACH.
    """
    if known.all():
        return given.copy()
    difference = np.where(known[..., None], given.astype(np.float32) - made, 0)
    near = sphere.blur_sphere(np.concatenate([difference, known[..., None].astype(np.float32)], -1), REACH / 4)
    carried = near[..., :3] / np.maximum(near[..., 3:], 1e-3)
    out = made + carried * _nearness(known)[..., None]
    return np.where(known[..., None], given, np.clip(np.round(out), 0, 255).astype(np.uint8))


def _nearness(known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """[H, W] 1 beside known pixels, smoothly 0 at REACH from them; angles on the sphere."""
    # The Gaussian blur of a half plane is 1/2 on its border; twice that, so that the border counts as there.
    soft = sphere.blur_sphere(known.astype(np.float32), REACH / 3)
    near = np.clip(2 * soft, 0, 1)
    return near * near * (3 - 2 * near)
