"""Grass, palms, broad-leaved trees and bushes as meshes."""

import math

import bpy
import numpy as np
from numpy.typing import NDArray

from . import geometry as g


def blades(rng, count: int, height: float, spread: float, width: float) -> tuple[NDArray, NDArray]:
    """A tuft of bent grass blades: (vertices, quads)."""
    root = rng.normal(size=(count, 2)) * spread
    azimuth = rng.uniform(0, 2 * math.pi, count)
    h = height * rng.uniform(0.45, 1.0, count)
    bend = h * rng.uniform(0.15, 0.9, count)
    out = np.stack([np.cos(azimuth), np.sin(azimuth)], -1)
    side = np.stack([-out[:, 1], out[:, 0]], -1)
    rows = []
    for s in (0.0, 0.4, 0.75, 1.0):
        centre = np.concatenate([root + out * (bend * s * s)[:, None], (h * (s - 0.25 * s * s))[:, None]], 1)
        half = np.concatenate([side * (width * (1 - 0.95 * s)), np.zeros((count, 1))], 1)
        rows += [centre - half, centre + half]
    v = np.stack(rows, 1).reshape(-1, 3)
    quad = np.array([[0, 1, 3, 2], [2, 3, 5, 4], [4, 5, 7, 6]])
    return v, (np.arange(count)[:, None, None] * 8 + quad).reshape(-1, 4)


def leaves(rng, centres: NDArray, size: float, droop: float = 0.2) -> tuple[NDArray, NDArray]:
    """A folded, pointed leaf at each centre [N, 3] with a random direction: (vertices, quads)."""
    n = len(centres)
    along = rng.normal(size=(n, 3)) - [0, 0, droop]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.cross(along, rng.normal(size=(n, 3)))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(side, along)
    s = (size * rng.uniform(0.6, 1.2, n))[:, None]
    base, tip = centres, centres + along * s
    middle = centres + along * s * 0.45
    left, right = middle - side * s * 0.28 + up * s * 0.08, middle + side * s * 0.28 + up * s * 0.08
    v = np.stack([base, right, tip, left, middle], 1).reshape(-1, 3)
    quad = np.array([[0, 1, 2, 4], [0, 4, 2, 3]])
    return v, (np.arange(n)[:, None, None] * 5 + quad).reshape(-1, 4)


def palm(rng, height: float, lean: float, bark, leaf) -> list[bpy.types.Mesh]:
    """A coconut palm, foot at the origin, leaning towards +X: [trunk, crown]."""
    t = np.linspace(0, 1, 40)
    path = np.stack([lean * height * t**1.7, 0.06 * height * np.sin(2.5 * t), height * t], -1)
    rings = 0.008 * (np.arange(40) % 2)
    v, f = g.tube(path, 0.13 + 0.12 * np.exp(-t * 9) - 0.05 * t + rings, 12)
    trunk = g.mesh("palm trunk", v, f, bark)
    crown, parts = path[-1], []
    for k in range(22):
        azimuth = 2 * math.pi * (k * 0.618) + rng.normal() * 0.15
        rise = 1.15 - 1.75 * (k / 22) + rng.normal() * 0.1  # young fronds stand, old ones hang
        length = height * rng.uniform(0.32, 0.4)
        u = np.linspace(0, 1, 44)
        out = np.array([math.cos(azimuth), math.sin(azimuth), 0.0])
        angle = rise - 1.5 * u**1.5
        step = out * np.cos(angle)[:, None] + np.array([0, 0, 1.0]) * np.sin(angle)[:, None]
        rachis = crown + np.cumsum(step, 0) * (length / len(u))
        parts.append(g.tube(rachis, 0.022 * (1 - 0.85 * u), 4))
        side = np.cross(out, [0, 0, 1.0])
        for sign in (-1, 1):
            n = len(u) - 3
            base, w = rachis[3:], u[3:]
            size = length * 0.3 * np.sin(math.pi * (0.12 + 0.84 * w)) * rng.uniform(0.85, 1.1, n)
            d = side * sign + step[3:] * 0.55 + rng.normal(size=(n, 3)) * 0.1
            mid = base + (d - [0, 0, 0.12]) * (size * 0.5)[:, None]
            tip = base + (d - [0, 0, 0.5]) * (size * 0.95)[:, None]
            half = step[3:] * 0.026
            v = np.stack([base - half * 0.5, base + half * 0.5, mid + half, mid - half, tip, tip + half * 0.05], 1)
            quad = np.array([[0, 1, 2, 3], [3, 2, 5, 4]])
            parts.append((v.reshape(-1, 3), (np.arange(n)[:, None, None] * 6 + quad).reshape(-1, 4)))
    v, f = g.join(parts)
    return [trunk, g.mesh("palm crown", v, f, leaf)]


