"""The chosen camera path before it is added: its curve, where the camera looks, and where it may safely travel."""

import math

import bpy
from mathutils import Matrix, Vector

from . import handlers, lines

NAME = "camera path"
SAMPLES = 96  # points of the curve
LOOKS = 12  # little cameras along it
PATH, LOOK, SAFE = (1.0, 0.65, 0.1, 1.0), (1.0, 0.85, 0.4, 0.8), (0.3, 1.0, 0.5, 0.35)


def refresh() -> None:
    """Draw while the scene wants to see its path or its safe volume."""
    settings = bpy.context.scene.holotime
    if settings.show_path or settings.show_safe:
        handlers.on(NAME, draw)
    else:
        handlers.off(NAME)
    handlers.redraw()


def draw() -> None:
    """Draw for the view's scene."""
    from ..cameras import safe_walk
    from ..scene_import.importer import find_scene_object

    scene = bpy.context.scene
    settings = scene.holotime
    obj = find_scene_object(scene, bpy.context.object)
    place = obj.matrix_world if obj else Matrix()
    if settings.show_safe and obj:
        wire = [[place @ Vector(p) for p in strip] for strip in safe_walk.wire(safe_walk.of(obj))]
        lines.draw_strips(wire, SAFE, 1.0)
    if settings.show_path:
        matrices = _matrices(settings, obj)
        curve = [place @ m.translation for m in matrices]
        lines.draw_strips([curve], PATH, 2.5)
        length = max(0.02, 0.12 * _extent(curve))
        step = max(1, len(matrices) // LOOKS)
        looks = [frustum(place @ m, length) for m in matrices[::step]]
        lines.draw_strips([strip for look in looks for strip in look], LOOK, 1.0)


def frustum(matrix: Matrix, length: float) -> list[list[Vector]]:
    """A little camera that looks along its own -Z, ``length`` long."""
    corners = [matrix @ Vector((x * 0.5 * length, y * 0.3 * length, -length)) for x, y in _AROUND]
    eye = matrix.translation
    return [[*corners, corners[0]], *([eye, corner] for corner in corners)]


_AROUND = ((-1, -1), (1, -1), (1, 1), (-1, 1))


def _matrices(settings, obj) -> list[Matrix]:
    """Poses of the path as it would be added, in Blender's axes."""
    from ..cameras import axes, safe_walk
    from ..cameras.path import chosen_path

    poses, _factor = chosen_path(settings, SAMPLES, safe_walk.of(obj) if obj and settings.clamp_to_safe else None)
    return [Matrix(axes.opencv_to_blender(pose.matrix)) for pose in poses]


def _extent(points: list[Vector]) -> float:
    """The longest side of the box around the points."""
    return max(max(p[i] for p in points) - min(p[i] for p in points) for i in range(3)) if points else math.nan
