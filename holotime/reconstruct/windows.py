"""Windows: which key times stand for a moving region, how long each is seen, and where its splats travel.

A clip is cut into K intervals; at its K + 1 ends lie key frames (in a loop the last is the first again). A key's
splats fade with exp(-(dt/s)^2). Keys alternate in two roles so that neighbours cross-fade over an opaque back:

* front keys (even) lie a little nearer and fade to about one half in the middle between two keys;
* back keys (odd) lie a little farther and stay nearly opaque until the next front key covers them, and change over
  to the next back key while hidden behind it. A back splat that no front splat will cover (a thing that moves over a
  background at rest) gets the narrow window of a front key instead: it would leave a ghost.

So brightness does not dip between keys, nothing depends on the order of two splats at one place, and behind all of
them an always-there base shows the mean over time wherever motion has left a gap.
"""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.render.jit import compiled, spread

FRONT_WIDTH = 0.55  # window of a front key in units of the spacing of keys: 0.44 at the middle, 0.04 at its end
BACK_WIDTH = 1.2  # window of a back key: 0.84 at the middle, one half when it is hidden at the next front key
MOST_KEYS = 48  # intervals of the densest schedule
F32 = NDArray[np.float32]


@dataclass(frozen=True)
class Schedule:
    """Key frames of one temporal density."""

    frames: tuple[int, ...]  # K + 1 frame indices, rising; in a loop the last equals the number of frames
    count: int  # frames of the clip
    loop: bool

    @property
    def intervals(self) -> int:
        """K."""
        return len(self.frames) - 1

    def time(self, key: int) -> float:
        """Scene time of a key."""
        return self.frames[key] / (self.count if self.loop else self.count - 1)

    def is_back(self, key: int) -> bool:
        """Has the key the role that lies behind?"""
        return key % 2 == 1

    def is_twin(self, key: int) -> bool:
        """Is it one of the two ends of a loop, which show the same frame?"""
        return self.loop and key in (0, self.intervals)

    def shares(self) -> F32:
        """[K + 1, T] by how much each key makes up each frame (linear between neighbours; columns sum to 1)."""
        out = np.zeros((len(self.frames), self.count), np.float32)
        for t in range(self.count):
            j = min(int(np.searchsorted(self.frames, t, side="right")) - 1, self.intervals - 1)
            u = (t - self.frames[j]) / (self.frames[j + 1] - self.frames[j])
            out[j, t], out[j + 1, t] = 1 - u, u
        return out


def schedules(count: int, loop: bool) -> list[Schedule]:
    """Temporal densities to choose from, sparse to dense; none for a single frame.

    A loop has an even number of intervals, so that both of its ends are front keys: from a back key to a front key of
    the same frame, what shines through between the splats would jump.
    """
    span = count if loop and count > 1 else count - 1
    out: list[Schedule] = []
    for k in sorted({1, 2, 3, 4, 6, 8, 12, 16, 24, span}):
        if 0 < k <= min(span, MOST_KEYS) and not (loop and k % 2):
            frames = tuple(round(j * span / k) for j in range(k + 1))
            if len(set(frames)) == k + 1:
                out.append(Schedule(frames, count, loop))
    return out


@dataclass(frozen=True)
class HalfClip:
    """The clip and its flow at half resolution, for predicting frames from keys."""

    frames: F32  # [T, h, w, 3] sRGB
    forward: F32  # [T, h, w, 2] pixels of this size
    backward: F32  # [T, h, w, 2]


def halve(frames: NDArray[np.uint8], forward: NDArray, backward: NDArray) -> HalfClip:
    """Shrink frames [T, H, W, 3] and flows [T, H, W, 2] (pixels per frame) by two."""
    height, width = max(1, frames.shape[1] // 2), max(2, frames.shape[2] // 4 * 2)
    ratio = np.array([width / frames.shape[2], height / frames.shape[1]], np.float32)

    def shrink(image: NDArray) -> F32:
        return cast(F32, cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=cv2.INTER_AREA))

    return HalfClip(
        np.stack([shrink(f).astype(np.float32) / 255 for f in frames]),
        np.stack([shrink(f.astype(np.float32)) * ratio for f in forward]),
        np.stack([shrink(f.astype(np.float32)) * ratio for f in backward]),
    )


