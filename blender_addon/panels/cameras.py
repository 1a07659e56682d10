"""Cameras: preset paths, and which camera is used when."""

import bpy

from ..operators.scene import active_scene_object
from ..viewport.path_view import SAMPLES
from .common import Panel, column, lines

FEW = 32  # points of a path that is not drawn
UNITS = {"factor": "", "seed": "", "deg": "°", "m": "m", "Hz": "Hz", "turns": "turns", "cycles": "cycles"}


class HOLOTIME_PT_cameras(Panel, bpy.types.Panel):
    """Cameras on preset paths"""

    bl_idname = "HOLOTIME_PT_cameras"
    bl_label = "Cameras"

    def draw(self, context):
        """The preset, its length, and the button."""
        settings = context.scene.holotime
        layout = self.layout
        col = column(layout)
        col.prop(settings, "camera_preset")
        col.prop(settings, "camera_duration")
        row = layout.row(align=True)
        row.prop(settings, "show_path", toggle=True, icon="CURVE_PATH")
        row.prop(settings, "show_safe", text="Safe Volume", toggle=True, icon="SHADING_BBOX")
        column(layout).prop(settings, "clamp_to_safe", text="Stay in It")
        self._volume(layout, context)
        row = layout.row()
        row.scale_y = 1.2
        row.operator("holotime.add_camera_path", icon="VIEW_CAMERA")

    def _volume(self, layout, context) -> None:
        """How far a camera may go, and what that does to the path."""
        from ..cameras import safe_walk

        obj = active_scene_object(context)
        if obj is None:
            return
        walk, settings = safe_walk.of(obj), context.scene.holotime
        said = "Measured" if walk.measured else "Estimated from the splats"
        col = layout.column(align=True)
        col.label(text=f"{said}: {100 * walk.nearest():.0f} cm and more", icon="ORIENTATION_GLOBAL")
        if settings.clamp_to_safe and len(settings.camera_parameters):
            from ..cameras.path import chosen_path
            from ..vendor.camera_path import PathError

            try:
                _poses, factor = chosen_path(settings, SAMPLES if settings.show_path else FEW, walk)
            except PathError as error:
                lines(layout, context, str(error), "ERROR")
                return
            if factor < 1:
                col.label(text=f"The path is scaled to {factor:.0%}", icon="BLANK1")


class HOLOTIME_PT_camera_parameters(Panel, bpy.types.Panel):
    """The chosen path's parameters"""

    bl_idname = "HOLOTIME_PT_camera_parameters"
    bl_parent_id = "HOLOTIME_PT_cameras"
    bl_label = "Path Parameters"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """One field for each."""
        settings = context.scene.holotime
        col = column(self.layout)
        if not len(settings.camera_parameters):
            col.label(text="Choose a path first")
        for item in settings.camera_parameters:
            unit = UNITS.get(item.unit, item.unit) if item.unit != item.name else ""
            col.prop(item, "value", text=f"{item.title} ({unit})" if unit else item.title)


class HOLOTIME_PT_camera_list(Panel, bpy.types.Panel):
    """The scene's cameras, and when each is used"""

    bl_idname = "HOLOTIME_PT_camera_list"
    bl_parent_id = "HOLOTIME_PT_cameras"
    bl_label = "Cuts"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """A row for each camera, then the markers."""
        scene, layout = context.scene, self.layout
        cameras = [obj for obj in scene.objects if obj.type == "CAMERA"]
        if not cameras:
            layout.label(text="No cameras yet")
        col = layout.column(align=True)
        for obj in cameras:
            row = col.row(align=True)
            icon = "OUTLINER_OB_CAMERA" if obj == scene.camera else "CAMERA_DATA"
            row.operator(
                "holotime.select_camera", text=obj.name, icon=icon, depress=obj == scene.camera
            ).camera = obj.name
            row.operator("holotime.mark_camera", text="", icon="MARKER_HLT").camera = obj.name
        bound = sorted((m for m in scene.timeline_markers if m.camera), key=lambda m: m.frame)
        for marker in bound:
            layout.label(text=f"Frame {marker.frame}: {marker.camera.name}", icon="MARKER")


CLASSES = (HOLOTIME_PT_cameras, HOLOTIME_PT_camera_parameters, HOLOTIME_PT_camera_list)
