"""An imported mesh back to the tensors of a scene file, and to files. The .blend holds all of the scene: a lost file
can be made again from it (in float32, colours to within 1e-6).
"""

import json
from pathlib import Path

import bpy
import numpy as np

from ..viewport.splat_gpu import SplatArrays, arrays_of

ALWAYS = 20.0  # logarithm of a time window's width that means always
OPACITY_EDGE = 1e-6  # opacities are kept this far from 0 and 1, where the logit is infinite
SH0 = 0.28209479177387814  # the constant spherical harmonic: what 3DGS files multiply colours by


def write_scene(obj: bpy.types.Object, path: Path) -> Path:
    """Write the object's scene as a .safetensors file (docs/formats.md)."""
    settings, arrays = obj.holotime, arrays_of(obj.data)
    widths = np.full(len(arrays), ALWAYS, np.float32)
    limited = arrays.inverse_widths > np.exp(-8.99)
    widths[limited] = -np.log(arrays.inverse_widths[limited])
    tensors = {
        "means": arrays.means,
        "motion": arrays.motion,
        "quats": arrays.quats,
        "omegas": arrays.omegas,
        "log_scales": np.log(np.maximum(arrays.scales, 1e-12)),
        "opacity_logits": _logit(arrays.opacities),
        "t_centers": arrays.t_centers,
        "t_log_scales": widths,
        "colors": arrays.colors,
    }
    header: dict = {
        "__metadata__": {
            "format": "holotime-scene4d",
            "version": "1",
            "model": "lite",
            "duration": repr(float(settings.duration)),
            "fps": repr(float(settings.fps)),
            "loop": json.dumps(bool(settings.loop)),
            "world": "z-up metres",
            "provenance": json.dumps({"written_by": "HoloTime for Blender, from a .blend"}),
            **({"safe_walk": settings.safe_walk} if settings.safe_walk else {}),
        }
    }
    buffers, offset = [], 0
    for name, values in tensors.items():
        data = np.ascontiguousarray(values, "<f4")
        header[name] = {"dtype": "F32", "shape": list(data.shape), "data_offsets": [offset, offset + data.nbytes]}
        buffers.append(data)
        offset += data.nbytes
    text = json.dumps(header).encode()
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for data in buffers:
            file.write(data.tobytes())
    partial.replace(path)
    return path


def write_ply(arrays: SplatArrays, path: Path, *, time: float, opacity: float = 1.0, size: float = 1.0) -> int:
    """Write the splats as they are at ``time`` in [0, 1] in the usual 3DGS layout; how many were visible."""
    dt = time - arrays.t_centers
    alpha = arrays.opacities * np.exp(-((dt * arrays.inverse_widths) ** 2)) * opacity
    shown = alpha >= 1 / 255
    d = dt[shown, None]
    m = arrays.motion[shown]
    quats = arrays.quats[shown] + d * arrays.omegas[shown]
    columns = {
        "x y z": arrays.means[shown] + d * (m[:, 0] + d * (m[:, 1] + d * m[:, 2])),
        "f_dc_0 f_dc_1 f_dc_2": (arrays.colors[shown] - 0.5) / SH0,
        "opacity": _logit(alpha[shown])[:, None],
        "scale_0 scale_1 scale_2": np.log(np.maximum(arrays.scales[shown] * size, 1e-12)),
        "rot_0 rot_1 rot_2 rot_3": quats / np.maximum(np.linalg.norm(quats, axis=1, keepdims=True), 1e-9),
    }
    names = " ".join(columns).split()
    table = np.ascontiguousarray(np.concatenate(list(columns.values()), 1), "<f4")
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(table)}"]
    lines += [f"property float {name}" for name in names] + ["end_header", ""]
    partial = path.with_suffix(".part")
    partial.write_bytes("\n".join(lines).encode() + table.tobytes())
    partial.replace(path)
    return len(table)


def _logit(p: np.ndarray) -> np.ndarray:
    p = np.clip(p.astype(np.float64), OPACITY_EDGE, 1 - OPACITY_EDGE)
    return np.log(p / (1 - p)).astype(np.float32)
