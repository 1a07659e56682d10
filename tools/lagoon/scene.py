"""The lagoon, put together and rendered."""

import math
from pathlib import Path

import bpy
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
    (58, 120, 21, 50, 11), (74, 230, 36, 80, 12), (88, 420, 60, 110, 13), (-66, 480, 60, 120, 14), (23, 640, 70, 90, 15),
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


def land(rng) -> None:
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
        lumps = 1 + 0.35 * g.fbm(directions * 1.2 + 9 * k, 4, 20 + k) + 0.12 * g.fbm(directions * 3 + 5 * k, 3, 30, ridged=True)
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
    way = [(0, 0.05, 0.44), (24, 1.15, 0.42), (27, 2.2, 0.42), (22, 3.1, 0.45), (64, 1.35, 0.36), (66, 2.5, 0.44), (64, 3.4, 0.38),
           (-140, 1.15, 0.40), (-146, 2.4, 0.46), (-138, 3.5, 0.5), (-143, 4.7, 0.46), (-138, 5.8, 0.5)]  # fmt: skip
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
        v = np.column_stack([d[:, :2] * (wide / flat)[:, None], tall * np.sign(d[:, 2]) * level * np.where(d[:, 2] < 0, 0.15, 1)])
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
        z, wide = 15.5 - t * (15.5 - WATER), 2.0 + 1.6 * t
        reach = []
        for s in across:
            azimuth = math.radians(-74.5 + (s - 0.5) * wide)
            aim = Vector((math.sin(azimuth) * 40, math.cos(azimuth) * 40, z)).normalized()
            hit = tree.ray_cast(Vector((0, 0, 0)), aim)
            reach.append((hit[3] if hit[0] else 48.0, aim))
        distance = min(np.median([r for r, _ in reach]) - 0.5, last + 0.05)
        last = distance
        vertices += [tuple(aim * (0.6 * distance + 0.4 * min(r - 0.35, distance + 1))) for r, aim in reach]
    i, j = np.meshgrid(np.arange(len(down) - 1), np.arange(len(across) - 1), indexing="ij")
    k, w = i * len(across) + j, len(across)
    data = g.mesh("fall", np.array(vertices), np.stack([k, k + 1, k + w + 1, k + w], -1).reshape(-1, 4), m.waterfall())
    g.attribute(data, "across", np.tile(across, len(down)))
    g.attribute(data, "down", np.repeat(down, len(across)))
    g.add(data)


