"""The format half of the scene import: a Scene4D ``.safetensors`` file to numpy arrays. No bpy here.

The file is read with the standard library and numpy alone (Blender brings numpy, not safetensors): eight bytes of
header length, a JSON header, then the raw little-endian buffers. Everything is checked before anything is allocated.
"""

import json
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FORMAT = "holotime-scene4d"
FORMAT_VERSION = 1
MAX_HEADER = 16 << 20  # bytes
TENSORS: dict[str, tuple[int, ...]] = {  # name: shape after the splat axis
    "means": (3,),
    "motion": (3, 3),
    "quats": (4,),
    "omegas": (4,),
    "log_scales": (3,),
    "opacity_logits": (),
    "t_centers": (),
    "t_log_scales": (),
    "colors": (3,),
}


class SceneFileError(Exception):
    """A file is not a scene that can be imported. The text says why and what to do."""


@dataclass(frozen=True)
class SceneFile:
    """What a scene file holds. Frames and formulas as in docs/formats.md; N splats."""

    tensors: dict[str, np.ndarray]  # float32, TENSORS' shapes behind N
    duration: float  # seconds from t = 0 to t = 1
    fps: float  # frames per second of the clip it was made from
    loop: bool  # t = 1 looks like t = 0

    def __len__(self) -> int:
        return len(self.tensors["means"])


def read_scene(path: str | os.PathLike) -> SceneFile:
    """Read a scene file. SceneFileError for anything that is not one, before its buffers are read."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start, header = header_of(path, file, size)
            meta = header.pop("__metadata__", None) or {}
            duration, fps, loop = _metadata(path, meta)
            places = _places(path, header, size - start)
            tensors = {}
            for name, (shape, offset) in places.items():
                file.seek(start + offset)
                tensors[name] = _read_floats(file, math.prod(shape)).reshape(shape)
    except OSError as error:
        raise SceneFileError(f"{path} cannot be read ({error.strerror}). Check the path.") from error
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise SceneFileError(f"{path}: '{name}' holds values that are not finite. Make the scene again.")
    return SceneFile(tensors, duration, fps, loop)


def header_of(path: Path, file, size: int) -> tuple[int, dict]:
    """(where the buffers begin, the JSON header)."""
    if size == 0:
        raise SceneFileError(f"{path} is empty. Copy it again or make the scene again.")
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 2 <= length <= min(MAX_HEADER, size - 8):
        raise SceneFileError(f"{path} is not a .safetensors file, or it is cut short.")
    try:
        header = json.loads(file.read(length))
    except ValueError as error:
        raise SceneFileError(
            f"{path} has a damaged header ({error}). Copy it again or make the scene again."
        ) from error
    if not isinstance(header, dict):
        raise SceneFileError(f"{path} is not a .safetensors file.")
    return 8 + length, header


def _metadata(path: Path, meta: dict) -> tuple[float, float, bool]:
    """(duration, fps, loop) of a scene's metadata."""
    if meta.get("format") != FORMAT:
        raise SceneFileError(f"{path} is a .safetensors file but not a HoloTime scene.")
    try:
        version, model = int(meta["version"]), meta["model"]
        duration, fps, loop = float(meta["duration"]), float(meta["fps"]), json.loads(meta["loop"])
    except (KeyError, ValueError, TypeError) as error:
        raise SceneFileError(f"{path} has damaged metadata ({error}). Make the scene again.") from error
    if version > FORMAT_VERSION:
        raise SceneFileError(f"{path} was written by a newer HoloTime (format {version}). Update the extension.")
    if model != "lite":
        raise SceneFileError(f"{path} holds a '{model}' scene; the import reads 'lite' scenes. Export it as lite.")
    if not (0 < duration < math.inf and 0 < fps < math.inf):
        raise SceneFileError(f"{path}: duration {duration} s at {fps} fps makes no sense. Make the scene again.")
    return duration, fps, bool(loop)


def _places(path: Path, header: dict, room: int) -> dict[str, tuple[tuple[int, ...], int]]:
    """{name: (shape, offset in the buffers)} of the tensors, all checked against the file's size."""
    places: dict[str, tuple[tuple[int, ...], int]] = {}
    count = None
    for name, tail in TENSORS.items():
        entry = header.get(name)
        try:
            dtype, shape = entry["dtype"], tuple(int(n) for n in entry["shape"])
            begin, end = (int(n) for n in entry["data_offsets"])
        except (TypeError, KeyError, ValueError) as error:
            raise SceneFileError(f"{path} lacks the tensor '{name}'. Make the scene again.") from error
        if dtype != "F32" or not shape or shape[1:] != tail or (count is not None and shape[0] != count):
            raise SceneFileError(f"{path}: '{name}' is {dtype} {list(shape)}, want F32 {['N', *tail]}.")
        count = shape[0]
        if not 0 <= begin <= end <= room or end - begin != 4 * math.prod(shape):
            raise SceneFileError(f"{path}: '{name}' does not fit into the file; it is cut short. Copy it again.")
        places[name] = (shape, begin)
    if count == 0:
        raise SceneFileError(f"{path} holds no splats. Make the scene again.")
    return places


def _read_floats(file, count: int) -> np.ndarray:
    """``count`` float32 values in native byte order: foreach_set is about 200 times slower with any other."""
    array = np.fromfile(file, np.float32, count)
    if len(array) != count:
        raise SceneFileError(f"{file.name} ended while it was read; it is cut short. Copy it again.")
    return array if sys.byteorder == "little" else array.byteswap()
