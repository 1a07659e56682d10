"""A reading room: barrel ceiling, walls of books behind a gallery, desks with green lamps, tall bright windows."""

import numpy as np

from tools.lagoon import geometry as g
from training.testset.kit import FIRE, GROUND, SOLID, Kit, curve, line

FLOOR, HALF_WIDTH, HALF_LENGTH = -1.6, 5.5, 12.0


def shelves(kit: Kit, at, width: float, height: float, turn: float, wood, spines: list) -> None:
    """A bookcase full of books, its back at ``at``."""
    parts = [g.box((width, 0.04, height), (0, 0.3, height / 2))]
    rows = int(height / 0.36)
    parts += [g.box((width, 0.32, 0.03), (0, 0.15, 0.36 * i + 0.1)) for i in range(rows)]
    parts += [g.box((0.05, 0.34, height), (x, 0.15, height / 2)) for x in np.linspace(-width / 2, width / 2, 4)]
    kit.put(g.join(parts), SOLID, wood, at=at, turn=turn)
    books: list[list] = [[] for _ in spines]
    for i in range(rows - 1):
        x = -width / 2 + 0.05
        while x < width / 2 - 0.1:
            w, h = kit.rng.uniform(0.025, 0.07), kit.rng.uniform(0.2, 0.31)
            if kit.rng.random() < 0.93:
                books[kit.rng.integers(len(spines))].append(
                    g.box((w * 0.95, 0.22, h), (x + w / 2, 0.12, 0.36 * i + 0.12 + h / 2))
                )
            x += w
    for group, spine in zip(books, spines, strict=True):
        kit.put(g.join(group), SOLID, spine, at=at, turn=turn)


