"""Render: videos by the sidecar, Cycles for VR, compositing and light for CG objects."""

import bpy

from .. import results
from .common import Panel, column, written


class HOLOTIME_PT_render(Panel, bpy.types.Panel):
    """Videos for headsets and screens"""

    bl_idname = "HOLOTIME_PT_vr"
    bl_label = "Render"

    def draw_header_preset(self, context):
        """Blender's preset menu."""
        from .presets import HOLOTIME_PT_video_presets

        HOLOTIME_PT_video_presets.draw_panel_header(self.layout)

    def draw(self, context):
        """Projection, size and destination."""
        settings = context.scene.holotime
        layout = self.layout
        col = column(layout)
        col.prop(settings, "vr_projection")
        col.prop(settings, "vr_width")
        if settings.vr_projection == "ods":
            col.prop(settings, "vr_eye_distance")
        col.prop(settings, "vr_output")
        row = layout.row()
        row.scale_y = 1.2
        row.operator("holotime.render_vr", icon="RENDER_ANIMATION")
        if results.last_video:
            written(layout, results.last_video)


class HOLOTIME_PT_cycles(Panel, bpy.types.Panel):
    """Let Cycles render, with your own objects in the scene"""

    bl_idname = "HOLOTIME_PT_cycles"
    bl_parent_id = "HOLOTIME_PT_vr"
    bl_label = "Cycles and Objects"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """One button for each set-up."""
        layout = self.layout
        layout.operator("holotime.setup_vr", icon="CAMERA_STEREO")
        layout.operator("holotime.setup_compositing", icon="NODE_COMPOSITING")
        layout.operator("holotime.estimate_light", icon="LIGHT_SUN")
        layout.operator("holotime.add_shadow_catcher", icon="MOD_MASK")


CLASSES = (HOLOTIME_PT_render, HOLOTIME_PT_cycles)
