"""Where water ends: the network's border, moved to the edge that is seen in the picture.

Networks draw a shore several degrees off, and a quay that ripples is worse than a strip of water that does not. What
is surely water and what is surely not flood towards each other over the doubtful strip and meet at its strongest edge
(the watershed by flooding of Meyer 1992).
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.animate.distance import angular_distance
from holotime.animate.structure import dilate, large_parts

SURE = 0.95  # probability of water above which it is not doubted
BAND = 0.20  # radians from the network's land beyond which it is not doubted either
DEPTH = 0.5  # the same as a share of the depression: far shores are seen flat, and what is missed there is small


def without_shore(
    rgb: NDArray[np.float32], p_water: NDArray[np.float32], water: NDArray[np.bool_], sky: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """``water`` [H, W] less what lies on the land's side of the strongest edge; never more than it.

    ``rgb`` [H, W, 3] in [0, 1], ``p_water`` [H, W] probability, ``sky`` [H, W] what is surely no land.
    """
    height, width = water.shape
    if not water.any() or water.all():
        return water
    half = max(2, height // 2)
    land = sphere.resize((~water & ~sky).astype(np.float32), half, 2 * half) > 0.5
    band = np.minimum(BAND, DEPTH * np.maximum(-sphere.latitudes(height)[:, None], 0))
    far = sphere.resize(angular_distance(land), height, width) > band
    sure = water & (far | (sphere.blur_sphere(p_water, 0.01) > SURE))
    markers = np.where(sure, 2, np.where(water, 0, 1)).astype(np.int32)
    # The strip must not be cut at the seam: a good part of the picture is repeated on either side.
    margin = min(width // 2, math.ceil(1.5 * BAND / math.pi * width) + 8)
    picture = cv2.GaussianBlur(sphere.pad(np.round(rgb * 255).astype(np.uint8), margin, 0), (0, 0), 0.8)
    flooded = cv2.watershed(np.ascontiguousarray(picture), np.ascontiguousarray(sphere.pad(markers, margin, 0)))
    kept = water & (flooded[:, margin : margin + width] == 2)
    # The meeting line itself, and small bays that one-pixel leaks make.
    reach = max(1, round(2 * height / 512))
    kept = ~dilate(~kept, reach)
    return large_parts(dilate(kept, reach) & water, 0.004)
