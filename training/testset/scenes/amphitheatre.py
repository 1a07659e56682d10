"""An ancient theatre: rings of stone steps full of spectators, a stage with columns, cypresses and hills; low sun."""

import numpy as np

from tools.lagoon import geometry as g
from training.testset.kit import GROUND, SOLID, VEGETATION, Kit


def build(kit: Kit) -> None:
    rng = kit.rng
    kit.sky(
        (0.16, 0.3, 0.62),
        (0.9, 0.68, 0.48),
        clouds=0.3,
        cloud=(1.0, 0.8, 0.66),
        sun=(-110, 14, 4),
        sun_colour=(1, 0.75, 0.5),
    )
    kit.exposure = 0.17

    def hills(x, y):
        r, a = np.hypot(x, y), np.arctan2(x, y)
        return g.smoothstep(60, 420, r) * (40 + 35 * np.sin(3 * a + 1) + 25 * np.sin(7 * a)) - 3 * g.smoothstep(
            20, 60, r
        )

    kit.ground(kit.substance((0.2, 0.16, 0.08), (0.4, 0.33, 0.2), 0.8), relief=hills)
    stone = kit.substance((0.42, 0.36, 0.28), (0.68, 0.6, 0.5), 1.2, seams=1.1)
    angles = np.linspace(np.radians(-115), np.radians(115), 90)
    profile, r, z = [], 9.0, -1.6
    for _ in range(20):
        profile += [(r, z), (r, z + 0.42)]
        z, r = z + 0.42, r + 0.8
    profile += [(r, z), (r + 1.0, z), (r + 1.0, -4)]
    p = np.array(profile)
    v = np.stack(
        np.broadcast_arrays(p[:, :1] * np.sin(angles + np.pi), p[:, :1] * np.cos(angles + np.pi), p[:, 1:]), -1
    )
    i, j = np.meshgrid(np.arange(len(p) - 1), np.arange(len(angles) - 1), indexing="ij")
    k = i * len(angles) + j
    quads = np.stack([k, k + 1, k + len(angles) + 1, k + len(angles)], -1).reshape(-1, 4)
    kit.put((v.reshape(-1, 3), quads), SOLID, stone)
    for _ in range(190):
        a, row = rng.uniform(np.radians(-108), np.radians(108)) + np.pi, rng.integers(0, 16)
        radius = 9.35 + 0.8 * row
        kit.figure((radius * np.sin(a), radius * np.cos(a), -1.6 + 0.42 * (row + 1)), seated=rng.random() < 0.85)
    kit.put(g.box((22, 5, 1.1), (0, 11.5, -1.05)), SOLID, stone)
    column = [(0.5, 0), (0.5, 0.2), (0.36, 0.3), (0.32, 4.6), (0.45, 4.8), (0.45, 5)]
    for n, x in enumerate(np.linspace(-10, 10, 11)):
        tall = 1.0 if n not in (3, 8) else 0.45
        kit.smooth(g.lathe([(q, h * tall) for q, h in column], 20), SOLID, stone, at=(x, 12.8, -0.5))
    kit.put(g.box((13, 0.9, 0.7), (-4, 12.8, 4.85)), SOLID, stone)
    wall = [
        g.box((w, 0.8, h), (x, 14.6, h / 2 - 0.6)) for x, w, h in ((-9, 4, 7), (-3, 4, 6), (4, 5, 3), (9.5, 3, 5.5))
    ]
    kit.put(g.join(wall), SOLID, stone)
    for x, y in ((-2.5, 10.5), (-1.2, 11.0), (1.8, 10.7), (3.0, 11.6)):
        kit.figure((x, y, -0.5), walk=(0.6, 0.0))
    for x, y in ((2.2, 3.0), (-3.1, 4.1)):
        kit.figure((x, y, -1.6), walk=(-0.7, 0.2))
    cypress = kit.leaf((0.012, 0.03, 0.008), (0.05, 0.08, 0.02))
    count = 9000
    h = rng.random(count)
    width = 0.9 * np.sin(np.pi * (0.06 + 0.9 * h)) ** 0.7 * rng.uniform(0.7, 1, count)
    a = rng.uniform(0, 2 * np.pi, count)
    from tools.lagoon import plants

    leaves = plants.leaves(rng, np.stack([width * np.cos(a), width * np.sin(a), 9 * h], -1), 0.3, -0.5)
    tree = g.mesh("cypress", *leaves, cypress, smooth=False)
    for _ in range(46):
        a, r = rng.uniform(-1.4, 1.4), rng.uniform(19, 70)
        at = (r * np.sin(a), r * np.cos(a), -2.4 - 2.4 * float(g.smoothstep(20, 60, np.array(r))))
        kit.put(tree, VEGETATION, None, at=at, scale=rng.uniform(0.6, 1.3), turn=rng.uniform(0, 360))
    rubble = kit.substance((0.4, 0.35, 0.27), (0.6, 0.52, 0.42), 3)
    for _ in range(40):
        a, r = rng.uniform(-1.2, 1.2), rng.uniform(5.5, 18)
        block = g.box(tuple(rng.uniform(0.3, 0.9, 3)))
        kit.put(
            block, SOLID if r > 8 else GROUND, rubble, at=(r * np.sin(a), r * np.cos(a), -1.5), turn=rng.uniform(0, 360)
        )
