"""Angular distance on the sphere to the nearest marked pixel, by jump flooding.

Rong and Tan 2006, "Jump Flooding in GPU with Applications to Voronoi Diagram and Distance Transform", with
neighbours that wrap in longitude and cross the poles. A plain distance transform of the picture would be wrong by
1 / cos(latitude) along the rows.
"""

import math

import numba
import numpy as np
from numpy.typing import NDArray

from holotime import sphere


@numba.njit(cache=True)
def _flood(nearest: NDArray[np.int32], d: NDArray[np.float32], step: int) -> NDArray[np.int32]:
    height, width = nearest.shape
    out = nearest.copy()
    for i in range(height):
        for j in range(width):
            best = out[i, j]
            closeness = np.float32(-2.0)
            if best >= 0:
                a, b = best // width, best % width
                closeness = d[a, b, 0] * d[i, j, 0] + d[a, b, 1] * d[i, j, 1] + d[a, b, 2] * d[i, j, 2]
            for di in range(-1, 2):
                for dj in range(-1, 2):
                    y, x = i + di * step, j + dj * step
                    if y < 0:
                        y, x = -y - 1, x + width // 2
                    elif y >= height:
                        y, x = 2 * height - 1 - y, x + width // 2
                    candidate = nearest[y, x % width]
                    if candidate >= 0:
                        a, b = candidate // width, candidate % width
                        c = d[a, b, 0] * d[i, j, 0] + d[a, b, 1] * d[i, j, 1] + d[a, b, 2] * d[i, j, 2]
                        if c > closeness:
                            closeness, best = c, candidate
            out[i, j] = best
    return out


def angular_distance(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """[H, W] radians from each pixel centre to the centre of the nearest True pixel of mask [H, W]; pi if none."""
    height, width = mask.shape
    if not mask.any():
        return np.full(mask.shape, math.pi, np.float32)
    d = sphere.directions(height, width)
    nearest = np.where(mask, np.arange(mask.size, dtype=np.int32).reshape(mask.shape), np.int32(-1))
    step = 1 << max(0, math.ceil(math.log2(height)) - 1)
    # The extra last pass with step 1 ("JFA+1") removes most of the few wrong cells of plain jump flooding.
    while step >= 1:
        nearest = _flood(nearest, d, min(step, height - 1))
        step //= 2
    nearest = _flood(nearest, d, 1)
    chord = np.linalg.norm(d.reshape(-1, 3)[nearest] - d, axis=-1)
    return (2 * np.arcsin(np.clip(chord / 2, 0, 1))).astype(np.float32)