def vegetation(rng) -> None:
    """Palms at the water, trees and bushes behind, grass and flowers underfoot."""
    trunk = m.bark("palm bark", (0.10, 0.075, 0.05), (0.34, 0.27, 0.19), 14)
    frond = m.foliage("fronds", (0.03, 0.07, 0.012), (0.16, 0.20, 0.035), 0.4, 0.5)
    palms = [plants.palm(rng, h, lean, trunk, frond) for h, lean in ((6.4, 0.30), (7.6, 0.18), (5.4, 0.42), (8.4, 0.25))]
    spots = [(-52, 6.4, 0, 190), (-60, 7.2, 1, 230), (-45, 5.6, 2, 250), (45, 7.4, 1, 40), (52, 8.6, 3, 80), (40, 6.6, 2, 20),
             (80, 16, 0, 60), (86, 20, 3, 120), (-92, 11, 3, 250), (98, 26, 1, 30), (-104, 16, 0, 200), (110, 30, 3, 0)]  # fmt: skip
    for azimuth, distance, kind, turn in spots:
        for part in palms[kind]:
            g.add(part, None, place(azimuth, distance, -0.05), rng.uniform(0.92, 1.08), turn - 90)
    wood = m.bark("tree bark", (0.045, 0.03, 0.02), (0.16, 0.11, 0.075))
    green = m.foliage("leaves", (0.035, 0.07, 0.01), (0.20, 0.21, 0.03))
    amber = m.foliage("amber leaves", (0.22, 0.075, 0.01), (0.48, 0.21, 0.03))
    trees = [plants.tree(rng, h, wood, leaf) for h, leaf in ((7.5, green), (9.0, green), (6.5, amber), (8.0, green))]
    spots = [(118, 12, 0), (142, 17, 1), (163, 13, 2), (-172, 22, 3), (-118, 15, 1), (-128, 24, 0), (98, 17, 2), (178, 30, 1),
             (128, 26, 3), (-158, 26, 1), (152, 34, 0), (-148, 38, 2), (108, 34, 1), (-110, 28, 3)]  # fmt: skip
    for _ in range(170):
        side = rng.uniform(104, 256)
        spots.append((side, rng.uniform(38, 190), int(rng.integers(4))))
    for azimuth, distance, kind in spots:
        turn, size = rng.uniform(0, 360), rng.uniform(0.85, 1.3)
        for part in trees[kind]:
            g.add(part, None, place(azimuth, distance), size, turn)
    bushes = [plants.bush(rng, 1.0, leaf) for leaf in (green, green, amber)]
    for _ in range(90):
        azimuth, distance = rng.uniform(78, 282), 8 + 40 * rng.random() ** 1.5
        if shore(azimuth) < distance + 3 or (abs((azimuth - 220 + 180) % 360 - 180) < 30 and distance < 16):
            continue
        g.add(bushes[rng.integers(3)], "bush", place(azimuth, distance, -0.05), rng.uniform(0.5, 1.7), rng.uniform(0, 360))

    blade = m.foliage("grass", (0.055, 0.13, 0.012), (0.24, 0.32, 0.05), 0.5)
    straw = m.foliage("straw", (0.20, 0.19, 0.05), (0.46, 0.40, 0.14), 0.5)

    def meadow(count: int, near: float, far: float, inland: float):
        r = near * (far / near) ** rng.random(count)
        a = rng.uniform(-180, 180, count)
        x, y = r * np.sin(np.radians(a)), r * np.cos(np.radians(a))
        p = np.stack([x, y, height(x, y)], -1)
        patch = g.noise(np.stack([x, y, 0 * x], -1) * 0.35, 71)
        keep = (shore(a) - r > inland + 0.6 * patch) & (p[:, 2] > WATER + 0.28)
        keep &= np.hypot(x - RUIN[0], y - RUIN[1]) > 3.7
        return p[keep], patch[keep], r[keep]

    for k in range(6):
        tall = k >= 4
        v, f = plants.blades(rng, 70 if not tall else 26, 1.0, 0.22, 0.016)
        p, patch, r = meadow(6500 if not tall else 1000, 0.55, 90, 1.3)
        size = (0.26 if not tall else 0.55) * (0.75 + 0.5 * patch) * rng.uniform(0.6, 1.25, len(p)) * (0.55 + 0.45 * g.smoothstep(0.7, 4, r))
        size *= 1 + g.smoothstep(15, 60, r)
        g.scatter(g.mesh(f"tuft {k}", v, f, straw if tall else blade), p, np.maximum(size, 0.05), 0.12, rng)
    for name, color in (("poppy", (0.75, 0.06, 0.03)), ("daisy", (0.85, 0.78, 0.60)), ("bluet", (0.20, 0.16, 0.62))):
        p, patch, _ = meadow(1300, 1.5, 26, 1.6)
        p = p[(patch > 0.05) & (g.noise(p * 0.5 + len(name) * 3.7, 91) > 0.12)]
        bloom = m.foliage(name, color, tuple(min(1.0, 1.2 * c) for c in color), 0.4)
        g.scatter(plants.flower(rng, bloom, blade), p, rng.uniform(0.6, 1.1, len(p)), 0.15, rng)


RUIN = g.place(-141, 10.5)
FIRE = (63, 4.7)  # azimuth, distance


