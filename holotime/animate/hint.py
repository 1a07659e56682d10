"""The motion brush: an image painted over the panorama that says where things move to and what must not move.

Channels of a hint image [h, w, 4] (uint8 0..255, or float 0..1), of any size, laid over the whole panorama:

- R, G: direction and speed. 0.5 (128) is no movement; R above moves to the right (east), below to the left; G above
  moves up (north), below down. Full scale is FULL_SPEED to each side.
- B: how much R and G replace what the animator would do by itself: 0 keeps the automatic motion, 1 replaces it.
  Painted movement also works on things that the animator takes for solid.
- A: frozen. 255 holds the pixel still in every frame, bit for bit; 0 leaves it free.

An image without alpha freezes nothing.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.animate.fields import east_north, smoothstep
from holotime.errors import InputError

FULL_SPEED = math.radians(20.0)  # radians per second at R or G = 0 or 1
SOFTEN = 0.008  # radians by which strokes are smoothed
NEUTRAL = 128 / 255  # what "no movement" is in 8 bits


@dataclass(frozen=True)
class Hint:
    """A hint image read onto the panorama's grid."""

    velocity: NDArray[np.float32]  # [H, W, 3] radians per second, world axes
    weight: NDArray[np.float32]  # [H, W] 0 = automatic, 1 = as painted
    free: NDArray[np.float32]  # [H, W] 0 = frozen, 1 = free


def read_hint(image: NDArray, height: int, width: int) -> Hint:
    """Read a hint image [h, w, 3 or 4]; raises InputError when it is not one."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] not in (3, 4) or not image.size:
        raise InputError(f"The motion hint has shape {list(image.shape)}; it must be an RGB or RGBA image.")
    if image.dtype == np.uint8:
        values = image.astype(np.float32) / 255
        neutral = NEUTRAL
    elif np.issubdtype(image.dtype, np.floating):
        values = image.astype(np.float32)
        neutral = 0.5
        if not np.isfinite(values).all() or values.min() < -0.01 or values.max() > 1.01:
            raise InputError("The motion hint has values outside 0..1. Save it as an 8-bit image, or scale it.")
    else:
        raise InputError(f"The motion hint holds {image.dtype} values; it must be 8-bit, or float from 0 to 1.")
    values = np.clip(sphere.resize(values, height, width), 0, 1)
    weight = np.clip(sphere.blur_sphere(values[..., 2], SOFTEN), 0, 1)
    weight[weight < 0.01] = 0
    east, north = east_north(sphere.directions(height, width))
    painted = (values[..., :2] - neutral) / (1 - neutral)
    vectors = painted[..., :1] * east + painted[..., 1:] * north
    # Smoothing is weighted by B, so that unpainted (often black) surroundings do not leak into a stroke's direction.
    carried = sphere.blur_sphere(vectors * values[..., 2:3], SOFTEN) / np.maximum(weight, 0.01)[..., None]
    free = np.ones((height, width), np.float32)
    if image.shape[2] == 4:
        frozen = values[..., 3] > 0.5
        # Movement eases off towards a frozen region from outside; inside it is exactly zero.
        soft = sphere.blur_sphere(frozen.astype(np.float32), 2 * SOFTEN)
        free = np.where(frozen, 0, 1 - smoothstep(0.0, 0.5, soft)).astype(np.float32)
    return Hint((FULL_SPEED * carried).astype(np.float32), weight.astype(np.float32), free)
