"""Panorama geometry: directions, equirect <-> cube map <-> perspective, and resampling without a seam.

World frame: right-handed, Z up, metres, eye at the origin. Equirect: H x 2H with pixel centres at half integers;
longitude lam = 2 pi ((j + 0.5)/W - 0.5), latitude phi = pi (0.5 - (i + 0.5)/H), direction
(cos phi sin lam, cos phi cos lam, sin phi). The centre column looks along +Y, the right edge turns to +X: what a Cycles
equirectangular camera with rotation (90, 0, 0) degrees sees. Longitude is a circle; latitude ends at the poles, beyond
which the picture continues on the other side of the sphere (half a turn away, upside down).

Pixel coordinates are continuous: (0, 0) is the outer corner of the first pixel, its centre is (0.5, 0.5).
Images are numpy arrays [H, W] or [H, W, C]. All angles are radians.
"""

import math
from functools import lru_cache
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

CUBE_FACES = ("front", "right", "back", "left", "up", "down")


def latitudes(height: int) -> NDArray[np.float32]:
    """[H] latitude of each row's centre, from just under +pi/2 down to just above -pi/2."""
    return (math.pi * (0.5 - (np.arange(height) + 0.5) / height)).astype(np.float32)


def longitudes(width: int) -> NDArray[np.float32]:
    """[W] longitude of each column's centre, from just above -pi to just under +pi."""
    return (2 * math.pi * ((np.arange(width) + 0.5) / width - 0.5)).astype(np.float32)


@lru_cache(maxsize=8)
def directions(height: int, width: int | None = None) -> NDArray[np.float32]:
    """[H, W, 3] unit direction of every pixel centre (read-only, cached). ``width`` defaults to 2 H."""
    phi = latitudes(height).astype(np.float64)[:, None]
    lam = longitudes(width or 2 * height).astype(np.float64)[None, :]
    d = np.stack(np.broadcast_arrays(np.cos(phi) * np.sin(lam), np.cos(phi) * np.cos(lam), np.sin(phi)), -1)
    d = d.astype(np.float32)
    d.setflags(write=False)
    return d


@lru_cache(maxsize=8)
def solid_angles(height: int, width: int | None = None) -> NDArray[np.float64]:
    """[H, 1] exact solid angle in steradians of a pixel in each row (they sum to 4 pi over the picture)."""
    edges = np.sin(math.pi * (0.5 - np.arange(height + 1) / height))
    w = ((edges[:-1] - edges[1:]) * (2 * math.pi / (width or 2 * height)))[:, None]
    w.setflags(write=False)
    return w


def to_pixels(d: NDArray, height: int, width: int | None = None) -> tuple[NDArray, NDArray]:
    """Directions [..., 3] (any length > 0) to continuous pixel coordinates (x in [0, W], y in [0, H])."""
    width = width or 2 * height
    lam = np.arctan2(d[..., 0], d[..., 1])
    phi = np.arctan2(d[..., 2], np.hypot(d[..., 0], d[..., 1]))
    return (lam / (2 * math.pi) + 0.5) * width, (0.5 - phi / math.pi) * height


