"""The volume around the eye in which a camera may travel before a world made from one viewpoint shows what nobody saw.

An estimate from the splats themselves: away from the eye by a share of the distance to the nearest surface in that
direction, smoothed over the sphere. Near things uncover what is behind them soonest, so the step towards the sea may be
longer than the step along a wall.
"""

import math
from functools import lru_cache

import bpy

ROWS, COLUMNS = 12, 24  # cells of the sphere
SHARE = 0.12  # of the nearest distance
LIMITS = (0.03, 1.5)  # metres
NEAR_SHARE = 0.05  # of a cell's splats may be nearer than its nearest distance: strays
SAMPLE = 60_000  # splats that are looked at


def radii(mesh: bpy.types.Mesh):
    """[ROWS, COLUMNS] float metres: how far the camera may go into each direction (rows from the zenith down)."""
    return _radii(mesh.name, len(mesh.vertices))


def factor(mesh: bpy.types.Mesh, places: list[tuple[float, float, float]]) -> float:
    """By how much a path (positions relative to the eye) has to shrink to stay inside: 1 when it does."""
    grid = radii(mesh)
    worst = 1.0
    for x, y, z in places:
        length = math.sqrt(x * x + y * y + z * z)
        if length > 1e-6:
            row = min(ROWS - 1, int(ROWS * math.acos(max(-1.0, min(1.0, z / length))) / math.pi))
            column = int(COLUMNS * (math.atan2(x, y) / (2 * math.pi) + 0.5)) % COLUMNS
            worst = min(worst, float(grid[row, column]) / length)
    return worst


def wire(mesh: bpy.types.Mesh) -> list[list[tuple[float, float, float]]]:
    """The volume as closed lines around the eye, object space."""
    grid = radii(mesh)

    def point(row: float, column: int) -> tuple[float, float, float]:
        r = float(grid[min(int(row), ROWS - 1), column % COLUMNS])
        theta, lam = math.pi * (row + 0.5) / ROWS, 2 * math.pi * ((column + 0.5) / COLUMNS - 0.5)
        return (r * math.sin(theta) * math.sin(lam), r * math.sin(theta) * math.cos(lam), r * math.cos(theta))

    rings = [[point(row, column) for column in range(COLUMNS + 1)] for row in range(ROWS)]
    ribs = [[point(row, column) for row in range(ROWS)] for column in range(0, COLUMNS, 2)]
    return rings + ribs


@lru_cache(maxsize=8)
def _radii(name: str, count: int):
    import numpy as np

    mesh = bpy.data.meshes[name]
    position, opacity = np.empty(3 * count, np.float32), np.empty(count, np.float32)
    mesh.attributes["position"].data.foreach_get("vector", position)
    mesh.attributes["opacity"].data.foreach_get("value", opacity)
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
    return (np.vstack([smooth[:1], smooth[:-1]]) + smooth + np.vstack([smooth[1:], smooth[-1:]])) / 3
