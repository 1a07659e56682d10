"""A proxy of the world that catches the shadows of CG objects: a dome of the splats' distances, seen from the eye."""

import bpy
import numpy as np

NAME = "HoloTime Shadow Catcher"
ROWS, COLUMNS = 64, 128
NEARER = 0.985  # of the distance: in front of the splats, which would otherwise cover the shadows
FAR = 60.0  # metres: what is farther catches nothing
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


def make(scene: bpy.types.Scene, source: bpy.types.Object) -> bpy.types.Object:
    """The scene's shadow catcher for this HoloTime object, made anew."""
    count = len(source.data.vertices)
    position, opacity = np.empty(3 * count, np.float32), np.empty(count, np.float32)
    source.data.attributes["position"].data.foreach_get("vector", position)
    source.data.attributes["opacity"].data.foreach_get("value", opacity)
    grid = NEARER * distances(position.reshape(-1, 3), opacity)
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
    faces = []
    for i in range(ROWS - 1):
        for j in range(COLUMNS):
            corners = [(i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j)]
            if max(grid[r, c % COLUMNS] for r, c in corners) < FAR:
                faces.append([r * COLUMNS + c % COLUMNS for r, c in corners])
    mesh.from_pydata([tuple(p) for p in points.tolist()], [], faces)
    mesh.update()
    obj.matrix_world = source.matrix_world
    obj.is_shadow_catcher = True
    obj.display_type = "WIRE"
    return obj
