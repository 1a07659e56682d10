"""The camera presets that come with the extension, read when they are first needed."""

from functools import lru_cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "vendor" / "cameras"


@lru_cache(maxsize=1)
def presets() -> dict[str, Any]:
    """Name -> Preset of the library's camera_path."""
    from ..vendor import camera_path

    return camera_path.load_presets(FOLDER)


def fill_in() -> None:
    """Show the chosen path's parameters in every scene that has none yet. For a moment in which data may be changed."""
    import bpy

    for scene in bpy.data.scenes:
        if not len(scene.holotime.camera_parameters):
            scene.holotime.load_camera_parameters()


@lru_cache(maxsize=1)
def enum_items() -> list[tuple[str, str, str]]:
    """For an EnumProperty. Cached: Blender needs the strings to stay alive."""
    return [(p.name, p.title, f"{p.description}\nLasts {p.duration:g} s") for p in presets().values()]
