"""The ground, the water, the rocks and the limestone islands of the lagoon."""

import math

import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from . import geometry as g
from . import materials as m
from . import plants

EYE_HEIGHT = 1.6  # metres above the ground under the eye
WATER = -2.05  # height of the lagoon
SHORE = {  # azimuth: distance from the eye to the water, metres
    -180: 260, -150: 260, -128: 90, -108: 26, -88: 11, -68: 7.5, -40: 5.6, -10: 5.0, 18: 5.2, 42: 7.0, 66: 11, 88: 24,
    108: 80, 130: 260, 180: 260,
}  # fmt: skip
TOWERS = (  # azimuth, distance, radius, height, seed
    (-80, 52, 15, 30, 1), (-101, 92, 22, 46, 2), (-57, 105, 19, 52, 3), (-43, 190, 26, 66, 4), (-36, 420, 48, 96, 5),
    (-7, 330, 30, 74, 6), (4, 520, 60, 105, 7), (13, 240, 24, 60, 8), (33, 170, 26, 62, 9), (47, 330, 42, 100, 10),
    (58, 120, 21, 50, 11), (74, 230, 36, 80, 12), (88, 420, 60, 110, 13), (-66, 480, 60, 120, 14),
    (23, 640, 70, 90, 15),
)  # fmt: skip


def shore(azimuth):
    """Distance to the water at azimuths in degrees, softly between the table's entries."""
    keys = np.array(list(SHORE), float)
    values = np.log(np.array(list(SHORE.values()), float))
    a = (np.asarray(azimuth) + 180) % 360 - 180
    near = [np.interp((a + s + 180) % 360 - 180, keys, values) for s in (-8, -4, 0, 4, 8)]
    return np.exp(np.mean(near, 0))


def height(x, y):
    """Height of the ground at world points."""
    azimuth, r = np.degrees(np.arctan2(x, y)), np.hypot(x, y)
    p = np.stack([x, y, np.zeros_like(x)], -1)
    inland = shore(azimuth) * (1 + 0.10 * g.noise(p * 0.12, 5)) + 0.5 * g.noise(p * 0.5, 6) - r
    z = WATER + (-EYE_HEIGHT - WATER) * g.smoothstep(0, 4.0, inland) + 0.16 * np.maximum(np.minimum(inland, 0), -40)
    z = z + 0.10 * g.fbm(p * 0.3, 3, 7) * g.smoothstep(1.5, 5, r) * g.smoothstep(0.5, 3, inland)
    back = g.smoothstep(105, 145, np.abs(azimuth))
    hills = 24 + 16 * g.fbm(p * 0.011, 4, 8)
    return z + back * g.smoothstep(16, 150, r) * hills * g.smoothstep(0, 40, inland)


def place(azimuth: float, distance: float, lift: float = 0.0):
    """A point on the ground."""
    p = g.place(azimuth, distance)
    return (p[0], p[1], float(height(p[:1], p[1:2])[0]) + lift)


def ground(rng) -> None:
    """Ground, water, stones in the grass and rocks along the shore."""
    radii = np.concatenate([[0.02], np.geomspace(0.3, 420, 260)])
    xy, quads = g.polar_grid(radii, 720)
    z = height(xy[:, 0], xy[:, 1])
    g.add(g.mesh("ground", np.column_stack([xy, z]), quads, m.ground(WATER)))
    radii = np.concatenate([np.geomspace(3, 420, 240), np.geomspace(440, 9000, 16)])
    xy, quads = g.polar_grid(radii, 720)
    depth = WATER - height(xy[:, 0], xy[:, 1])
    data = g.mesh("water", np.column_stack([xy, np.full(len(xy), WATER)]), quads, m.water())
    g.attribute(data, "depth", np.clip(depth, -1, 20))
    g.add(data)

    grey = m.stone("shore rock", (0.07, 0.06, 0.055), (0.30, 0.25, 0.21), 2.2, moss=0.25)
    flags = m.stone("flagstone", (0.13, 0.11, 0.09), (0.36, 0.31, 0.25), 2.6, moss=0.05)
    directions, faces = g.sphere(40, 64)
    shapes = []
    for k in range(6):
        lumps = (
            1
            + 0.35 * g.fbm(directions * 1.2 + 9 * k, 4, 20 + k)
            + 0.12 * g.fbm(directions * 3 + 5 * k, 3, 30, ridged=True)
        )
        shapes.append(directions * lumps[:, None])
    rocks = [g.mesh(f"rock {k}", v * (1, 0.8, 0.62), faces, grey) for k, v in enumerate(shapes)]
    for _ in range(95):
        azimuth = rng.uniform(-112, 92)
        if abs(azimuth - 24) < 9:
            continue  # the pier's way
        size = 0.14 + 0.55 * rng.random() ** 3
        where = place(azimuth, float(shore(azimuth)) + rng.normal() * 0.5 - 0.3)
        g.add(rocks[rng.integers(6)], "rock", where, size, rng.uniform(0, 360))
    slabs = [g.mesh(f"slab {k}", v * (1, 0.85, 0.11), faces, flags) for k, v in enumerate(shapes)]
    # fmt: off
    way = [  # azimuth, distance, radius: underfoot, to the pier, to the fire, to the ruin
        (0, 0.05, 0.50), (24, 1.15, 0.42), (27, 2.2, 0.42), (22, 3.1, 0.45), (64, 1.35, 0.36), (66, 2.5, 0.44),
        (64, 3.4, 0.38), (-140, 1.15, 0.40), (-146, 2.4, 0.46), (-138, 3.5, 0.5), (-143, 4.7, 0.46), (-138, 5.8, 0.5),
    ]
    # fmt: on
    for k, (azimuth, distance, size) in enumerate(way):
        g.add(slabs[k % 6], "slab", place(azimuth, distance, 0.02), size, rng.uniform(0, 360))