def tree(rng, height: float, bark, leaf, leaf_size: float = 0.16, per_tip: int = 70) -> list[bpy.types.Mesh]:
    """A broad-leaved tree, foot at the origin: [wood, leaves]."""
    parts, tips = [], []

    def grow(start: NDArray, direction: NDArray, length: float, radius: float, level: int) -> None:
        steps, path = 7, [start]
        for _ in range(steps):
            direction = direction + rng.normal(size=3) * 0.13 + np.array([0, 0, 0.05])
            direction /= np.linalg.norm(direction)
            path.append(path[-1] + direction * length / steps)
        points = np.array(path)
        parts.append(g.tube(points, np.linspace(radius, radius * 0.55, len(points)), 9 - 2 * level))
        if level == 3:
            tips.append(points[-1])
            tips.append(points[-3])
            return
        first = rng.uniform(0, 2 * math.pi)
        for k in range(5 if level == 0 else 4):
            a = first + k * 2.4
            spread = rng.uniform(0.6, 1.0) if level else rng.uniform(0.75, 1.15)
            side = np.cross(direction, [math.cos(a), math.sin(a), 0.3])
            side /= np.linalg.norm(side)
            at = points[rng.integers(3 if level == 0 else 2, len(points))]
            grow(
                at,
                direction * math.cos(spread) + side * math.sin(spread),
                length * rng.uniform(0.55, 0.72),
                radius * 0.52,
                level + 1,
            )

    grow(np.array([0, 0, -0.2]), np.array([0, 0, 1.0]), height * 0.42, height * 0.035, 0)
    v, f = g.join(parts)
    wood = g.mesh("tree wood", v, f, bark)
    cloud = rng.normal(size=(len(tips), per_tip, 3)) * height * 0.035
    v, f = leaves(rng, (np.array(tips)[:, None] + cloud).reshape(-1, 3), leaf_size)
    return [wood, g.mesh("tree leaves", v, f, leaf, smooth=False)]


def bush(rng, size: float, leaf, count: int = 1500, leaf_size: float = 0.09) -> bpy.types.Mesh:
    """A round bush, foot at the origin: leaves in a shell around a few lobes."""
    lobes = rng.normal(size=(7, 3)) * size * np.array([0.35, 0.35, 0.15]) + [0, 0, size * 0.35]
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    centre = lobes[rng.integers(0, 7, count)] + direction * (size * 0.38 * rng.uniform(0.6, 1.0, (count, 1)))
    v, f = leaves(rng, centre[centre[:, 2] > 0], leaf_size)
    return g.mesh("bush", v, f, leaf, smooth=False)


def flower(rng, petal, stem, height: float = 0.3) -> bpy.types.Mesh:
    """A cup of petals on a stalk, foot at the origin."""
    top = np.array([0.03, 0.01, height])
    stalk = g.tube(np.array([[0, 0, 0], [0.02, 0, height * 0.6], top]), np.array([0.003, 0.003, 0.002]), 4)
    parts = [stalk]
    for k in range(6):
        a = k * math.pi / 3
        out, side = np.array([math.cos(a), math.sin(a), 0]), np.array([-math.sin(a), math.cos(a), 0])
        lift = np.array([0, 0, rng.uniform(0.008, 0.02)])
        wide = 0.014 * side
        v = np.stack(
            [top, top + out * 0.018 - wide + lift, top + out * 0.034 + 1.6 * lift, top + out * 0.018 + wide + lift]
        )
        parts.append((v, np.array([[0, 1, 2, 3]])))
    v, f = g.join(parts)
    data = g.mesh("flower", v, f, stem, smooth=False)
    data.materials.append(petal)
    data.polygons.foreach_set("material_index", np.array([0] * len(stalk[1]) + [1] * 6, np.int32))
    return data
