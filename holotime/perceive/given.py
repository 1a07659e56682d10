"""Distance that the artist brings: metres in an .npz or OpenEXR file, or a depth picture of what is near and far.

``.npz``: key ``distance`` [T, H, W] or [H, W], metres along the ray, inf is sky. ``.exr``: an equirect picture of the
same (a renderer's depth pass of a panoramic camera); 1e9 and more is sky. A folder holds one picture a frame. Any
other picture (8 or 16 bits) is a depth map as most tools draw it: brighter is nearer, affine in the inverse distance;
its metres come from the ground and from what was perceived. Other sizes than the clip's are brought to it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.clip import IMAGE_SUFFIXES, Clip
from holotime.errors import InputError
from holotime.perceive import EYE_HEIGHT, GROUND, WATER, ClipPerception

SKY_FROM = 1e9  # metres; renderers write 1e10 where there is nothing
LEAST_HEIGHT = 16  # rows of a distance picture
PLANE_MIN_DIP = 0.06  # radians below the horizon from which the ground is looked at
CHANNELS = ("Depth.Z", "Depth.V", "Depth", "Z", "V", "Y", "R")  # of an OpenEXR file, the first that is there
WAYS = "Give an .npz with the key 'distance', an .exr in metres, or a depth picture."


@dataclass(frozen=True)
class Given:
    """Distance at the clip's size."""

    values: NDArray[np.float32]  # [T, H, W] metres, inf is sky; if not metric brightness in [0, 1], brighter is nearer
    metric: bool
    source: str  # for reports

    def metres(self, found: ClipPerception) -> NDArray[np.float32]:
        """[T, H, W] metres along the ray, +inf is sky; ``found`` is what was perceived in the same clip."""
        return self.values if self.metric else place(self.values, found)


def read_given(path: Path, clip: Clip) -> Given:
    """Read what an artist brings for a clip. InputError says what is wrong with it and what to do."""
    suffix = path.suffix.lower()
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES | {".exr"})
        kinds = {f.suffix.lower() for f in files}
        if not files or len(kinds) > 1:
            raise InputError(f"{path} must hold one kind of distance pictures, one a frame. It has {len(files)}.")
        pictures = [_read(f) for f in files]
        odd = next((f for f, a in zip(files, pictures, strict=True) if a.shape != pictures[0].shape), None)
        if odd is not None:
            raise InputError(f"{odd} has another size than {files[0].name}. All frames must have one size.")
        values, suffix = np.stack(pictures), kinds.pop()
    elif not path.is_file():
        raise InputError(f"{path} does not exist. {WAYS}")
    else:
        values = _read_npz(path) if suffix == ".npz" else _read(path)[None]
    metric = suffix in (".npz", ".exr")
    values = _checked(path, values, clip, metric)
    kind = path.name if metric else f"{path.name}, placed by the ground"
    return Given(values, metric, f"given ({kind})")


def _read_npz(path: Path) -> NDArray[np.float32]:
    """[T, H, W] of an .npz."""
    try:
        with np.load(path, allow_pickle=False) as file:
            distance = np.asarray(file["distance"], np.float32)
    except (OSError, ValueError, KeyError, EOFError, AttributeError, TypeError) as error:
        raise InputError(f"{path} holds no readable array 'distance' ({error}). Write it with numpy.savez.") from error
    if distance.ndim == 4 and distance.shape[-1] == 1:
        distance = distance[..., 0]
    return distance[None] if distance.ndim == 2 else distance


def _read(path: Path) -> NDArray[np.float32]:
    """[H, W] of one picture: metres of an .exr, brightness in [0, 1] of any other."""
    if path.suffix.lower() == ".exr":
        return _read_exr(path)
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise InputError(f"{path} is no distance that can be read. {WAYS}")
    picture = cv2.imdecode(np.frombuffer(path.read_bytes() or b"\0", np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path} is no readable 8- or 16-bit picture. {WAYS}")
    top = np.iinfo(cast("np.dtype[np.integer]", picture.dtype)).max
    grey = picture if picture.ndim == 2 else picture[..., : min(3, picture.shape[2])].mean(-1)
    return (grey / top).astype(np.float32)


def _read_exr(path: Path) -> NDArray[np.float32]:
    """[H, W] metres of an OpenEXR file."""
    import OpenEXR

    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: c.pixels for name, c in file.channels().items()}
    except (RuntimeError, ValueError, TypeError, OSError) as error:
        raise InputError(f"{path} cannot be read as OpenEXR ({' '.join(str(error).split())[:120]}).") from error
    name = next((n for n in CHANNELS if n in channels), None)
    if name is None:
        raise InputError(f"{path} has no depth channel, only {', '.join(channels)}. Save the depth pass as Z.")
    metres = np.asarray(channels[name], np.float32)
    return np.where(metres >= SKY_FROM, np.inf, metres)


