"""Operator: a video for headsets, rendered by the sidecar."""

import uuid
from pathlib import Path

import bpy
from bpy.props import StringProperty

from .. import client, results
from ..properties import RELATIVE


class HOLOTIME_OT_render_vr(bpy.types.Operator):
    """Have the sidecar render the scene to a panoramic video"""

    bl_idname = "holotime.render_vr"
    bl_label = "Render VR Video"
    bl_options = {"REGISTER"}

    filepath: StringProperty(
        name="Output",
        description="Video file to write; empty: the scene's setting, or beside the other results",
        subtype="FILE_PATH",
        options={"SKIP_SAVE", *RELATIVE},
    )

    @classmethod
    def poll(cls, context):
        """Only with a sidecar and a HoloTime scene."""
        if not client.connected():
            cls.poll_message_set("Not connected to a sidecar: connect or start one first")
            return False
        cls.poll_message_set("There is no HoloTime scene here: generate or import one first")
        return any(obj.holotime.is_scene for obj in context.scene.objects)

    def execute(self, context):
        """Send the job and return at once; the video is fetched when it is done."""
        from ..scene_import.importer import find_scene_object

        settings = context.scene.holotime
        obj = find_scene_object(context.scene, context.object)
        source = Path(bpy.path.abspath(obj.holotime.source)) if obj else Path()
        if not source.is_file():
            self.report({"ERROR"}, f"The scene's file {source} is gone. Put it back, or import the scene again.")
            return {"CANCELLED"}
        params = {"projection": settings.vr_projection, "width": settings.vr_width}
        if settings.vr_projection == "ods":
            params["ipd"] = settings.vr_eye_distance
        output = self.filepath or settings.vr_output
        output = bpy.path.ensure_ext(bpy.path.abspath(output), ".mp4") if output else ""
        client.submit(uuid.uuid4().hex, "render", params, {"scene": str(source)}, results.FetchVideo(output))
        return {"FINISHED"}


CLASSES = (HOLOTIME_OT_render_vr,)
