"""Layers: the lasting background of a clip, and what lies hidden behind the edges of things in front."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.reconstruct.surface import PARALLAX_STEP, Surface, parallax_pixels
from holotime.render.jit import compiled

SEEN_FAR = 0.93  # a frame shows the background where its distance is at least this share of the farthest
SIDESTEP = 0.5  # metres of eye displacement that the hidden layer must fill
F32 = NDArray[np.float32]


def background(frames: NDArray[np.uint8], inverse: F32) -> tuple[F32, F32]:
    """What stays when things that move in front are taken away: colour [H, W, 3] and inverse distance [H, W].

    Per pixel, the frames that see farthest; of these the mean colour (the best constant) and the median distance.
    ``frames`` [T, H, W, 3], ``inverse`` [T, H, W] 1/m.
    """
    far = inverse.min(0)
    total = np.zeros(frames.shape[1:], np.float32)
    depth = np.zeros(far.shape, np.float32)
    seen = np.zeros(far.shape, np.float32)
    for frame, near in zip(frames, inverse, strict=True):
        here = (near * SEEN_FAR <= far).astype(np.float32)
        total += frame * here[..., None]
        depth += near * here
        seen += here
    return total / (255 * seen[..., None]), cast(F32, depth / seen)


def near_things(inverse: F32) -> NDArray[np.bool_]:
    """[H, W] pixels within two pixels of something clearly nearer (``inverse`` [H, W] in 1/m): under its soft outline.

    Steep surfaces without an edge change by less than the threshold, a pixel of parallax over two pixels.
    """
    nearest = cv2.dilate(sphere.pad(inverse, 2, 2), np.ones((5, 5), np.uint8))[2:-2, 2:-2]
    return (parallax_pixels(nearest - inverse) > 1.0) & (nearest > 1.1 * inverse)


@dataclass(frozen=True)
class Hidden:
    """A second layer behind the first, only where ``mask`` says so."""

    mask: NDArray[np.bool_]  # [H, W]
    image: F32  # [H, W, 3] sRGB
    inverse: F32  # [H, W] 1/m


@compiled()
def _is_edge(inverse, slope, i, j, m, n, dy, dx, per_radian, step, cos_phi):
    """Is pixel (m, n), one step (dy, dx) from (i, j), clearly behind it?"""
    near, far = inverse[i, j], inverse[m, n]
    if (near - far) * per_radian < 1.0:
        return False
    jump = np.log(near / far)
    run = step * np.sqrt((dx * cos_phi) ** 2 + dy * dy)
    bend = max(abs(slope[i, j, 0]) + abs(slope[i, j, 1]), abs(slope[m, n, 0]) + abs(slope[m, n, 1]))
    return jump > 0.06 + 1.8 * run * bend


@compiled()
def _grow(inverse, slope, directions, per_radian, sidestep, seed):
    """Give each pixel that a step aside could uncover the index of the nearest background pixel: seed [H, W].

    Starts on the near side of every depth edge and grows under the foreground, ring by ring.
    """
    height, width = inverse.shape
    step = 2 * np.pi / width
    queue = np.empty(height * width, np.int32)
    head, tail = 0, 0
    for i in range(height):
        cos_phi = np.cos(np.pi * (0.5 - (i + 0.5) / height))
        for j in range(width):
            best, closest = -1, -2.0
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    m, n = i + dy, j + dx
                    if m < 0 or m >= height:
                        m, n = i, n + width // 2
                    n %= width
                    if _is_edge(inverse, slope, i, j, m, n, dy, dx, per_radian, step, cos_phi):
                        c = 0.0
                        for k in range(3):
                            c += directions[i, j, k] * directions[m, n, k]
                        if c > closest:
                            best, closest = m * width + n, c
            if best >= 0:
                seed[i, j] = best
                queue[tail] = i * width + j
                tail += 1
    while head < tail:
        i, j = queue[head] // width, queue[head] % width
        head += 1
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                m, n = i + dy, j + dx
                if m < 0 or m >= height:
                    m, n = i, n + width // 2
                n %= width
                if seed[m, n] >= 0:
                    continue
                best, closest = -1, -2.0
                for ey in range(-1, 2):  # the nearest background among what the neighbours know
                    for ex in range(-1, 2):
                        p, q = m + ey, (n + ex) % width
                        if p < 0 or p >= height or seed[p, q] < 0:
                            continue
                        a, b = seed[p, q] // width, seed[p, q] % width
                        c = 0.0
                        for k in range(3):
                            c += directions[a, b, k] * directions[m, n, k]
                        if c > closest:
                            best, closest = seed[p, q], c
                if best < 0:
                    continue
                far, near = inverse[best // width, best % width], inverse[m, n]
                angle = np.arccos(min(1.0, closest))
                if near > 1.06 * far and angle <= sidestep * (near - far) + 2 * step:
                    seed[m, n] = best
                    queue[tail] = m * width + n
                    tail += 1


def behind_edges(surface: Surface, image: F32, *, sidestep: float = SIDESTEP) -> Hidden:
    """Continue the background under the foreground as far as an eye that steps aside by ``sidestep`` metres sees.

    The distance goes on along the background's own slope, the colour is the background mirrored at the edge (texture
    goes on, nothing of the foreground bleeds in), both smoothed along the band. ``image`` [H, W, 3] sRGB.
    """
    inverse, slope = surface.inverse, surface.slope
    height, width = inverse.shape
    seed = np.full((height, width), -1, np.int32)
    per_radian = PARALLAX_STEP * width / (2 * math.pi)
    _grow(inverse, slope, sphere.directions(height, width), per_radian, sidestep, seed)
    mask = seed >= 0
    if not mask.any():
        return Hidden(mask, image, inverse)
    i, j = np.nonzero(mask)
    si, sj = np.divmod(seed[mask], width)
    dy, dx = i - si, (j - sj + width // 2) % width - width // 2
    far = inverse[si, sj]
    # Walk a little into the background for a slope and a colour that antialiasing at the edge has not touched.
    reach = np.maximum(1, np.hypot(dy, dx))
    bi = np.clip(np.round(si - dy / reach * 1.5), 0, height - 1).astype(int)
    bj = np.round(sj - dx / reach * 1.5).astype(int) % width
    same = np.abs(inverse[bi, bj] / far - 1) < 0.15
    bi, bj = np.where(same, bi, si), np.where(same, bj, sj)
    step = 2 * math.pi / width
    cos_phi = np.cos(sphere.latitudes(height))[si]
    log_growth = slope[bi, bj, 0] * dx * step * cos_phi + slope[bi, bj, 1] * dy * step
    extended = far * np.exp(-np.clip(log_growth, -0.5, 0.5))
    extended = np.minimum(extended, 0.96 * inverse[i, j])
    mi = np.clip(2 * bi - i, 0, height - 1)
    mj = (2 * bj - j) % width
    fits = (np.abs(inverse[mi, mj] / far - 1) < 0.35) & ~mask[mi, mj]
    mi, mj = np.where(fits, mi, bi), np.where(fits, mj, bj)
    fill, depth = image.copy(), inverse.copy()
    fill[mask], depth[mask] = image[mi, mj], extended
    weight = mask.astype(np.float32)
    soft = _inside(lambda a: sphere.pad(a, 3, 3), np.dstack([fill, depth]), weight)
    blend = 0.5  # half of the mirrored texture, half of its mean: no streaks along the edge, no dull band
    fill = np.where(mask[..., None], blend * fill + (1 - blend) * soft[..., :3], fill)
    depth = np.where(mask, np.minimum(soft[..., 3], 0.98 * inverse), depth)
    return Hidden(mask, fill.astype(np.float32), depth.astype(np.float32))


def _inside(pad: Callable[[NDArray], NDArray], image: F32, weight: F32) -> F32:
    """Mean over 7 x 7 pixels [H, W, C] of those with weight [H, W]."""
    total = cv2.blur(pad(image * weight[..., None]), (7, 7))[3:-3, 3:-3]
    mass = cv2.blur(pad(weight), (7, 7))[3:-3, 3:-3, None]
    return cast(F32, total / np.maximum(mass, 1e-6))