def towers(rng) -> None:
    """Limestone islands, with woods on every ledge, and a waterfall on the nearest."""
    rock = m.karst()
    wood = m.foliage("island leaves", (0.012, 0.032, 0.006), (0.10, 0.125, 0.022), 0.3)
    clump = plants.bush(rng, 1.0, wood, 420, 0.2)
    for azimuth, distance, radius, tall, seed in TOWERS:
        d, faces = g.sphere(150, 260)
        level, flat = np.abs(d[:, 2]), np.hypot(d[:, 0], d[:, 1])
        sharp = 1.3 + 2.2 * rng.random()  # how far up the walls stay steep
        wide = radius * (1.02 - level**sharp) ** 0.62 * (1 - 0.06 * np.exp(-((level / 0.05) ** 2)))
        v = np.column_stack(
            [d[:, :2] * (wide / flat)[:, None], tall * np.sign(d[:, 2]) * level * np.where(d[:, 2] < 0, 0.15, 1)]
        )
        q = v / radius + 31 * seed
        lump = 0.42 * g.fbm(q * 0.8, 3, seed) + 0.15 * g.fbm(q * (2.6, 2.6, 0.7), 5, seed + 40, ridged=True)
        lump += 0.05 * g.fbm(q * (6, 6, 14), 4, seed + 50)
        v[:, :2] *= np.maximum(1 + lump, 0.3)[:, None]
        v[:, 2] *= 1 + 0.30 * g.fbm(q * (1.1, 1.1, 0.2) + 3, 4, seed + 60)
        origin = g.place(azimuth, distance, WATER - 1)
        data = g.mesh(f"tower {seed}", v + origin, faces, rock)
        g.add(data)
        area = np.zeros(len(data.polygons))
        data.polygons.foreach_get("center", (flat_centre := np.zeros(3 * len(area))))
        data.polygons.foreach_get("normal", (flat_normal := np.zeros(3 * len(area))))
        data.polygons.foreach_get("area", area)
        centre, normal = flat_centre.reshape(-1, 3), flat_normal.reshape(-1, 3)
        ledge = np.maximum(normal[:, 2] + 0.55 * g.fbm(centre / 9, 2, seed) - 0.12, 0) * area * (centre[:, 2] > 0.5)
        count = int(min(2600, 260 + ledge.sum() * 0.8))
        pick = rng.choice(len(area), count, p=ledge / ledge.sum())
        size = rng.uniform(1.1, 2.8, count) * (1 + distance / 400)
        lean = normal[pick] * 0.5 + [0, 0, 0.8]
        g.scatter(clump.copy(), centre[pick], size, 0.15, rng, lean / np.linalg.norm(lean, axis=1, keepdims=True))
        if seed == 1:
            fall(data)


def fall(cliff) -> None:
    """A waterfall that clings to what a ray from the eye finds of the cliff."""
    tree = BVHTree.FromPolygons([v.co for v in cliff.vertices], [p.vertices for p in cliff.polygons])
    across, down = np.linspace(0, 1, 24), np.linspace(0, 1, 90)
    vertices, last = [], 1e9
    for t in down:
        z, wide = 15.5 - t * (16.2 - WATER), 3.6 + 3.4 * t
        reach = []
        for s in across:
            azimuth = math.radians(-74.5 + (s - 0.5) * wide)
            aim = Vector((math.sin(azimuth) * 40, math.cos(azimuth) * 40, z)).normalized()
            hit = tree.ray_cast(Vector((0, 0, 0)), aim)
            reach.append((hit[3] if hit[0] else 48.0, aim))
        distance = min(np.median([r for r, _ in reach]) - 0.5, last + 0.05)
        last = distance
        vertices += [tuple(aim * distance) for _, aim in reach]
    i, j = np.meshgrid(np.arange(len(down) - 1), np.arange(len(across) - 1), indexing="ij")
    k, w = i * len(across) + j, len(across)
    data = g.mesh("fall", np.array(vertices), np.stack([k, k + 1, k + w + 1, k + w], -1).reshape(-1, 4), m.waterfall())
    g.attribute(data, "across", np.tile(across, len(down)))
    g.attribute(data, "down", np.repeat(down, len(across)))
    g.add(data)
