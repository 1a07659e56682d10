"""What a HoloTime scene asks of the scene it is put into: exact colours, enough transparency, and the time."""

from contextlib import suppress
from math import pi

import bpy
from mathutils import Euler

TRANSPARENT_BOUNCES = 128  # layers of splats that a ray may pass
EXACT_BOUNCES = 24  # layers before Cycles may end a ray by chance: below, edges of splats turn grainy
SAMPLES = 4  # with exact layers only anti-aliasing is left to the samples
EYE_DISTANCE = 0.05  # metres between a view and the point that it turns around
CLIP_END = 10_000.0  # metres: the sky's splats are far away


def is_still(scene: bpy.types.Scene) -> bool:
    """Whether nothing in the scene is animated yet, so that its frame rate and range are free to choose."""
    return not any(
        obj.holotime.is_scene or (obj.animation_data and (obj.animation_data.action or obj.animation_data.nla_tracks))
        for obj in scene.objects
    )


def seconds_at_start(scene: bpy.types.Scene) -> float:
    """Where on the timeline, in seconds, the first frame of the scene's range lies."""
    return scene.frame_start * scene.render.fps_base / scene.render.fps


def take_time(scene: bpy.types.Scene, fps: float, duration: float, loop: bool) -> None:
    """Give the scene the clip's frame rate and range. For scenes in which nothing is animated yet."""
    whole = round(fps)
    if abs(fps - whole) < 1e-3:
        scene.render.fps, scene.render.fps_base = whole, 1.0
    else:  # e.g. 29.97: Blender wants a whole number over a base near one
        scene.render.fps = max(1, int(fps) + 1)
        scene.render.fps_base = scene.render.fps / fps
    frames = max(1, round(duration * fps) + (0 if loop else 1))
    scene.frame_end = scene.frame_start + frames - 1


def prepare_render(scene: bpy.types.Scene) -> None:
    """Cycles with settings that show splats exactly, and the display transform that shows sRGB colours as they are."""
    with suppress(TypeError):  # a Blender built without Cycles has no such engine; the points still play
        scene.render.engine = "CYCLES"
    if hasattr(scene, "cycles"):
        cycles = scene.cycles
        cycles.transparent_max_bounces = max(cycles.transparent_max_bounces, TRANSPARENT_BOUNCES)
        cycles.min_transparent_bounces = max(cycles.min_transparent_bounces, EXACT_BOUNCES)
        cycles.samples = SAMPLES
        cycles.use_adaptive_sampling = False
        cycles.use_denoising = False
    scene.view_settings.view_transform = "Standard"
    scene.view_settings.look = "None"
    scene.view_settings.exposure, scene.view_settings.gamma = 0.0, 1.0


def stand_at_eye(eye: bpy.types.Object) -> None:
    """Put every 3D View that looks at nothing in particular to the eye: from elsewhere the world is a torn shell."""
    for screen in bpy.data.screens:
        for area in screen.areas:
            for space in area.spaces:
                if space.type == "VIEW_3D" and space.region_3d.view_perspective == "PERSP":
                    view = space.region_3d
                    heading = eye.matrix_world.to_euler().z
                    view.view_rotation = Euler((pi / 2, 0.0, heading)).to_quaternion()
                    view.view_location, view.view_distance = eye.matrix_world.translation, EYE_DISTANCE


def widen_viewports(minimum: float = CLIP_END) -> None:
    """Let every 3D View see as far as the sky's splats. Without windows there is nothing to do."""
    for screen in bpy.data.screens:
        for area in screen.areas:
            for space in area.spaces:
                if space.type == "VIEW_3D":
                    space.clip_end = max(space.clip_end, minimum)