def pad(image: NDArray, x: int, y: int) -> NDArray:
    """Pad [H, W, ...] by ``x`` wrapped columns on each side and ``y`` rows continued across each pole (W even)."""
    height, width = image.shape[:2]
    if y:
        if y > height:
            raise ValueError(f"pad: {y} rows asked of a picture {height} rows high")
        turned = np.roll(image, width // 2, axis=1)
        image = np.concatenate([turned[:y][::-1], image, turned[height - y :][::-1]], axis=0)
    if x:
        image = np.take(image, np.arange(-x, width + x), axis=1, mode="wrap")
    return image


def sample(image: NDArray, x: NDArray, y: NDArray, *, nearest: bool = False) -> NDArray:
    """Sample an equirect [H, W(, C)] at continuous coordinates x, y [h, w], wrapping and crossing the poles.

    Bilinear, or the nearest pixel. ``x`` may be any real number; ``y`` must stay within [-1, H + 1].
    """
    width = image.shape[1]
    padded = pad(image, 2, 2)
    x = (np.mod(x, width) + 1.5).astype(np.float32)
    y = (y + 1.5).astype(np.float32)
    mode = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    return cv2.remap(np.ascontiguousarray(padded), x, y, mode, borderMode=cv2.BORDER_REPLICATE)


def resize(image: NDArray, height: int, width: int | None = None) -> NDArray:
    """Resize an equirect [H, W(, C)] without a seam: area averaging when shrinking, cubic when growing."""
    width = width or 2 * height
    h, w = image.shape[:2]
    if (h, w) == (height, width):
        return image
    shrinking = height < h
    margin_in = max(8, math.ceil(4 * w / width))
    # The margin must be a whole number of pixels before and after, so that the crop lands on the pixel grid.
    unit_in, unit_out = w // math.gcd(w, width), width // math.gcd(w, width)
    units = math.ceil(margin_in / unit_in)
    wide = pad(image, units * unit_in, 0) if units * unit_in <= w else np.concatenate([image] * 3, axis=1)
    margin_out = units * unit_out if units * unit_in <= w else width
    method = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    out = cv2.resize(np.ascontiguousarray(wide), (width + 2 * margin_out, height), interpolation=method)
    return np.ascontiguousarray(out[:, margin_out : margin_out + width])


def blur(image: NDArray, sigma: float) -> NDArray:
    """Gaussian blur in pixels of [H, W(, C)], wrapped in longitude and continued across the poles.

    Pixels near the poles cover less of the sphere; a blur that must be isotropic there uses :func:`blur_sphere`.
    """
    if sigma <= 0:
        return image
    margin = min(math.ceil(3 * sigma) + 1, image.shape[0])
    soft = cv2.GaussianBlur(pad(image, margin, margin), (0, 0), sigma)
    return np.ascontiguousarray(soft[margin:-margin, margin:-margin])


def blur_sphere(image: NDArray, sigma: float) -> NDArray:
    """Blur float [H, W(, C)] isotropically on the sphere by ``sigma`` radians (at most about 0.5).

    Between the polar circles rows and columns are blurred apart, rows 1/cos(phi) wider; the polar caps are blurred in
    an azimuthal equidistant map, where the pole is a point like any other; both are blended from 50 to 60 degrees.
    """
    height, width = image.shape[:2]
    flat = image.reshape(height, width, -1).astype(np.float32)
    phi = latitudes(height).astype(np.float64)
    spectrum = np.fft.rfft(flat, axis=1)
    k = np.arange(spectrum.shape[1])

    def blurred_rows(sigma: float, least: float) -> NDArray:
        gain = np.exp(-0.5 * (sigma * k[None, :] / np.maximum(np.cos(phi), least)[:, None]) ** 2)
        return np.fft.irfft(spectrum * gain[..., None], n=width, axis=1).astype(np.float32)

    rows = blurred_rows(sigma, 0.25)
    # Near a pole the columns crowd; without this the map of the cap would pick single ones of them.
    calm = blurred_rows(math.pi / height, 1e-6)
    s = sigma * height / math.pi
    margin = min(math.ceil(4 * s) + 1, height)
    size = (1, 2 * math.ceil(4 * s) + 1)
    blurred = cast(NDArray[np.float32], cv2.GaussianBlur(pad(rows, 0, margin), size, sigmaX=1e-6, sigmaY=s))
    out = blurred.reshape(-1, width, rows.shape[2])[margin:-margin]
    for north in (True, False):
        cap = np.clip((np.abs(phi) - math.radians(50)) / math.radians(10), 0, 1).astype(np.float32)
        mix = np.where((phi > 0) == north, cap * cap * (3 - 2 * cap), 0)[:, None, None]
        touched = np.flatnonzero(mix[:, 0, 0])
        if touched.size:
            out[touched] += mix[touched] * (_blurred_cap(calm, sigma, north)[touched] - out[touched])
    return np.ascontiguousarray(out.reshape(image.shape))


def _blurred_cap(flat: NDArray, sigma: float, north: bool) -> NDArray:
    """[H, W, C] blurred within 45 degrees of a pole (elsewhere clamped), through an azimuthal equidistant map."""
    height, width = flat.shape[:2]
    scale = height / math.pi  # pixels a radian, as in the panorama's rows
    radius = min(math.radians(45) + 3.5 * sigma, 0.95 * math.pi)
    half = math.ceil(radius * scale)
    x, y = np.meshgrid(np.arange(-half, half + 1) / scale, np.arange(-half, half + 1) / scale)
    angle, turn = np.hypot(x, y), np.arctan2(x, y)
    rows = np.minimum(angle, math.pi) / math.pi * height
    cap = sample(flat, (turn / (2 * math.pi) + 0.5) * width, rows if north else height - rows)
    soft = cv2.GaussianBlur(cap.reshape(*x.shape, -1), (0, 0), sigma * scale, borderType=cv2.BORDER_REPLICATE)
    phi, lam = latitudes(height)[:, None], longitudes(width)[None, :]
    polar = np.minimum(math.pi / 2 - (phi if north else -phi), math.radians(45))
    columns = (polar * np.sin(lam) * scale + half).astype(np.float32)
    lines = (polar * np.cos(lam) * scale + half).astype(np.float32)
    return cv2.remap(soft, columns, lines, cv2.INTER_LINEAR).reshape(flat.shape)


def look_at(forward: NDArray | tuple, up: NDArray | tuple = (0.0, 0.0, 1.0)) -> NDArray[np.float64]:
    """[3, 3] camera-to-world rotation (OpenCV axes: x right, y down, z forward) looking along ``forward``."""
    z = np.asarray(forward, np.float64) / np.linalg.norm(forward)
    x = np.cross(z, np.asarray(up, np.float64))
    if np.linalg.norm(x) < 1e-6:  # looking straight up or down: the picture's right stays the world's right
        x = np.array([1.0, 0.0, 0.0])
    x = x / np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)


