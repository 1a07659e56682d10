"""What people left at the lagoon: a pier, a boat, lanterns, a ruin and fires."""

import math

import bpy
import numpy as np

from . import geometry as g
from . import materials as m
from .land import WATER, height, place

RUIN = g.place(-141, 10.5)
FIRE = (63, 4.7)  # azimuth, distance


def add_all(rng) -> None:
    """A pier with lanterns, a boat, a ruined round temple and a bowl of fire."""
    board = m.planks()
    lantern = m.glow("lantern", (1.0, 0.42, 0.10), 9.0)
    parts, tone = [], []
    start, length = 3.9, 13.5
    for k in range(int(length / 0.16)):
        parts.append(
            g.box(
                (1.5 + rng.normal() * 0.025, 0.145, 0.045),
                (rng.normal() * 0.012, start + 0.16 * k, -1.5 + rng.normal() * 0.004),
            )
        )
    tone += list(np.repeat(rng.random(len(parts)), 8))
    beams = [g.box((0.10, length, 0.14), (x, start + length / 2, -1.6)) for x in (-0.62, 0.62)]
    posts = []
    for k in range(7):
        for side in (-1, 1):
            y, top = start + 0.6 + 2.05 * k, -1.15 if (k + (side > 0)) % 3 else 0.35
            path = np.array([[side * 0.78 + rng.normal() * 0.02, y, -4.2], [side * 0.78, y, top]])
            posts.append(g.tube(path, np.array([0.09, 0.075]), 12))
            posts.append(
                (
                    np.array([[0, 0, 0.0]] * 4)
                    + path[1]
                    + [[-0.053, -0.053, 0], [0.053, -0.053, 0], [0.053, 0.053, 0], [-0.053, 0.053, 0]],
                    np.array([[0, 1, 2, 3]]),
                )
            )
            if top > 0:
                arm = path[1] + [-side * 0.02, 0, -0.06]
                posts.append(g.tube(np.array([arm, np.add(arm, [-side * 0.32, 0, 0.03])]), np.array([0.02, 0.016]), 8))
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
    hull = np.stack(
        [(s - 0.5) * 3.7, beam * np.sign(t) * np.abs(t) ** 0.8, sheer - keel * (1 - np.abs(t) ** 2.6) - 0.14], -1
    ).reshape(-1, 3)
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
        ring = np.stack(
            [
                np.cos(np.linspace(0, 2 * math.pi, 160, endpoint=False)),
                np.sin(np.linspace(0, 2 * math.pi, 160, endpoint=False)),
            ],
            -1,
        )
        v = np.concatenate(
            [np.column_stack([ring * (flutes * (0.24 - 0.035 * h))[:, None], np.full(160, h * tall)]) for h in levels]
        )
        if tall < 3:
            v[-160:, 2] += 0.22 * g.noise(v[-160:] * 4 + k, 3)
        i, j = np.meshgrid(np.arange(29), np.arange(160), indexing="ij")
        quads = np.stack([i * 160 + j, i * 160 + (j + 1) % 160, (i + 1) * 160 + (j + 1) % 160, (i + 1) * 160 + j], -1)
        pieces = [
            (v, quads.reshape(-1, 4)),
            g.box((0.64, 0.64, 0.12), (0, 0, 0.02)),
            g.lathe([(0.001, tall - 0.02), (0.20, tall - 0.05)], 32),
        ]
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
        quads = np.stack([i * 4 + j, i * 4 + (j + 1) % 4, (i + 1) * 4 + (j + 1) % 4, (i + 1) * 4 + j], -1).reshape(
            -1, 4
        )
        ends = np.array([[3, 2, 1, 0], [156, 157, 158, 159]])
        g.add(
            g.mesh("lintel", v, np.concatenate([quads, ends]), marble, smooth=False),
            None,
            (RUIN[0], RUIN[1], ground_z + 3.95),
        )
    fire((RUIN[0], RUIN[1], ground_z + 0.4), marble, 1.0)
    fire(place(*FIRE), m.stone("bowl stone", (0.06, 0.05, 0.045), (0.20, 0.17, 0.14), 3.0), 0.9)

    for azimuth, distance in (
        (-14, 9),
        (-8, 13),
        (-27, 16),
        (1, 17),
        (-33, 10),
        (-20, 24),
        (15, 22),
        (-3, 30),
        (-38, 20),
        (-12, 36),
    ):
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
    foot = [
        (0.34, 0.0),
        (0.34, 0.10),
        (0.20, 0.16),
        (0.15, 0.45),
        (0.20, 0.66),
        (0.52, 0.86),
        (0.56, 0.95),
        (0.50, 0.95),
        (0.30, 0.82),
        (0.001, 0.80),
    ]
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
        v[:, :2] += sway * (0.20 * (v[:, 2:] / tall) ** 1.2) + [off * math.cos(a), off * math.sin(a)] * (
            1 - 0.6 * v[:, 2:] / tall
        )
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
