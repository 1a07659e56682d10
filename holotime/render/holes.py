"""Filling what no splat covers, so that a step aside shows soft surroundings and not black slits."""

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime.render.cameras import Picture

FARTHEST = 1000.0  # metres; the sky counts as this far when neighbours compete for a hole
COARSER = 0.25  # weight of a coarser level against a finer one: near neighbours first, far ones where there are none
TRUSTED = 0.5  # alpha from which a pixel's own colour stands for all of it


def _margin(image: NDArray, before: int, right: int, bottom: int, wrap: bool) -> NDArray:
    """Pad [H, W, C]: ``before`` pixels left and top, ``right`` and ``bottom`` on the other sides.

    Columns wrap in a panorama, and its rows go on beyond the pole, half a turn away (where the width is even).
    """
    width = image.shape[1]
    top = image[:1].repeat(before, 0)
    low = image[-1:].repeat(bottom, 0)
    if wrap and width % 2 == 0:
        top, low = np.roll(top, width // 2, axis=1), np.roll(low, width // 2, axis=1)
    image = np.concatenate([top, image, low])
    columns = np.arange(-before, width + right)
    return image[:, columns % width if wrap else columns.clip(0, width - 1)]


def _halve(image: NDArray, wrap: bool) -> NDArray:
    """Means of 2 x 2 pixels [H, W, C]; an odd last row or column is completed from the margin."""
    image = _margin(image, 0, image.shape[1] % 2, image.shape[0] % 2, wrap)
    return 0.25 * (image[0::2, 0::2] + image[1::2, 0::2] + image[0::2, 1::2] + image[1::2, 1::2])


def _double(image: NDArray, size: tuple[int, int], wrap: bool) -> NDArray:
    """Bilinear inverse of :func:`_halve`: [H, W, C] from the picture half its size."""
    image = _margin(image, 1, 1, 1, wrap)
    big = cv2.resize(image, (2 * image.shape[1], 2 * image.shape[0]), interpolation=cv2.INTER_LINEAR)
    return big[2 : 2 + size[0], 2 : 2 + size[1]]


def fill_holes(picture: Picture, *, wrap: bool = True) -> NDArray[np.float32]:
    """[H, W, 3] colour of a picture whose uncovered share (1 - alpha) is filled.

    A pixel that is at least half covered goes on in its own colour. The rest comes from the neighbourhood by push-pull
    (Gortler et al., "The Lumigraph", 1996): the picture is halved down to one pixel, then every level is mixed with the
    coarser one. Neighbours count by the square of their distance from the eye: a hole opens where a near thing hid
    something behind it, so the farther side is what belongs there. ``wrap``: the picture is a panorama, whose columns
    wrap and whose rows continue across the poles. A picture of nothing stays black.
    """
    alpha = picture.alpha[..., None]
    straight = (picture.color / np.maximum(alpha, 1e-6)).astype(np.float32, copy=False)
    trust = np.minimum(alpha / TRUSTED, 1)
    if trust.min() == 1:
        return straight
    weight = alpha * np.maximum(np.minimum(picture.distance, FARTHEST)[..., None] / FARTHEST, 1e-3) ** 2
    whole = np.concatenate([straight * weight, weight], axis=-1)  # [H, W, 4] weighted colour, weight
    levels = []
    while max(whole.shape[:2]) > 1:
        whole = _halve(whole, wrap)
        levels.append(whole)
    mixed = whole
    for level in levels[-2::-1]:
        mixed = level + COARSER * _double(mixed, level.shape[:2], wrap)
    if levels:
        mixed = _double(mixed, alpha.shape[:2], wrap)
    # color + (1 - alpha) * (trust * straight + (1 - trust) * around), in place: a headset's picture has 200 MB
    around = mixed[..., :3]
    around /= np.maximum(mixed[..., 3:], 1e-20)
    around *= 1 - trust
    straight *= trust
    straight += around
    straight *= 1 - alpha
    straight += picture.color
    return straight
