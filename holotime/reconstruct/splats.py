"""Splats: from rectangles of pixels on a surface to flattened, oriented 3-D Gaussians."""

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from holotime.reconstruct.surface import Surface
from holotime.render.jit import compiled, spread

OVERLAP = 0.56  # standard deviation of a splat in units of the spacing of its neighbours: no grid, little blur
MOST_APART = 0.03  # relative distance between the first and the last rank of neighbours at most
FLATNESS = 0.1  # thickness along the normal over the smaller of the other two axes
F32 = NDArray[np.float32]


@dataclass(frozen=True)
class Patches:
    """Rectangles of pixels that become one splat each (all arrays one row a patch)."""

    x: NDArray[np.int32]  # [N] left column
    y: NDArray[np.int32]  # [N] top row
    w: NDArray[np.int32]  # [N] columns
    h: NDArray[np.int32]  # [N] rows

    def __len__(self) -> int:
        return len(self.x)

    def select(self, index: NDArray) -> "Patches":
        """The patches of ``index``."""
        return Patches(*(getattr(self, f.name)[index] for f in fields(self)))


@dataclass
class Discs:
    """Splats at rest: everything about them except time."""

    direction: F32  # [N, 3] unit, from the eye
    distance: F32  # [N] metres
    quats: F32  # [N, 4] wxyz
    scales: F32  # [N, 3] metres
    colors: F32  # [N, 3] sRGB
    depth_extent: F32  # [N] standard deviation along the ray over distance

    def move(self, factor: F32) -> None:
        """Move along the rays: distance times ``factor`` [N]; the size follows, so the picture from the eye stays."""
        self.distance = self.distance * factor
        self.scales = self.scales * factor[:, None]


@compiled()
def _average(start, stop, x, y, w, h, inverse, slope, image, weight, out):
    """Weighted means over the patches [start, stop) -> out [N, 6]: inverse distance, slope east, south, r, g, b."""
    height, width = inverse.shape
    for n in range(start, stop):
        total = 0.0
        s0, s1, s2, s3, s4, s5 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(y[n], min(y[n] + h[n], height)):
            for j in range(x[n], min(x[n] + w[n], width)):
                m = weight[i, j]
                total += m
                s0 += m * inverse[i, j]
                s1 += m * slope[i, j, 0]
                s2 += m * slope[i, j, 1]
                s3 += m * image[i, j, 0]
                s4 += m * image[i, j, 1]
                s5 += m * image[i, j, 2]
        if total > 0:
            out[n, 0], out[n, 1], out[n, 2] = s0 / total, s1 / total, s2 / total
            out[n, 3], out[n, 4], out[n, 5] = s3 / total, s4 / total, s5 / total


