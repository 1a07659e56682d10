"""Image-guided upsampling of a coarse prediction: edges move onto the image's edges and become sharp.

Every full-resolution pixel looks at a window of coarse pixels around it, weighted by nearness, by likeness of colour
(joint bilateral upsampling, Kopf et al. 2007), and by how reliable a coarse pixel is: the blurred ramps that a network
draws across an edge count little. Classes are averaged with these weights. Distance is their weighted median, sharpened
by two mean-shift steps: it always lies on one side of an edge and never floats between them (weighted median
filtering, Ma et al. 2013). Ground and water vote with the height of their plane instead of its distance, so far ground
stays straight. Windows wrap in longitude, cross the poles, and widen towards them.
"""

import math

import cv2
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from holotime import sphere
from holotime.perceive import GROUND, SKY, WATER
from holotime.perceive.coarse import Coarse
from holotime.perceive.regions import resize_linear

RADIUS = 5  # coarse pixels; the network's edges are 3 to 6 pixels wide
SIGMA_SPACE = 2.5  # coarse pixels
SIGMA_COLOUR = 0.08  # of sRGB in [0, 1]
RAMP = 0.06  # change of log distance per coarse pixel from which a pixel is suspected to lie on a blurred edge
MODE_WIDTH = 0.08  # log distance; width of the mean-shift kernel
BINS = 32  # of the histogram that finds the median
MAX_STRETCH = 8  # widest step in longitude, in coarse pixels


def reliability(coarse: Coarse) -> NDArray[np.float32]:
    """[h, w] in (0, 1]: low on blurred edges, on the sky's ramp, and where the class is in doubt.

    A surface is fine if it is frontal (constant) or a horizontal plane (d log distance / d latitude = -cot(latitude)
    at any height): only what is neither counts as a ramp.
    """
    height, _ = coarse.log_distance.shape
    padded = sphere.pad(coarse.log_distance, 1, 1)
    dx = np.maximum(np.abs(padded[1:-1, 2:] - padded[1:-1, 1:-1]), np.abs(padded[1:-1, 1:-1] - padded[1:-1, :-2]))
    dx *= np.cos(sphere.latitudes(height))[:, None]
    down, up = padded[2:, 1:-1] - padded[1:-1, 1:-1], padded[1:-1, 1:-1] - padded[:-2, 1:-1]
    edges = np.sin(np.maximum(-(math.pi * (0.5 - np.arange(height + 1) / height)), 0.5 * math.pi / height))
    log_plane = -np.log(edges).astype(np.float32)
    plane = (log_plane[1:] - log_plane[:-1])[:, None]  # change of a horizontal plane's log distance over one row
    dy = np.minimum(np.maximum(np.abs(down), np.abs(up)), np.maximum(np.abs(down - plane), np.abs(up - plane)))
    ramp = np.exp(-0.5 * ((dx + dy) / RAMP) ** 2)
    doubt = np.clip(2 * coarse.classes.max(-1) - 1, 0.05, 1)
    return ((0.01 + ramp) * doubt / 1.01).astype(np.float32)


def row_planes(height: int) -> NDArray[np.float32]:
    """[h] log distance, at each row, of a horizontal plane one unit below the eye; the last value above the horizon."""
    return -np.log(np.sin(np.maximum(-sphere.latitudes(height), 0.5 * math.pi / height)))


