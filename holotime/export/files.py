"""Writing files so that a name never stands for half a file, and the frames of a scene by number."""

from pathlib import Path

from holotime.errors import InputError
from holotime.scene4d import Scene4D


def write_whole(path: Path | str, data: bytes) -> Path:
    """Write a file that appears under its name only when it is complete."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def chosen_frames(scene: Scene4D, frames: range | None) -> range:
    """The frames to write: all if None. InputError if the scene does not have them."""
    count = len(scene.frame_times())
    chosen = range(count) if frames is None else frames
    if not len(chosen) or chosen[0] < 0 or chosen[-1] >= count:
        raise InputError(f"The scene has frames 0 to {count - 1}; {chosen.start}:{chosen.stop} is outside.")
    return chosen
