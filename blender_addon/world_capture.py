"""A panorama of what Blender shows: the scene's world alone, or the scene around its camera, as Cycles renders it.

The render happens in a scene of its own that links to the artist's collections and is removed afterwards, so that no
setting of theirs changes. In a window it is an ordinary render that can be watched and stopped.
"""

import math
from collections.abc import Callable
from pathlib import Path

import bpy
from mathutils import Euler

TEMPORARY = "HoloTime Capture"
COPIED_VIEW = ("view_transform", "look", "exposure", "gamma")


class CaptureError(Exception):
    """No panorama can be rendered. The text says why and what to do."""


def capture(scene: bpy.types.Scene, path: Path, *, world_only: bool, then: Callable[[Path], None]) -> None:
    """Render ``scene`` to an equirectangular PNG; ``then(path)`` when it is there. The horizon stays level."""
    if world_only and scene.world is None:
        raise CaptureError("This scene has no world. Make one (World properties), or choose another source.")
    if not world_only and scene.camera is None:
        raise CaptureError("This scene has no camera. Add one where the panorama is to be seen from.")
    temporary = bpy.data.scenes.new(TEMPORARY)
    _set_up(temporary, scene, path, world_only)
    _render(temporary, path, then)


def _set_up(temporary: bpy.types.Scene, scene: bpy.types.Scene, path: Path, world_only: bool) -> None:
    settings, render = scene.holotime, temporary.render
    try:
        render.engine = "CYCLES"
    except TypeError as error:
        _remove(temporary)
        raise CaptureError("This Blender has no Cycles, which renders panoramas.") from error
    if not world_only:
        for child in scene.collection.children:
            temporary.collection.children.link(child)
        for obj in scene.collection.objects:
            temporary.collection.objects.link(obj)
    temporary.world = scene.world
    temporary.frame_set(scene.frame_current)
    data = bpy.data.cameras.new(TEMPORARY)
    data.type, data.panorama_type = "PANO", "EQUIRECTANGULAR"
    data.clip_start, data.clip_end = 0.01, 10_000.0
    camera = bpy.data.objects.new(TEMPORARY, data)
    heading = 0.0
    if not world_only:
        look = scene.camera.matrix_world.to_3x3() @ _FORWARD
        heading = math.atan2(-look.x, look.y) if math.hypot(look.x, look.y) > 1e-4 else 0.0
        camera.location = scene.camera.matrix_world.translation
    camera.rotation_euler = Euler((math.pi / 2, 0.0, heading))
    temporary.collection.objects.link(camera)
    temporary.camera = camera
    render.resolution_x, render.resolution_y = settings.capture_width, settings.capture_width // 2
    render.resolution_percentage = 100
    temporary.cycles.samples = settings.capture_samples
    temporary.cycles.device = scene.cycles.device
    if hasattr(render.image_settings, "media_type"):  # since 5.0, and to be set before the format
        render.image_settings.media_type = "IMAGE"
    render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGB"
    render.filepath = str(path)
    temporary.display_settings.display_device = scene.display_settings.display_device
    for name in COPIED_VIEW:
        setattr(temporary.view_settings, name, getattr(scene.view_settings, name))


def _render(temporary: bpy.types.Scene, path: Path, then: Callable[[Path], None]) -> None:
    """In a window a render that can be watched; otherwise at once."""
    name = temporary.name
    if bpy.app.background:
        try:
            bpy.ops.render.render(write_still=True, scene=name)
        finally:
            _remove(temporary)
        then(path)
        return

    def ended(complete: bool) -> None:
        for listed, function in _handlers:
            listed.remove(function)

        def clean() -> None:  # a scene cannot be removed from inside its own render's handler
            _remove(bpy.data.scenes.get(name))
            if complete:
                then(path)

        bpy.app.timers.register(clean, first_interval=0.1)

    _handlers = [
        (bpy.app.handlers.render_complete, lambda *_: ended(True)),
        (bpy.app.handlers.render_cancel, lambda *_: ended(False)),
    ]
    for listed, function in _handlers:
        listed.append(function)
    bpy.ops.render.render("INVOKE_DEFAULT", write_still=True, scene=name)


def _remove(temporary: bpy.types.Scene | None) -> None:
    """Take away the scene and its camera."""
    if temporary is None:
        return
    camera = temporary.camera
    bpy.data.scenes.remove(temporary)
    if camera and camera.name.startswith(TEMPORARY):
        data = camera.data
        bpy.data.objects.remove(camera)
        bpy.data.cameras.remove(data)


_FORWARD = Euler((0.0, 0.0, 0.0)).to_matrix().col[2] * -1.0  # where a camera looks, in its own axes
