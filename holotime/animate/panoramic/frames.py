"""Frames: how many to make for a clip, in how many windows, closing a loop, and bringing them to the clip's size."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.animate.panoramic.config import Loop
from holotime.animate.panoramic.family import Family

FADE = 4  # one frame in so many of a faded loop is blended
LANCZOS = 4  # reach of the kernel, pixels


def needed(frames: int, loop: Loop) -> int:
    """Frames to make for a clip of ``frames``."""
    if frames < 3 or loop == "none":
        return frames
    return frames + faded(frames) if loop == "fade" else frames // 2 + 1


def faded(frames: int) -> int:
    """Frames of a clip over which its end passes into its start."""
    return max(1, frames // FADE)


def windows(family: Family, frames: int) -> list[int]:
    """Frames that the model makes in each window, where each goes on from the last frame of the one before it."""
    most = family.rules.frames
    if frames <= most:
        return [family.clip_frames(frames)]
    count = math.ceil((frames - 1) / (most - 1))
    return [family.clip_frames(math.ceil((frames - 1) / count) + 1)] * count


def close(made: NDArray[np.uint8], frames: int, loop: Loop) -> NDArray[np.uint8]:
    """The clip [frames, H, W, 3] of the frames that :func:`needed` asked for.

    ``fade``: the first frames are blended from what comes after the clip's end. ``bounce``: there and back again; with
    an odd number the turning point is held for two frames.
    """
    if frames < 3 or loop == "none":
        return made[:frames]
    if loop == "bounce":
        there = made[: frames // 2 + 1]
        back = there[::-1][0 if frames % 2 else 1 : -1]
        return np.concatenate([there, back])
    over = faded(frames)
    clip = made[:frames].copy()
    for i in range(over):
        share = (i + 1) / (over + 1)  # of the start itself
        blend = (1 - share) * made[frames + i].astype(np.float32) + share * made[i].astype(np.float32)
        clip[i] = np.round(blend).astype(np.uint8)
    return clip


def resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize an equirect [h, w, 3] round the seam and over the poles: Lanczos when growing, area when shrinking."""
    h, w = image.shape[:2]
    if height < h or width < w:
        return sphere.resize(image, height, width)
    if (h, w) == (height, width):
        return image
    margin = 2 * LANCZOS
    wide = sphere.pad(image, margin, margin)
    x = ((np.arange(width) + 0.5) * (w / width) - 0.5 + margin).astype(np.float32)
    y = ((np.arange(height) + 0.5) * (h / height) - 0.5 + margin).astype(np.float32)
    columns, rows = np.meshgrid(x, y)
    return cv2.remap(np.ascontiguousarray(wide), columns, rows, cv2.INTER_LANCZOS4).astype(np.uint8, copy=False)
