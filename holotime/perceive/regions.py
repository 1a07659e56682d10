"""Masks and fills on the sphere: connected regions, growing, and filling holes from their surroundings."""

import math
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere


def label(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Connected regions of a mask [H, W] on the sphere.

    Returns labels [H, W] (0 outside the mask, 1..n inside) and n + 1. Regions join across the seam, and all pixels of
    the first (last) row touch each other at the pole.
    """
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    parent = np.arange(count)

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    def join(a: int, b: int) -> None:
        if a and b:
            a, b = root(a), root(b)
            parent[max(a, b)] = min(a, b)

    left, right = labels[:, 0], labels[:, -1]
    for shift in (-1, 0, 1):
        rows = slice(max(0, -shift), min(len(left), len(left) - shift))
        other = slice(max(0, shift), min(len(left), len(left) + shift))
        for a, b in np.unique(np.stack([left[rows], right[other]], 1), axis=0):
            join(int(a), int(b))
    for row in (labels[0], labels[-1]):
        ids = np.unique(row[row > 0])
        for b in ids[1:]:
            join(int(ids[0]), int(b))
    roots = np.array([root(i) for i in range(count)])
    kept, compact = np.unique(roots, return_inverse=True)
    return compact[labels].astype(np.int32), len(kept)


def areas(labels: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """[count] solid angle in steradians of every label of a map [H, W]."""
    weight = np.broadcast_to(sphere.solid_angles(*labels.shape), labels.shape)
    return cast(NDArray[np.float64], np.bincount(labels.ravel(), weight.ravel(), minlength=count))


def grow(mask: NDArray[np.bool_], angle: float) -> NDArray[np.bool_]:
    """A mask [H, W] grown by about ``angle`` radians on the sphere (circles become boxes of that half width)."""
    height, width = mask.shape
    rows = max(1, round(angle / math.pi * height))
    tall = cv2.dilate(sphere.pad(mask.astype(np.uint8), 0, rows), np.ones((2 * rows + 1, 1), np.uint8))
    tall = tall[rows:-rows].reshape(height, width)
    # Horizontally the half width in pixels is angle / cos(latitude): a running sum over the wrapped row.
    half = np.minimum(np.ceil(angle / (2 * math.pi) * width / np.cos(sphere.latitudes(height))), width // 2 - 1)
    half = np.maximum(half, 1).astype(np.int64)[:, None]
    total = np.concatenate([np.zeros((height, 1), np.int64), np.cumsum(np.tile(tall, 3), 1, dtype=np.int64)], 1)
    j = np.arange(width)[None] + width
    return np.take_along_axis(total, j + half + 1, 1) > np.take_along_axis(total, j - half, 1)


def fill(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Values [H, W] with the unknown pixels filled smoothly from the nearest known ones.

    Weighted blurs of growing width on the sphere, each used where the narrower ones saw too little; the wide ones run
    on a small copy. All unknown: returned unchanged.
    """
    if known.all() or not known.any():
        return values
    height, width = known.shape
    both = np.stack([np.where(known, values, np.float32(0)), known.astype(np.float32)], axis=-1)
    out, done = np.where(known, values, np.float32(0)), known.copy()
    small = sphere.resize(both, min(64, height), 2 * min(64, height))
    for sigma in (0.01, 0.05, 0.15, 0.5, 1.5):
        if sigma < 0.02:
            soft = sphere.blur(both, sigma / math.pi * height)
        else:
            soft = resize_linear(sphere.blur_sphere(small, sigma), height, width)
        take = ~done & (soft[..., 1] > 0.05)
        out[take] = soft[take, 0] / soft[take, 1]
        done |= take
    weight = np.broadcast_to(sphere.solid_angles(height, width), known.shape)
    out[~done] = np.average(values[known], weights=weight[known])
    return out


def resize_linear(a: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Bilinear [h, w(, C)] -> [H, W(, C)], wrapped in longitude and continued across the poles."""
    h, w = a.shape[:2]
    if (h, w) == (height, width):
        return np.ascontiguousarray(a).copy()
    x = np.broadcast_to((np.arange(width, dtype=np.float32) + 0.5) * (w / width), (height, width))
    y = np.broadcast_to(((np.arange(height, dtype=np.float32) + 0.5) * (h / height))[:, None], (height, width))
    if a.ndim == 3:  # OpenCV's remap takes at most four channels
        groups = [sphere.sample(a[..., k : k + 4], x, y) for k in range(0, a.shape[-1], 4)]
        return np.concatenate([g.reshape(height, width, -1) for g in groups], axis=-1)
    return sphere.sample(a, x, y)
