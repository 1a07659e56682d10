# ruff: noqa: RUF005 (sums of arrays, not of lists)
"""An indoor swimming pool: blue water with lane ropes, tiles, timber beams, a wall of windows, lit ceiling panels."""

import numpy as np

from tools.lagoon import geometry as g
from training.testset.kit import FIRE, GROUND, MOVER, SOLID, WATER, Kit, curve, line

FLOOR = -1.6


def build(kit: Kit) -> None:
    rng = kit.rng
    kit.sky((0.3, 0.5, 0.9), (0.85, 0.92, 1.0), clouds=0.5, sun=(75, 30, 5), strength=1.6)
    kit.exposure = 0.2
    tiles = kit.substance((0.6, 0.6, 0.57), (0.72, 0.71, 0.68), 3, 0.25, 0.03, seams=0.4)
    wall = kit.substance((0.55, 0.56, 0.58), (0.66, 0.67, 0.69), 1, bump=0.02)
    blue = kit.substance((0.12, 0.4, 0.5), (0.2, 0.55, 0.65), 3, 0.3, 0.03, seams=0.3)
    x0, x1, y0, y1 = 1.6, 14.0, -14.0, 13.0
    for size, at in (
        ((13.6, 32, 0.2), (-5.2, 0, -1.7)),
        ((3, 32, 0.2), (15.5, 0, -1.7)),
        ((12.4, 3, 0.2), (7.8, 14.5, -1.7)),
        ((12.4, 2, 0.2), (7.8, -15, -1.7)),
    ):
        kit.put(g.box(size, at), GROUND, tiles)
    kit.put(
        g.join(
            [
                g.box((0.1, 27, 2), (x0, -0.5, -2.7)),
                g.box((0.1, 27, 2), (x1, -0.5, -2.7)),
                g.box((12.4, 0.1, 2), (7.8, y0, -2.7)),
                g.box((12.4, 0.1, 2), (7.8, y1, -2.7)),
            ]
        ),
        SOLID,
        blue,
    )
    surface, quads = np.meshgrid(np.linspace(x0, x1, 30), np.linspace(y0, y1, 60)), None
    v = np.stack([surface[0], surface[1], np.full_like(surface[0], -1.8)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(59), np.arange(29), indexing="ij")
    k = i * 30 + j
    quads = np.stack([k, k + 1, k + 31, k + 30], -1).reshape(-1, 4)
    kit.smooth((v, quads), WATER, kit.water((0.03, 0.3, 0.42), 0.2, 2.2), drift=(0.05, 0.0, 0.0))
    for lane in range(1, 5):
        x = x0 + lane * (x1 - x0) / 5
        for k, colour in enumerate(((0.7, 0.05, 0.05), (0.75, 0.75, 0.75))):
            floats = [g.box((0.12, 0.35, 0.12), (x, y, -1.77)) for y in np.arange(y0 + 0.4 * k, y1, 0.8)]
            kit.put(g.join(floats), SOLID, kit.plain(colour))
    kit.put(g.box((0.3, 32, 8), (-12.1, 0, 2.4)), SOLID, wall)
    kit.put(g.join([g.box((29, 0.3, 8), (2.5, y, 2.4)) for y in (-16.1, 16.1)]), SOLID, wall)
    roof = kit.substance((0.5, 0.47, 0.42), (0.6, 0.57, 0.52), 1, bump=0.02)
    kit.put(g.box((29.4, 32.4, 0.3), (2.5, 0, 6.55)), SOLID, roof)
    timber = kit.substance((0.3, 0.17, 0.07), (0.5, 0.3, 0.14), 2, 0.6, 0.05, stretch=(1, 8, 8))
    t = np.linspace(-1, 1, 20)
    for y in np.arange(-14, 15, 4.0):
        kit.put(curve(np.stack([2.5 + 14.5 * t, np.full(20, y), 5.4 + 0.8 * (1 - t**2)], -1), 0.22, 4), SOLID, timber)
        kit.put(g.box((0.35, 0.35, 8), (16.9, y, 2.4)), SOLID, timber)
    frame = kit.plain((0.1, 0.1, 0.11), 0.4)
    grid = [line((17, -16, z), (17, 16, z), 0.05) for z in (-1.4, 1.0, 3.4, 6.2)]
    grid += [line((17, y, -1.6), (17, y, 6.4), 0.04) for y in np.arange(-15, 16, 1.6)]
    kit.put(g.join(grid), SOLID, frame)
    panel = kit.glow((1.0, 0.97, 0.9), 4)
    for x in (-8, -3, 2, 8, 13):
        for y in np.arange(-12, 13, 4.0):
            kit.put(g.box((1.5, 0.5, 0.06), (x, y, 6.35)), FIRE, panel, light=True)
    steel, white = kit.plain((0.6, 0.62, 0.65), 0.25), kit.plain((0.75, 0.75, 0.74))
    for lane in range(5):
        x = x0 + (lane + 0.5) * (x1 - x0) / 5
        kit.put(
            g.join([g.box((0.6, 0.7, 0.08), (x, 13.6, -0.95)), g.box((0.4, 0.4, 0.6), (x, 13.7, -1.3))]), SOLID, white
        )
    for y in (-9.0, 8.0):
        bend = [(1.2, y, -1.6), (1.2, y, -0.7), (1.5, y, -0.5), (1.8, y, -0.8), (1.8, y, -2.0)]
        kit.put(g.join([curve(np.array(bend) + [0, d, 0], 0.025) for d in (0, 0.5)]), SOLID, steel)
    tower = [g.box((1.0, 1.0, 3.0), (8, -15.2, -0.1)), g.box((0.6, 4.5, 0.1), (8, -13.6, 1.5))]
    tower += [line((8 + s, -15.4, 1.6), (8 + s, -12.8, 2.4), 0.03) for s in (-0.35, 0.35)]
    kit.put(g.join(tower), SOLID, white)
    bench = kit.substance((0.35, 0.2, 0.1), (0.5, 0.32, 0.18), 2, stretch=(8, 1, 8))
    for y in (-11, -7, -3, 3.5, 7.5):
        kit.put(
            g.join(
                [
                    g.box((0.5, 2.4, 0.07), (-11.2, y, -1.15)),
                    *[g.box((0.4, 0.1, 0.45), (-11.2, y + d, -1.38)) for d in (-1, 1)],
                ]
            ),
            SOLID,
            bench,
        )
        kit.put(g.box((0.5, 1.8, 2.0), (-11.7, y + 1.9, -0.6)), SOLID, kit.plain(tuple(rng.uniform(0.1, 0.6, 3))))
    ball = g.sphere(10, 14)
    kit.smooth(
        (ball[0] * 0.28, ball[1]), MOVER, kit.plain((0.8, 0.3, 0.03)), at=(4.2, 5.0, -1.6), drift=(0.3, 0.1, 0.0)
    )
    for x, y, w in (
        (-2.2, 4.0, (0.8, 0.2)),
        (-4.0, -3.4, (-0.6, 0.5)),
        (0.6, 9.5, (0.0, -0.9)),
        (-7.5, 1.5, (0.4, 0.0)),
        (10.5, 14.4, (0.3, 0.0)),
    ):
        kit.figure((x, y, FLOOR), walk=w)
    for x, y in ((5.0, -4.0), (9.3, 2.4), (12.2, -7.0), (3.0, 1.0)):
        v, f = g.sphere(9, 12)
        skin = kit.plain((0.45, 0.28, 0.2))
        swim = (0.0, float(rng.choice([-1, 1])) * 1.2, 0.0)
        kit.smooth((v * [0.12, 0.14, 0.16], f), MOVER, skin, at=(x, y, -1.68), drift=swim)
        kit.smooth((v * [0.22, 0.6, 0.12], f), MOVER, skin, at=(x, y - 0.6 * np.sign(swim[1]), -1.8), drift=swim)
    for y in (-10, 0, 10):
        kit.lamp((-4, y, 5.8), 250, (1, 0.96, 0.9), 1.0)
        kit.lamp((9, y, 5.8), 250, (1, 0.96, 0.9), 1.0)
    grass = kit.substance((0.06, 0.12, 0.03), (0.16, 0.25, 0.06), 1)
    kit.put(g.box((200, 200, 0.1), (118, 0, -1.75)), GROUND, grass)
    bark, green = (
        kit.substance((0.05, 0.03, 0.02), (0.16, 0.11, 0.07), 9),
        kit.leaf((0.03, 0.07, 0.01), (0.2, 0.22, 0.03)),
    )
    trees = kit.trees(2, 8, bark, green)
    for _ in range(18):
        kit.plant(trees[rng.integers(2)], (rng.uniform(28, 70), rng.uniform(-50, 50), -1.7))
