"""The frames of a scene by number."""

from holotime.errors import InputError
from holotime.scene4d import Scene4D


def chosen_frames(scene: Scene4D, frames: range | None) -> range:
    """The frames to write: all if None. InputError if the scene does not have them."""
    count = len(scene.frame_times())
    chosen = range(count) if frames is None else frames
    if not len(chosen) or chosen[0] < 0 or chosen[-1] >= count:
        raise InputError(f"The scene has frames 0 to {count - 1}; {chosen.start}:{chosen.stop} is outside.")
    return chosen
