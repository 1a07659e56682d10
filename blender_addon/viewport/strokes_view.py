"""The motion brush's strokes around the eye: arrows where things are to move, red bands where they stand still."""

import math

import bpy
from mathutils import Vector

from . import handlers, lines

NAME = "motion brush"
DISTANCE = 4.0  # metres from the eye at which strokes are drawn
MOVE, FREEZE = (0.25, 0.8, 1.0, 0.95), (1.0, 0.25, 0.2, 0.95)
HEAD = 0.5  # length of an arrow's head in brush radii


def refresh() -> None:
    """Draw while there are strokes to see."""
    settings = bpy.context.scene.holotime
    if settings.show_strokes and len(settings.strokes):
        handlers.on(NAME, draw)
    else:
        handlers.off(NAME)
    handlers.redraw()


def draw() -> None:
    """Draw the strokes of the view's scene."""
    settings = bpy.context.scene.holotime
    if not settings.show_strokes:
        return
    for kind, color in (("MOVE", MOVE), ("FREEZE", FREEZE)):
        chosen = [s for s in settings.strokes if s.kind == kind]
        paths = [points(s) for s in chosen]
        lines.draw_strips([p for p in paths if len(p) > 1], color, 3.0 if kind == "MOVE" else 6.0)
        edges = [side for s, p in zip(chosen, paths, strict=True) for side in _sides(p, s.radius)]
        lines.draw_strips(edges, (*color[:3], 0.35), 1.0)
        if kind == "MOVE":
            heads = [_head(p, s.radius) for s, p in zip(chosen, paths, strict=True) if len(p) > 1]
            lines.draw_strips(heads, color, 3.0)


def points(stroke) -> list[Vector]:
    """The stroke's points on the sphere on which it is drawn, around the eye."""
    flat = list(stroke.get("path", ()))
    eye = eye_of(bpy.context.scene)
    return [eye + DISTANCE * Vector(flat[i : i + 3]) for i in range(0, len(flat) - 2, 3)]


def eye_of(scene: bpy.types.Scene) -> Vector:
    """Where the panorama is seen from: the HoloTime scene's origin, else the world's."""
    for obj in scene.objects:
        if obj.holotime.is_scene:
            return obj.matrix_world.translation.copy()
    return Vector((0.0, 0.0, 0.0))


def _sides(path: list[Vector], radius: float) -> list[list[Vector]]:
    """The two edges of a stroke's band."""
    eye = eye_of(bpy.context.scene)
    left, right = [], []
    for i, point in enumerate(path):
        along = path[min(i + 1, len(path) - 1)] - path[max(i - 1, 0)]
        out = (point - eye).normalized()
        across = along.cross(out)
        if across.length < 1e-6:
            continue
        offset = across.normalized() * DISTANCE * math.tan(radius)
        left.append(point + offset)
        right.append(point - offset)
    return [left, right]


def _head(path: list[Vector], radius: float) -> list[Vector]:
    """The arrow's head at a stroke's end."""
    eye = eye_of(bpy.context.scene)
    tip, before = path[-1], path[max(0, len(path) - 4)]
    along = (tip - before).normalized()
    across = along.cross((tip - eye).normalized())
    size = HEAD * DISTANCE * math.tan(radius)
    return [tip - size * (along + 0.7 * across), tip, tip - size * (along - 0.7 * across)]