def build(kit: Kit) -> None:
    rng = kit.rng
    kit.sky((0.9, 0.95, 1.0), (1.0, 1.0, 1.0), clouds=0, sun=(12, 38, 8), strength=3.0)
    kit.exposure = 0.14
    plaster, wood = (
        kit.substance((0.5, 0.44, 0.34), (0.62, 0.56, 0.46), 1, bump=0.03),
        kit.substance((0.06, 0.03, 0.015), (0.18, 0.09, 0.04), 2, 0.4, 0.05, stretch=(1, 1, 8)),
    )
    floor = kit.substance((0.16, 0.08, 0.04), (0.3, 0.17, 0.08), 1.5, 0.3, 0.03, stretch=(6, 1, 1), seams=0.9)
    kit.put(g.box((11, 24, 0.1), (0, 0, FLOOR - 0.05)), GROUND, floor)
    for s in (-1, 1):
        kit.put(g.box((0.3, 24, 6.2), (s * (HALF_WIDTH + 0.15), 0, 1.5)), SOLID, plaster)
    t = np.linspace(0, np.pi, 40)
    arch = np.stack([-HALF_WIDTH * np.cos(t), 4.2 + 2.6 * np.sin(t)], -1)
    v = np.concatenate([np.stack([arch[:, 0], np.full(40, y), arch[:, 1]], -1) for y in (-12.0, 12.0)])
    i = np.arange(39)
    kit.smooth((v, np.stack([i, i + 1, i + 41, i + 40], -1)), SOLID, plaster)
    beams = [curve(np.stack([arch[:, 0], np.full(40, y), arch[:, 1] - 0.1], -1), 0.14) for y in range(-12, 13, 3)]
    kit.put(g.join(beams), SOLID, wood)
    for y, s in ((12.1, 1), (-12.1, -1)):
        holes = (-3.4, 0.0, 3.4) if s > 0 else ()
        parts, x = [], -5.6
        for c in holes:
            parts.append(g.box((c - 0.9 - x, 0.3, 9), ((c - 0.9 + x) / 2, y, 2.6)))
            parts += [g.box((1.8, 0.3, 1.2), (c, y, FLOOR + 0.6)), g.box((1.8, 0.3, 3), (c, y, 5.6))]
            parts += [g.box((0.05, 0.08, 5), (c + d, y, 1.6)) for d in (-0.45, 0, 0.45)]
            parts += [g.box((1.8, 0.08, 0.05), (c, y, z)) for z in (0.4, 1.4, 2.4, 3.4)]
            x = c + 0.9
        parts.append(g.box((5.6 - x, 0.3, 9), ((5.6 + x) / 2, y, 2.6)))
        kit.put(g.join(parts), SOLID, plaster)
    spines = [kit.plain(tuple(c), 0.6) for c in rng.uniform(0.03, 0.4, (7, 3)) * [1, 0.6, 0.45]]
    for s in (-1, 1):
        for y in np.arange(-10.5, 11, 3.0):
            for z, h in ((FLOOR, 2.7), (1.35, 2.6)):
                shelves(kit, (s * (HALF_WIDTH - 0.32), y, z), 2.7, h, 90 * s, wood, spines)
        kit.put(g.box((1.1, 24, 0.14), (s * (HALF_WIDTH - 0.5), 0, 1.25)), SOLID, wood)
        rail = [line((s * 4.45, y, 1.3), (s * 4.45, y, 2.25), 0.018) for y in np.arange(-12, 12, 0.25)]
        rail += [line((s * 4.45, -12, z), (s * 4.45, 12, z), 0.03) for z in (1.45, 2.25)]
        kit.put(g.join(rail), SOLID, kit.plain((0.05, 0.05, 0.05), 0.3))
    brass, green = kit.plain((0.5, 0.35, 0.1), 0.3), kit.plain((0.02, 0.25, 0.08), 0.2)
    bulb = kit.glow((1.0, 0.75, 0.4), 6)
    shade = [(0.05, 0.42), (0.12, 0.4), (0.17, 0.33)]
    for side in (-1, 1):
        for y in (-8.5, -5.0, 2.4, 5.6, 8.8):
            x = side * 2.2
            top = g.box((2.0, 1.1, 0.06), (x, y, FLOOR + 0.76))
            legs = [g.box((0.08, 0.08, 0.75), (x + a, y + b, FLOOR + 0.37)) for a in (-0.9, 0.9) for b in (-0.45, 0.45)]
            kit.put(g.join([top, *legs]), SOLID, wood)
            for a in (-0.5, 0.5):
                at = (x + a, y, FLOOR + 0.79)
                kit.smooth(g.lathe([(0.1, 0), (0.02, 0.03), (0.015, 0.38)], 14), SOLID, brass, at=at)
                kit.smooth(g.lathe(shade, 20), SOLID, green, at=at)
                v, f = g.sphere(8, 10)
                kit.smooth((v * 0.05 + [0, 0, 0.31], f), FIRE, bulb, at=at, light=True)
                kit.lamp((at[0], at[1], at[2] + 0.2), 6)
                if rng.random() < 0.7:
                    book = g.box((0.3, 0.22, 0.03), (0.1, rng.uniform(-0.3, 0.3), 0.02))
                    kit.put(book, SOLID, spines[rng.integers(7)], at=at, turn=rng.uniform(-30, 30))
            for b in (-0.95, 0.95):
                chair = [g.box((0.45, 0.45, 0.05), (x + 0.3, y + b, FLOOR + 0.45)),
                         g.box((0.45, 0.05, 0.5), (x + 0.3, y + b * 1.24, FLOOR + 0.75))]  # fmt: skip
                chair += [
                    line((x + 0.3 + p, y + b + q, FLOOR), (x + 0.3 + p, y + b + q, FLOOR + 0.45), 0.02)
                    for p in (-0.2, 0.2)
                    for q in (-0.2, 0.2)
                ]
                kit.put(g.join(chair), SOLID, wood)
                if rng.random() < 0.35:
                    kit.figure((x + 0.3, y + b, FLOOR + 0.1), seated=True)
    kit.figure((0.3, 7.0, FLOOR), walk=(0.0, -0.9))
    kit.figure((-0.4, -5.0, FLOOR), walk=(0.0, 0.9))
    globe = kit.glow((1.0, 0.8, 0.5), 3)
    for y in (-8, -2.5, 3, 8.5):
        v, f = g.sphere(12, 16)
        kit.smooth((v * 0.28, f), FIRE, globe, at=(0, y, 3.6), light=True)
        kit.put(line((0, y, 3.9), (0, y, 6.7), 0.015), SOLID, brass)
        kit.lamp((0, y, 3.2), 60)
