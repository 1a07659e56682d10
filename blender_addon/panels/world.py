"""World and Motion: what moves, and how."""

import bpy

from .. import models
from ..operators.jobs import DRAWN
from ..operators.world import why_not_drawn
from .common import Panel, column, lines

MAKE = {
    "ENVIRONMENT": "Render the World",
    "RENDER": "Render from the Camera",
    "PROMPT": "Draw from the Text",
    "PHOTO": "Draw round the Photo",
}


def licence(layout, context, choice) -> None:
    """What may be done with what a model makes, and what it costs to fetch."""
    if choice is None or not choice.told:
        return
    lines(layout, context, choice.told, "ERROR" if choice.commercial is False else "INFO")


class HOLOTIME_PT_world(Panel, bpy.types.Panel):
    """The panorama that becomes a world"""

    bl_idname = "HOLOTIME_PT_world"
    bl_label = "World"

    def draw(self, context):
        """Source, what it needs, panorama."""
        settings = context.scene.holotime
        layout, source = self.layout, settings.world_source
        col = column(layout)
        col.prop(settings, "world_source", text="From")
        if source in DRAWN:
            self._drawn(layout, context, settings)
        elif source != "IMAGE":
            sub = col.column(align=True)
            sub.prop(settings, "capture_width")
            sub.prop(settings, "capture_samples")
        if source != "IMAGE":
            row = layout.row()
            row.scale_y = 1.2
            row.operator("holotime.make_panorama", text=MAKE[source], icon="RENDER_STILL")
            if source in DRAWN and (reason := why_not_drawn(settings)):
                lines(layout, context, reason, "INFO")
        col = column(layout)
        empty = "drawn with the world" if source in DRAWN else ""
        col.prop(settings, "panorama", text="Image" if source == "IMAGE" else "Panorama", placeholder=empty)
        if source == "IMAGE":
            col.prop(settings, "fit")
        if source not in DRAWN:
            col.prop(settings, "prompt", placeholder="what it shows")
        row = layout.row()
        row.active = bool(settings.panorama)
        icon = "HIDE_OFF" if settings.show_panorama else "HIDE_ON"
        row.prop(settings, "show_panorama", toggle=True, icon=icon)

    def _drawn(self, layout, context, settings) -> None:
        """Sentence or photo, and the model."""
        photo = settings.world_source == "PHOTO"
        if not photo:
            layout.prop(settings, "prompt", text="", placeholder="a lighthouse in stormy seas", icon="TEXT")
        col = column(layout)
        if photo:
            col.prop(settings, "photo")
            sub = col.column(align=True)
            sub.prop(settings, "photo_fov")
            sub.prop(settings, "photo_yaw")
            sub.prop(settings, "photo_pitch")
            col.prop(settings, "prompt", placeholder="what lies around")
        col.prop(settings, "panorama_model")
        if settings.panorama_model == "OWN":
            col.prop(settings, "panorama_own_model", placeholder="owner/name, or a folder")
        col.prop(settings, "capture_width")
        licence(layout, context, models.find(models.PHOTOS if photo else models.PANORAMAS, settings.panorama_model))


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
        col.prop(settings, "animator")
        sub = col.column(align=True)
        sub.prop(settings, "frames")
        sub.prop(settings, "fps", text="Rate (fps)")
        if settings.animator == "flow":
            col.prop(settings, "strength", slider=True)
            row = col.row(heading="Direction")
            row.prop(settings, "use_direction", text="")
            sub = row.row()
            sub.active = settings.use_direction
            sub.prop(settings, "direction", text="")
        else:
            self._diffusion(col, settings)
        col.prop(settings, "seed")
        kind = "A loop" if settings.animator not in models.VIDEO_MODELS or settings.video_loop != "none" else "A clip"
        self.layout.label(text=f"{kind} of {settings.frames / settings.fps:.3g} s", icon="FILE_REFRESH")
        licence(self.layout, context, models.find(models.ANIMATORS, settings.animator))

    def _diffusion(self, col, settings) -> None:
        """What only models have."""
        col.prop(settings, "diffusion_quality")
        col.prop(settings, "diffusion_memory")
        if settings.animator in models.VIDEO_MODELS:
            col.prop(settings, "video_loop")
            col.prop(settings, "video_model", placeholder="the usual")


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


class HOLOTIME_PT_enhance(Panel, bpy.types.Panel):
    """More frames and more pixels, before the world is built"""

    bl_idname = "HOLOTIME_PT_enhance"
    bl_parent_id = "HOLOTIME_PT_motion"
    bl_label = "Enhance"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """Frames in between, enlarging, and what comes out."""
        settings = context.scene.holotime
        col = column(self.layout)
        col.prop(settings, "enhance_fps", text="Rate (fps)" if settings.enhance_fps else "Rate (0: as it is)")
        col.row().prop(settings, "enhance_scale", expand=True)
        rate = max(settings.enhance_fps, settings.fps)
        frames, width = round(settings.frames * rate / settings.fps), settings.width * int(settings.enhance_scale)
        col = self.layout.column(align=True)
        col.label(text=f"{frames} frames, {width} × {width // 2}", icon="FILE_MOVIE")
        if 0 < settings.enhance_fps <= settings.fps:
            col.label(text=f"Choose more than {settings.fps:g} frames/s", icon="INFO")


CLASSES = (HOLOTIME_PT_world, HOLOTIME_PT_motion, HOLOTIME_PT_brush, HOLOTIME_PT_freeze, HOLOTIME_PT_enhance)
