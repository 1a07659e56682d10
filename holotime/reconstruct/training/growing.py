"""The scene while it is being trained: all splats at once, then only what has visibly changed.

A sender keeps what the receiver has; :meth:`Sender.update` gives the difference, :func:`apply` brings a receiver up to
date. Values travel in half precision, and the sender remembers the rounded ones, so nothing adds up.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holotime.errors import InputError
from holotime.reconstruct.training.model import SpacetimeGaussians
from holotime.scene4d import Scene4D

# Changes up to these are not seen; positions and motion count relative to the splat's distance (radians).
UNSEEN = {
    "means": 5e-4,
    "motion": 5e-3,
    "quats": 0.01,
    "omegas": 0.05,
    "log_scales": 0.03,
    "opacity_logits": 0.1,
    "t_centers": 2e-3,
    "t_log_scales": 0.03,
    "colors": 1 / 255,
}


@dataclass(frozen=True)
class Delta:
    """What a receiver needs to go from one snapshot to the next."""

    number: int  # 0 is the whole scene; a receiver applies them in order
    step: int  # of the training
    count: int  # splats in the scene afterwards
    rows: NDArray[np.int32]  # [M] splats that are new or have changed
    values: dict[str, NDArray]  # name -> [M, ...]; means in float32, the rest in float16

    @property
    def nbytes(self) -> int:
        """Size of the arrays."""
        return self.rows.nbytes + sum(v.nbytes for v in self.values.values())


class Sender:
    """Remembers what was sent."""

    def __init__(self, like: Scene4D) -> None:
        self.like, self.number = like, 0
        self.sent: dict[str, NDArray[np.float32]] = {}

    def update(self, model: SpacetimeGaussians, step: int) -> Delta:
        """The difference to what was sent before; everything when the number of splats has changed."""
        scene = model.scene(self.like)
        now = {name: getattr(scene, name) for name in Scene4D.TENSORS}
        rows = np.arange(len(scene), dtype=np.int32)
        if self.sent and len(self.sent["means"]) == len(scene):
            distance = np.maximum(np.linalg.norm(self.sent["means"], axis=1), 1e-6)
            changed = np.zeros(len(scene), np.bool_)
            for name, limit in UNSEEN.items():
                away = np.abs(now[name] - self.sent[name]).reshape(len(scene), -1).max(1)
                changed |= away > limit * (distance if name in ("means", "motion") else 1)
            rows = rows[changed]
        values = {n: a[rows].astype(np.float32 if n == "means" else np.float16) for n, a in now.items()}
        delta = Delta(self.number, step, len(scene), rows, values)
        self.sent = apply(self.sent, delta)
        self.number += 1
        return delta


def apply(arrays: dict[str, NDArray[np.float32]], delta: Delta) -> dict[str, NDArray[np.float32]]:
    """Arrays of :attr:`Scene4D.TENSORS` after a delta; ``arrays`` is empty before the first. InputError for a gap."""
    if len(delta.rows) == delta.count:
        return {name: value.astype(np.float32) for name, value in delta.values.items()}
    if not arrays or len(arrays["means"]) != delta.count:
        raise InputError(f"Snapshot {delta.number} does not fit the scene before it. Ask for the whole scene again.")
    out = {}
    for name, value in delta.values.items():
        out[name] = arrays[name].copy()
        out[name][delta.rows] = value
    return out
