"""Which splats are drawn, and in which order: positions at a time and a back-to-front sort. numpy, no bpy."""

import numpy as np

LEVELS = 65535  # depth is sorted in 16 bits: numpy has a radix sort for those, five times quicker than for floats


def scene_time(seconds: float, *, offset: float, speed: float, duration: float, phase: float, mode: str) -> float:
    """t in [0, 1] of a scene at a time of the timeline, as the node group has it. ``mode``: once, loop, pingpong."""
    clips = (seconds - offset) * speed / max(duration, 1e-6) + phase
    if mode == "loop":
        return float((clips + 1e-6) % 1.0)
    if mode == "pingpong":
        return float(1.0 - abs(clips % 2.0 - 1.0))
    return float(min(max(clips, 0.0), 1.0))


def depths_at(means: np.ndarray, motion: np.ndarray, t_centers: np.ndarray, t: float, axis: np.ndarray) -> np.ndarray:
    """[N] float32 coordinate of each splat's position at ``t`` along ``axis`` [3].

    means [N, 3], motion [N, 3, 3], t_centers [N]. The dot products are taken of the coefficients first: four numbers a
    splat are then enough.
    """
    c = motion @ axis  # [N, 3]
    dt = t - t_centers
    depth = means @ axis + dt * (c[:, 0] + dt * (c[:, 1] + dt * c[:, 2]))
    return depth.astype(np.float32, copy=False)


def back_to_front(depth: np.ndarray) -> np.ndarray:
    """Indices [N] int of ``depth`` [N] (larger is farther) from the farthest to the nearest."""
    low, high = float(depth.min()), float(depth.max())
    scale = LEVELS / max(high - low, 1e-20)
    keys = ((high - depth) * scale).astype(np.uint16)
    return np.argsort(keys, kind="stable")