def buildings(rng) -> None:
    """A pier with lanterns, a boat, a ruined round temple and a bowl of fire."""
    board = m.planks()
    lantern = m.glow("lantern", (1.0, 0.42, 0.10), 9.0)
    parts, tone = [], []
    start, length = 3.9, 13.5
    for k in range(int(length / 0.16)):
        parts.append(g.box((1.5 + rng.normal() * 0.025, 0.145, 0.045), (rng.normal() * 0.012, start + 0.16 * k, -1.5 + rng.normal() * 0.004)))
    tone += list(np.repeat(rng.random(len(parts)), 8))
    beams = [g.box((0.10, length, 0.14), (x, start + length / 2, -1.6)) for x in (-0.62, 0.62)]
    posts = []
    for k in range(7):
        for side in (-1, 1):
            y, top = start + 0.6 + 2.05 * k, -1.15 if (k + (side > 0)) % 3 else 0.35
            path = np.array([[side * 0.78 + rng.normal() * 0.02, y, -4.2], [side * 0.78, y, top]])
            posts.append(g.tube(path, np.array([0.09, 0.075]), 12))
            posts.append((np.array([[0, 0, 0.0]] * 4) + path[1] + [[-0.053, -0.053, 0], [0.053, -0.053, 0], [0.053, 0.053, 0], [-0.053, 0.053, 0]], np.array([[0, 1, 2, 3]])))
            if top > 0:
                arm = path[1] + [-side * 0.02, 0, -0.06]
                posts.append(g.tube(np.array([arm, arm + [-side * 0.32, 0, 0.03]]), np.array([0.02, 0.016]), 8))
                a = math.radians(24)
                lx, ly = path[1][0] - side * 0.32, y
                lamp(lantern, (lx * math.cos(a) + ly * math.sin(a), -lx * math.sin(a) + ly * math.cos(a), top - 0.34))
    v, f = g.join(parts + beams + posts)
    data = g.mesh("pier", v, f, board, smooth=False)
    g.attribute(data, "tone", np.concatenate([tone, np.full(len(v) - len(tone), 0.25)]))
    g.add(data, turn=24)

    s, t = np.meshgrid(np.linspace(0, 1, 40), np.linspace(-1, 1, 25), indexing="ij")
    beam = 0.62 * np.maximum(1 - np.abs(2 * s - 1) ** 2.6, 0) ** 0.75 + 0.02
    keel = 0.42 * (1 - 0.55 * np.abs(2 * s - 1) ** 3)
    sheer = 0.34 + 0.24 * (2 * s - 1) ** 2
    hull = np.stack([(s - 0.5) * 3.7, beam * np.sign(t) * np.abs(t) ** 0.8, sheer - keel * (1 - np.abs(t) ** 2.6) - 0.14], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(39), np.arange(24), indexing="ij")
    k = i * 25 + j
    paint = m.bark("boat paint", (0.045, 0.13, 0.15), (0.09, 0.24, 0.26), 4)
    data = g.mesh("boat", hull, np.stack([k, k + 1, k + 26, k + 25], -1).reshape(-1, 4), paint)
    at = g.place(8, 9.4, WATER)
    boat = g.add(data, None, at, 1.0, 62)
    boat.modifiers.new("thick", "SOLIDIFY").thickness = 0.045
    seats = [g.box((0.26, w, 0.035), (x, 0, 0.24)) for x, w in ((-0.95, 0.98), (0.0, 1.18), (0.95, 0.98))]
    rim = [g.tube(hull.reshape(40, 25, 3)[:, e] + [0, 0, 0.01], np.full(40, 0.032), 6) for e in (0, -1)]
    v, f = g.join(seats + rim)
    data = g.mesh("seats", v, f, board, smooth=False)
    g.attribute(data, "tone", np.full(len(v), 0.9))
    g.add(data, None, at, 1.0, 62)

    marble = m.stone("marble", (0.24, 0.20, 0.16), (0.56, 0.48, 0.38), 1.6, moss=0.12)
    ground_z = float(height(RUIN[:1], RUIN[1:2])[0])
    v, f = g.lathe([(3.6, -0.6), (3.6, 0.10), (3.35, 0.12), (3.35, 0.26), (3.1, 0.28), (3.1, 0.40), (0.001, 0.40)], 96)
    g.add(g.mesh("floor", v, f, marble, smooth=False), None, (RUIN[0], RUIN[1], ground_z))
    for k, tall in enumerate((3.3, 3.3, 3.3, 2.1, 3.3, 3.3, 0.9, 1.5, 3.3)):
        a = 2 * math.pi * k / 9 + 0.3
        flutes = 1 - 0.05 * np.abs(np.sin(10 * np.linspace(0, 2 * math.pi, 160, endpoint=False)))
        levels = np.linspace(0, 1, 30)
        ring = np.stack([np.cos(np.linspace(0, 2 * math.pi, 160, endpoint=False)), np.sin(np.linspace(0, 2 * math.pi, 160, endpoint=False))], -1)
        v = np.concatenate([np.column_stack([ring * (flutes * (0.24 - 0.035 * h))[:, None], np.full(160, h * tall)]) for h in levels])
        if tall < 3:
            v[-160:, 2] += 0.22 * g.noise(v[-160:] * 4 + k, 3)
        i, j = np.meshgrid(np.arange(29), np.arange(160), indexing="ij")
        quads = np.stack([i * 160 + j, i * 160 + (j + 1) % 160, (i + 1) * 160 + (j + 1) % 160, (i + 1) * 160 + j], -1)
        pieces = [(v, quads.reshape(-1, 4)), g.box((0.64, 0.64, 0.12), (0, 0, 0.02)), g.lathe([(0.001, tall - 0.02), (0.20, tall - 0.05)], 32)]
        if tall > 3:
            pieces += [g.lathe([(0.21, tall), (0.30, tall + 0.12)], 32), g.box((0.66, 0.66, 0.13), (0, 0, tall + 0.17))]
        v, f = g.join(pieces)
        where = (RUIN[0] + 2.75 * math.cos(a), RUIN[1] + 2.75 * math.sin(a), ground_z + 0.42)
        g.add(g.mesh(f"column {k}", v, f, marble), None, where, 1.0, -math.degrees(a))
    for first, last in ((0, 2), (4, 5)):
        t = np.linspace(2 * math.pi * first / 9 + 0.2, 2 * math.pi * last / 9 + 0.4, 40)
        corners = [(2.5, 0.0), (3.0, 0.0), (3.06, 0.42), (2.44, 0.42)]
        v = np.stack([[r * math.cos(x), r * math.sin(x), z] for x in t for r, z in corners])
        i, j = np.meshgrid(np.arange(39), np.arange(4), indexing="ij")
        quads = np.stack([i * 4 + j, i * 4 + (j + 1) % 4, (i + 1) * 4 + (j + 1) % 4, (i + 1) * 4 + j], -1).reshape(-1, 4)
        ends = np.array([[3, 2, 1, 0], [156, 157, 158, 159]])
        g.add(g.mesh("lintel", v, np.concatenate([quads, ends]), marble, smooth=False), None, (RUIN[0], RUIN[1], ground_z + 3.95))
    fire((RUIN[0], RUIN[1], ground_z + 0.4), marble, 1.0)
    fire(place(*FIRE), m.stone("bowl stone", (0.06, 0.05, 0.045), (0.20, 0.17, 0.14), 3.0), 0.9)

    for azimuth, distance in ((-14, 9), (-8, 13), (-27, 16), (1, 17), (-33, 10), (-20, 24), (15, 22), (-3, 30), (-38, 20), (-12, 36)):
        x, y, _ = g.place(azimuth, distance)
        lamp(lantern, (x, y, WATER + 0.13), floating=True)


