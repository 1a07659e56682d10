"""What is sharp in a picture, and which of it must not drift although the network calls it sky.

Moving a building's edge is the worst artefact an animated picture can have, and networks miss cranes, power lines,
branches and towers. Two principles find them without knowing what they are. Things stand on the ground: a sharp edge
in the sky that is connected to something solid belongs to it. Clouds are textured all over: a lone sharp detail in an
otherwise smooth sky is an object (a bird, a star, the moon, a balloon), while many details together are clouds.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.perceive.regions import areas, label

ANALYSIS_HEIGHT = 512  # rows at which pictures are analysed; smaller pictures as they are
EDGE = 0.055  # luminance step per pixel at ANALYSIS_HEIGHT rows that counts as sharp
TEXTURE = 0.018  # the same that counts as texture
STAR_SIZE = 1.2e-3  # steradians; larger lone things are objects, not stars
MANY_STARS = 15  # lone bright points that make a starry sky


@dataclass(frozen=True)
class SkyDetail:
    """Sharp things in the sky."""

    static: NDArray[np.bool_]  # [H, W] parts of things that must not drift
    stars: NDArray[np.bool_]  # [H, W] points of light


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


def large_parts(mask: NDArray[np.bool_], steradians: float) -> NDArray[np.bool_]:
    """Only the connected parts of mask [H, W] that cover at least so much of the sphere."""
    labels, count = label(mask)
    keep = areas(labels, count) >= steradians
    keep[0] = False
    return keep[labels]


def density(mask: NDArray[np.bool_], inside: NDArray[np.bool_], radius: float) -> NDArray[np.float32]:
    """[H, W] share of ``mask`` among the pixels ``inside`` within about ``radius`` radians."""
    part = sphere.blur_sphere((mask & inside).astype(np.float32), radius)
    return part / np.maximum(sphere.blur_sphere(inside.astype(np.float32), radius), 0.05)


def sky_detail(
    luminance: NDArray[np.float32], sharp: NDArray[np.float32], sky: NDArray[np.bool_], solid: NDArray[np.bool_]
) -> SkyDetail:
    """Static things and stars in ``sky`` [H, W].

    ``luminance`` [H, W] in [0, 1], its ``sharpness`` [H, W], and ``solid`` [H, W]: what stands on the ground.
    """
    scale = len(luminance) / ANALYSIS_HEIGHT
    # The same edge has a larger step per pixel in a smaller picture.
    edges = (sharp > EDGE / max(scale, 0.25)) & sky
    reach = max(1, round(2 * scale))
    near_solid = dilate(solid, reach)
    labels, count = label(dilate(edges, reach) | near_solid)
    stands = np.zeros(count, bool)
    stands[labels[near_solid]] = True
    stands[0] = False
    static = edges & stands[labels]

    smooth = density(sharp > TEXTURE / max(scale, 0.25), sky, 0.06) < 0.10
    lone = (sharp > 0.5 * EDGE / max(scale, 0.25)) & sky & smooth & ~dilate(static, 2 * reach)
    labels, count = label(dilate(lone, 1))
    size = areas(labels, count)
    above = luminance - sphere.blur_sphere(luminance, 0.02)
    bright = np.bincount(labels.ravel(), (above * lone).ravel(), minlength=count) > 0
    points = bright & (size < STAR_SIZE * max(1.0, 1 / scale**2))
    points[0] = False
    if points.sum() < MANY_STARS:
        points[:] = False
    stars = points[labels] & sky
    return SkyDetail(static | (lone & ~stars & (sharp > EDGE / max(scale, 0.25))), stars)
