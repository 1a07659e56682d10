"""On the walkway of a suspension bridge high above a river: towers, cables, hangers, a railing, cars; fair weather."""

import numpy as np

from tools.lagoon import geometry as g
from training.testset.kit import GROUND, MOVER, SOLID, WATER, Kit, curve, line

DECK, RIVER = -1.6, -48.0


def build(kit: Kit) -> None:
    rng = kit.rng
    kit.sky((0.1, 0.28, 0.7), (0.62, 0.74, 0.88), clouds=0.45, sun=(130, 40, 4), wind=(0.03, -0.01))

    def land(x, y):
        bank = g.smoothstep(150, 260, np.abs(y + 20 * np.sin(x / 130)))
        return bank * (62 + 40 * np.sin(x / 170) * np.cos(y / 210)) - 4

    meadow = kit.substance((0.04, 0.08, 0.02), (0.16, 0.2, 0.06), 0.03)
    kit.ground(meadow, z=RIVER, far=2500, relief=land)
    xy, quads = g.polar_grid(np.array([0.01, 60, 200, 600, 2500.0]), 60)
    river = np.concatenate([xy, np.full((len(xy), 1), RIVER)], 1)
    kit.smooth((river, quads), WATER, kit.water((0.03, 0.08, 0.08), 0.25, 0.15), drift=(1.2, 0.0, 0.0))
    asphalt, walk = (
        kit.substance((0.05, 0.05, 0.05), (0.1, 0.1, 0.1), 3),
        kit.substance((0.3, 0.29, 0.27), (0.42, 0.4, 0.38), 3),
    )
    kit.put(g.box((9, 640, 0.5), (7.0, 0, DECK - 0.35)), GROUND, asphalt)
    kit.put(g.box((3.2, 640, 0.6), (0.6, 0, DECK - 0.3)), GROUND, walk)
    for x in (6.9, 7.1):
        kit.put(g.box((0.1, 640, 0.004), (x, 0, DECK - 0.097)), GROUND, kit.plain((0.8, 0.7, 0.2)))
    red = kit.substance((0.35, 0.05, 0.03), (0.5, 0.09, 0.05), 2, 0.5, 0.05)
    bars = [g.box((0.4, 640, 1.6), (x, 0, DECK - 1.0)) for x in (-1.1, 11.8)]
    for x in (-0.9, 2.0, 11.5):
        for z in (0.45, 0.8, 1.1):
            bars.append(line((x, -320, DECK + z), (x, 320, DECK + z), 0.03))
        bars += [line((x, y, DECK), (x, y, DECK + 1.1), 0.025) for y in np.arange(-60, 60, 0.5 if x < 0 else 2.0)]
    for y in (-110.0, 130.0):
        for x in (-2.2, 12.8):
            bars += [g.box((2.2, 3.0, 110), (x, y, 5.0))]
        bars += [g.box((15, 2.2, 3.0), (5.3, y, z)) for z in (12, 32, 56)]
    s = np.linspace(-1, 1, 120)
    for x in (-1.4, 12.0):
        bars.append(curve(np.stack([np.full(120, x), 10 + 120 * s, 3.5 + 52 * s**2], -1), 0.22, 8))
        for side, y in ((-1, -110.0), (1, 130.0)):
            bars.append(line((x, y, 55.5), (x, y + side * 170, DECK), 0.22, 8))
        for y in np.arange(-104, 126, 6.0):
            bars.append(line((x, y, DECK), (x, y, 3.5 + 52 * ((y - 10) / 120) ** 2), 0.035))
    kit.put(g.join(bars), SOLID, red)
    tyre, glass = kit.plain((0.015, 0.015, 0.015)), kit.plain((0.02, 0.03, 0.04), 0.1)
    for lane, speed in ((4.6, 14.0), (9.4, -14.0)):
        for y in (-70, -31, -9, 16, 47, 95):
            paint = kit.plain(tuple(rng.uniform(0.03, 0.7, 3)), 0.25)
            at, drift = (lane, y + rng.uniform(-6, 6), DECK - 0.1), (0.0, speed, 0.0)
            body = g.lathe([(0.02, 0.35), (0.85, 0.35), (1.0, 0.6), (0.92, 0.85), (0.6, 0.95), (0.02, 0.98)], 20)
            kit.smooth((body[0] * [0.9, 2.2, 1], body[1]), MOVER, paint, at=at, drift=drift)
            cabin = g.lathe([(0.9, 0.9), (0.72, 1.4), (0.02, 1.48)], 16)
            kit.smooth((cabin[0] * [0.85, 1.3, 1], cabin[1]), MOVER, glass, at=at, drift=drift)
            for x in (-0.75, 0.75):
                for e in (-1.3, 1.3):
                    v, f = g.lathe([(0.0, -0.1), (0.33, -0.1), (0.33, 0.1), (0.0, 0.1)], 16)
                    kit.put((v[:, [2, 0, 1]] + [x, e, 0.33], f), MOVER, tyre, at=at, drift=drift)
    for y in (-12.0, 6.5, 7.2, 20.0, 33.0):
        kit.figure((rng.uniform(0.2, 1.4), y, DECK), walk=(0.0, 1.1 if y > 0 else -1.1))
    grey = kit.plain((0.3, 0.3, 0.32))
    for y in np.arange(-96, 100, 32.0):
        post = [line((2.1, y, DECK), (2.1, y, 6.5), 0.08), curve([(2.1, y, 6.5), (3.2, y, 7.1), (4.4, y, 7.0)], 0.06)]
        kit.put(g.join(post), SOLID, grey)
    bark, green = (
        kit.substance((0.05, 0.03, 0.02), (0.16, 0.11, 0.07), 9),
        kit.leaf((0.02, 0.05, 0.01), (0.12, 0.17, 0.03)),
    )
    trees = kit.trees(2, 12, bark, green)
    for _ in range(240):
        x, side = rng.uniform(-300, 300), rng.choice([-1, 1])
        y = side * rng.uniform(215, 420)
        z = RIVER + float(land(np.array(x), np.array(y)))
        if abs(x - 5) > 14:
            kit.plant(trees[rng.integers(2)], (x, y, z - 0.5), rng.uniform(0.8, 1.6))
    plaster, roof = kit.substance((0.55, 0.5, 0.42), (0.75, 0.7, 0.6), 1), kit.plain((0.3, 0.1, 0.06))
    for _ in range(30):
        x, y = rng.uniform(-250, 250), rng.choice([-1, 1]) * rng.uniform(220, 330)
        z = RIVER + float(land(np.array(x), np.array(y)))
        w, h = rng.uniform(8, 16), rng.uniform(6, 14)
        if abs(x - 5) > 22:
            kit.put(g.box((w, w, h), (0, 0, h / 2 - 1)), SOLID, plaster, at=(x, y, z), turn=rng.uniform(0, 90))
            kit.put(g.lathe([(w * 0.75, 0), (0.05, 4)], 4), SOLID, roof, at=(x, y, z + h - 1), turn=45)