def prediction_errors(clip: HalfClip, schedule: Schedule) -> F32:
    """[T, h, w] squared colour error (summed over channels) of every frame when it is made from its two keys.

    The keys are carried to the frame along the chained flow and cross-faded; where standing still predicts better
    (light that changes, shadows, flow that failed) that is used instead.
    """
    count, height, width = clip.frames.shape[:3]
    gy, gx = np.mgrid[0.5:height, 0.5:width].astype(np.float32)

    def chain(step: F32, so_far: F32) -> F32:
        return step + sphere.sample(so_far, gx + step[..., 0], np.clip(gy + step[..., 1], -0.5, height + 0.5))

    def carry(key: int, flow: F32) -> F32:
        y = np.clip(gy + flow[..., 1], -0.5, height + 0.5)
        return sphere.sample(clip.frames[key % count], gx + flow[..., 0], y)

    out = np.zeros((count, height, width), np.float32)
    for a, b in zip(schedule.frames[:-1], schedule.frames[1:], strict=True):
        to_b: dict[int, F32] = {}
        flow = np.zeros((height, width, 2), np.float32)
        for t in range(b - 1, a, -1):
            flow = chain(clip.forward[t % count], flow)
            to_b[t] = flow
        flow = np.zeros((height, width, 2), np.float32)
        for t in range(a + 1, b):
            flow = chain(clip.backward[t % count], flow)
            u = np.float32((t - a) / (b - a))
            truth = clip.frames[t]
            moved = (1 - u) * carry(a, flow) + u * carry(b, to_b[t]) - truth
            still = (1 - u) * clip.frames[a] + u * clip.frames[b % count] - truth
            error = np.minimum(cv2.blur((moved * moved).sum(-1), (3, 3)), cv2.blur((still * still).sum(-1), (3, 3)))
            out[t] = error
    return out


