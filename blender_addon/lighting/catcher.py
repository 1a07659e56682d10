"""A proxy of the world that catches the shadows of CG objects: a dome of the splats' distances, seen from the eye.

It has no faces where the world ends: across the edge of something near, and far away. Cycles divides what a catcher
receives with objects by what it receives without; on such walls both are almost nothing, and their noise would be seen.
"""

import bpy
import numpy as np

from .let_through import let_light_through

NAME = "HoloTime Shadow Catcher"
ROWS, COLUMNS = 128, 256
NEARER = 0.985  # of the distance: in front of the splats, which would otherwise cover the shadows
FAR = 25.0  # metres: what is farther catches nothing
GRAZING = 0.08  # least cosine between a face's normal and the look from the eye: level ground up to 20 m
SOLID = 0.5  # opacity from which a splat is a surface


def distances(position: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """[ROWS, COLUMNS] median distance of the solid splats in each cell of the panorama; holes filled from beside.

    position [N, 3] metres around the eye, opacity [N].
    """
    position = position[opacity > SOLID]
    distance = np.maximum(np.linalg.norm(position, axis=1), 1e-6)
    row = np.minimum((ROWS * np.arccos(np.clip(position[:, 2] / distance, -1, 1)) / np.pi).astype(int), ROWS - 1)
    column = (COLUMNS * (np.arctan2(position[:, 0], position[:, 1]) / (2 * np.pi) + 0.5)).astype(int) % COLUMNS
    cell = row * COLUMNS + column
    order = np.lexsort((distance, cell))
    cell, distance = cell[order], distance[order]
    starts = np.searchsorted(cell, np.arange(ROWS * COLUMNS + 1))
    middle = (starts[:-1] + starts[1:]) // 2
    filled = starts[1:] > starts[:-1]
    grid = np.full(ROWS * COLUMNS, np.nan)
    grid[filled] = distance[middle[filled]]
    grid = grid.reshape(ROWS, COLUMNS)
    while np.isnan(grid).any() and not np.isnan(grid).all():
        beside = np.stack(
            [
                np.roll(grid, 1, 1),
                np.roll(grid, -1, 1),
                np.vstack([grid[:1], grid[:-1]]),
                np.vstack([grid[1:], grid[-1:]]),
            ]
        )
        known = ~np.isnan(beside)
        mean = np.where(known, beside, 0).sum(0) / np.maximum(known.sum(0), 1)
        grid = np.where(np.isnan(grid) & known.any(0), mean, grid)
    return grid


def smoothed(grid: np.ndarray) -> np.ndarray:
    """[ROWS, COLUMNS] medians of 3 x 3 cells: single splats make no spikes."""
    rows = np.vstack([grid[:1], grid, grid[-1:]])
    rows = np.hstack([rows[:, -1:], rows, rows[:, :1]])
    parts = [rows[i : i + ROWS, j : j + COLUMNS] for i in range(3) for j in range(3)]
    return np.median(np.stack(parts), axis=0)


def faces(points: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """[F, 4] corners of the faces that catch.

    points [ROWS * COLUMNS, 3] around the eye, grid [ROWS, COLUMNS] their distances, metres.
    """
    index = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    beside = np.roll(index, -1, 1)
    corners = np.stack([index[:-1], beside[:-1], beside[1:], index[1:]], -1).reshape(-1, 4)
    a, b, c, d = (points[corners[:, k]] for k in range(4))
    normal, look = np.cross(c - a, d - b), a + b + c + d
    size = np.linalg.norm(normal, axis=1) * np.linalg.norm(look, axis=1)
    facing = np.abs((normal * look).sum(1)) > GRAZING * np.maximum(size, 1e-12)
    return corners[facing & (grid.ravel()[corners].max(1) < FAR)]


def make(scene: bpy.types.Scene, source: bpy.types.Object) -> bpy.types.Object:
    """The scene's shadow catcher for this HoloTime object, made anew."""
    count = len(source.data.attributes["position"].data)
    position, opacity = np.empty(3 * count, np.float32), np.empty(count, np.float32)
    source.data.attributes["position"].data.foreach_get("vector", position)
    source.data.attributes["opacity"].data.foreach_get("value", opacity)
    grid = NEARER * smoothed(distances(position.reshape(-1, 3), opacity))
    obj = next((o for o in scene.objects if o.get("holotime_catcher")), None)
    if obj is None:
        obj = bpy.data.objects.new(NAME, bpy.data.meshes.new(NAME))
        obj["holotime_catcher"] = True
        scene.collection.objects.link(obj)
    mesh = obj.data
    mesh.clear_geometry()
    phi = np.pi * (0.5 - (np.arange(ROWS) + 0.5) / ROWS)[:, None]
    lam = 2 * np.pi * ((np.arange(COLUMNS) + 0.5) / COLUMNS - 0.5)[None]
    parts = np.broadcast_arrays(np.cos(phi) * np.sin(lam), np.cos(phi) * np.cos(lam), np.sin(phi))
    points = (np.stack(parts, -1) * grid[..., None]).reshape(-1, 3)
    mesh.from_pydata(points.tolist(), [], faces(points, grid).tolist())
    mesh.update()
    let_light_through(scene)
    obj.matrix_world = source.matrix_world
    obj.is_shadow_catcher = True
    # The world's shape must not shut out the sun that stands behind it: what it shades is in the panorama already.
    obj.visible_shadow = obj.visible_diffuse = False
    obj.display_type = "WIRE"
    return obj