def make_discs(patches: Patches, surface: Surface, image: F32, weight: F32) -> Discs:
    """One flat Gaussian for each patch.

    ``image`` [H, W, 3] sRGB; ``weight`` [H, W] how much a pixel counts in its patch (solid angle, 0 = not at all).
    The distance is the mean of inverse distances, which is exact on planes. The tangents of the surface per radian are
    T = d (e + slope r) for e = east, south and the ray r; the Gaussian's covariance is T A T^T with the patch's
    angular variances A, hence its picture from the eye is the patch whatever the slope.
    """
    height, width = surface.inverse.shape
    mean = np.zeros((len(patches), 6), np.float32)
    maps = (surface.inverse, surface.slope, image, weight)
    spread(_average, len(patches), patches.x, patches.y, patches.w, patches.h, *maps, mean, chunk=8192)
    w = np.minimum(patches.w, width - patches.x).astype(np.float64)
    h = np.minimum(patches.h, height - patches.y).astype(np.float64)
    lam = 2 * math.pi * ((patches.x + 0.5 * w) / width - 0.5)
    top, bottom = math.pi * (0.5 - patches.y / height), math.pi * (0.5 - (patches.y + h) / height)
    phi = 0.5 * (top + bottom)
    # The mean cosine over the rows: the rows of a patch that touches a pole shrink to a point.
    cos_mean = (np.sin(top) - np.sin(bottom)) / (top - bottom)
    sin_l, cos_l, sin_p, cos_p = np.sin(lam), np.cos(lam), np.sin(phi), np.cos(phi)
    ray = np.stack([cos_p * sin_l, cos_p * cos_l, sin_p], -1)
    east = np.stack([cos_l, -sin_l, np.zeros_like(lam)], -1)
    south = np.stack([sin_p * sin_l, sin_p * cos_l, -cos_p], -1)
    distance = 1 / np.maximum(mean[:, 0].astype(np.float64), 1e-6)
    # Neighbours on a sphere are each nearest at their own centre: a renderer that sorts by ray, as Cycles does, would
    # cut them apart along a visible edge. Four ranks, a curvature s^2 apart, keep one wholly in front of the other.
    rank = (patches.x // patches.w) % 2 + 2 * ((patches.y // patches.h) % 2)
    angle = w * (2 * math.pi / width) * cos_mean * h * (math.pi / height)  # solid angle s^2
    distance *= 1 + np.minimum(rank * angle, MOST_APART)
    across = OVERLAP * w * (2 * math.pi / width) * cos_mean
    down = OVERLAP * h * (math.pi / height)
    a = (across * distance)[:, None] * (east + mean[:, 1:2] * ray)
    b = (down * distance)[:, None] * (south + mean[:, 2:3] * ray)
    # Principal axes of a a^T + b b^T inside the plane of a and b, in closed form.
    aa, bb, ab = (a * a).sum(-1), (b * b).sum(-1), (a * b).sum(-1)
    turn = 0.5 * np.arctan2(2 * ab, aa - bb)
    c, s = np.cos(turn)[:, None], np.sin(turn)[:, None]
    u, v = c * a + s * b, c * b - s * a
    lu, lv = np.linalg.norm(u, axis=-1), np.linalg.norm(v, axis=-1)
    u, v = u / np.maximum(lu, 1e-12)[:, None], v / np.maximum(lv, 1e-12)[:, None]
    scales = np.stack([lu, lv, FLATNESS * np.minimum(lu, lv)], -1)
    depth = np.hypot(across * mean[:, 1], down * mean[:, 2])
    return Discs(
        direction=ray.astype(np.float32),
        distance=distance.astype(np.float32),
        quats=quaternions(np.stack([u, v, np.cross(u, v)], -1)),
        scales=np.maximum(scales, 1e-6).astype(np.float32),
        colors=mean[:, 3:],
        depth_extent=depth.astype(np.float32),
    )


def quaternions(rotation: NDArray) -> F32:
    """Rotation matrices [N, 3, 3] to unit quaternions wxyz [N, 4] with w >= 0 (Shepperd's method, by the largest)."""
    r = rotation
    trace = np.stack(
        [
            1 + r[:, 0, 0] + r[:, 1, 1] + r[:, 2, 2],
            1 + r[:, 0, 0] - r[:, 1, 1] - r[:, 2, 2],
            1 - r[:, 0, 0] + r[:, 1, 1] - r[:, 2, 2],
            1 - r[:, 0, 0] - r[:, 1, 1] + r[:, 2, 2],
        ],
        -1,
    )
    yz, zx, xy = r[:, 2, 1] - r[:, 1, 2], r[:, 0, 2] - r[:, 2, 0], r[:, 1, 0] - r[:, 0, 1]
    sxy, szx, syz = r[:, 1, 0] + r[:, 0, 1], r[:, 0, 2] + r[:, 2, 0], r[:, 2, 1] + r[:, 1, 2]
    rows = np.stack(
        [
            np.stack([trace[:, 0], yz, zx, xy], -1),
            np.stack([yz, trace[:, 1], sxy, szx], -1),
            np.stack([zx, sxy, trace[:, 2], syz], -1),
            np.stack([xy, szx, syz, trace[:, 3]], -1),
        ],
        1,
    )
    q = rows[np.arange(len(r)), trace.argmax(-1)]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return (q * np.where(q[:, :1] < 0, -1, 1)).astype(np.float32)
