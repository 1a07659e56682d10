"""Import a scene file or a clip into a Blender scene: what the operators and a finished job both call."""

from pathlib import Path

import bpy

from . import scene_setup
from .reader import read_scene
from .splat_object import get_input, make_object, scene_modifier
from .world_clip import set_world_clip


class ImportFailed(Exception):
    """A file cannot be imported. The text says why and what to do."""


def import_scene(scene: bpy.types.Scene, path: str | Path, *, prepare: bool = True) -> bpy.types.Object:
    """Add the scene file as an object to ``scene``. SceneFileError when it is not one.

    While nothing in ``scene`` is animated yet, it takes the clip's frame rate and range; otherwise both stay, and the
    clip plays at its own speed in seconds. ``prepare`` also sets Cycles and the display transform (see scene_setup).
    """
    path = Path(bpy.path.abspath(str(path)))
    scene_file = read_scene(path)
    if scene_setup.is_still(scene):
        scene_setup.take_time(scene, scene_file.fps, scene_file.duration, scene_file.loop)
    obj = make_object(path.stem, scene_file, scene_setup.seconds_at_start(scene))
    obj.holotime.source = portable(path)
    scene.collection.objects.link(obj)
    if prepare:
        scene_setup.prepare_render(scene)
        scene_setup.widen_viewports()
    return obj


def find_scene_object(scene: bpy.types.Scene, preferred: bpy.types.Object | None = None) -> bpy.types.Object | None:
    """The preferred object if it plays a HoloTime scene, else the scene's newest one that does."""
    candidates = [preferred, *reversed(scene.objects)]
    return next((o for o in candidates if o and o.holotime.is_scene and scene_modifier(o)), None)


def import_world_clip(scene: bpy.types.Scene, path: str | Path, obj: bpy.types.Object | None) -> bpy.types.World:
    """Make the clip the world's background, in step with ``obj``'s scene, or by the clip's own rate without one."""
    path = Path(bpy.path.abspath(str(path)))
    if not path.is_file() or path.stat().st_size == 0:
        raise ImportFailed(f"{path} is missing or empty. Choose a video or a panorama image.")
    try:
        if obj:
            fps, loop = obj.holotime.fps, obj.holotime.loop
            frames = max(1, round(obj.holotime.duration * fps) + (0 if loop else 1))
            offset = get_input(scene_modifier(obj), "Offset")
        else:
            fps, frames, loop, offset = _movie_fps(path), 0, True, scene_setup.seconds_at_start(scene)
        world = set_world_clip(scene, portable(path), fps=fps, frames=frames, loop=loop, offset=offset)
    except RuntimeError as error:
        raise ImportFailed(f"{path} cannot be read as a video or an image ({error}). Convert it to MP4.") from error
    return world


def portable(path: Path) -> str:
    """The path as it is kept in a .blend: relative to it once it is saved, where that is possible."""
    if bpy.data.filepath:
        try:
            return bpy.path.relpath(str(path))
        except ValueError:  # another drive on Windows
            pass
    return str(path)


def _movie_fps(path: Path) -> float:
    """Frames per second of a movie, as Blender reads it."""
    clip = bpy.data.movieclips.load(str(path))
    try:
        return clip.fps or 24.0
    finally:
        bpy.data.movieclips.remove(clip)
