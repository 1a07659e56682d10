"""Painting the picture between two frames from its motion: both frames are drawn along it and blended.

Where the two disagree although they show the same point, the motion does not explain what happened there (glittering
water, flames, film grain): a plain cross-fade is nearer to the truth than a warped one, and never tears.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.enhance.motion import Between

ROWS = 256  # of the equirect that are painted at a time
NEAR = 3.0  # pixels of the blur that makes one pixel's disagreement a neighbourhood's (at 1024 pixels of width)
GREY = 2.0  # grey levels of disagreement that say nothing
MOVED, FADED = 0.35, 0.8  # shares of the disagreement left after following the motion: it is trusted, it is not


def paint(first: NDArray[np.uint8], second: NDArray[np.uint8], between: Between, time: float) -> NDArray[np.uint8]:
    """The picture [H, W, 3] at ``time`` between two frames [H, W, 3]; no more than a few rows as float at once."""
    height, width = between.trust.shape
    warped = [_along(f, flow) for f, flow in ((first, between.to_first), (second, between.to_second))]
    doubt = _doubt(warped, (first, second), width)
    out = np.empty_like(first)
    for top in range(0, height, ROWS):
        rows = slice(top, min(top + ROWS, height))
        share, unsure = between.trust[rows, :, None], doubt[rows, :, None]
        a, b = (w[rows].astype(np.float32) for w in warped)
        moved = b + share * (a - b)
        c, d = first[rows].astype(np.float32), second[rows].astype(np.float32)
        faded = c + np.float32(time) * (d - c)
        out[rows] = np.clip(moved + unsure * (faded - moved) + 0.5, 0, 255).astype(np.uint8)
    return out


def _along(frame: NDArray[np.uint8], flow: NDArray[np.float32]) -> NDArray[np.uint8]:
    """``frame`` [H, W, 3] seen where ``flow`` [H, W, 2] leads, cubic, wrapping and crossing the poles."""
    height, width = flow.shape[:2]
    margin = 4
    padded = np.ascontiguousarray(sphere.pad(frame, margin, margin))
    out = np.empty((height, width, *frame.shape[2:]), frame.dtype)
    column = np.arange(width, dtype=np.float32)
    for top in range(0, height, ROWS):
        part = flow[top : top + ROWS]
        x = np.mod(column + part[..., 0] + 0.5, width) + (margin - 0.5)
        y = np.arange(top, top + len(part), dtype=np.float32)[:, None] + part[..., 1] + margin
        y = np.clip(y, margin - 1, height + margin)
        out[top : top + ROWS] = cv2.remap(padded, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return out


def _doubt(
    warped: list[NDArray[np.uint8]], frames: tuple[NDArray[np.uint8], NDArray[np.uint8]], width: int
) -> NDArray[np.float32]:
    """[H, W] in [0, 1]: 1 where following the motion makes the frames no more alike than they are in place."""
    sigma = NEAR * width / 1024

    def unlike(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
        difference = cv2.absdiff(a, b).max(-1).astype(np.float32)
        return sphere.blur(difference, sigma)

    along, in_place = unlike(*warped), unlike(*frames)
    ratio = along / (in_place + GREY)
    t = np.clip((ratio - MOVED) / (FADED - MOVED), 0, 1).astype(np.float32)
    return t * t * (3 - 2 * t)
