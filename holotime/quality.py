"""Numbers for every result: how good a picture, a seam, a loop, a reconstruction is."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from holotime import sphere


def psnr(a: NDArray, b: NDArray, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB of two equirects [..., H, W, 3], weighted by solid angle; at most 99."""
    error = ((a.astype(np.float32) - b.astype(np.float32)) ** 2).mean(-1)
    weight = np.broadcast_to(sphere.solid_angles(a.shape[-3], a.shape[-2]), error.shape)
    mse = float((error * weight).sum() / weight.sum())
    return 99.0 if mse == 0 else min(99.0, 10 * math.log10(peak * peak / mse))


def seam_ratio(frames: NDArray) -> float:
    """Mean column difference across +-180 degrees over the mean of all neighbouring columns; frames [T, H, W, 3].

    1 means that the seam cannot be told from any other place. Rows are weighted by solid angle.
    """
    weight = sphere.solid_angles(frames.shape[-3], frames.shape[-2])[..., None]
    across = inside = 0.0
    for frame in frames.reshape(-1, *frames.shape[-3:]):  # one at a time: a large clip does not fit as float
        f = frame.astype(np.float32)
        across += float((np.abs(f[:, :1] - f[:, -1:]) * weight).mean())
        inside += float((np.abs(np.diff(f, axis=1)) * weight).mean())
    return across / max(inside, 1e-6)


def loop_ratio(frames: NDArray) -> float:
    """Mean difference from the last frame to the first over the mean of neighbouring frames [T, H, W, 3].

    A still clip has nothing to jump: 1.
    """
    weight = sphere.solid_angles(frames.shape[-3], frames.shape[-2])[..., None]

    def change(a: NDArray, b: NDArray) -> float:
        return float((np.abs(b.astype(np.float32) - a) * weight).mean())

    if len(frames) < 2:
        return 1.0
    inside = float(np.mean([change(a, b) for a, b in itertools.pairwise(frames)]))
    back = change(frames[-1], frames[0])
    return 1.0 if inside < 1e-6 and back < 1e-6 else back / max(inside, 1e-6)
