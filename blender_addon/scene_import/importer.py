"""Import a scene file or a clip into a Blender scene: what the operators and a finished job both call."""

from collections.abc import Callable
from pathlib import Path

import bpy

from ..client.background import Background
from ..client.tasks import Step, Work
from . import native_splats, scene_setup
from .scene_nodes import finished
from .splat_object import Data, Prepared, data_steps, get_input, group_steps, make_object, scene_modifier
from .world_clip import set_world_clip


class ImportFailed(Exception):
    """A file cannot be imported. The text says why and what to do."""


def import_scene(scene: bpy.types.Scene, path: str | Path, *, prepare: bool = True) -> bpy.types.Object:
    """Add the scene file as an object to ``scene``, at once. SceneFileError when it is not one.

    While nothing in ``scene`` is animated yet, it takes the clip's frame rate and range; otherwise both stay, and the
    clip plays at its own speed in seconds. ``prepare`` also sets Cycles and the display transform (see scene_setup).
    """
    path = Path(bpy.path.abspath(str(path)))
    prepared = Prepared.read(path, native_splats.supported())
    return _link(scene, path, finished(data_steps(prepared, path.stem)), prepared, prepare)


def import_steps(scene_name: str, path: str | Path, then: list[Callable[[bpy.types.Object], None]]) -> Work:
    """The same as a task: the file is read in a thread, Blender is filled in steps, then each of ``then(object)``.

    Raises SceneFileError and ImportFailed on the way.
    """
    path = Path(bpy.path.abspath(str(path)))
    yield Step(0.0, "Reading the scene")
    native = native_splats.supported()
    reading = Background(lambda: Prepared.read(path, native))
    while not reading.done():
        yield Step(0.05, "Reading the scene", idle=True)
    prepared = reading.result()
    steps = data_steps(prepared, path.stem)
    while True:
        try:
            fraction = next(steps)
        except StopIteration as end:
            data = end.value
            break
        yield Step(0.1 + 0.8 * fraction, "Filling the scene")
    found = bpy.data.meshes if isinstance(data, bpy.types.Mesh) else bpy.data.pointclouds
    key = data.name
    for _ in group_steps(data):
        yield Step(0.92, "Making its nodes")
    scene, data = bpy.data.scenes.get(scene_name), found.get(key)
    if scene is None:
        raise ImportFailed(f"The scene '{scene_name}' is gone; import {path} into another one.")
    if data is None:
        raise ImportFailed("The import was undone before it was complete. Import the result again.")
    name = _link(scene, path, data, prepared, True).name
    for action in then:
        yield Step(0.95, "Finishing", idle=True)  # Blender evaluates what is new when it draws, not an operator of ours
        obj = bpy.data.objects.get(name)
        if obj is None:
            raise ImportFailed("The import was undone before it was complete. Import the result again.")
        action(obj)


def _link(scene, path: Path, data: Data, prepared: Prepared, prepare: bool) -> bpy.types.Object:
    """Put what was filled into the scene as an object that plays."""
    if scene_setup.is_still(scene):
        scene_setup.take_time(scene, prepared.fps, prepared.duration, prepared.loop)
    obj = make_object(path.stem, data, prepared, scene_setup.seconds_at_start(scene))
    obj.holotime.source = portable(path)
    scene.collection.objects.link(obj)
    if prepare:
        scene_setup.prepare_render(scene)
        scene_setup.widen_viewports()
    if not bpy.app.background:
        if obj.type == "MESH":  # native splats are drawn by Blender itself
            obj.holotime.display = "SPLATS"
        scene_setup.stand_at_eye(obj)
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
