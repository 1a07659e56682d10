"""Blender's preset menus in the panels' headers."""

import bpy
from bl_ui.utils import PresetPanel


class HOLOTIME_PT_motion_presets(PresetPanel, bpy.types.Panel):
    """Lengths and strengths of motion"""

    bl_label = "Motion Presets"
    preset_subdir = "holotime/motion"
    preset_operator = "script.execute_preset"
    preset_add_operator = "holotime.motion_preset_add"


class HOLOTIME_PT_quality_presets(PresetPanel, bpy.types.Panel):
    """Sizes and numbers of splats"""

    bl_label = "Quality Presets"
    preset_subdir = "holotime/quality"
    preset_operator = "script.execute_preset"
    preset_add_operator = "holotime.quality_preset_add"


class HOLOTIME_PT_video_presets(PresetPanel, bpy.types.Panel):
    """Headsets and screens"""

    bl_label = "Video Presets"
    preset_subdir = "holotime/video"
    preset_operator = "script.execute_preset"
    preset_add_operator = "holotime.video_preset_add"


CLASSES = (HOLOTIME_PT_motion_presets, HOLOTIME_PT_quality_presets, HOLOTIME_PT_video_presets)
