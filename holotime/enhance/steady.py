"""Frames that were enlarged one by one, made steady: what stands still must not shimmer.

A network turns the noise of each frame into other detail. So each frame is averaged with its neighbours, followed along
the optical flow, where they show the same thing. What differs between the small frames is no noise and is left alone.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.perceive.flow import flow_between, grey, sample_along, visible

ALIKE = 6.0  # grey levels between neighbouring small frames, along the flow, that may be noise
ROWS = 256


def steady(
    big: NDArray[np.uint8],
    small: NDArray[np.uint8],
    neighbours: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
) -> NDArray[np.uint8]:
    """``big`` [sH, sW, 3], made of ``small`` [H, W, 3], averaged with its neighbours (big, small)."""
    height, width = big.shape[:2]
    total = big.astype(np.float32)
    weights = np.ones((height, width, 1), np.float32)
    here = grey(small)
    for other_big, other_small in neighbours:
        there = grey(other_small)
        forward, backward = flow_between(here, there), flow_between(there, here)
        unlike = cv2.absdiff(small, sample_along(other_small, forward)).max(-1).astype(np.float32)
        share = np.exp(-((sphere.blur(unlike, 1.0) / ALIKE) ** 2)) * visible(forward, backward)
        share = sphere.resize(share.astype(np.float32), height, width)[..., None]
        scale = np.float32(height / small.shape[0])
        moves = bool(np.abs(forward).max() > 0)
        flow = sphere.resize(forward, height, width) * scale if moves else None
        seen = other_big if flow is None else sample_along(other_big, flow)
        share = np.clip(share, 0, 1)
        for top in range(0, height, ROWS):
            rows = slice(top, top + ROWS)
            total[rows] += share[rows] * seen[rows]
        weights += share
    return np.clip(total / weights + 0.5, 0, 255).astype(np.uint8)