def _edge_zone(coarse: Coarse) -> NDArray[np.bool_]:
    """[h, w] where the window may see more than one surface or class; elsewhere bilinear values are as good."""
    weak = (reliability(coarse) < 0.6).astype(np.uint8)
    size = 2 * RADIUS + 1
    padded = cv2.dilate(sphere.pad(weak, RADIUS, RADIUS), np.ones((size, size), np.uint8))
    zone = padded[RADIUS:-RADIUS, RADIUS:-RADIUS] > 0
    zone[: coarse.log_distance.shape[0] // 16] |= weak[: coarse.log_distance.shape[0] // 16].any()
    return zone


@njit(parallel=True, cache=True, fastmath=True, nogil=True)
def _filter(  # type: ignore[no-untyped-def]
    image, small, log_distance, classes, trust, class_trust, flat, plane, zone, space, colour, out_distance, out_classes
):
    """The window loop. image [H,W,3], small [h,w,3] uint8; log_distance .. flat [h,w(,C)]; plane [h]; zone [H,W];
    space [2R+1]; colour [n] by squared difference / 16; writes out_distance [H,W] and out_classes [H,W,C] in zone."""
    height, width = zone.shape
    h, w = log_distance.shape
    n_classes = classes.shape[2]
    last = colour.shape[0] - 1
    side = 2 * RADIUS + 1
    for i in prange(height):
        value = np.empty(side * side, np.float32)
        weight = np.empty(side * side, np.float32)
        histogram = np.empty(BINS, np.float32)
        total_class = np.empty(n_classes, np.float32)
        y = (i + 0.5) * h / height - 0.5
        i0 = math.floor(y + 0.5)
        cos_phi = math.cos(math.pi * (0.5 - (i + 0.5) / height))
        dip = max(math.pi * ((i + 0.5) / height - 0.5), 0.5 * math.pi / h)
        row_plane = np.float32(-math.log(math.sin(dip)))
        step = int(min(max(1.0, math.floor(1.0 / max(cos_phi, 1e-3))), float(MAX_STRETCH)))
        for j in range(width):
            if not zone[i, j]:
                continue
            x = (j + 0.5) * w / width - 0.5
            j0 = math.floor(x + 0.5)
            r, g, b = np.int32(image[i, j, 0]), np.int32(image[i, j, 1]), np.int32(image[i, j, 2])
            total_class[:] = 0.0
            low, high, total, count = np.float32(1e9), np.float32(-1e9), np.float32(0.0), 0
            for di in range(-RADIUS, RADIUS + 1):
                for dj in range(-RADIUS, RADIUS + 1):
                    ii, jj = i0 + di, j0 + dj * step
                    if ii < 0:
                        ii = -1 - ii
                        jj += w // 2
                    elif ii >= h:
                        ii = 2 * h - 1 - ii
                        jj += w // 2
                    jj = jj % w
                    dr, dg, db = small[ii, jj, 0] - r, small[ii, jj, 1] - g, small[ii, jj, 2] - b
                    d2 = min((dr * dr + dg * dg + db * db) >> 4, last)
                    near = space[di + RADIUS] * space[dj + RADIUS] * colour[d2]
                    wc = near * class_trust[ii, jj]
                    for c in range(n_classes):
                        total_class[c] += wc * classes[ii, jj, c]
                    wd = near * trust[ii, jj]
                    v = log_distance[ii, jj]
                    if flat[ii, jj]:  # the plane that passes there, seen at this row
                        v += row_plane - plane[ii]
                    value[count] = v
                    weight[count] = wd
                    total += wd
                    low = min(low, v)
                    high = max(high, v)
                    count += 1
            norm = np.float32(0.0)
            for c in range(n_classes):
                norm += total_class[c]
            for c in range(n_classes):
                out_classes[i, j, c] = total_class[c] / norm
            centre = 0.5 * (low + high)
            if high - low > 1e-3:
                scale = BINS / ((high - low) * 1.0001)
                histogram[:] = 0.0
                for k in range(count):
                    histogram[int((value[k] - low) * scale)] += weight[k]
                half, bin_ = 0.5 * total, 0
                seen = histogram[0]
                while seen < half and bin_ < BINS - 1:
                    bin_ += 1
                    seen += histogram[bin_]
                centre = low + (bin_ + 0.5) / scale
                for _ in range(2):
                    above, below = np.float32(0.0), np.float32(1e-12)
                    for k in range(count):
                        e = (value[k] - centre) / MODE_WIDTH
                        kernel = weight[k] / (1.0 + e * e) ** 2
                        above += kernel * value[k]
                        below += kernel
                    centre = above / below
            out_distance[i, j] = centre


def upsample(
    coarse: Coarse, image: NDArray[np.uint8], small: NDArray[np.uint8], only: NDArray[np.bool_] | None = None
) -> Coarse:
    """``coarse`` [h, w] at the size of ``image`` [H, W, 3]; ``small`` [h, w, 3] is the image on the coarse grid.

    With ``only`` [H, W], edges are sharpened there and merely interpolated elsewhere.
    """
    height, width = image.shape[:2]
    trust = reliability(coarse)
    solid_trust = trust * np.maximum(1 - coarse.classes[..., SKY], 1e-3)
    zone = cv2.resize(_edge_zone(coarse).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    if only is not None:
        zone &= only
    log_distance = resize_linear(coarse.log_distance, height, width)
    classes = resize_linear(coarse.classes, height, width)
    offsets = np.arange(-RADIUS, RADIUS + 1, dtype=np.float32)
    space = np.exp(-0.5 * (offsets / SIGMA_SPACE) ** 2).astype(np.float32)
    squared = (np.arange(3 * 255**2 // 16 + 1) + 0.5) * 16
    colour = (np.exp(-0.5 * squared / (255 * SIGMA_COLOUR) ** 2) + 1e-4).astype(np.float32)
    flat = coarse.classes[..., GROUND] + coarse.classes[..., WATER] > 0.5
    class_trust = np.clip(2 * coarse.classes.max(-1) - 1, 0.05, 1).astype(np.float32)
    _filter(
        np.ascontiguousarray(image), np.ascontiguousarray(small), coarse.log_distance, coarse.classes,
        solid_trust.astype(np.float32), class_trust, flat, row_planes(len(flat)), zone, space, colour,
        log_distance, classes,
    )  # fmt: skip
    log_error = resize_linear(coarse.log_error, height, width)
    return Coarse(log_distance, log_error, classes)
