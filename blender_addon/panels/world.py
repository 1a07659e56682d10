"""World and Motion: what moves, and how."""

import bpy

from ..operators.world import why_no_text
from .common import Panel, column, lines

MAKE = {"ENVIRONMENT": "Render the World", "RENDER": "Render from the Camera", "PROMPT": "Make from Text"}


class HOLOTIME_PT_world(Panel, bpy.types.Panel):
    """The panorama that becomes a world"""

    bl_idname = "HOLOTIME_PT_world"
    bl_label = "World"

    def draw(self, context):
        """Source, panorama, prompt."""
        settings = context.scene.holotime
        layout = self.layout
        layout.row(align=True).prop(settings, "world_source", expand=True)
        col = column(layout)
        if settings.world_source == "PROMPT":
            col.prop(settings, "prompt", text="Text")
        if settings.world_source != "IMAGE":
            sub = col.column(align=True)
            sub.prop(settings, "capture_width")
            if settings.world_source != "PROMPT":
                sub.prop(settings, "capture_samples")
            row = layout.row()
            row.scale_y = 1.2
            row.operator("holotime.make_panorama", text=MAKE[settings.world_source], icon="RENDER_STILL")
            if settings.world_source == "PROMPT" and (reason := why_no_text(settings)):
                lines(layout, context, reason, "INFO")
        col = column(layout)
        col.prop(settings, "panorama", text="Image" if settings.world_source == "IMAGE" else "Panorama")
        if settings.world_source == "IMAGE":
            col.prop(settings, "fit")
        if settings.world_source != "PROMPT":
            col.prop(settings, "prompt")
        row = layout.row()
        row.active = bool(settings.panorama)
        icon = "HIDE_OFF" if settings.show_panorama else "HIDE_ON"
        row.prop(settings, "show_panorama", toggle=True, icon=icon)


class HOLOTIME_PT_motion(Panel, bpy.types.Panel):
    """How the world moves"""

    bl_idname = "HOLOTIME_PT_motion"
    bl_label = "Motion"

    def draw_header_preset(self, context):
        """Blender's preset menu."""
        from .presets import HOLOTIME_PT_motion_presets

        HOLOTIME_PT_motion_presets.draw_panel_header(self.layout)

    def draw(self, context):
        """Length, amount and direction."""
        settings = context.scene.holotime
        col = column(self.layout)
        sub = col.column(align=True)
        sub.prop(settings, "frames")
        sub.prop(settings, "fps", text="Rate (fps)")
        col.prop(settings, "strength", slider=True)
        row = col.row(heading="Direction")
        row.prop(settings, "use_direction", text="")
        sub = row.row()
        sub.active = settings.use_direction
        sub.prop(settings, "direction", text="")
        col.prop(settings, "seed")
        col.prop(settings, "animator")
        self.layout.label(text=f"A loop of {settings.frames / settings.fps:.3g} s", icon="FILE_REFRESH")


class HOLOTIME_PT_brush(Panel, bpy.types.Panel):
    """Draw where things move and what stands still"""

    bl_idname = "HOLOTIME_PT_brush"
    bl_parent_id = "HOLOTIME_PT_motion"
    bl_label = "Motion Brush"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """Brush, strokes, freeze mask."""
        settings = context.scene.holotime
        layout = self.layout
        col = column(layout)
        sub = col.column(align=True)
        sub.prop(settings, "brush_radius")
        sub.prop(settings, "brush_speed", text="Speed (°/s)")
        row = layout.row()
        row.scale_y = 1.2
        row.operator("holotime.motion_brush", icon="BRUSH_DATA")
        layout.operator("holotime.strokes_from_annotations", icon="GREASEPENCIL")
        count = len(settings.strokes)
        row = layout.row(align=True)
        row.label(text=f"{count} stroke{'' if count == 1 else 's'}")
        row.prop(settings, "show_strokes", text="", icon="HIDE_OFF" if settings.show_strokes else "HIDE_ON")
        row.operator("holotime.clear_strokes", text="", icon="TRASH")


class HOLOTIME_PT_freeze(Panel, bpy.types.Panel):
    """What must not move"""

    bl_idname = "HOLOTIME_PT_freeze"
    bl_parent_id = "HOLOTIME_PT_motion"
    bl_label = "Freeze"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """A painted mask, and an object's silhouette."""
        settings = context.scene.holotime
        col = column(self.layout)
        col.prop(settings, "freeze_object", text="Object")
        col.prop(settings, "freeze_image", text="Mask")
        self.layout.operator("holotime.paint_freeze_mask", icon="TPAINT_HLT")


CLASSES = (HOLOTIME_PT_world, HOLOTIME_PT_motion, HOLOTIME_PT_brush, HOLOTIME_PT_freeze)
