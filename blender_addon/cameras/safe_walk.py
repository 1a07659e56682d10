"""The volume around the eye in which a camera may travel before a world made from one viewpoint shows what nobody saw.

The sidecar measures it and stores it in the scene file (docs/formats.md): metres in some directions, interpolated
between them as the library does. The import keeps it with the object. A scene without it (made elsewhere, or of an
older version) gets an estimate from its splats, which is said: a share of the distance to the nearest surface in each
direction. Near things uncover what is behind them soonest, so the step towards the sea may be longer than along a wall.
"""

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

if TYPE_CHECKING:
    import numpy as np

VERSION = 1  # of the measured volume
ROWS, COLUMNS = 12, 24  # of the wire; of the cells of an estimate
SHARE = 0.12  # of the nearest distance
LIMITS = (0.03, 1.5)  # metres
NEAR_SHARE = 0.05  # of a cell's splats may be nearer than its nearest distance: strays
SAMPLE = 60_000  # splats that are looked at
MAX_HEADER = 16 << 20  # bytes


@dataclass(frozen=True, eq=False)
class Walk:
    """How far the camera may go; around the eye, in the object's own space."""

    directions: "np.ndarray"  # [D, 3] unit
    metres: "np.ndarray"  # [D]
    measured: bool  # by the sidecar; otherwise estimated here

    def reach(self, directions: "np.ndarray") -> "np.ndarray":
        """[N] metres along ``directions`` [N, 3] (any length > 0).

        Inverse-distance weighting (Shepard 1968) of 1 / metres, so that a near limit counts more than a far one.
        """
        import numpy as np

        unit = np.asarray(directions, float)
        unit = unit / np.maximum(np.linalg.norm(unit, axis=-1, keepdims=True), 1e-12)
        weight = np.maximum(1 - unit @ self.directions.T, 1e-9) ** -2  # [N, D]
        return weight.sum(-1) / (weight / np.maximum(self.metres, 1e-6)).sum(-1)

    def factor(self, places: list[tuple[float, float, float]]) -> float:
        """The largest scale up to 1 that brings all ``places`` (metres from the eye) inside."""
        import numpy as np

        array = np.asarray(places, float)
        far = np.linalg.norm(array, axis=-1)
        moved = far > 1e-9
        if not moved.any():
            return 1.0
        return float(min(1.0, (self.reach(array[moved]) / far[moved]).min()))

    def nearest(self) -> float:
        """Metres in the worst direction."""
        return float(self.metres.min())


def of(obj: bpy.types.Object) -> Walk:
    """The volume of a HoloTime object: kept with it, else in its file, else estimated."""
    text = obj.holotime.safe_walk or _in_file(bpy.path.abspath(obj.holotime.source))
    return (_measured(text) if text else None) or _estimated(obj.data.name, _count(obj))


def remember(obj: bpy.types.Object) -> None:
    """Keep what the object's file says with the object, so that it is there when the file is not."""
    text = _in_file(bpy.path.abspath(obj.holotime.source))
    if text and text != obj.holotime.safe_walk:
        obj.holotime.safe_walk = text


@lru_cache(maxsize=16)
def wire(walk: Walk) -> list[list[tuple[float, float, float]]]:
    """The volume as closed lines around the eye, object space."""
    import numpy as np

    theta = np.pi * (np.arange(ROWS) + 0.5) / ROWS
    lam = 2 * np.pi * ((np.arange(COLUMNS) + 0.5) / COLUMNS - 0.5)
    unit = np.stack(
        np.broadcast_arrays(
            np.sin(theta)[:, None] * np.sin(lam), np.sin(theta)[:, None] * np.cos(lam), np.cos(theta)[:, None]
        ),
        -1,
    ).reshape(-1, 3)
    points = (unit * walk.reach(unit)[:, None]).reshape(ROWS, COLUMNS, 3).tolist()
    rings = [[tuple(p) for p in (*row, row[0])] for row in points]
    ribs = [[tuple(points[row][column]) for row in range(ROWS)] for column in range(0, COLUMNS, 2)]
    return rings + ribs


