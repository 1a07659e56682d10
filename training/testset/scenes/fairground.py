# ruff: noqa: RUF005 (sums of arrays, not of lists)
"""A fairground at night: a wheel with bulbs, a carousel, striped booths, strings of lights, people on trodden grass."""

from itertools import pairwise

import numpy as np

from tools.lagoon import geometry as g
from training.testset.kit import FIRE, MOVER, SOLID, Kit, curve, line


def bulbs(kit: Kit, points, radius: float, glow, drift=(0.0, 0.0, 0.0)) -> None:
    """Small lamps at points [N, 3]."""
    v, f = g.sphere(5, 8)
    kit.put(g.join([(v * radius + p, f) for p in points]), FIRE, glow, light=True, drift=drift)


def build(kit: Kit) -> None:
    rng = kit.rng
    kit.sky((0.004, 0.006, 0.02), (0.03, 0.02, 0.035), clouds=0.4, cloud=(0.03, 0.022, 0.03), sun=(0, 40, 0.0))
    kit.exposure = 0.07
    kit.ground(kit.substance((0.06, 0.055, 0.03), (0.16, 0.13, 0.07), 1.2))
    warm, red, blue, green = (kit.glow(c, 7) for c in ((1, 0.65, 0.25), (1, 0.08, 0.05), (0.1, 0.3, 1), (0.15, 1, 0.3)))
    steel, white, crimson = (
        kit.plain((0.5, 0.5, 0.55), 0.4),
        kit.plain((0.75, 0.72, 0.66)),
        kit.plain((0.45, 0.03, 0.03)),
    )
    wheel, hub = 13.0, np.array([9.0, 24.0, 13.2])
    t = np.linspace(0, 2 * np.pi, 65)
    bars = []
    for d in (-1.2, 1.2):
        bars.append(curve(hub + np.stack([wheel * np.cos(t), np.full_like(t, d), wheel * np.sin(t)], -1), 0.12))
        bars += [line(hub + [0, d, 0], hub + [wheel * np.cos(a), d, wheel * np.sin(a)], 0.05) for a in t[::4]]
        bars += [line(hub + [0, d * 1.6, 0], (hub[0] + x, hub[1] + d * 2.5, -1.6), 0.25) for x in (-6, 6)]
    kit.put(g.join(bars), SOLID, steel)
    for k, a in enumerate(t[:-1:4]):
        at = hub + [wheel * np.cos(a), 0, wheel * np.sin(a) - 1.0]
        speed = 0.05 * wheel * np.array([-np.sin(a), 0.0, np.cos(a)])
        cabin = g.lathe([(0.05, 1.2), (0.9, 0.8), (0.95, -0.6), (0.05, -0.8)], 12)
        kit.smooth(cabin, MOVER, (crimson, white)[k % 2], at=at, drift=tuple(np.round(speed, 3)))
    for d, glow in ((-1.3, warm), (1.3, red)):
        bulbs(kit, hub + np.stack([wheel * np.cos(t), np.full_like(t, d), wheel * np.sin(t)], -1)[:-1], 0.16, glow)
    for r, glow in ((5.0, blue), (9.0, green)):
        bulbs(kit, hub + np.stack([r * np.cos(t), np.full_like(t, -1.3), r * np.sin(t)], -1)[:-1:2], 0.13, glow)
    centre = np.array([-10.0, 6.0, -1.6])
    for r, z, material in ((4.2, 0.25, white), (0.8, 3.2, crimson)):
        kit.smooth(g.lathe([(0.02, 0), (r, 0), (r, z), (0.02, z)], 40), SOLID, material, at=centre)
    roof = g.lathe([(4.6, 3.1), (4.6, 3.5), (2.0, 4.6), (0.05, 5.8)], 16)
    kit.put(roof, SOLID, crimson, at=centre)
    for k, a in enumerate(np.linspace(0, 2 * np.pi, 12, endpoint=False)):
        p = centre + [3.4 * np.cos(a), 3.4 * np.sin(a), 0.0]
        drift = tuple(np.round(0.4 * 3.4 * np.array([-np.sin(a), np.cos(a), 0]), 3))
        kit.put(line(p + [0, 0, 0.2], p + [0, 0, 3.2], 0.03), SOLID, steel)
        v, f = g.sphere(9, 12)
        kit.smooth((v * [0.25, 0.6, 0.3] + [0, 0, 1.2], f), MOVER, (white, steel)[k % 2], at=p, drift=drift)
        kit.smooth((v * [0.14, 0.18, 0.4] + [0, 0.55, 1.65], f), MOVER, (white, steel)[k % 2], at=p, drift=drift)
    ring = np.stack([4.65 * np.cos(t), 4.65 * np.sin(t), np.full_like(t, 3.3)], -1)[:-1] + centre
    bulbs(kit, ring, 0.08, warm)
    kit.lamp(centre + [0, 0, 2.8], 500)
    cloth = [kit.plain(tuple(c)) for c in ((0.6, 0.05, 0.05), (0.7, 0.68, 0.6), (0.05, 0.12, 0.5), (0.65, 0.5, 0.05))]
    spots = (
        (6.5, -3.0, 70),
        (6.8, 2.6, 95),
        (-4.5, -7.5, 200),
        (0.5, -8.5, 180),
        (5.2, -8.0, 150),
        (-9.0, -5.0, 240),
        (14.0, 8.0, 70),
        (14.5, -5.0, 100),
        (-4.0, 17.0, 350),
        (-20.0, 10.0, 290),
        (-3.0, -22.0, 190),
        (12.0, -20.0, 150),
    )
    for x, y, turn in spots:
        at = (x, y, -1.6)
        kit.put(
            g.join(
                [
                    g.box((3.2, 0.1, 2.4), (0, 1.0, 1.2)),
                    g.box((3.2, 0.5, 1.0), (0, -0.8, 0.5)),
                    *[line((a, -1, 0), (a, -1, 2.4), 0.04) for a in (-1.6, 1.6)],
                ]
            ),
            SOLID,
            white,
            at=at,
            turn=turn,
        )
        pair = [cloth[rng.integers(4)], cloth[1]]
        for k in range(8):
            strip = g.box((0.42, 2.6, 0.05), (-1.47 + 0.42 * k, -0.1, 2.5))
            kit.put(
                (strip[0] - [0, 0, 0.0] + np.outer(strip[0][:, 1] + 1, [0, 0, 0.15]), strip[1]),
                SOLID,
                pair[k % 2],
                at=at,
                turn=turn,
            )
        kit.put(
            g.box((2.4, 0.05, 0.3), (0, 0.9, 1.9)),
            FIRE,
            (warm, red, blue, green)[rng.integers(4)],
            at=at,
            turn=turn,
            light=True,
        )
        a = np.radians(turn)
        kit.lamp((x + 0.3 * np.sin(a), y + 0.3 * np.cos(a), 0.5), 90)
    posts = [(3.6, 7.0), (-3.2, 9.0), (-4.8, -3.2), (3.4, -5.4), (4.8, 0.5), (3.6, 7.0)]
    for (x0, y0), (x1, y1) in pairwise(posts):
        s = np.linspace(0, 1, 24)[:, None]
        wire = np.array([x0, y0, 2.6]) * (1 - s) + np.array([x1, y1, 2.6]) * s - np.array([0, 0, 3.0]) * s * (1 - s)
        kit.put(curve(wire, 0.012), SOLID, steel)
        kit.put(line((x0, y0, -1.6), (x0, y0, 2.6), 0.05), SOLID, steel)
        bulbs(kit, wire[1:-1:2] - [0, 0, 0.06], 0.05, warm)
    for _ in range(75):
        a, r = rng.uniform(0, 2 * np.pi), 1.9 * (30 / 1.9) ** rng.random()
        kit.figure((r * np.sin(a), r * np.cos(a), -1.6), walk=tuple(np.round(rng.normal(size=2) * 0.7, 2)))
    barrier = [line((-2.5 + 0.25 * k, 3.6, -1.6), (-2.5 + 0.25 * k, 3.6, -0.6), 0.012) for k in range(20)]
    kit.put(g.join([*barrier, line((-2.5, 3.6, -0.6), (2.3, 3.6, -0.6), 0.025)]), SOLID, steel)
