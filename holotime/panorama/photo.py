"""An ordinary photo on the sphere: how wide it sees, where it lies, and which pixels of a panorama it covers wholly."""

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.clip import read_image
from holotime.errors import InputError

USUAL_FOV = 65.0  # degrees across a landscape photo: a phone's main camera
FULL_FRAME = math.hypot(36.0, 24.0)  # mm, the diagonal that focal lengths "in 35 mm film" refer to (CIPA DCG-001)
WIDEST = 170.0  # degrees; a pinhole picture cannot see more
ORIENTATION, EXIF, FOCAL_35 = 0x0112, 0x8769, 0xA405  # tags of the Exif standard


@dataclass(frozen=True)
class Photo:
    """A photo as a pinhole camera took it."""

    image: NDArray[np.uint8]  # [h, w, 3] sRGB, upright
    fov: float  # degrees from its left to its right edge

    @property
    def focal(self) -> float:
        """Pixels."""
        return 0.5 * self.image.shape[1] / math.tan(math.radians(self.fov) / 2)


def read_photo(path: Path, fov: float = 0.0) -> tuple[Photo, list[str]]:
    """A photo, and notes on it. ``fov``: horizontal, degrees; 0: by the focal length in the file, else the usual one.

    Raises InputError for what is no photo, and for a picture that sees too much for a pinhole camera.
    """
    image = read_image(path)
    orientation, focal = _exif(path)
    image = _upright(image, orientation)
    height, width = image.shape[:2]
    if min(height, width) < 16:
        raise InputError(f"{path} is only {width} x {height} pixels. Give a photo of at least 16 x 16.")
    if fov:
        note = f"photo: {fov:.1f} degrees across, as given"
    elif focal:
        pixels = focal * math.hypot(width, height) / FULL_FRAME
        fov = math.degrees(2 * math.atan(0.5 * width / pixels))
        note = f"photo: {fov:.1f} degrees across, by the {focal:g} mm (in 35 mm film) in the file"
    else:
        # The usual angle is that of the longer side.
        half = math.tan(math.radians(USUAL_FOV) / 2) * min(1.0, width / height)
        fov = math.degrees(2 * math.atan(half))
        note = f"photo: {fov:.1f} degrees across was assumed, for the file does not say; set fov if things look bent"
    photo = Photo(image, fov)
    tall = math.degrees(2 * math.atan(0.5 * height / photo.focal))
    if max(fov, tall) > WIDEST:
        raise InputError(
            f"{path} would see {max(fov, tall):.0f} degrees; at most {WIDEST:g} can be. Give a smaller fov."
        )
    return photo, [note]


def place(photo: Photo, yaw: float, pitch: float, height: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """(the photo on a panorama [H, 2H, 3], grey elsewhere; [H, 2H] pixels that it covers wholly).

    ``yaw``, ``pitch``: where it looks, in degrees right of the middle and above the horizon. A pixel is covered when
    all four of its corners are. Photos that are finer than the panorama are averaged first, so that nothing aliases.
    """
    rotation = _rotation(yaw, pitch)
    image, focal = photo.image, photo.focal
    coarser = (2 * height / (2 * math.pi)) / focal  # panorama pixels a photo pixel, in the middle
    if coarser < 1:
        size = [max(1, round(n * coarser)) for n in image.shape[1::-1]]
        shrunk = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        focal *= shrunk.shape[1] / image.shape[1]
        image = shrunk.astype(np.uint8, copy=False)
    aspect = (photo.image.shape[1] / image.shape[1], photo.image.shape[0] / image.shape[0])
    x, y, ahead = _project(sphere.directions(height).astype(np.float64), rotation, photo)
    columns = (x / aspect[0] - 0.5).astype(np.float32)
    lines = (y / aspect[1] - 0.5).astype(np.float32)
    placed = cv2.remap(image, columns, lines, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    covered = _corners_inside(rotation, photo, height) & ahead
    if not covered.any():
        raise InputError("The photo covers no whole pixel of the panorama. Give a wider fov, or a larger width.")
    return np.where(covered[..., None], placed, np.uint8(128)), covered


def _rotation(yaw: float, pitch: float) -> NDArray[np.float64]:
    """[3, 3] camera-to-world; a photo that looks straight up or down has its right to the right of ``yaw``."""
    y, p = math.radians(yaw), math.radians(pitch)
    ahead = np.array([math.sin(y) * math.cos(p), math.cos(y) * math.cos(p), math.sin(p)])
    right = np.array([math.cos(y), -math.sin(y), 0.0])
    return np.stack([right, np.cross(ahead, right), ahead], axis=1)


def _project(d: NDArray, rotation: NDArray, photo: Photo) -> tuple[NDArray, NDArray, NDArray]:
    """Photo coordinates x, y of directions [..., 3] and whether they lie ahead."""
    local = d @ rotation
    ahead = local[..., 2] > 1e-6
    z = np.where(ahead, local[..., 2], 1.0)
    height, width = photo.image.shape[:2]
    x = photo.focal * local[..., 0] / z + 0.5 * width
    y = photo.focal * local[..., 1] / z + 0.5 * height
    return np.where(ahead, x, -1e6), np.where(ahead, y, -1e6), ahead


def _corners_inside(rotation: NDArray, photo: Photo, height: int) -> NDArray[np.bool_]:
    """[H, 2H] pixels all of whose corners fall into the photo."""
    phi = math.pi * (0.5 - np.arange(height + 1) / height)[:, None]
    lam = 2 * math.pi * (np.arange(2 * height) / (2 * height) - 0.5)[None]
    d = np.stack(np.broadcast_arrays(np.cos(phi) * np.sin(lam), np.cos(phi) * np.cos(lam), np.sin(phi)), -1)
    x, y, ahead = _project(d, rotation, photo)
    size = photo.image.shape
    inside = ahead & (x >= 0) & (y >= 0) & (x <= size[1]) & (y <= size[0])  # [H + 1, 2H] by left edges
    inside &= np.roll(inside, -1, axis=1)
    return inside[:-1] & inside[1:]


def _exif(path: Path) -> tuple[int, float]:
    """(orientation, focal length in 35 mm film) of a photo; (1, 0) where it does not say."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as file:
            tags = file.getexif()
            orientation = int(tags.get(ORIENTATION, 1))
            focal = float(tags.get_ifd(EXIF).get(FOCAL_35, 0) or 0)
    except (OSError, UnidentifiedImageError, ValueError, TypeError, ZeroDivisionError, SyntaxError):
        return 1, 0.0  # the picture itself was read; only what is said about it was not
    return orientation, focal if 3 <= focal <= 2000 else 0.0


def _upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn and mirror [h, w, 3] as Exif's orientation 1 to 8 says."""
    turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    if orientation in (2, 4, 5, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(np.rot90(image, turns))
