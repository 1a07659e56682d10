"""A container yard: ribbed steel boxes in stacks, a gantry crane on thin legs, asphalt, a moving truck; overcast."""

import numpy as np

from tools.lagoon import geometry as g
from training.testset.kit import GROUND, MOVER, SOLID, Kit, curve, line


def container() -> tuple:
    """A box 6.06 x 2.44 x 2.59 m with ribbed long sides, foot at the origin."""
    x = np.linspace(-3.0, 3.0, 97)
    rib = 0.035 * np.sign(np.sin(x * 2 * np.pi / 0.28))
    parts = [g.box((6.06, 2.36, 0.15), (0, 0, 0.08)), g.box((6.06, 2.36, 0.1), (0, 0, 2.54))]
    for s in (-1, 1):
        v = np.concatenate([np.stack([x, s * (1.17 + rib), np.full_like(x, z)], -1) for z in (0.12, 2.5)])
        i = np.arange(len(x) - 1)
        parts.append((v, np.stack([i, i + 1, i + 1 + len(x), i + len(x)], -1)))
        parts += [g.box((0.06, 2.36, 2.5), (3.0 * s, 0, 1.3))]
        parts += [g.box((0.14, 0.14, 2.59), (2.96 * s, 1.15 * t, 1.3)) for t in (-1, 1)]
        parts += [line((3.06 * s, t, 0.2), (3.06 * s, t, 2.4), 0.02) for t in (-0.3, 0.3)]
    return g.join(parts)


def build(kit: Kit) -> None:
    rng = kit.rng
    kit.sky((0.42, 0.46, 0.52), (0.72, 0.74, 0.77), clouds=0.9, cloud=(0.8, 0.82, 0.85), sun=(0, 60, 0.4))
    kit.ground(kit.substance((0.05, 0.05, 0.052), (0.12, 0.12, 0.12), 1.5, rough=0.35, bump=0.05))
    paint = kit.plain((0.7, 0.55, 0.06))
    for x in (-4.5, 4.5, 13.0):
        kit.put(g.box((0.15, 120, 0.004), (x, 0, -1.596)), GROUND, paint)
    colours = [
        (0.35, 0.06, 0.04),
        (0.05, 0.12, 0.3),
        (0.06, 0.22, 0.14),
        (0.5, 0.3, 0.05),
        (0.45, 0.46, 0.48),
        (0.2, 0.07, 0.06),
    ]
    steels = [kit.substance(tuple(0.55 * c for c in k), k, 2.2, 0.5, 0.1) for k in colours]
    shells = [g.mesh("container", *container(), s, smooth=False) for s in steels]
    for x in (-9.5, -12.2, -14.9, 17.5, 20.2):
        for y in np.arange(-50, 56, 6.4):
            for level in range(rng.integers(1, 5)):
                at = (x + rng.normal() * 0.04, y + rng.normal() * 0.05, -1.6 + 2.6 * level)
                kit.put(shells[rng.integers(6)], SOLID, None, at=at, turn=90)
    for x, y, turn in ((6.5, 11.0, 20), (-5.6, -9.0, 90), (2.0, -16.0, 5)):
        kit.put(shells[rng.integers(6)], SOLID, None, at=(x, y, -1.6), turn=turn)
    yellow = kit.plain((0.75, 0.5, 0.03), 0.4)
    for y in (24.0, -38.0):
        bars = []
        for x in (-17.5, 14.8):
            for d in (-4, 4):
                bars += [g.box((0.5, 0.5, 19), (x, y + d, 7.9)), line((x, y + d, 2), (x, y - d, 14), 0.1)]
            bars.append(g.box((0.7, 9, 0.7), (x, y, 17)))
        for d in (-2.2, 2.2):
            bars.append(g.box((44, 0.6, 1.2), (-1.3, y + d, 18)))
            bars += [line((-22 + 2 * i, y + d, 18.6), (-21 + 2 * i, y + d, 20.2), 0.05) for i in range(20)]
            bars.append(line((-22, y + d, 20.2), (20, y + d, 20.2), 0.07))
        bars.append(g.box((4, 5, 2), (3, y, 16.3)))
        bars += [line((3 + a, y + b, 15), (3 + a, y + b, 8.6), 0.03) for a in (-1.5, 1.5) for b in (-0.8, 0.8)]
        kit.put(g.join(bars), SOLID, yellow)
        kit.put(shells[1], SOLID, None, at=(3, y, 6.0))
    white, glass, tyre = (
        kit.plain((0.7, 0.72, 0.75), 0.3),
        kit.plain((0.02, 0.03, 0.04), 0.1),
        kit.plain((0.015, 0.015, 0.015)),
    )
    drift = (0.0, 3.0, 0.0)
    at = (0.8, 7.5, -1.6)
    kit.put(g.box((2.4, 2.2, 2.6), (0, 4.0, 2.0)), MOVER, white, at=at, drift=drift)
    kit.put(g.box((2.2, 0.05, 0.9), (0, 2.88, 2.6)), MOVER, glass, at=at, drift=drift)
    kit.put(g.box((2.3, 9, 0.3), (0, 0.0, 1.1)), MOVER, tyre, at=at, drift=drift)
    for x in (-1.05, 1.05):
        for y in (-3.5, -2.3, 1.2, 4.2):
            v, f = g.lathe([(0.0, -0.15), (0.5, -0.15), (0.5, 0.15), (0.0, 0.15)], 20)
            kit.put((v[:, [2, 0, 1]] + [x, y, 0.5], f), MOVER, tyre, at=at, drift=drift)
    for x, y in ((-3.4, 3.2), (-2.6, 3.6), (5.2, -4.4)):
        kit.figure((x, y, -1.6), walk=(0.5, 0.3))
    grey = kit.plain((0.35, 0.36, 0.37))
    for x, y in ((-7, 6), (9, -12), (-7, -30), (15, 40)):
        mast = [line((x, y, -1.6), (x, y, 16), 0.12), g.box((2.2, 0.3, 0.4), (x, y, 16))]
        kit.put(g.join(mast), SOLID, grey)
    sag = np.linspace(-1, 1, 30)
    wires = [curve(np.stack([8 * sag + 1, 23 * sag - 12 + k, 13 + 2 * sag**2], -1), 0.03) for k in (0, 0.7)]
    kit.put(g.join(wires), SOLID, tyre)
