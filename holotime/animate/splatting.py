"""One frame of a loop: the panorama displaced forward and backward along its motion, and blended.

After Holynski et al. 2021, "Animating Pictures with Eulerian Motion Fields": frame t of a loop of T blends the picture
carried forward by t (weight 1 - t/T) with the picture carried backward by T - t (weight t/T), so that frame T is
frame 0. There, pixels are splatted because the learned field may collide and tear. Ours is steady and vanishes
smoothly on everything static, so its flow is a one-to-one map of the moving region onto itself, and following it
backward from each target pixel gives the same picture without holes and without the blur of splatting.

Two things keep the blend sharp. Pictures are read with cubic B-splines, which lose less detail between pixels than
other cubics (Unser 1999, "Splines: A Perfect Fit for Signal and Image Processing"). And where the two pictures are
unrelated textures, which would average to a duller one, their detail is scaled up to its own variance again
(Heitz and Neyret 2018, "High-Performance By-Example Noise using a Histogram-Preserving Blending Operator", for two
pictures whose local correlation is measured).

The kernels here are compiled; :mod:`holotime.animate.splatting_plain` says the same slowly in numpy.
"""

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.animate.motion import Harmonics, Motion
from holotime.animate.structure import dilate

MARGIN = 4  # pixels of padding around arrays that kernels read from
STEPS = 2  # midpoint steps along the field for one displacement
SOFT = 0.016  # radians of the blur that separates detail from its local mean
LEAST_VARIANCE = 0.75  # of a blend; bounds how much its detail is scaled up
STILL_SPEED = 1e-4  # radians per second that count as still
STILL_SWAY = 2e-5  # radians that count as still
STILL_GLOW = 5e-4  # fraction of brightness that counts as still


@dataclass(frozen=True)
class Prepared:
    """A panorama and its motion in the layout of the kernels. N moving pixels, M + 1 rows of harmonics at most."""

    panorama: NDArray[np.uint8]  # [H, W, 3]
    padded: NDArray[np.float32]  # [H + 2 MARGIN, W + 2 MARGIN, 3] spline coefficients, without what stays in front
    front: NDArray[np.float32]  # [N, 3] what stays in place in front of the moving picture (stars)
    soft: NDArray[np.float32]  # the same, blurred
    velocity: NDArray[np.float32]  # [H + 2 MARGIN, W + 2 MARGIN, 3] radians per second
    pixels: NDArray[np.int32]  # [N] flat indices
    cycles: NDArray[np.int32]  # [K] cross-fades per loop
    cycle_weights: NDArray[np.float32]  # [K, N]
    correlation: NDArray[np.float32]  # [K, N] of the two blended pictures' detail
    sway_m: NDArray[np.int32]  # [A]
    sway: NDArray[np.complex64]  # [A, N, 2]
    glow_m: NDArray[np.int32]  # [B]
    glow: NDArray[np.complex64]  # [B, N]
    twinkle_m: NDArray[np.int32]  # [C]
    twinkle: NDArray[np.complex64]  # [C, N] of what stays in front
    duration: float  # seconds


@numba.njit(inline="always")
def _coordinates(x, y, z, height, width):
    """Array coordinates (row, column) in a padded array of direction (x, y, z)."""
    column = (math.atan2(x, y) / (2 * math.pi) + 0.5) * width - 0.5 + MARGIN
    row = (0.5 - math.atan2(z, math.sqrt(x * x + y * y)) / math.pi) * height - 0.5 + MARGIN
    return row, column


@numba.njit(inline="always")
def _linear(image, row, column, out):
    i, j = int(row), int(column)
    a, b = np.float32(row - i), np.float32(column - j)
    one = np.float32(1.0)
    for c in range(3):
        top = image[i, j, c] * (one - b) + image[i, j + 1, c] * b
        low = image[i + 1, j, c] * (one - b) + image[i + 1, j + 1, c] * b
        out[c] = top * (one - a) + low * a


@numba.njit(inline="always")
def _weights(t, w):
    """The four cubic B-spline weights at fraction t."""
    s = 1.0 - t
    w[0] = s * s * s / 6.0
    w[1] = (3.0 * t - 6.0) * t * t / 6.0 + 2.0 / 3.0
    w[2] = (3.0 * s - 6.0) * s * s / 6.0 + 2.0 / 3.0
    w[3] = t * t * t / 6.0


