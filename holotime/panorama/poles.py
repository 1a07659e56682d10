"""The poles of a generated panorama: measured, freed of streaks, and drawn again where they are an ordinary place.

A network that draws an equirect picture has never been told that its top row is one point: neighbouring columns differ
there as they do at the horizon, and looking up one sees rays that meet. In a perspective view of the pole nothing is
special, so there the picture is denoised again, lightly, and put back.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere

FOV = math.radians(100)  # of a patch
INNER, OUTER = math.radians(26), math.radians(40)  # from the pole: all new, and all old
NAMES = ("up", "down")
GOOD = 1.12  # photographs have 0.95 to 1.1
LEAST_STEP = 0.25  # grey levels of gradient that a picture is taken to have, so that an even sky has no direction


def pole_ratio(image: NDArray[np.uint8]) -> tuple[float, float]:
    """(up, down): how much more the picture [H, W, 3] changes round the pole than away from it, within 15 degrees.

    1 is a place like any other; rays that meet in the pole give more.
    """
    size = 64
    focal = 0.5 * size / math.tan(math.radians(15))
    offset = np.arange(size) + 0.5 - 0.5 * size
    x, y = np.meshgrid(offset, offset)
    radius = np.hypot(x, y)
    # The middle is left out: differences between neighbours do not know a direction there.
    ring = ((radius > 3) & (radius < 0.5 * size - 1)).astype(np.float64)
    ratios = []
    for name in NAMES:
        view = sphere.to_perspective(image, size, size, 2 * math.atan(0.5 * size / focal), rotation(name))
        dy, dx = np.gradient(view.astype(np.float64), axis=(0, 1))
        outward = np.abs(dx * (x / radius)[..., None] + dy * (y / radius)[..., None]).mean(-1)
        around = np.abs(dy * (x / radius)[..., None] - dx * (y / radius)[..., None]).mean(-1)
        mean_around, mean_outward = (np.average(g, weights=ring) + LEAST_STEP for g in (around, outward))
        ratios.append(float(mean_around / mean_outward))
    return ratios[0], ratios[1]


def rotation(name: str) -> NDArray[np.float64]:
    """[3, 3] camera-to-world of the view straight up or down."""
    return sphere.cube_rotations()[name]


def calm(image: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Take the rays away that meet in a pole.

    A row at latitude phi is shorter by cos(phi), so detail as wide as elsewhere in columns is a ray there. Rows within
    32 degrees of the pole are low-passed by the same angle on the sphere: by the least of half a row, 0.7, 1, ... at
    which the picture no longer changes more round the pole than away from it. What that leaves is rings; a blur as
    wide in a perspective view, strongest at the pole, takes them away. A pole without rays stays bit for bit.
    """
    height, width = image.shape[:2]
    which = NAMES.index(name)
    if pole_ratio(image)[which] <= GOOD:
        return image
    phi = sphere.latitudes(height).astype(np.float64) * (1 if name == "up" else -1)
    rows = np.flatnonzero(phi > math.radians(58))
    flat = image[rows].astype(np.float64)
    spectrum = np.fft.rfft(flat, axis=1)
    turns = np.arange(spectrum.shape[1]) / np.maximum(np.cos(phi[rows]), 1e-6)[:, None]
    fade = _fade(math.pi / 2 - phi[rows], math.radians(12), math.radians(32))[:, None, None]
    out, angle = image.copy(), 0.5 * math.pi / height
    while True:
        soft = np.fft.irfft(spectrum * np.exp(-0.5 * (angle * turns) ** 2)[..., None], n=width, axis=1)
        out[rows] = np.clip(np.round(flat + fade * (soft - flat)), 0, 255)
        if pole_ratio(out)[which] <= GOOD or angle > math.pi / 24:
            break
        angle *= 2**0.5
    size = patch_size(width, 2)
    blurred = cv2.GaussianBlur(take(out, name, size), (0, 0), max(angle * 0.5 * size / math.tan(FOV / 2), 0.5))
    return put_back(out, name, np.asarray(blurred, np.uint8), math.radians(4), math.radians(20))


def patch_size(width: int, unit: int) -> int:
    """Pixels of a square patch as fine in its middle as a panorama of ``width``, a multiple of ``unit``."""
    return max(unit, round(2 * math.tan(FOV / 2) * width / (2 * math.pi) / unit) * unit)


def take(image: NDArray[np.uint8], name: str, size: int) -> NDArray[np.uint8]:
    """The patch [size, size, 3] of a pole."""
    return sphere.to_perspective(image, size, size, FOV, rotation(name))


def newness(size: int) -> NDArray[np.float32]:
    """[size, size] of a patch: 1 at the pole, falling to 0 where the panorama stays as it is."""
    d = sphere.perspective_rays(size, size, FOV, np.eye(3))
    return _fade(np.arctan2(np.hypot(d[..., 0], d[..., 1]), d[..., 2]), INNER, OUTER).astype(np.float32)


def put_back(
    image: NDArray[np.uint8], name: str, patch: NDArray[np.uint8], inner: float = INNER, outer: float = OUTER
) -> NDArray[np.uint8]:
    """The panorama [H, W, 3] with a pole's patch [s, s, 3] blended in, wholly within ``inner`` radians of the pole."""
    height, width = image.shape[:2]
    pole = math.pi / 2 - sphere.latitudes(height).astype(np.float64)
    angle = pole if name == "up" else math.pi - pole
    rows = np.flatnonzero(angle < outer)
    local = sphere.directions(height, width)[rows].astype(np.float64) @ rotation(name)
    size = patch.shape[0]
    focal = 0.5 * size / math.tan(FOV / 2)
    at = local[..., :2] / local[..., 2:] * focal + 0.5 * size - 0.5
    x, y = at[..., 0].astype(np.float32), at[..., 1].astype(np.float32)
    view = cv2.remap(patch, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mix = _fade(angle[rows], inner, outer)[:, None, None]
    out = image.copy()
    out[rows] = np.clip(np.round(image[rows] * (1 - mix) + view * mix), 0, 255)
    return out


def _fade(angle: NDArray, inner: float, outer: float) -> NDArray:
    """1 within ``inner`` of the pole, 0 beyond ``outer``, smooth between."""
    t = np.clip((outer - angle) / (outer - inner), 0, 1)
    return t * t * (3 - 2 * t)
