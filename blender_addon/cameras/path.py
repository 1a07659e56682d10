"""The poses of the path that a scene's settings ask for."""

from functools import lru_cache
from typing import Any

from .presets import presets
from .safe_walk import Walk

ROUNDS = 4  # of scaling: a path that looks at a target bends a little when it is scaled


def chosen_path(settings: Any, frames: int, walk: Walk | None) -> tuple[list, float]:
    """(poses (camera_path.Pose) of the chosen preset with its parameters, by how much it was scaled).

    Kept inside ``walk`` if given. Raises camera_path.PathError for parameters that make no path.
    """
    params = tuple((item.name, item.value) for item in settings.camera_parameters)
    return _path(settings.camera_preset, params, settings.camera_duration, frames, walk)


@lru_cache(maxsize=16)
def _path(name: str, params: tuple, duration: float, frames: int, walk: Walk | None) -> tuple[list, float]:
    from ..vendor import camera_path

    preset = camera_path.find(presets(), name)
    seconds, values = duration or preset.duration, dict(params)
    own = camera_path.check_params(preset, values)["scale"]

    def at(factor: float) -> list:
        return camera_path.evaluate(preset, frames, values | {"scale": factor * own}, seconds=seconds)

    poses, factor = at(1.0), 1.0
    for _ in range(ROUNDS if walk else 0):
        shrink = walk.factor([pose.position for pose in poses])
        if shrink >= 1.0:
            break
        factor *= shrink
        poses = at(factor)
    return poses, factor
