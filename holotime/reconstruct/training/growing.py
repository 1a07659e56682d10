"""The scene while it is being trained: all splats at once, then only what has visibly changed.

A sender keeps what the receiver has; :meth:`Sender.update` gives the difference, :func:`apply` brings a receiver up to
date. Values travel in half precision, and the sender remembers the rounded ones, so nothing adds up. A delta is one
safetensors file (docs/formats.md).
"""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from holotime.errors import InputError
from holotime.scene4d import Scene4D

FORMAT, VERSION = "holotime-growing", 1
HALF_MAX = 65504.0  # the largest finite value of half precision

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
Arrays = dict[str, NDArray[np.float32]]  # of Scene4D.TENSORS


@dataclass(frozen=True)
class Change:
    """New values of one tensor."""

    rows: NDArray[np.int32] | None  # [M] ascending splats that have changed; None: all
    values: NDArray  # [M, ...] float32 for means, else float16


@dataclass(frozen=True)
class Delta:
    """What a receiver needs to go from one snapshot to the next, or, when ``whole``, from nothing."""

    number: int  # a receiver applies them in order
    whole: bool
    step: int  # of the training
    count: int  # splats in the scene afterwards
    changes: dict[str, Change]  # by tensor; one that is missing stays, or is all zero in a whole

    @property
    def nbytes(self) -> int:
        """Size of the arrays."""
        parts = [a for c in self.changes.values() for a in (c.rows, c.values) if a is not None]
        return sum(a.nbytes for a in parts)


class Sender:
    """Remembers what was sent."""

    def __init__(self) -> None:
        self.number = -1  # of the last delta
        self.step = 0
        self.sent: Arrays = {}

    def update(self, scene: Scene4D, step: int) -> Delta:
        """The difference to what was sent before; the whole scene when the number of splats has changed."""
        now = {name: getattr(scene, name) for name in Scene4D.TENSORS}
        whole = not self.sent or len(self.sent["means"]) != len(scene)
        if whole:
            changes = {name: _nonzero(name, array) for name, array in now.items()}
        else:
            distance = np.maximum(np.linalg.norm(self.sent["means"], axis=1), 1e-6)
            changes = {name: self._moved(name, array, distance) for name, array in now.items()}
        self.number, self.step = self.number + 1, step
        delta = Delta(self.number, whole, step, len(scene), {n: c for n, c in changes.items() if len(c.values)})
        self.sent = apply(self.sent, delta)
        return delta

    def whole(self) -> Delta:
        """What the receiver has now, for one that has nothing; its number is that of the last delta."""
        changes = {name: _nonzero(name, array) for name, array in self.sent.items()}
        kept = {name: change for name, change in changes.items() if len(change.values)}
        return Delta(self.number, True, self.step, len(self.sent["means"]), kept)

    def _moved(self, name: str, now: NDArray[np.float32], distance: NDArray[np.float32]) -> Change:
        """The rows of a tensor [N, ...] that differ visibly from what was sent; ``distance`` [N] metres."""
        away = np.abs(now - self.sent[name]).reshape(len(now), -1).max(1, initial=0)
        limit = UNSEEN[name] * (distance if name in ("means", "motion") else 1)
        return _change(name, now, away > limit)


def _nonzero(name: str, array: NDArray[np.float32]) -> Change:
    """The rows of a tensor [N, ...] that are not zero: still splats have neither motion nor turn."""
    return _change(name, array, np.asarray(array.reshape(len(array), -1).any(1)))


def _change(name: str, array: NDArray[np.float32], chosen: NDArray[np.bool_]) -> Change:
    every = bool(chosen.all())
    rows = None if every else np.flatnonzero(chosen).astype(np.int32)
    values = array if every else array[chosen]
    if name == "means":
        return Change(rows, values.astype(np.float32))
    return Change(rows, np.clip(values, -HALF_MAX, HALF_MAX).astype(np.float16))


def apply(arrays: Arrays, delta: Delta) -> Arrays:
    """Arrays of :attr:`Scene4D.TENSORS` after a delta; ``arrays`` is empty before the first. InputError for a gap."""
    if not delta.whole and (not arrays or len(arrays["means"]) != delta.count):
        raise InputError(f"Snapshot {delta.number} does not fit the scene before it. Ask for the whole scene again.")
    out = {}
    for name, tail in Scene4D.TENSORS.items():
        change = delta.changes.get(name)
        if change is None and not delta.whole:
            out[name] = arrays[name]
        elif change is None or change.rows is not None:
            out[name] = np.zeros((delta.count, *tail), np.float32) if delta.whole else arrays[name].copy()
            if change is not None:
                out[name][change.rows] = change.values
        else:
            out[name] = change.values.astype(np.float32)
    return out


def encode(delta: Delta, like: Scene4D) -> bytes:
    """The file of a delta; ``like`` has the time that the scene covers."""
    tensors = {}
    for name, change in delta.changes.items():
        tensors[name] = change.values
        if change.rows is not None:
            tensors[f"{name}.rows"] = change.rows
    meta = {
        "format": FORMAT,
        "version": str(VERSION),
        "number": str(delta.number),
        "whole": json.dumps(delta.whole),
        "step": str(delta.step),
        "splats": str(delta.count),
        "duration": repr(float(like.duration)),
        "fps": repr(float(like.fps)),
        "loop": json.dumps(like.loop),
    }
    return save(tensors, meta)


def decode(data: bytes) -> Delta:
    """The delta in a file. InputError for anything that is not one, or whose parts do not fit each other."""
    try:
        found = {name: _array(entry) for name, entry in deserialize(data)}
        size = int.from_bytes(data[:8], "little")
        meta = json.loads(data[8 : 8 + size])["__metadata__"]
        if meta["format"] != FORMAT or int(meta["version"]) != VERSION:
            raise InputError(f"This is '{meta['format']}' version {meta['version']}, not a part of a growing scene.")
        number, step, count = int(meta["number"]), int(meta["step"]), int(meta["splats"])
        changes = {}
        for name, tail in Scene4D.TENSORS.items():
            if name not in found:
                continue
            values, rows = found[name], found.get(f"{name}.rows")
            if values.shape != (count if rows is None else len(rows), *tail):
                raise InputError(f"A part of a growing scene has {list(values.shape)} as '{name}'.")
            if rows is not None and (rows.ndim != 1 or (len(rows) and not (rows.min() >= 0 and rows.max() < count))):
                raise InputError(f"A part of a growing scene of {count} splats has other rows in '{name}'.")
            changes[name] = Change(rows, values)
        return Delta(number, json.loads(meta["whole"]), step, count, changes)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"This is not a part of a growing scene ({error}).") from error


def _array(entry: dict) -> NDArray:
    types = {"F32": np.float32, "F16": np.float16, "I32": np.int32}
    return np.frombuffer(entry["data"], types[entry["dtype"]]).reshape(entry["shape"])
