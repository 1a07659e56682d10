"""A palm house: barrel of thin iron ribs without panes, beds of plants, a tiled path, a gardener; broken clouds."""

import numpy as np

from tools.lagoon import geometry as g
from tools.lagoon import plants
from training.testset.kit import GROUND, MOVER, SOLID, VEGETATION, Kit, curve, line


def build(kit: Kit) -> None:
    rng = kit.rng
    kit.sky((0.12, 0.3, 0.75), (0.6, 0.72, 0.85), clouds=0.6, sun=(60, 48, 3.5))
    kit.ground(kit.substance((0.05, 0.1, 0.02), (0.14, 0.22, 0.05), 0.6))
    tiles = kit.substance((0.3, 0.22, 0.17), (0.5, 0.4, 0.3), 2, seams=0.5)
    kit.put(g.box((2.6, 44, 0.06), (0, 0, -1.57)), GROUND, tiles)
    soil = kit.substance((0.03, 0.02, 0.01), (0.1, 0.06, 0.035), 5, bump=0.6)
    for side in (-1, 1):
        kit.put(g.box((4.2, 42, 0.3), (side * 3.7, 0, -1.45)), GROUND, soil)
    brick = kit.substance((0.25, 0.08, 0.05), (0.42, 0.17, 0.1), 3, seams=0.4)
    for x, y, w, d in ((6.1, 0, 0.3, 44), (-6.1, 0, 0.3, 44), (4, 22, 4.2, 0.3), (-4, 22, 4.2, 0.3), (0, -22, 12, 0.3)):
        kit.put(g.box((w, d, 1.0), (x, y, -1.1)), SOLID, brick)
    iron = kit.plain((0.75, 0.78, 0.76), 0.4)
    t = np.linspace(0, np.pi, 28)
    bars = []
    for y in np.linspace(-22, 22, 23):
        arch = np.stack([-6.1 * np.cos(t), np.full_like(t, y), -0.7 + 6.8 * np.sin(t) ** 0.8], -1)
        bars.append(curve(arch, 0.045))
    for angle in t[1:-1:2]:
        z = -0.7 + 6.8 * np.sin(angle) ** 0.8
        bars.append(line((-6.1 * np.cos(angle), -22, z), (-6.1 * np.cos(angle), 22, z), 0.025))
    for y in (-22, 22):
        bars += [line((x, y, -0.7), (x, y, -0.7 + 6.8 * (1 - (x / 6.1) ** 2) ** 0.4), 0.03) for x in range(-5, 6)]
    kit.put(g.join(bars), SOLID, iron)
    frond = kit.leaf((0.02, 0.06, 0.01), (0.14, 0.24, 0.04))
    trunk = kit.substance((0.08, 0.06, 0.04), (0.3, 0.22, 0.15), 9)
    palms = [plants.palm(rng, h, rng.uniform(0.02, 0.2), trunk, frond) for h in (2.4, 3.6, 4.6)]
    bushes = [plants.bush(rng, 1.0, kit.leaf(a, b)) for a, b in (((0.02, 0.07, 0.01), (0.1, 0.25, 0.03)),
              ((0.1, 0.12, 0.01), (0.3, 0.35, 0.06)), ((0.2, 0.02, 0.05), (0.5, 0.08, 0.12)))]  # fmt: skip
    for _ in range(26):
        at = (rng.choice([-1, 1]) * rng.uniform(2.6, 5.2), rng.uniform(-20, 20), -1.3)
        turn = rng.uniform(0, 360)
        for part in palms[rng.integers(3)]:
            kit.put(part, VEGETATION, None, at=at, turn=turn, scale=rng.uniform(0.8, 1.1))
    for _ in range(90):
        at = (rng.choice([-1, 1]) * rng.uniform(1.9, 5.4), rng.uniform(-20, 20), -1.35)
        kit.put(bushes[rng.integers(3)], VEGETATION, None, at=at, scale=rng.uniform(0.3, 0.9), turn=rng.uniform(0, 360))
    clay = kit.substance((0.35, 0.14, 0.07), (0.5, 0.22, 0.12), 4)
    pot = [(0.0, 0), (0.2, 0), (0.3, 0.45), (0.34, 0.45), (0.34, 0.52), (0.27, 0.52), (0.26, 0.4), (0.0, 0.4)]
    for y in np.arange(-18, 19, 4.0):
        for side in (-1, 1):
            at = (side * 1.15, y + rng.normal() * 0.3, -1.54)
            if abs(y) > 1.5:
                kit.smooth(g.lathe(pot, 24), SOLID, clay, at=at)
                kit.put(bushes[rng.integers(3)], VEGETATION, None, at=(at[0], at[1], -1.2), scale=0.35)
    kit.figure((0.5, 4.6, -1.54), walk=(0.0, -0.8))
    barrow = kit.plain((0.1, 0.25, 0.12))
    kit.put(g.box((0.6, 0.9, 0.35), (0, 0, 0.5)), MOVER, barrow, at=(0.5, 3.7, -1.54), drift=(0.0, -0.8, 0.0))
    bark, green = (
        kit.substance((0.05, 0.03, 0.02), (0.16, 0.11, 0.07), 9),
        kit.leaf((0.03, 0.07, 0.01), (0.2, 0.22, 0.03)),
    )
    trees = kit.trees(2, 9, bark, green)
    for a in rng.uniform(0, 2 * np.pi, 30):
        r = rng.uniform(30, 90)
        kit.plant(trees[rng.integers(2)], (r * np.sin(a), r * np.cos(a), -1.6))