def _checked(path: Path, values: NDArray[np.float32], clip: Clip, metric: bool) -> NDArray[np.float32]:
    """Values [T, H, W] at the clip's frames and size, by the nearest pixel, so that no edge floats in mid-air."""
    if values.ndim != 3 or values.shape[2] != 2 * values.shape[1] or values.shape[1] < LEAST_HEIGHT:
        raise InputError(
            f"The distance in {path} has shape {list(values.shape)}; want [frames, height, 2 height], at least "
            f"{LEAST_HEIGHT} rows."
        )
    if len(values) not in (1, len(clip)):
        raise InputError(f"{path} holds {len(values)} frames of distance, the clip has {len(clip)}. Give one a frame.")
    bad = np.isnan(values) | ((values <= 0) & metric)
    if bad.any():
        raise InputError(
            f"{path} holds {int(bad.sum())} values that are not a distance (NaN, zero or negative). "
            "Write inf for the sky."
        )
    if not metric and np.ptp(values) < 1e-3:
        raise InputError(f"{path} is one flat tone; it says nothing of distance. Give a depth picture.")
    if values.shape[1:] != (clip.height, clip.width):
        x, y = np.meshgrid(np.arange(clip.width) + 0.5, np.arange(clip.height) + 0.5)
        scale = values.shape[1] / clip.height
        values = np.stack([sphere.sample(v, x * scale, y * scale, nearest=True) for v in values])
    return np.ascontiguousarray(np.broadcast_to(values, (len(clip), *values.shape[1:])))


def place(brightness: NDArray[np.float32], found: ClipPerception) -> NDArray[np.float32]:
    """Metres [T, H, W] of a depth picture [T, H, W] that is affine in the inverse distance; the sky is as perceived.

    inverse distance = scale (p + offset) is fitted to the perceived distance, then to the ground as a plane at eye
    height: there p = dip / (scale height) - offset is a line in the sine of the dip.
    """
    height = brightness.shape[1]
    weight = np.broadcast_to(sphere.solid_angles(*brightness.shape[1:]), brightness.shape)
    solid = np.isfinite(found.distance)
    dip = np.broadcast_to(-np.sin(sphere.latitudes(height))[:, None], brightness.shape)
    if not solid.any():
        return np.full_like(brightness, np.inf)
    p, known, w = (a[solid].astype(np.float64) for a in (brightness, found.distance, weight))
    slope, level = _line(np.stack([p, np.ones_like(p)], 1) * known[:, None], np.ones_like(p), w)
    scale, offset = (slope, level / slope) if slope > 1e-6 else (1 / np.median(known), 0.5)

    flat = found.classes[..., GROUND] + found.classes[..., WATER] > 0.6
    ground = solid & flat & (dip > PLANE_MIN_DIP)
    if weight[ground].sum() > 0.2 * len(brightness):  # steradians, as for the network's own ground
        p, d, w = (a[ground].astype(np.float64) for a in (brightness, dip, weight))
        rate, minus = _line(np.stack([d, -np.ones_like(d)], 1), p, w)
        if rate > 1e-6 and np.min(brightness[solid]) + minus > 0:
            scale, offset = 1 / (rate * EYE_HEIGHT), minus
    offset = max(offset, 1e-3 - float(brightness[solid].min()))  # nothing lies beyond infinity
    return np.where(solid, 1 / (scale * (brightness + offset)), np.inf).astype(np.float32)


def _line(rows: NDArray, right: NDArray, weight: NDArray) -> tuple[float, float]:
    """Robust solution of rows [N, 2] x = right [N] (iteratively reweighted, Geman and McClure 1985)."""
    step = max(1, len(right) // 50_000)
    rows, right, weight = rows[::step], right[::step], weight[::step]
    trust = weight
    for _ in range(12):
        root = np.sqrt(trust)
        x = np.linalg.lstsq(rows * root[:, None], right * root, rcond=None)[0]
        off = np.abs(rows @ x - right)
        trust = weight / (1 + (off / max(2 * np.median(off), 1e-9)) ** 2) ** 2
    return float(x[0]), float(x[1])
