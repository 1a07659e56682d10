"""The poses of the path that a scene's settings ask for."""

from typing import Any

import bpy

from . import safe_walk
from .presets import presets


def chosen_poses(settings: Any, frames: int, mesh: bpy.types.Mesh | None) -> list:
    """Poses (camera_path.Pose) of the chosen preset with its parameters; kept inside ``mesh``'s safe volume if given.

    Raises camera_path.PathError for parameters that make no path.
    """
    from ..vendor import camera_path

    preset = camera_path.find(presets(), settings.camera_preset)
    params = {item.name: item.value for item in settings.camera_parameters}
    poses = camera_path.evaluate(preset, frames, params, seconds=settings.camera_duration or preset.duration)
    if mesh is None:
        return poses
    shrink = safe_walk.factor(mesh, [tuple(row[3] for row in pose.matrix[:3]) for pose in poses])
    return camera_path.scale(poses, shrink) if shrink < 1.0 else poses