def lamp(material, where, floating: bool = False) -> None:
    """A paper lantern and the light that it gives."""
    r = 0.15
    profile = [(0.05, -r * 1.15), (r * 0.8, -r), (r * 1.05, 0), (r * 0.8, r), (0.05, r * 1.15)]
    if floating:
        profile = [(0.10, -0.13), (0.13, -0.1), (0.15, 0.12), (0.13, 0.16)]
    v, f = g.lathe(profile, 24)
    g.add(g.mesh("lantern", v, f, material), None, where)
    light = bpy.data.lights.new("lantern", "POINT")
    light.color, light.energy, light.shadow_soft_size = (1.0, 0.45, 0.13), 9.0 if not floating else 3.0, 0.12
    obj = bpy.data.objects.new("lantern", light)
    obj.location = (where[0], where[1], where[2] + (0.3 if floating else 0))
    bpy.context.scene.collection.objects.link(obj)


def fire(where, stone, size: float) -> None:
    """A bowl on a foot, with flames in it."""
    foot = [(0.34, 0.0), (0.34, 0.10), (0.20, 0.16), (0.15, 0.45), (0.20, 0.66), (0.52, 0.86), (0.56, 0.95), (0.50, 0.95), (0.30, 0.82), (0.001, 0.80)]
    v, f = g.lathe([(r * size, z * size) for r, z in foot], 64)
    g.add(g.mesh("bowl", v, f, stone), None, where)
    tongues, rise = [], []
    t = np.linspace(0, 1, 26)
    for k in range(9):
        a, off = 2.4 * k, 0.0 if k == 0 else 0.24 * math.sqrt(k / 9)
        tall = (1.15, 0.85, 0.95, 0.7, 0.8, 0.6, 0.65, 0.5, 0.45)[k]
        body = 0.20 * np.sin(math.pi * t**0.62) ** 0.8 * (1 - 0.55 * t) * (1.15 if k == 0 else 0.85) + 1e-3
        v, f = g.lathe(list(zip(body, t * tall, strict=True)), 28)
        sway = np.stack([g.fbm(v * (0.3, 0.3, 2.4) + 7 * k, 2, 11), g.fbm(v * (0.3, 0.3, 2.4) + 7 * k, 2, 13)], -1)
        v[:, :2] += sway * (0.20 * (v[:, 2:] / tall) ** 1.2) + [off * math.cos(a), off * math.sin(a)] * (1 - 0.6 * v[:, 2:] / tall)
        v[:, :2] *= (1 + 0.25 * g.noise(v * 5 + 3 * k, 17))[:, None]
        tongues.append((v, f))
        rise.append(v[:, 2] / tall)
    v, f = g.join(tongues)
    data = g.mesh("flames", v, f, m.flame())
    g.attribute(data, "rise", np.concatenate(rise))
    g.add(data, None, (where[0], where[1], where[2] + 0.80 * size), size)
    light = bpy.data.lights.new("fire", "POINT")
    light.color, light.energy, light.shadow_soft_size = (1.0, 0.40, 0.10), 160.0, 0.3
    obj = bpy.data.objects.new("fire", light)
    obj.location = (where[0], where[1], where[2] + 1.35 * size)
    bpy.context.scene.collection.objects.link(obj)


