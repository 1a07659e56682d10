"""Enhancing as a stage of a job: what is looked at before any work, and the clip that the later stages get."""

import contextlib
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime.animate import Animated
from holotime.enhance.config import EnhanceConfig, choose_interpolator, choose_upscaler
from holotime.enhance.run import VERSION, enhance_clip
from holotime.errors import InputError
from holotime.progress import Progress

BYTES = 28  # of memory for each pixel of each frame in the later stages: the frame, flow both ways, distance, masks


def check(config: EnhanceConfig, width: int, frames: int, fps: float) -> list[Any]:
    """Refuse what cannot work, before the first stage. Returns what the result depends on besides the clip."""
    if config.off:
        return []
    used = [choose_interpolator(config) if config.fps else None, choose_upscaler(config) if config.scale > 1 else None]
    count = max(1, round(frames * (config.fps / fps if config.fps and frames > 1 else 1)))
    wide = config.scale * width
    needed, there = BYTES * count * wide * wide / 2, _memory()
    if there and needed > there:
        raise InputError(
            f"{count} frames of {wide} x {wide // 2} pixels need about {needed / 1e9:.0f} GB of memory for distance "
            f"and motion; this machine has {there / 1e9:.0f} GB. Choose a smaller enhance_scale, enhance_fps or "
            "width, or enhance the finished clip with `holotime enhance`, which reads it frame by frame."
        )
    return [VERSION, str(config.rate), config.scale, *(c.stamp() if c else None for c in used)]


def run(
    animated: Animated, config: EnhanceConfig, budget: int, progress: Progress, keep: Path | None = None
) -> Animated:
    """The animated clip with more frames and pixels. ``keep``: where finished pictures wait if the work is cut off."""
    made = enhance_clip(animated.clip, config, progress, keep)
    if keep is not None:
        with contextlib.suppress(OSError):
            keep.rmdir()  # empty now
    clip = made.clip
    size = (clip.width, clip.height)
    moving = cv2.resize(animated.moving.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    notes = [f"enhance: {note}" for note in made.notes]
    if config.scale > 1:
        notes.append(
            f"enhance: distance, motion and training see {clip.width} x {clip.height} pixels; the scene keeps its "
            f"budget of {budget:,} splats, of which more pixels make use only if it is raised."
        )
    return Animated(clip, moving, notes, made.backend, made.models)


def enlarged(panorama: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """The panorama [H, 2H, 3] that a clip was made of at the size of the enhanced clip, for its static world."""
    from holotime.enhance.superres import lanczos

    return panorama if scale == 1 else lanczos(panorama, scale)


def _memory() -> int:
    """Bytes of this machine's memory; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0
