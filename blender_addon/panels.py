"""The panels of the tab HoloTime in the 3D View's sidebar, in the order of work."""

import textwrap

import bpy

from . import client, results

STAGES = {  # as the sidecar names them -> as an artist reads them
    "starting": "Starting",
    "panorama": "Reading the panorama",
    "perceive": "Finding distance",
    "animate": "Animating",
    "track": "Following what moves",
    "reconstruct": "Building the world",
    "report": "Writing the report",
    "render": "Rendering",
}
SCENE_INPUTS = (
    "Offset",
    "Speed",
    "Loop",
    "Splat Size",
    "Viewport Density",
    "Splats in Viewport",
    "Splats in Render",
)
KINDS = {"generate": "World", "render": "Video"}


class _Panel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "HoloTime"


def _lines(layout, text: str, icon: str = "NONE", width: int = 42) -> None:
    """A text of any length, wrapped to the sidebar."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    for i, line in enumerate(line for part in text.splitlines() for line in textwrap.wrap(part, width)):
        column.label(text=line, icon=icon if i == 0 else "BLANK1" if icon != "NONE" else "NONE")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class HOLOTIME_PT_world(_Panel, bpy.types.Panel):
    """The panorama that becomes a world"""

    bl_idname = "HOLOTIME_PT_world"
    bl_label = "World"

    def draw(self, context):
        """Panorama, prompt and shape."""
        settings = context.scene.holotime
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "panorama")
        layout.prop(settings, "prompt")
        layout.prop(settings, "fit")


class HOLOTIME_PT_motion(_Panel, bpy.types.Panel):
    """How the world moves"""

    bl_idname = "HOLOTIME_PT_motion"
    bl_label = "Motion"

    def draw(self, context):
        """Length, amount and direction."""
        settings = context.scene.holotime
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        column = layout.column(align=True)
        column.prop(settings, "frames")
        column.prop(settings, "fps")
        layout.prop(settings, "strength", slider=True)
        row = layout.row(heading="Direction")
        row.prop(settings, "use_direction", text="")
        sub = row.row()
        sub.active = settings.use_direction
        sub.prop(settings, "direction", text="")
        layout.prop(settings, "seed")


class HOLOTIME_PT_generate(_Panel, bpy.types.Panel):
    """Send the job and see how far it is"""

    bl_idname = "HOLOTIME_PT_generate"
    bl_label = "Generate"

    def draw(self, context):
        """Connection, size, button and the running jobs."""
        settings = context.scene.holotime
        layout = self.layout
        if not client.active():
            row = layout.row(align=True)
            row.operator("holotime.start_sidecar", icon="PLAY")
            row.operator("holotime.connect", icon="LINKED")
        else:
            row = layout.row()
            row.label(text=client.link_text, icon="CHECKMARK" if client.connected() else "SORTTIME")
            row.operator("holotime.disconnect", text="", icon="UNLINKED")
        if not client.active() and client.link_text != "Not connected":
            _lines(layout, client.link_text, "ERROR")
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(settings, "width")
        column.prop(settings, "budget")
        column.prop(settings, "auto_import")
        row = layout.row()
        row.scale_y = 1.5
        row.operator("holotime.generate", icon="OUTLINER_OB_POINTCLOUD")
        for job in list(client.jobs.values())[-4:]:
            self._draw_job(layout.box(), job)
        if results.last_error:
            _lines(layout, results.last_error, "ERROR")

    def _draw_job(self, layout, job) -> None:
        kind = KINDS.get(job.kind, job.kind)
        row = layout.row()
        if job.status == "running":
            text = f"{kind}: {STAGES.get(job.stage, job.stage)}"
            if job.eta is not None:
                text += f", {_duration(job.eta)} left"
            row.progress(factor=job.fraction, text=text)
        else:
            icon = {"succeeded": "CHECKMARK", "failed": "ERROR", "cancelled": "CANCEL"}.get(job.status, "SORTTIME")
            row.label(text=f"{kind}: {job.status}", icon=icon)
        if not job.done:
            row.operator("holotime.cancel_job", text="", icon="X").job = job.id
        elif job.status == "succeeded" and job.kind == "generate":
            row.operator("holotime.import_result", text="", icon="IMPORT").job = job.id
        if job.error:
            _lines(layout, job.error)


class HOLOTIME_PT_scene(_Panel, bpy.types.Panel):
    """The imported world"""

    bl_idname = "HOLOTIME_PT_scene"
    bl_label = "Scene"

    def draw(self, context):
        """Import, and how the active scene plays."""
        from .scene_import.importer import find_scene_object
        from .scene_import.splat_object import input_property, scene_modifier

        layout = self.layout
        row = layout.row(align=True)
        row.operator("holotime.import_scene", icon="IMPORT")
        row.operator("holotime.set_world_clip", icon="WORLD")
        obj = find_scene_object(context.scene, context.object)
        modifier = scene_modifier(obj)
        if modifier is None:
            return
        layout.label(text=obj.name, icon="OUTLINER_OB_POINTCLOUD")
        column = layout.column()
        column.use_property_split = True
        for name in SCENE_INPUTS:
            owner, prop = input_property(modifier, name)
            column.prop(owner, prop, text=name)


class HOLOTIME_PT_cameras(_Panel, bpy.types.Panel):
    """Cameras on preset paths"""

    bl_idname = "HOLOTIME_PT_cameras"
    bl_label = "Cameras"

    def draw(self, context):
        """The preset, its parameters once it was chosen, and the button."""
        settings = context.scene.holotime
        layout = self.layout
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(settings, "camera_preset")
        for item in settings.camera_parameters:
            unit = "" if item.unit in ("factor", "seed") else f" ({item.unit})"
            column.prop(item, "value", text=f"{item.title}{unit}")
        layout.operator("holotime.add_camera_path", icon="VIEW_CAMERA")


class HOLOTIME_PT_vr(_Panel, bpy.types.Panel):
    """Video for headsets"""

    bl_idname = "HOLOTIME_PT_vr"
    bl_label = "VR"

    def draw(self, context):
        """Projection, size and destination."""
        settings = context.scene.holotime
        layout = self.layout
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(settings, "vr_projection")
        column.prop(settings, "vr_width")
        sub = column.column()
        sub.active = settings.vr_projection == "ods"
        sub.prop(settings, "vr_eye_distance")
        column.prop(settings, "vr_output")
        layout.operator("holotime.render_vr", icon="RENDER_ANIMATION")
        if results.last_video:
            _lines(layout, f"Written: {results.last_video}", "CHECKMARK")


CLASSES = (
    HOLOTIME_PT_world,
    HOLOTIME_PT_motion,
    HOLOTIME_PT_generate,
    HOLOTIME_PT_scene,
    HOLOTIME_PT_cameras,
    HOLOTIME_PT_vr,
)