def birds(rng) -> None:
    """A loose skein of birds beside the sun."""
    dark = m.bark("feather", (0.02, 0.02, 0.025), (0.05, 0.05, 0.06))
    wing = np.array([[0, 0.25, 0], [0, -0.25, 0], [0.55, 0.02, 0.22], [0.5, 0.2, 0.22], [1.2, -0.15, 0.08], [-0.55, 0.02, 0.22], [-0.5, 0.2, 0.22], [-1.2, -0.15, 0.08]])
    quads = [np.array([[0, 1, 2, 3], [1, 0, 6, 5]]), np.array([[3, 2, 4], [5, 6, 7]])]
    data = g.mesh("bird", wing, quads, dark, smooth=False)
    for k in range(11):
        side = (k % 2) * 2 - 1
        azimuth, distance = -2 + side * k * 0.55 + rng.normal() * 0.25, 62 + 1.6 * k
        tall = math.tan(math.radians(15.5 + 0.25 * k + rng.normal() * 0.25)) * distance
        g.add(data, "bird", g.place(azimuth, distance, tall), rng.uniform(0.75, 1.0), rng.uniform(30, 60))


def build(seed: int = 7) -> None:
    """Model everything into an empty file."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    rng = np.random.default_rng(seed)
    m.sky()
    land(rng)
    towers(rng)
    buildings(rng)
    vegetation(rng)
    birds(rng)


def render(file: Path, width: int, samples: int, margin: int) -> None:
    """Render the panorama to a linear EXR, ``margin`` columns wider on both sides than the circle.

    The denoiser does not know that the picture is a circle: what it does at the two ends is cut away afterwards.
    """
    scene = bpy.context.scene
    data = bpy.data.cameras.new("eye")
    data.type, data.panorama_type = "PANO", "EQUIRECTANGULAR"
    data.longitude_max = math.pi * (1 + 2 * margin / width)
    data.longitude_min = -data.longitude_max
    data.clip_end = 20000
    camera = bpy.data.objects.new("eye", data)
    camera.rotation_euler = (math.pi / 2, 0, 0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y = width + 2 * margin, width // 2
    scene.render.threads_mode, scene.render.threads = "FIXED", 2
    scene.render.film_transparent = False
    cycles = scene.cycles
    cycles.samples, cycles.use_adaptive_sampling, cycles.adaptive_threshold = samples, True, 0.02
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 4, 2, 2
    cycles.transmission_bounces, cycles.transparent_max_bounces, cycles.volume_bounces = 3, 8, 0
    cycles.sample_clamp_indirect, cycles.sample_clamp_direct = 5.0, 60.0
    cycles.caustics_reflective = cycles.caustics_refractive = False
    settings = scene.render.image_settings
    settings.file_format, settings.color_depth, settings.color_mode = "OPEN_EXR", "16", "RGB"
    scene.render.filepath = str(file)
    bpy.ops.render.render(write_still=True)
