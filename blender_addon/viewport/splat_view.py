"""True splats in the 3D View: for each object shown so, its splats drawn over the scene, hidden by what is nearer.

While an object is shown so, its points are switched off. A file is always saved with the points on, so that it shows
something without this extension too.
"""

import bpy
from bpy.app.handlers import persistent

from . import handlers

NAME = "splat preview"
_drawers: dict[str, tuple[tuple, object]] = {}  # object name -> (what it was made from, SplatDrawer)


def apply_display(obj: bpy.types.Object) -> None:
    """Make the object's points and our drawing follow its setting."""
    _points(obj, obj.holotime.display == "POINTS" or bpy.app.background)
    refresh()


def refresh() -> None:
    """Draw while any object in the file wants to be shown as splats."""
    if any(map(_wants_splats, bpy.data.objects)):
        handlers.on(NAME, _draw)
    else:
        handlers.off(NAME)
        _drawers.clear()
    handlers.redraw()


def _wants_splats(obj: bpy.types.Object) -> bool:
    """Whether its splats are to be drawn by us; native ones are drawn by Blender."""
    return obj.type == "MESH" and obj.holotime.is_scene and obj.holotime.display == "SPLATS"


def fall_back(name: str) -> None:
    """Splats cannot be drawn on this computer: show points."""
    for obj in bpy.data.objects:
        if name == NAME and obj.holotime.display == "SPLATS":
            obj.holotime.display = "POINTS"


def forget() -> None:
    """Let go of everything on the graphics card."""
    _drawers.clear()


def playing(obj: bpy.types.Object, scene: bpy.types.Scene, frame: float | None = None) -> dict[str, float]:
    """What the object shows at a frame (now): time in [0, 1], opacity and size, from its modifier and the timeline."""
    from ..scene_import.splat_object import get_input, scene_modifier
    from .splat_sort import scene_time

    modifier = scene_modifier(obj)
    inputs = {name: get_input(modifier, name) for name in ("Offset", "Speed", "Duration", "Phase", "Loop", "Ping-Pong")}
    at = scene.frame_current_final if frame is None else frame
    seconds = at * scene.render.fps_base / scene.render.fps
    mode = "pingpong" if inputs["Ping-Pong"] else "loop" if inputs["Loop"] else "once"
    offset, speed, duration, phase = (float(inputs[n]) for n in ("Offset", "Speed", "Duration", "Phase"))
    time = scene_time(seconds, offset=offset, speed=speed, duration=duration, phase=phase, mode=mode)
    return {
        "time": time,
        "opacity": float(get_input(modifier, "Opacity")),
        "size": float(get_input(modifier, "Splat Size")),
    }


def _draw() -> None:
    import numpy as np

    from ..scene_import.splat_object import get_input, scene_modifier
    from .splat_gpu import UPLOAD_SECONDS

    context = bpy.context
    view, region = context.region_data, context.region
    projection, to_view = np.array(view.window_matrix, np.float32), view.view_matrix
    shown = [o for o in context.visible_objects if _wants_splats(o)]
    far_first = sorted(shown, key=lambda o: (to_view @ o.matrix_world.translation).z)
    for obj in far_first:
        if scene_modifier(obj) is None:
            continue
        drawer = _drawer(obj)
        if drawer.go_on(UPLOAD_SECONDS):
            handlers.redraw_soon()
        if drawer.empty:
            continue
        modelview = np.array(to_view @ obj.matrix_world, np.float32)
        state = playing(obj, context.scene) | {"low_pass": float(get_input(scene_modifier(obj), "Low Pass"))}
        drawer.draw(modelview, projection, (region.width, region.height), linear=True, wait=False, **state)
        if drawer.pending:
            handlers.redraw_soon()
    for name in _drawers.keys() - {o.name for o in bpy.data.objects if o.holotime.display == "SPLATS"}:
        del _drawers[name]


def _drawer(obj: bpy.types.Object):
    """The object's splats, on their way to the card when its mesh or its density has changed."""
    from ..scene_import.splat_object import get_input, scene_modifier
    from .splat_gpu import SplatDrawer, reading

    density = float(get_input(scene_modifier(obj), "Viewport Density"))
    made_from = (obj.data.name, len(obj.data.vertices), round(density, 3))
    known = _drawers.get(obj.name)
    if known is None or known[0] != made_from:
        drawer = known[1] if known else SplatDrawer()
        read = reading(obj.data)
        drawer.prepare(lambda: _upload(read, density))
        known = _drawers[obj.name] = (made_from, drawer)
    return known[1]


def _upload(read, density: float):
    """Splats in the form that the card takes, ``density`` of them; on another thread."""
    import numpy as np

    from .splat_gpu import Upload

    arrays = read()
    if density < 1.0:
        arrays = arrays.take(np.random.default_rng(0).random(len(arrays)) < max(density, 1e-3))
    return Upload.of(arrays)


def _points(obj: bpy.types.Object, shown: bool) -> None:
    from ..scene_import.splat_object import get_input, scene_modifier, set_input

    modifier = scene_modifier(obj)
    if modifier and obj.type == "MESH" and bool(get_input(modifier, "Points in Viewport")) != shown:
        set_input(modifier, "Points in Viewport", shown)


@persistent
def _before_save(*_args) -> None:
    for obj in bpy.data.objects:
        if obj.holotime.is_scene and obj.holotime.display == "SPLATS":
            _points(obj, True)


@persistent
def _after_save_or_load(*_args) -> None:
    for obj in bpy.data.objects:
        if obj.holotime.is_scene and obj.holotime.display == "SPLATS":
            _points(obj, bpy.app.background)
    _drawers.clear()
    refresh()
    if not bpy.app.background:
        from ..cameras.presets import fill_in

        fill_in()


_HANDLERS = (
    ("save_pre", _before_save),
    ("save_post", _after_save_or_load),
    ("save_post_fail", _after_save_or_load),
    ("load_post", _after_save_or_load),
)


def register() -> None:
    """Follow saving and loading."""
    handlers.on_failure.append(fall_back)
    for name, function in _HANDLERS:
        getattr(bpy.app.handlers, name).append(function)


def unregister() -> None:
    """Follow nothing any more, and leave points where splats were."""
    for name, function in _HANDLERS:
        listed = getattr(bpy.app.handlers, name)
        if function in listed:
            listed.remove(function)
    handlers.on_failure.clear()
    _before_save()
    forget()