def perspective_rays(width: int, height: int, fov_x: float, rotation: NDArray) -> NDArray[np.float64]:
    """[h, w, 3] world directions (not normalised) of a pinhole's pixel centres. ``rotation`` is camera-to-world."""
    focal = 0.5 * width / math.tan(0.5 * fov_x)
    x = (np.arange(width) + 0.5 - 0.5 * width) / focal
    y = (np.arange(height) + 0.5 - 0.5 * height) / focal
    rays = np.stack([*np.meshgrid(x, y), np.ones((height, width))], axis=-1)
    return rays @ np.asarray(rotation, np.float64).T


def to_perspective(image: NDArray, width: int, height: int, fov_x: float, rotation: NDArray) -> NDArray:
    """A pinhole view [h, w(, C)] of an equirect; ``fov_x`` is the horizontal field of view."""
    d = perspective_rays(width, height, fov_x, rotation)
    return sample(image, *to_pixels(d, image.shape[0], image.shape[1]))


def cube_rotations() -> dict[str, NDArray[np.float64]]:
    """Camera-to-world rotation of each cube face, in ``CUBE_FACES`` order. Front looks along +Y, right along +X."""
    ahead = {
        "front": (0, 1, 0),
        "right": (1, 0, 0),
        "back": (0, -1, 0),
        "left": (-1, 0, 0),
        "up": (0, 0, 1),
        "down": (0, 0, -1),
    }
    up = {"up": (0, -1, 0), "down": (0, 1, 0)}
    return {name: look_at(ahead[name], up.get(name, (0, 0, 1))) for name in CUBE_FACES}


def to_cube(image: NDArray, size: int) -> NDArray:
    """[6, size, size(, C)] faces of an equirect, in the order of ``CUBE_FACES``."""
    return np.stack([to_perspective(image, size, size, math.pi / 2, r) for r in cube_rotations().values()])


def from_cube(faces: NDArray, height: int) -> NDArray:
    """Equirect [H, 2H(, C)] from six faces [6, s, s(, C)], bilinear, faces padded by one pixel of themselves."""
    size = faces.shape[1]
    d = directions(height).astype(np.float64)
    out = np.zeros((height, 2 * height, *faces.shape[3:]), faces.dtype)
    best = np.full(d.shape[:2], -1.0)
    for face, rotation in zip(faces, cube_rotations().values(), strict=True):
        local = d @ rotation
        z = local[..., 2]
        inside = (z > best + 1e-9) & (z >= np.abs(local[..., :2]).max(-1) - 1e-9)
        zs = np.where(inside, z, 1.0)
        x = np.clip((local[..., 0] / zs + 1) * 0.5 * size, 0.0, size).astype(np.float32) - 0.5
        y = np.clip((local[..., 1] / zs + 1) * 0.5 * size, 0.0, size).astype(np.float32) - 0.5
        view = cv2.remap(np.ascontiguousarray(face), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        out[inside] = view[inside]
        best[inside] = z[inside]
    return out
