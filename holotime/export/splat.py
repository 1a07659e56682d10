""".splat, what browser viewers stream: 32 bytes a splat, the most visible first; one time of a scene.

Position and scale (3 float32 each, metres and linear), colour and opacity (4 bytes), rotation wxyz (4 bytes, 128 is
zero). Axes: right, down, forward; scenes are turned on the way out and in.
"""

from pathlib import Path
from typing import cast

import numpy as np

from holotime.errors import InputError
from holotime.export.axes import RIGHT_DOWN_FORWARD, inverse, turned
from holotime.export.static import static_scene
from holotime.files import write_whole
from holotime.scene4d import Array, Gaussians, Scene4D

SPLAT = np.dtype([("position", "<f4", 3), ("scale", "<f4", 3), ("colour", "u1", 4), ("rotation", "u1", 4)])


def write_splat(path: Path | str, gaussians: Gaussians) -> Path:
    """Write the Gaussians of one time; the file appears when it is complete."""
    g = turned(gaussians, RIGHT_DOWN_FORWARD)
    order = np.argsort(-g.opacities * g.scales.prod(1, dtype=np.float64), kind="stable")
    table = np.zeros(len(g), SPLAT)
    table["position"], table["scale"] = g.means[order], g.scales[order]
    rgba = np.concatenate([g.colors, g.opacities[:, None]], axis=1)[order]
    table["colour"] = np.round(rgba * 255).clip(0, 255)
    quats = g.quats / np.maximum(np.linalg.norm(g.quats, axis=1, keepdims=True), 1e-9)
    table["rotation"] = np.round(quats[order] * 128 + 128).clip(0, 255)
    return write_whole(path, table.tobytes())


def read_splat(path: Path | str) -> Scene4D:
    """A .splat file as a scene that stands still."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}). Check the name.") from error
    if not data or len(data) % SPLAT.itemsize:
        raise InputError(f"{path} is no .splat file: its {len(data)} bytes are no multiple of {SPLAT.itemsize}.")
    table = np.frombuffer(data, SPLAT)
    quats = cast(Array, (table["rotation"].astype(np.float32) - 128) / 128)
    quats /= np.maximum(np.linalg.norm(quats, axis=1, keepdims=True), 1e-6)
    rgba = cast(Array, table["colour"].astype(np.float32) / 255)
    g = Gaussians(table["position"].copy(), quats, table["scale"].copy(), rgba[:, 3].copy(), rgba[:, :3].copy())
    if not np.isfinite(g.means).all() or not np.isfinite(g.scales).all():
        raise InputError(f"{path} is no .splat file: positions are not numbers.")
    return static_scene(turned(g, inverse(RIGHT_DOWN_FORWARD)), path.name)
