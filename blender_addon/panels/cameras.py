"""Cameras: preset paths, and which camera is used when."""

import bpy

from .common import Panel, column

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
        row = layout.row()
        row.scale_y = 1.2
        row.operator("holotime.add_camera_path", icon="VIEW_CAMERA")


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
            unit = UNITS.get(item.unit, item.unit)
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
