"""From the tensors of a scene file to the values that Blender stores on points. No bpy here.

Activations that do not depend on time are done once here (sigmoid, exp, sRGB to linear), so that the node group does
only what changes from frame to frame. All arrays come out as contiguous native float32.
"""

from dataclasses import dataclass

import numpy as np

from .reader import SceneFile

LOW_PASS = 0.3  # px^2
PIXEL_SIGMA = 0.46  # pixels; what the middle axis of one-pixel splats measures on average


@dataclass(frozen=True)
class Attribute:
    """One point attribute of the imported mesh."""

    name: str  # as the node group reads it
    data_type: str  # Blender's attribute type
    field: str  # what foreach_set fills
    values: np.ndarray  # [N * components] float32


def srgb_to_linear(srgb: np.ndarray) -> np.ndarray:
    """Linear values of sRGB [...], negative ones as black, bright ones above 1 continued (IEC 61966-2-1)."""
    c = np.maximum(srgb, 0.0)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).astype(np.float32)


def point_attributes(scene: SceneFile) -> list[Attribute]:
    """Everything that the node group needs of each splat, positions first.

    position, motion1..3 in metres and metres per unit t, t_center, t_log_scale, opacity in [0, 1], splat_color linear
    RGBA, scale (standard deviations, metres), radius (the middle one of the three: a ball of the longest would bulge
    out of a flat splat), rotation (unit wxyz) and omega (its rate, on the same footing as the unit quaternion).
    """
    t = scene.tensors
    norm = np.linalg.norm(t["quats"], axis=-1, keepdims=True)
    usable = norm > 1e-8
    rotation = np.where(usable, t["quats"] / np.maximum(norm, 1e-8), np.array([1, 0, 0, 0], np.float32))
    omega = np.where(usable, t["omegas"] / np.maximum(norm, 1e-8), 0.0)
    scale = np.exp(t["log_scales"])
    color = np.ones((len(scene), 4), np.float32)
    color[:, :3] = srgb_to_linear(t["colors"])
    with np.errstate(over="ignore"):  # exp of a very negative logit's opposite is inf, and 1 / inf is the 0 wanted
        opacity = 1.0 / (1.0 + np.exp(-t["opacity_logits"]))
    # Not called "color": Cycles 5.0 shows a point attribute of that name as black on realized instances.
    return [
        Attribute("position", "FLOAT_VECTOR", "vector", _flat(t["means"])),
        *(Attribute(f"motion{k + 1}", "FLOAT_VECTOR", "vector", _flat(t["motion"][:, k])) for k in range(3)),
        Attribute("t_center", "FLOAT", "value", _flat(t["t_centers"])),
        Attribute("t_log_scale", "FLOAT", "value", _flat(t["t_log_scales"])),
        Attribute("opacity", "FLOAT", "value", _flat(opacity)),
        Attribute("splat_color", "FLOAT_COLOR", "color", _flat(color)),
        Attribute("scale", "FLOAT_VECTOR", "vector", _flat(scale)),
        Attribute("radius", "FLOAT", "value", _flat(np.median(scale, axis=-1))),
        Attribute("rotation", "QUATERNION", "value", _flat(rotation)),
        Attribute("omega", "FLOAT_COLOR", "color", _flat(omega)),
    ]


def low_pass(scene: SceneFile) -> float:
    """The standard deviation in radians, seen from the eye, by which a rasterizer would have widened the splats.

    3D Gaussian splatting adds 0.3 px^2 to every footprint (Kerbl et al. 2023), and scenes are made to look right with
    it. The file does not say how large a pixel was; most splats of a scene are as small as one pixel allows, so
    their middle axis is taken for PIXEL_SIGMA of it.
    """
    distance = np.linalg.norm(scene.tensors["means"], axis=-1)
    angle = np.exp(np.median(scene.tensors["log_scales"], axis=-1)) / np.maximum(distance, 1e-3)
    return float(np.sqrt(LOW_PASS) * np.median(angle) / PIXEL_SIGMA)


def _flat(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32).reshape(-1)
