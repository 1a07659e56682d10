"""Where the pixels of a picture between two frames come from, and an interface for whatever finds it out.

An engine looks at flat pictures (see :mod:`holotime.enhance.charts`); here its answers become motion on the sphere.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.enhance.charts import Charts, carry_back, charts_for, look_up, place

WORKING_WIDTH = (
    2048  # pixels; motion in wider pictures is found at this size, and their pixels are taken from the whole
)


@dataclass(frozen=True)
class Between:
    """The picture at a time between two frames, before it is painted. Equirect pixels, x right, y down."""

    to_first: NDArray[np.float32]  # [H, W, 2] where each pixel's point lies in the first frame
    to_second: NDArray[np.float32]  # [H, W, 2] in the second
    trust: NDArray[np.float32]  # [H, W] share of the first frame in the colour


class Engine(Protocol):
    """Finds motion between two flat pictures."""

    name: str  # for the report
    models: tuple[str, ...]  # networks that it uses, for their licences
    step: int  # sides of pictures must be multiples of it

    def compare(self, first: NDArray[np.uint8], second: NDArray[np.uint8], wrap: bool) -> Any:
        """What is found out once for a pair of pictures [h, w, 3]; ``wrap``: the width is a circle."""
        ...

    def between(self, pair: Any, time: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Motion [h, w, 4] (to the first x, y, to the second x, y; pixels) at ``time``, trust in the first [h, w]."""
        ...


class Pair:
    """Two neighbouring frames, looked at once for every picture between them."""

    def __init__(self, engine: Engine, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> None:
        """Frames [H, 2H, 3]."""
        self.engine, self.size = engine, first.shape[:2]
        height, width = working_size(self.size[0], engine.step)
        self.charts: Charts = charts_for(height, width, engine.step)
        cuts = [self.charts.cut(sphere.resize(f, height, width)) for f in (first, second)]
        self.pairs = [engine.compare(a, b, i == 0) for i, (a, b) in enumerate(zip(*cuts, strict=True))]

    def at(self, time: float, size: tuple[int, int] | None = None) -> Between:
        """The picture at ``time`` in (0, 1), for frames of ``size`` (height, width), by default that of the pair's."""
        height, width = size or self.size
        charts = self.charts
        motion, trust = self.engine.between(self.pairs[0], time)
        band = slice(charts.top, charts.bottom)
        unit = np.array([width / charts.width, height / charts.height], np.float32)
        parts = []
        for k in (0, 2):
            whole = np.zeros((charts.height, charts.width, 2), np.float32)
            whole[band] = motion[..., k : k + 2]
            parts.append(sphere.resize(whole, height, width) * unit)
        share = np.zeros((charts.height, charts.width), np.float32)
        share[band] = trust
        trust = sphere.resize(share, height, width)
        for pair, north in zip(self.pairs[1:], (True, False), strict=True):
            local, local_trust = self.engine.between(pair, time)
            for k, part in enumerate(parts):
                carried, weight = carry_back(charts, local[..., 2 * k : 2 * k + 2], north, height, width)
                rows = place(charts, north, height, width).rows
                part[rows] += weight * (carried - part[rows])
            at = place(charts, north, height, width)
            trust[at.rows] += at.weight * (look_up(at, local_trust) - trust[at.rows])
        return Between(parts[0], parts[1], np.clip(trust, 0, 1))


def working_size(height: int, step: int) -> tuple[int, int]:
    """Size at which motion is looked for: at most ``WORKING_WIDTH`` wide, its height a multiple of ``step``."""
    rows = max(step, round(min(height, WORKING_WIDTH / 2) / step) * step)
    return rows, 2 * rows
