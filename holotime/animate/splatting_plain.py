"""The kernels of :mod:`holotime.animate.splatting` in plain numpy: slow, short, and what they are tested against."""

import math

import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.animate.fields import east_north
from holotime.animate.splatting import LEAST_VARIANCE, MARGIN, STEPS, STILL_SPEED, Prepared, turns


def _place(d: NDArray, height: int, width: int) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Integer and fractional array coordinates [N] of directions d [N, 3] in a padded array."""
    x, y = sphere.to_pixels(d, height, width)
    column, row = x - 0.5 + MARGIN, y - 0.5 + MARGIN
    i, j = row.astype(int), column.astype(int)
    return i, j, row - i, column - j


def _linear(image: NDArray, d: NDArray, height: int, width: int) -> NDArray:
    """[N, 3] bilinear values of a padded image at directions d [N, 3]."""
    i, j, a, b = _place(d, height, width)
    a, b = a[:, None], b[:, None]
    top = image[i, j] * (1 - b) + image[i, j + 1] * b
    low = image[i + 1, j] * (1 - b) + image[i + 1, j + 1] * b
    return top * (1 - a) + low * a


def _cubic(image: NDArray, d: NDArray, height: int, width: int) -> NDArray:
    """[N, 3] values in [0, 255] of padded cubic B-spline coefficients at directions d [N, 3]."""

    def weights(t: NDArray) -> list[NDArray]:
        s = 1 - t
        return [s**3 / 6, t**3 / 2 - t**2 + 2 / 3, s**3 / 2 - s**2 + 2 / 3, t**3 / 6]

    i, j, a, b = _place(d, height, width)
    total = np.zeros((len(d), 3))
    for p, wy in enumerate(weights(a)):
        for q, wx in enumerate(weights(b)):
            total += (wy * wx)[:, None] * image[i - 1 + p, j - 1 + q]
    return np.clip(total, 0, 255)


def carry(d: NDArray, seconds: float, velocity: NDArray, height: int, width: int) -> NDArray:
    """Follow a padded velocity field from unit directions d [N, 3] for ``seconds`` by the midpoint rule."""
    h = seconds / STEPS
    for _ in range(STEPS):
        middle = d + 0.5 * h * _linear(velocity, d, height, width)
        d = d + h * _linear(velocity, middle, height, width)
        d = d / np.linalg.norm(d, axis=-1, keepdims=True)
    return d


def render_plain(prepared: Prepared, t: float) -> NDArray[np.uint8]:
    """The frame at loop time ``t`` in [0, 1), [H, W, 3]."""
    p = prepared
    height, width = p.panorama.shape[:2]
    out = p.panorama.copy()
    if t == 0 or not len(p.pixels):
        return out
    d = sphere.directions(height, width).reshape(-1, 3)[p.pixels].astype(np.float64)
    east, north = east_north(d)
    shift = (p.sway * turns(p.sway_m, t)[:, None, None]).real.sum(0)
    d = d - shift[:, :1] * east - shift[:, 1:] * north
    d /= np.linalg.norm(d, axis=-1, keepdims=True)

    total = np.zeros_like(d)
    for k, count in enumerate(p.cycles):
        period = p.duration / count
        u = t * count - math.floor(t * count)
        smooth, detail = np.zeros_like(d), np.zeros_like(d)
        for weight, seconds in ((1 - u, -u * period), (u, (1 - u) * period)):
            source = carry(d, seconds, p.velocity, height, width)
            mean = _linear(p.soft, source, height, width)
            smooth += weight * mean
            detail += weight * (_cubic(p.padded, source, height, width) - mean)
        variance = u * u + (1 - u) ** 2 + 2 * u * (1 - u) * p.correlation[k]
        total += p.cycle_weights[k][:, None] * (
            smooth + detail / np.sqrt(np.maximum(variance, LEAST_VARIANCE))[:, None]
        )
    drifts = np.linalg.norm(_linear(p.velocity, d, height, width), axis=-1) > STILL_SPEED
    total = np.where(drifts[:, None], total, _cubic(p.padded, d, height, width))

    light = 1 + (p.glow * turns(p.glow_m, t)[:, None]).real.sum(0)
    lamp = 1 + (p.twinkle * turns(p.twinkle_m, t)[:, None]).real.sum(0)
    value = total * light[:, None] + p.front * lamp[:, None]
    out.reshape(-1, 3)[p.pixels] = (np.clip(value, 0, 255) + 0.5).astype(np.uint8)
    return out
