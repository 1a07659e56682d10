"""Carrying values forward: each pixel is spread over the four pixels around where it lands (numba)."""

import math

import numpy as np
from numpy.typing import NDArray

from holotime.render.jit import compiled


@compiled()
def _splat(values, x, y, weight, out, total):
    """Add ``values`` [h, w, C] times ``weight`` [h, w] at (x, y) [h, w], centres at integers, to both sums."""
    height, width, channels = values.shape
    for i in range(height):
        for j in range(width):
            w = weight[i, j]
            left, top = math.floor(x[i, j]), math.floor(y[i, j])
            fx, fy = x[i, j] - left, y[i, j] - top
            for di in range(2):
                r = int(top) + di
                if r < 0 or r >= height:
                    continue
                for dj in range(2):
                    c = int(left) + dj
                    if c < 0 or c >= width:
                        continue
                    share = w * (fy if di else 1 - fy) * (fx if dj else 1 - fx)
                    total[r, c] += share
                    for k in range(channels):
                        out[r, c, k] += share * values[i, j, k]


def splat(
    values: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32], weight: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weighted sums [h, w, C] of ``values`` [h, w, C] that land at x, y [h, w], and the weights' sums [h, w]."""
    out, total = np.zeros(values.shape, np.float32), np.zeros(values.shape[:2], np.float32)
    _splat(np.ascontiguousarray(values), x, y, weight, out, total)
    return out, total


def splat_plain(
    values: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32], weight: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The twin of :func:`splat` in numpy."""
    height, width = values.shape[:2]
    out, total = np.zeros(values.shape, np.float64), np.zeros((height, width))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for di in (0, 1):
        for dj in (0, 1):
            share = weight * np.abs(1 - di - (y - top)) * np.abs(1 - dj - (x - left))
            r, c = top + di, left + dj
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            np.add.at(total, (r[inside], c[inside]), share[inside])
            np.add.at(out, (r[inside], c[inside]), (share[..., None] * values)[inside])
    return out.astype(np.float32), total.astype(np.float32)
