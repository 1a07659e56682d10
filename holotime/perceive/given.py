"""Distance that the artist brings: an .npz with key ``distance`` [T, H, W] or [H, W], metres, inf is sky."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.clip import Clip
from holotime.errors import InputError


def read_distance(path: Path, clip: Clip) -> NDArray[np.float32]:
    """[T, H, W] at the clip's size; by the nearest pixel, so that no edge floats in mid-air."""
    try:
        with np.load(path, allow_pickle=False) as file:
            distance = np.asarray(file["distance"], np.float32)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(f"{path} holds no readable array 'distance' ({error}). Write it with numpy.savez.") from error
    if distance.ndim == 2:
        distance = distance[None]
    if distance.ndim != 3 or distance.shape[2] != 2 * distance.shape[1]:
        raise InputError(f"The distance in {path} has shape {list(distance.shape)}; want [frames, height, 2 height].")
    if len(distance) not in (1, len(clip)):
        raise InputError(
            f"{path} holds {len(distance)} frames of distance, the clip has {len(clip)}. Give one a frame."
        )
    bad = np.isnan(distance) | (distance <= 0)
    if bad.any():
        raise InputError(f"{path} holds {int(bad.sum())} values that are not a distance (NaN, zero or negative).")
    distance = np.broadcast_to(distance, (len(clip), *distance.shape[1:]))
    if distance.shape[1:] != (clip.height, clip.width):
        x, y = np.meshgrid(np.arange(clip.width) + 0.5, np.arange(clip.height) + 0.5)
        scale = distance.shape[1] / clip.height
        distance = np.stack([sphere.sample(d, x * scale, y * scale, nearest=True) for d in distance])
    return np.ascontiguousarray(distance)
