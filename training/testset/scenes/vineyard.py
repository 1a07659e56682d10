# ruff: noqa: RUF005 (sums of arrays, not of lists)
"""A vineyard at sunset: rows of vines on wires over rolling hills, a farm, a tractor, a dry stone wall; haze."""

import numpy as np

from tools.lagoon import geometry as g
from tools.lagoon import plants
from training.testset.kit import MOVER, SOLID, VEGETATION, Kit, curve, line


def hill(x, y):
    """Height of the land above the point under the eye."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    rolling = 5 * np.sin(x / 46 + 0.6) * np.cos(y / 60) + 2.5 * np.sin(y / 31)
    far = 60 * g.smoothstep(150, 1100, np.hypot(x, y)) * (0.6 + np.sin(2.5 * np.arctan2(x, y) + 0.4))
    near = g.smoothstep(2, 25, np.hypot(x, y))
    return near * (rolling - 5 * np.sin(0.6) + 0.03 * x) + far


def build(kit: Kit) -> None:
    rng = kit.rng
    kit.sky(
        (0.22, 0.25, 0.5),
        (1.3, 0.62, 0.3),
        clouds=0.5,
        cloud=(1.2, 0.66, 0.45),
        sun=(25, 9, 3.5),
        sun_colour=(1, 0.6, 0.3),
    )
    kit.exposure = 0.16
    kit.ground(kit.substance((0.13, 0.09, 0.04), (0.26, 0.2, 0.09), 0.9), far=1800, relief=hill)
    leaf = kit.leaf((0.04, 0.08, 0.01), (0.25, 0.22, 0.03))
    count = 2600
    p = np.stack([rng.uniform(-1, 1, count), rng.normal(size=count) * 0.16, 0.5 + 1.25 * rng.random(count) ** 0.8], -1)
    vine = g.mesh("vine", *plants.leaves(rng, p, 0.15), leaf, smooth=False)
    stem = kit.substance((0.06, 0.04, 0.025), (0.16, 0.11, 0.07), 9)
    trunk = g.mesh("vine stem", *curve([(0, 0, -0.1), (0.05, 0.02, 0.4), (-0.03, 0, 0.9)], 0.03), stem)
    grey = kit.substance((0.2, 0.17, 0.13), (0.36, 0.3, 0.24), 5)
    posts, wires = [], []
    for row in range(-14, 16):
        y = 2.4 * row + 1.2
        if abs(y) < 1.3:
            continue
        for x in np.arange(-46, 47, 2.0):
            if abs(x) < 1.6 and row in (0, 1, -1, -2):
                continue
            z = -1.6 + float(hill(x, y))
            kit.put(
                vine, VEGETATION, None, at=(x, y, z), turn=rng.choice([0, 180]), scale=(1, 1, rng.uniform(0.8, 1.05))
            )
            kit.put(trunk, VEGETATION, None, at=(x, y, z), turn=rng.uniform(0, 360))
            if int(x) % 6 == 0:
                posts.append(line((x, y, z - 0.1), (x, y, z + 1.9), 0.05))
        xs = np.arange(-46, 47, 3.0)
        for h in (0.9, 1.7):
            wires.append(curve(np.stack([xs, np.full_like(xs, y), -1.6 + hill(xs, y) + h], -1), 0.008, 4))
    kit.put(g.join(posts), SOLID, grey)
    kit.put(g.join(wires), SOLID, kit.plain((0.2, 0.2, 0.2), 0.4))
    plaster, roof = (
        kit.substance((0.55, 0.42, 0.28), (0.72, 0.58, 0.4), 1.2),
        kit.substance((0.3, 0.1, 0.05), (0.45, 0.17, 0.09), 4),
    )
    for x, y, w, d, h, turn in (
        (62, 55, 16, 9, 6, 20),
        (76, 47, 9, 8, 8, 20),
        (-95, 70, 12, 8, 5, -40),
        (20, -120, 14, 9, 6, 70),
    ):
        z = -1.6 + float(hill(x, y))
        kit.put(g.box((w, d, h + 3), (0, 0, h / 2 - 1.5)), SOLID, plaster, at=(x, y, z), turn=turn)
        gable = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0], [-1, 0, 1], [1, 0, 1.0]]) * [
            w * 0.54,
            d * 0.6,
            3,
        ]
        faces = [np.array([[0, 1, 5, 4], [2, 3, 4, 5]]), np.array([[0, 4, 3], [1, 2, 5]])]
        kit.put((gable + [0, 0, h], faces), SOLID, roof, at=(x, y, z), turn=turn)
        dark = kit.plain((0.02, 0.02, 0.025), 0.2)
        kit.put(
            g.join([g.box((1.1, d + 0.1, 1.4), (i, 0, 3)) for i in np.arange(-w / 2 + 2, w / 2 - 1, 3)]),
            SOLID,
            dark,
            at=(x, y, z),
            turn=turn,
        )
    cypress = plants.leaves(rng, np.stack([(q := 0.9 * np.sin(np.pi * (0.06 + 0.9 * (h := rng.random(5000)))) ** 0.7)
                            * np.cos(a := rng.uniform(0, 7, 5000)), q * np.sin(a), 9 * h], -1), 0.35, -0.5)  # fmt: skip
    dark_leaf = kit.leaf((0.012, 0.03, 0.008), (0.05, 0.08, 0.02))
    tree = g.mesh("cypress", *cypress, dark_leaf, smooth=False)
    for k in range(22):
        x, y = 38 + 2.6 * k, 30 + 1.4 * k
        kit.put(tree, VEGETATION, None, at=(x, y, -1.7 + float(hill(x, y))), scale=rng.uniform(0.8, 1.2))
    bark, green = (
        kit.substance((0.05, 0.03, 0.02), (0.16, 0.11, 0.07), 9),
        kit.leaf((0.03, 0.06, 0.015), (0.18, 0.17, 0.04)),
    )
    trees = kit.trees(2, 7, bark, green)
    for _ in range(60):
        a, r = rng.uniform(0, 2 * np.pi), rng.uniform(55, 300)
        x, y = r * np.sin(a), r * np.cos(a)
        kit.plant(trees[rng.integers(2)], (x, y, -1.7 + float(hill(x, y))), rng.uniform(0.8, 1.5))
    stones = []
    for k in range(260):
        x = -20 + 0.155 * k
        for level in range(3):
            size = rng.uniform(0.6, 1.0, 3) * [0.34, 0.4, 0.24]
            stones.append(
                g.box(
                    tuple(size),
                    (x + rng.normal() * 0.05, -3.4 + rng.normal() * 0.05, -1.5 + 0.22 * level + float(hill(x, -3.4))),
                )
            )
    kit.put(g.join(stones), SOLID, kit.substance((0.25, 0.2, 0.15), (0.5, 0.43, 0.34), 3))
    red, tyre = kit.plain((0.5, 0.04, 0.02), 0.35), kit.plain((0.015, 0.015, 0.015))
    at, drift = (-9.0, 0.2, -1.6 + float(hill(-9, 0.2))), (1.4, 0.0, 0.0)
    body = [g.box((2.2, 0.8, 0.7), (0.3, 0, 1.0)), g.box((1.1, 1.0, 1.1), (-0.9, 0, 1.9))]
    kit.put(g.join(body), MOVER, red, at=at, drift=drift)
    for x, y, r in ((-0.9, 0.7, 0.7), (-0.9, -0.7, 0.7), (1.1, 0.6, 0.42), (1.1, -0.6, 0.42)):
        v, f = g.lathe([(0.0, -0.17), (r, -0.17), (r, 0.17), (0.0, 0.17)], 22)
        kit.put((v[:, [0, 2, 1]] + [x, y, r], f), MOVER, tyre, at=at, drift=drift)
    for x, y in ((4.0, 2.5), (6.5, 2.4), (-3.5, -1.0)):
        kit.figure((x, y, -1.6 + float(hill(x, y))), walk=(0.3, 0.0))
