"""The format half of a growing scene: parts (docs/formats.md) to tensors. numpy only, no bpy: runs in any thread."""

import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .reader import TENSORS, SceneFile, SceneFileError, header_of

FORMAT, FORMAT_VERSION = "holotime-growing", 1
MAX_SPLATS = 20_000_000
TYPES = {"F32": np.float32, "F16": np.float16, "I32": np.int32}


@dataclass(frozen=True)
class Part:
    """One file."""

    number: int
    whole: bool
    splats: int  # in the scene afterwards
    duration: float
    fps: float
    loop: bool
    changes: dict[str, tuple[np.ndarray | None, np.ndarray]]  # tensor -> (rows or None for all, values)


def read_part(path: str | os.PathLike) -> Part:
    """Read a part. SceneFileError for anything that is not one, before its buffers are read."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start, header = header_of(path, file, size)
            part = _described(path, header.pop("__metadata__", None) or {})
            places = {name: _place(path, name, entry, size - start) for name, entry in header.items()}

            def read(name: str) -> np.ndarray:
                kind, shape, offset = places[name]
                file.seek(start + offset)
                array = np.fromfile(file, kind, math.prod(shape)).reshape(shape)
                return array if sys.byteorder == "little" else array.byteswap()

            return Part(*part, changes=_changes(path, part[2], places, read))
    except OSError as error:
        raise SceneFileError(f"{path} cannot be read ({error.strerror}).") from error


def _described(path: Path, meta: dict) -> tuple[int, bool, int, float, float, bool]:
    """(number, whole, splats, duration, fps, loop) of a part's metadata."""
    try:
        if meta["format"] != FORMAT or int(meta["version"]) != FORMAT_VERSION:
            raise SceneFileError(f"{path} is not a part of a growing scene of version {FORMAT_VERSION}. Update.")
        number, splats = int(meta["number"]), int(meta["splats"])
        duration, fps = float(meta["duration"]), float(meta["fps"])
        flags = {"true": True, "false": False}
        whole, loop = flags[meta["whole"]], flags[meta["loop"]]
    except (KeyError, ValueError, TypeError) as error:
        raise SceneFileError(f"{path} has damaged metadata ({error}).") from error
    if not (0 < splats <= MAX_SPLATS and number >= 0 and 0 < duration < math.inf and 0 < fps < math.inf):
        raise SceneFileError(f"{path} describes a scene that cannot be.")
    return number, whole, splats, duration, fps, loop


def _place(path: Path, name: str, entry: dict, room: int) -> tuple[type, tuple[int, ...], int]:
    """(type, shape, offset) of a tensor, checked against the file's size."""
    try:
        kind, shape = TYPES[entry["dtype"]], tuple(int(n) for n in entry["shape"])
        begin, end = (int(n) for n in entry["data_offsets"])
    except (TypeError, KeyError, ValueError) as error:
        raise SceneFileError(f"{path}: '{name}' is not described as it should be ({error}).") from error
    if min(shape, default=0) < 0 or not 0 <= begin <= end <= room:
        raise SceneFileError(f"{path}: '{name}' does not fit into the file.")
    if end - begin != np.dtype(kind).itemsize * math.prod(shape):
        raise SceneFileError(f"{path}: '{name}' has another size than its shape.")
    return kind, shape, begin


def _changes(
    path: Path, splats: int, places: dict[str, tuple[type, tuple[int, ...], int]], read: Callable[[str], np.ndarray]
) -> dict[str, tuple[np.ndarray | None, np.ndarray]]:
    """The tensors that a part brings, with everything that they need to fit each other."""
    changes: dict[str, tuple[np.ndarray | None, np.ndarray]] = {}
    for name, tail in TENSORS.items():
        if name not in places:
            continue
        rows, index = f"{name}.rows", None
        count = splats
        if rows in places:
            kind, shape, _ = places[rows]
            if kind is not np.int32 or len(shape) != 1 or shape[0] > splats:
                raise SceneFileError(f"{path}: '{rows}' is not a list of at most {splats} rows.")
            index, count = read(rows), shape[0]
            if count and not (index[0] >= 0 and index[-1] < splats and (np.diff(index) > 0).all()):
                raise SceneFileError(f"{path}: '{rows}' names splats that are not there.")
        kind, shape, _ = places[name]
        if kind is np.int32 or shape != (count, *tail):
            raise SceneFileError(f"{path}: '{name}' is {list(shape)}, want {[count, *tail]}.")
        values = read(name).astype(np.float32)
        if not np.isfinite(values).all():
            raise SceneFileError(f"{path}: '{name}' holds values that are not finite.")
        changes[name] = index, values
    return changes


def apply(before: SceneFile | None, part: Part) -> SceneFile:
    """The scene after a part. SceneFileError when the part does not follow what is here."""
    if not part.whole and (before is None or len(before) != part.splats):
        raise SceneFileError(f"Part {part.number} of the growing scene does not follow what is here.")
    tensors = {}
    for name, tail in TENSORS.items():
        rows, values = part.changes.get(name, (None, None))
        known = None if part.whole or before is None else before.tensors[name]
        if values is None and known is not None:
            tensors[name] = known
        elif values is None or rows is not None:
            tensors[name] = np.zeros((part.splats, *tail), np.float32) if known is None else known.copy()
            if values is not None:
                tensors[name][rows] = values
        else:
            tensors[name] = values
    return SceneFile(tensors, part.duration, part.fps, part.loop)
