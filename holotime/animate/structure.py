"""Sharp static structure: what must not drift although the network calls it sky.

Moving a building's edge is the worst artefact an animated picture can have, and networks miss cranes, power lines,
branches and towers. Two principles find them without knowing what they are. Things stand on the ground: a sharp edge
in the sky that is connected to something solid belongs to it. Clouds are textured all over: a lone sharp detail in an
otherwise smooth sky is an object (a bird, a star, the moon, a balloon), while many sharp details together are clouds.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere

EDGE = 0.055  # luminance step per pixel at ANALYSIS_HEIGHT rows that counts as sharp
ANALYSIS_HEIGHT = 512  # rows at which pictures are analysed; smaller pictures as they are


def sharpness(luminance: NDArray[np.float32]) -> NDArray[np.float32]:
    """[H, W] strength of edges, thin lines and points of luminance [H, W] in [0, 1], as a step per pixel."""
    margin = 6
    padded = sphere.pad(luminance, margin, margin)
    gradient = np.hypot(cv2.Scharr(padded, cv2.CV_32F, 1, 0), cv2.Scharr(padded, cv2.CV_32F, 0, 1)) / 32
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    soft = cv2.GaussianBlur(padded, (0, 0), 0.7)
    # A line or point of one or two pixels has little gradient after the camera's blur, but stands out of its 5 x 5
    # surroundings; half of its height is comparable with a step per pixel.
    thin = np.maximum(
        cv2.morphologyEx(soft, cv2.MORPH_BLACKHAT, kernel), cv2.morphologyEx(soft, cv2.MORPH_TOPHAT, kernel)
    )
    return np.maximum(gradient, 0.5 * thin)[margin:-margin, margin:-margin]


def dilate(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Grow mask [H, W] by a disc of ``pixels``, wrapped in longitude and across the poles."""
    if pixels < 1:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    padded = sphere.pad(mask.astype(np.uint8), pixels, pixels)
    return cv2.dilate(padded, kernel)[pixels:-pixels, pixels:-pixels] > 0


def label(mask: NDArray[np.bool_]) -> tuple[int, NDArray[np.int32]]:
    """Number of 8-connected parts of mask [H, W] on the sphere and [H, W] their labels from 1 (0 = outside).

    Parts that meet across the seam, or across a pole, are one.
    """
    height, width = mask.shape
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    parent = np.arange(count)

    def root(a: int) -> int:
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        return a

    pairs = [(labels[:, 0], np.roll(labels[:, -1], s)) for s in (0, 1, -1)]
    pairs += [(labels[row], np.roll(labels[row], width // 2)) for row in (0, height - 1)]
    for left, right in pairs:
        for a, b in np.unique(np.stack([left, right], -1).reshape(-1, 2), axis=0):
            if a and b:
                parent[root(int(a))] = root(int(b))
    roots = np.array([root(a) for a in range(count)])
    kept, renamed = np.unique(roots, return_inverse=True)
    return len(kept) - 1, renamed.reshape(-1)[labels].astype(np.int32)


def static_structure(
    luminance: NDArray[np.float32], sky: NDArray[np.bool_], solid: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """[H, W] pixels of ``sky`` that belong to static things.

    ``luminance`` [H, W] in [0, 1]; ``sky`` and ``solid`` [H, W] (what stands on the ground, with vegetation).
    """
    height = len(luminance)
    scale = height / ANALYSIS_HEIGHT
    sharp = sharpness(luminance)
    # The same edge has a larger step per pixel in a smaller picture.
    edges = sharp > EDGE / max(scale, 0.25)
    reach = max(1, round(2 * scale))
    near_solid = dilate(solid, reach)
    joined = dilate(edges & (sky | near_solid), reach) | near_solid
    count, labels = label(joined)
    stands = np.zeros(count + 1, bool)
    stands[np.unique(labels[near_solid])] = True
    stands[0] = False
    connected = edges & sky & stands[labels]
    density = sphere.blur_sphere((edges & sky).astype(np.float32), 0.06) / np.maximum(
        sphere.blur_sphere(sky.astype(np.float32), 0.06), 0.05
    )
    lone = edges & sky & (density < 0.06)
    return connected | lone
