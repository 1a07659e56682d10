"""Blender's own presets for the panels: each saves and restores some of the scene's settings."""

import bpy
from bl_operators.presets import AddPresetBase

SETTINGS = "bpy.context.scene.holotime"
MOTION = ("frames", "fps", "strength", "use_direction", "direction", "enhance_fps", "enhance_scale")
VIDEO = (  # the player first: it sets others
    *("vr_target", "vr_projection", "vr_width", "vr_eye_distance", "vr_codec", "vr_bits", "vr_quality", "vr_behind"),
    *("vr_camera", "vr_level", "vr_dome", "vr_repeat", "vr_speed", "vr_phase", "vr_seconds", "vr_fps"),
)


class HOLOTIME_OT_motion_preset_add(AddPresetBase, bpy.types.Operator):
    """Add or remove a motion preset"""

    bl_idname = "holotime.motion_preset_add"
    bl_label = "Add Motion Preset"
    preset_menu = "HOLOTIME_PT_motion_presets"
    preset_subdir = "holotime/motion"
    preset_defines = (f"settings = {SETTINGS}",)
    preset_values = tuple(f"settings.{name}" for name in MOTION)


class HOLOTIME_OT_quality_preset_add(AddPresetBase, bpy.types.Operator):
    """Add or remove a quality preset"""

    bl_idname = "holotime.quality_preset_add"
    bl_label = "Add Quality Preset"
    preset_menu = "HOLOTIME_PT_quality_presets"
    preset_subdir = "holotime/quality"
    preset_defines = (f"settings = {SETTINGS}",)
    preset_values = ("settings.width", "settings.budget")


class HOLOTIME_OT_video_preset_add(AddPresetBase, bpy.types.Operator):
    """Add or remove a video preset"""

    bl_idname = "holotime.video_preset_add"
    bl_label = "Add Video Preset"
    preset_menu = "HOLOTIME_PT_video_presets"
    preset_subdir = "holotime/video"
    preset_defines = (f"settings = {SETTINGS}",)
    preset_values = tuple(f"settings.{name}" for name in VIDEO)


CLASSES = (HOLOTIME_OT_motion_preset_add, HOLOTIME_OT_quality_preset_add, HOLOTIME_OT_video_preset_add)