@numba.njit(inline="always")
def _cubic(image, row, column, wy, wx, out):
    i, j = int(row), int(column)
    _weights(np.float32(row - i), wy)
    _weights(np.float32(column - j), wx)
    for c in range(3):
        total = np.float32(0.0)
        for a in range(4):
            line = np.float32(0.0)
            for b in range(4):
                line += wx[b] * image[i - 1 + a, j - 1 + b, c]
            total += wy[a] * line
        out[c] = min(max(total, np.float32(0.0)), np.float32(255.0))


@numba.njit(inline="always")
def _carry(x, y, z, seconds, velocity, height, width, v):
    """Follow the field from a unit direction for ``seconds`` by the midpoint rule."""
    h = seconds / STEPS
    for _ in range(STEPS):
        row, column = _coordinates(x, y, z, height, width)
        _linear(velocity, row, column, v)
        mx, my, mz = x + 0.5 * h * v[0], y + 0.5 * h * v[1], z + 0.5 * h * v[2]
        row, column = _coordinates(mx, my, mz, height, width)
        _linear(velocity, row, column, v)
        x, y, z = x + h * v[0], y + h * v[1], z + h * v[2]
        n = 1.0 / math.sqrt(x * x + y * y + z * z)
        x, y, z = x * n, y * n, z * n
    return x, y, z


