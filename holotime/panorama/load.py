"""Load an artist's panorama: any readable image, made 2:1, brought to the working size; every change is noted."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.clip import read_image
from holotime.errors import InputError
from holotime.panorama.seam import heal_seam

Fit = Literal["refuse", "pad", "stretch"]
FITS: tuple[str, ...] = get_args(Fit)
ASPECT_TOLERANCE = 0.01  # a picture this close to 2:1 is stretched without a word
MAX_WIDTH = 8192  # pixels; wider working sizes are refused
VISIBLE_SEAM = 1.2  # seam ratio from which a blend is worth telling
MIN_WIDTH = 64  # pixels; smaller pictures hold nothing to animate


@dataclass(frozen=True)
class Panorama:
    """A panorama at working size."""

    image: NDArray[np.uint8]  # [H, 2H, 3] sRGB
    notes: list[str] = field(default_factory=list)  # what was changed on the way, for the report
    backend: str = "image"  # the model that made it, or that it is the artist's own
    models: list[str] = field(default_factory=list)  # networks that were used


def load_panorama(path: Path | str, width: int = 1024, fit: Fit = "refuse") -> Panorama:
    """Read ``path`` and bring it to [width/2, width, 3].

    ``fit`` says what to do with a picture that is not 2:1: ``refuse`` raises InputError, ``pad`` keeps its proportions
    and continues it over the missing part of the sphere, ``stretch`` squeezes it. Raises InputError for anything that
    is not an image, or for a working size that cannot be had.
    """
    if width % 32 or not MIN_WIDTH <= width <= MAX_WIDTH:
        raise InputError(f"The width {width} cannot be used. Take a multiple of 32 from {MIN_WIDTH} to {MAX_WIDTH}.")
    if fit not in FITS:
        raise InputError(f"Unknown fit '{fit}'. Take one of {', '.join(FITS)}.")
    image = read_image(path)
    height_in, width_in = image.shape[:2]
    if width_in < MIN_WIDTH or height_in < MIN_WIDTH // 2:
        raise InputError(
            f"{path} is only {width_in} x {height_in} pixels. Give at least {MIN_WIDTH} x {MIN_WIDTH // 2}."
        )
    notes: list[str] = []
    aspect = width_in / height_in
    if abs(aspect / 2 - 1) > ASPECT_TOLERANCE:
        if fit == "refuse":
            raise InputError(
                f"{path} is {width_in} x {height_in}; a 360-degree panorama is twice as wide as high. "
                "Use --fit pad to continue it over the missing part, or --fit stretch to squeeze it."
            )
        if fit == "pad":
            image = _pad_to_sphere(image)
        notes.append(f"{'padded' if fit == 'pad' else 'stretched'} from {width_in} x {height_in} to 2:1")
    if image.shape[1] > 2 * width:
        notes.append(f"downscaled from {width_in} x {height_in} to {width} x {width // 2}")
    if image.shape[:2] != (width // 2, width):
        image = sphere.resize(image, width // 2, width)
    image, ratio = heal_seam(np.ascontiguousarray(image))
    if ratio > VISIBLE_SEAM:
        notes.append(f"left and right edges did not meet (seam ratio {ratio:.2f}); blended")
    return Panorama(image, notes)


def _pad_to_sphere(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Continue [h, w, 3] to 2:1: sideways by mirrored content cross-faded around the back, up and down by soft rows."""
    height, width = image.shape[:2]
    if width < 2 * height:
        gap = 2 * height - width
        index = np.arange(gap)
        from_right = image[:, _mirror(width - 1 - index, width)].astype(np.float32)
        from_left = image[:, _mirror(gap - 1 - index, width)].astype(np.float32)
        fade = ((index + 0.5) / gap)[None, :, None].astype(np.float32)
        fade = fade * fade * (3 - 2 * fade)
        back = np.round(from_right * (1 - fade) + from_left * fade).astype(np.uint8)
        return np.roll(np.concatenate([image, back], axis=1), gap // 2, axis=1)
    full = (width + 1) // 2
    top = (full - height) // 2
    bottom = full - height - top
    tall = cv2.copyMakeBorder(image, top, bottom, 0, 0, cv2.BORDER_REFLECT_101 if height > max(top, bottom) else 1)
    soft = sphere.blur_sphere(tall.astype(np.float32), 0.15)
    rows = np.arange(full)
    outside = np.maximum(np.maximum(top - rows, rows - (top + height - 1)), 0) / max(top, bottom, 1)
    mix = np.clip(outside * 4, 0, 1)[:, None, None]
    return np.round(tall * (1 - mix) + soft * mix).astype(np.uint8)


def _mirror(index: NDArray, size: int) -> NDArray:
    """Reflect integers into [0, size)."""
    index = np.mod(index, 2 * size)
    return np.minimum(index, 2 * size - 1 - index)