def _in_file(path: str) -> str:
    """What a scene file says about its volume, as JSON; empty when it says nothing or is not there."""
    try:
        stat = Path(path).stat() if path else None
    except OSError:
        return ""
    return _read(path, stat.st_mtime_ns, stat.st_size) if stat else ""


@lru_cache(maxsize=16)
def _read(path: str, _changed: int, size: int) -> str:
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= min(MAX_HEADER, size) else {}
        return header["__metadata__"].get("safe_walk", "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""


@lru_cache(maxsize=16)
def _measured(text: str) -> Walk | None:
    """A volume from its JSON; None for one that this extension does not know."""
    import numpy as np

    try:
        data = json.loads(text)
        directions, metres = np.array(data["directions"], float), np.array(data["metres"], float)
        fits = data["version"] == VERSION and directions.shape == (len(metres), 3) and len(metres) > 0
    except (ValueError, KeyError, TypeError):
        return None
    return Walk(directions, metres, True) if fits and np.isfinite(metres).all() else None


def _count(obj: bpy.types.Object) -> int:
    return len(obj.data.attributes["position"].data)


@lru_cache(maxsize=8)
def _estimated(name: str, count: int) -> Walk:
    """From the splats of a mesh or a point cloud."""
    import numpy as np

    data = bpy.data.meshes.get(name) or bpy.data.pointclouds[name]
    position, opacity = np.empty(3 * count, np.float32), np.ones(count, np.float32)
    data.attributes["position"].data.foreach_get("vector", position)
    if "opacity" in data.attributes:
        data.attributes["opacity"].data.foreach_get("value", opacity)
    step = max(1, count // SAMPLE)
    keep = opacity[::step] > 0.3
    position = position.reshape(-1, 3)[::step][keep]
    distance = np.maximum(np.linalg.norm(position, axis=1), 1e-6)
    row = np.minimum((ROWS * np.arccos(np.clip(position[:, 2] / distance, -1, 1)) / np.pi).astype(int), ROWS - 1)
    column = (COLUMNS * (np.arctan2(position[:, 0], position[:, 1]) / (2 * np.pi) + 0.5)).astype(int) % COLUMNS
    cell = row * COLUMNS + column
    order = np.lexsort((distance, cell))
    cell, distance = cell[order], distance[order]
    nearest = np.full(ROWS * COLUMNS, LIMITS[1] / SHARE)
    starts = np.searchsorted(cell, np.arange(ROWS * COLUMNS + 1))
    for i in range(ROWS * COLUMNS):
        if starts[i + 1] > starts[i]:
            nearest[i] = distance[starts[i] + int(NEAR_SHARE * (starts[i + 1] - starts[i]))]
    grid = np.clip(SHARE * nearest, *LIMITS).reshape(ROWS, COLUMNS)
    # The step to one side also moves the camera past what is beside it: take the least of the neighbours, then smooth.
    around = [np.roll(grid, shift, 1) for shift in (-1, 0, 1)]
    around += [np.vstack([g[:1], g[:-1]]) for g in around[:3]] + [np.vstack([g[1:], g[-1:]]) for g in around[:3]]
    least = np.min(around, axis=0)
    smooth = sum(np.roll(least, shift, 1) for shift in (-1, 0, 1)) / 3
    smooth = (np.vstack([smooth[:1], smooth[:-1]]) + smooth + np.vstack([smooth[1:], smooth[-1:]])) / 3
    theta = math.pi * (np.arange(ROWS) + 0.5)[:, None] / ROWS
    lam = 2 * math.pi * ((np.arange(COLUMNS) + 0.5) / COLUMNS - 0.5)
    parts = np.broadcast_arrays(np.sin(theta) * np.sin(lam), np.sin(theta) * np.cos(lam), np.cos(theta))
    return Walk(np.stack(parts, -1).reshape(-1, 3), smooth.ravel(), False)