@numba.njit(inline="always")
def _direction(pixel, height, width):
    lam = 2 * math.pi * ((pixel % width + 0.5) / width - 0.5)
    phi = math.pi * (0.5 - (pixel // width + 0.5) / height)
    return math.sin(lam), math.cos(lam), math.sin(phi), math.cos(phi)


@numba.njit(parallel=True, cache=True)
def _pair(padded, soft, velocity, pixels, period, height, width, first, second):
    """Detail of the two pictures that are blended in the middle of a cross-fade, into first and second [N, 3]."""
    for n in numba.prange(len(pixels)):
        v = np.empty(3, np.float32)
        mean = np.empty(3, np.float32)
        colour = np.empty(3, np.float32)
        wy = np.empty(4, np.float32)
        wx = np.empty(4, np.float32)
        sin_lam, cos_lam, sin_phi, cos_phi = _direction(pixels[n], height, width)
        x, y, z = cos_phi * sin_lam, cos_phi * cos_lam, sin_phi
        for side in range(2):
            seconds = (0.5 - side) * -period
            sx, sy, sz = _carry(x, y, z, seconds, velocity, height, width, v)
            row, column = _coordinates(sx, sy, sz, height, width)
            _cubic(padded, row, column, wy, wx, colour)
            _linear(soft, row, column, mean)
            for c in range(3):
                if side == 0:
                    first[n, c] = colour[c] - mean[c]
                else:
                    second[n, c] = colour[c] - mean[c]


@numba.njit(parallel=True, cache=True)
def _frame(
    out,
    padded,
    soft,
    velocity,
    pixels,
    cycles,
    cycle_weights,
    correlation,
    front,
    sway_turn,
    sway,
    glow_turn,
    glow,
    twinkle_turn,
    twinkle,
    t,
    duration,
):
    """Write the moving pixels of the frame at loop time t in [0, 1) into out [H, W, 3]."""
    height, width = out.shape[0], out.shape[1]
    for n in numba.prange(len(pixels)):
        v = np.empty(3, np.float32)
        colour = np.empty(3, np.float32)
        mean = np.empty(3, np.float32)
        wy = np.empty(4, np.float32)
        wx = np.empty(4, np.float32)
        total = np.zeros(3, np.float32)
        smooth = np.empty(3, np.float32)
        detail = np.empty(3, np.float32)
        sin_lam, cos_lam, sin_phi, cos_phi = _direction(pixels[n], height, width)
        x, y, z = cos_phi * sin_lam, cos_phi * cos_lam, sin_phi

        to_east, to_north = 0.0, 0.0
        for a in range(len(sway_turn)):
            to_east += (sway[a, n, 0] * sway_turn[a]).real
            to_north += (sway[a, n, 1] * sway_turn[a]).real
        # What is seen here comes from where it was before it swayed.
        x -= to_east * cos_lam - to_north * sin_phi * sin_lam
        y -= -to_east * sin_lam - to_north * sin_phi * cos_lam
        z -= to_north * cos_phi
        norm = 1.0 / math.sqrt(x * x + y * y + z * z)
        x, y, z = x * norm, y * norm, z * norm

        row, column = _coordinates(x, y, z, height, width)
        _linear(velocity, row, column, v)
        drifts = v[0] * v[0] + v[1] * v[1] + v[2] * v[2] > STILL_SPEED * STILL_SPEED
        if not drifts:
            _cubic(padded, row, column, wy, wx, total)
        else:
            for k in range(len(cycles)):
                share = cycle_weights[k, n]
                if share <= 0.0:
                    continue
                period = duration / cycles[k]
                u = t * cycles[k] - math.floor(t * cycles[k])
                for c in range(3):
                    smooth[c] = 0.0
                    detail[c] = 0.0
                for side in range(2):
                    weight = np.float32(1.0 - u if side == 0 else u)
                    if weight <= 0.0:
                        continue
                    sx, sy, sz = _carry(x, y, z, (side - u) * period, velocity, height, width, v)
                    row, column = _coordinates(sx, sy, sz, height, width)
                    _cubic(padded, row, column, wy, wx, colour)
                    _linear(soft, row, column, mean)
                    for c in range(3):
                        smooth[c] += weight * mean[c]
                        detail[c] += weight * (colour[c] - mean[c])
                variance = u * u + (1 - u) * (1 - u) + 2 * u * (1 - u) * correlation[k, n]
                gain = np.float32(1.0 / math.sqrt(max(variance, LEAST_VARIANCE)))
                for c in range(3):
                    total[c] += share * (smooth[c] + gain * detail[c])

        light = np.float32(1.0)
        for b in range(len(glow_turn)):
            light += (glow[b, n] * glow_turn[b]).real
        lamp = np.float32(1.0)
        for b in range(len(twinkle_turn)):
            lamp += (twinkle[b, n] * twinkle_turn[b]).real
        i, j = pixels[n] // width, pixels[n] % width
        for c in range(3):
            value = total[c] * light + front[n, c] * lamp
            out[i, j, c] = np.uint8(min(max(value, np.float32(0.0)), np.float32(255.0)) + np.float32(0.5))


def _stack(harmonics: Harmonics, pixels: NDArray[np.int32], tail: tuple) -> tuple[NDArray, NDArray]:
    """Harmonics as (m [A], amplitudes [A, N, *tail])."""
    m = np.array(sorted(harmonics), np.int32)
    if not len(m):
        return m, np.zeros((0, len(pixels), *tail), np.complex64)
    return m, np.stack([harmonics[k].reshape(-1, *tail)[pixels] for k in m]).astype(np.complex64)


def spline_coefficients(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Coefficients [H, W, 3] of the cubic B-spline that passes through all pixels of an equirect [H, W, 3]."""
    height, width = image.shape[:2]
    # Meridians continue over the pole and down the other side, so that both axes are circles.
    around = np.concatenate([image, np.roll(image, width // 2, axis=1)[::-1]], axis=0)
    for axis, n in ((0, 2 * height), (1, width)):
        response = (2 + np.cos(2 * math.pi * np.fft.rfftfreq(n))) / 3
        shape = [1, 1, 1]
        shape[axis] = len(response)
        around = np.fft.irfft(np.fft.rfft(around, axis=axis) / response.reshape(shape), n=n, axis=axis)
    return np.ascontiguousarray(around[:height], np.float32)


def _without(image: NDArray[np.float32], stars: NDArray[np.float32]) -> NDArray[np.float32]:
    """The picture [H, W, 3] without its stars [H, W], filled from around them."""
    gap = dilate(stars > 0, max(1, round(2 * len(image) / 512)))
    rest = (~gap).astype(np.float32)[..., None]
    around = sphere.blur_sphere(image * rest, 0.012) / np.maximum(sphere.blur_sphere(rest, 0.012), 1e-3)
    return np.where(gap[..., None], around, image)


def prepare(panorama: NDArray[np.uint8], motion: Motion, stars: NDArray[np.float32] | None = None) -> Prepared:
    """Bring a panorama [H, W, 3] and its motion into the layout of the kernels; finds the moving pixels.

    ``stars`` [H, W] > 0 marks points that stay in place while what is behind them drifts.
    """
    moving = np.linalg.norm(motion.drift.velocity, axis=-1) > STILL_SPEED
    for amplitude in motion.sway.values():
        moving |= np.abs(amplitude).max(-1) > STILL_SWAY
    for amplitude in (*motion.glow.values(), *motion.twinkle.values()):
        moving |= np.abs(amplitude) > STILL_GLOW
    pixels = np.flatnonzero(moving).astype(np.int32)
    image = panorama.astype(np.float32)
    behind = _without(image, stars) if stars is not None and stars.any() else image
    front = (image - behind).reshape(-1, 3)[pixels]

    def padded(a: NDArray) -> NDArray[np.float32]:
        return np.ascontiguousarray(sphere.pad(a, MARGIN, MARGIN), np.float32)

    cycles = np.array(sorted(motion.drift.cycles), np.int32)
    sway_m, sway = _stack(motion.sway, pixels, (2,))
    glow_m, glow = _stack(motion.glow, pixels, ())
    twinkle_m, twinkle = _stack(motion.twinkle, pixels, ())
    weights = np.stack([motion.drift.cycles[k].reshape(-1)[pixels] for k in cycles]).astype(np.float32)
    prepared = Prepared(
        panorama=panorama,
        padded=padded(spline_coefficients(behind)),
        front=front,
        soft=padded(sphere.blur_sphere(behind, SOFT)),
        velocity=padded(motion.drift.velocity),
        pixels=pixels,
        cycles=cycles,
        cycle_weights=weights,
        correlation=np.zeros_like(weights),
        sway_m=sway_m,
        sway=sway,
        glow_m=glow_m,
        glow=glow,
        twinkle_m=twinkle_m,
        twinkle=twinkle,
        duration=motion.duration,
    )
    for k, count in enumerate(cycles):
        prepared.correlation[k] = _correlate(prepared, motion.duration / int(count))
    return prepared


def _correlate(prepared: Prepared, period: float) -> NDArray[np.float32]:
    """[N] local correlation in [0, 1] of the detail of the two pictures that a cross-fade of ``period`` blends."""
    height, width = prepared.panorama.shape[:2]
    first = np.zeros((len(prepared.pixels), 3), np.float32)
    second = np.zeros_like(first)
    _pair(prepared.padded, prepared.soft, prepared.velocity, prepared.pixels, period, height, width, first, second)
    maps = np.zeros((height * width, 3), np.float32)
    products = ((first * second).sum(-1), (first * first).sum(-1), (second * second).sum(-1))
    maps[prepared.pixels] = np.stack(products, -1)
    maps = sphere.blur_sphere(maps.reshape(height, width, 3), 1.5 * SOFT).reshape(-1, 3)[prepared.pixels]
    # The floor (one grey level) keeps flat regions, where detail is only noise, from being scaled up.
    return np.clip((maps[:, 0] + 3) / (np.sqrt(np.maximum(maps[:, 1] * maps[:, 2], 0)) + 3), 0, 1)


def turns(m: NDArray[np.int32], t: float) -> NDArray[np.complex64]:
    """[A] factor exp(-2 pi i m t) - 1 of each harmonic at loop time t."""
    return (np.exp(-2j * math.pi * m.astype(np.float64) * t) - 1).astype(np.complex64)


def render(prepared: Prepared, t: float, out: NDArray[np.uint8]) -> None:
    """Write the frame at loop time ``t`` in [0, 1) into out [H, W, 3]. Frame 0 is the panorama."""
    out[:] = prepared.panorama
    if t == 0 or not len(prepared.pixels):
        return
    p = prepared
    _frame(
        out,
        p.padded,
        p.soft,
        p.velocity,
        p.pixels,
        p.cycles,
        p.cycle_weights,
        p.correlation,
        p.front,
        turns(p.sway_m, t),
        p.sway,
        turns(p.glow_m, t),
        p.glow,
        turns(p.twinkle_m, t),
        p.twinkle,
        t,
        p.duration,
    )