@compiled()
def _look(image, x, y):
    """Bilinear sample -> (3 floats) of image [h, w, c] at continuous pixel coordinates, wrapped and clamped."""
    height, width = image.shape[:2]
    fx, fy = x - 0.5, min(max(y - 0.5, 0.0), height - 1.0)
    j, i = int(np.floor(fx)), int(fy)
    a, b = fx - j, fy - i
    i1 = min(i + 1, height - 1)
    j0, j1 = j % width, (j + 1) % width
    c0, c1, c2 = 0.0, 0.0, 0.0
    channels = image.shape[2]
    w00, w01, w10, w11 = (1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b
    c0 = w00 * image[i, j0, 0] + w01 * image[i, j1, 0] + w10 * image[i1, j0, 0] + w11 * image[i1, j1, 0]
    c1 = w00 * image[i, j0, 1] + w01 * image[i, j1, 1] + w10 * image[i1, j0, 1] + w11 * image[i1, j1, 1]
    if channels > 2:
        c2 = w00 * image[i, j0, 2] + w01 * image[i, j1, 2] + w10 * image[i1, j0, 2] + w11 * image[i1, j1, 2]
    return c0, c1, c2


@compiled()
def _track(start, stop, x, y, key, reach, loop, forward, backward, inverse, frames, step_time, out):
    """Follow the points [start, stop) through the flow; fit linear and quadratic motion: out [N, 2, 3] metres.

    Frames key - reach .. key + reach are used (clipped to the clip, or to one round of the loop), near ones more. A
    point whose colour is better explained by standing still does.
    """
    count, height, width = inverse.shape
    last = count if loop else count - 1
    sy, sx = forward.shape[1] / height, forward.shape[2] / width
    b1, b2 = np.zeros(3), np.zeros(3)
    for n in range(start, stop):
        i0, j0 = min(int(y[n]), height - 1), int(x[n]) % width
        d0 = 1.0 / inverse[key % count, i0, j0]
        lam, phi = 2 * np.pi * (x[n] / width - 0.5), np.pi * (0.5 - y[n] / height)
        ox, oy, oz = np.cos(phi) * np.sin(lam) * d0, np.cos(phi) * np.cos(lam) * d0, np.sin(phi) * d0
        r0, g0, b0 = _look(frames[key % count], x[n] * sx, y[n] * sy)
        moved, still = 0.0, 0.0
        used = 0
        a11, a12, a22 = 0.0, 0.0, 0.0
        for k in range(3):
            b1[k], b2[k] = 0.0, 0.0
        for sign in (-1, 1):
            px, py = x[n] + 0.0, y[n] + 0.0
            for s in range(1, reach + 1):
                t = key + sign * s
                if t < 0 or t > last:
                    break
                before = (t - sign) % count
                if sign > 0:
                    u, v, _ = _look(forward[before], px * sx, py * sy)
                else:
                    u, v, _ = _look(backward[before], px * sx, py * sy)
                px += u / sx
                py = min(max(py + v / sy, 0.0), height - 0.001)
                now = t % count
                d = 1.0 / inverse[now, int(py), int(np.floor(px)) % width]
                if d > 1.25 * d0 or d < 0.8 * d0:  # it went behind something, or what lies behind is seen
                    d = d0
                weight = 1.0 - s / (reach + 1.0)
                r, g, b = _look(frames[now], px * sx, py * sy)
                moved += weight * ((r - r0) ** 2 + (g - g0) ** 2 + (b - b0) ** 2)
                r, g, b = _look(frames[now], x[n] * sx, y[n] * sy)
                still += weight * ((r - r0) ** 2 + (g - g0) ** 2 + (b - b0) ** 2)
                lam, phi = 2 * np.pi * (px / width - 0.5), np.pi * (0.5 - py / height)
                dt = sign * s * step_time
                used += 1
                a11 += weight * dt * dt
                a12 += weight * dt**3
                a22 += weight * dt**4
                away = (np.cos(phi) * np.sin(lam) * d - ox, np.cos(phi) * np.cos(lam) * d - oy, np.sin(phi) * d - oz)
                for k in range(3):
                    b1[k] += weight * dt * away[k]
                    b2[k] += weight * dt * dt * away[k]
        if used == 0 or moved >= still:
            continue
        a22 *= 1.01  # a little in favour of straight paths
        determinant = a11 * a22 - a12 * a12
        for k in range(3):
            if used >= 3:
                out[n, 0, k] = (a22 * b1[k] - a12 * b2[k]) / determinant
                out[n, 1, k] = (a11 * b2[k] - a12 * b1[k]) / determinant
            else:
                out[n, 0, k] = b1[k] / a11


def motions(x: F32, y: F32, schedule: Schedule, key: int, clip: HalfClip, inverse: F32) -> F32:
    """[N, 2, 3] linear and quadratic motion per unit of scene time of points seen at pixels x, y [N] of a key frame.

    Pixels of the full size, that of ``inverse`` [T, H, W] in 1/m. A turning sky or a path in perspective bends: the
    quadratic term keeps it on its shell.
    """
    out = np.zeros((len(x), 2, 3), np.float32)
    gap = max(1, round((schedule.frames[-1] - schedule.frames[0]) / schedule.intervals))
    step = 1 / (schedule.count if schedule.loop else schedule.count - 1)
    maps = (clip.forward, clip.backward, inverse, clip.frames, step, out)
    spread(_track, len(x), x, y, schedule.frames[key], gap, schedule.loop, *maps, chunk=4096)
    return out
