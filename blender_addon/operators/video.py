"""Operator: a video rendered by the sidecar, for headsets and screens."""

import uuid

import bpy
from bpy.props import StringProperty

from .. import client, results, storage
from ..properties import RELATIVE
from .camera import write_path
from .scene import active_scene_object, needs_sidecar_and_scene, scene_file


class HOLOTIME_OT_render_vr(bpy.types.Operator):
    """Have the sidecar render the scene to a video: panoramic for headsets, or what the scene's camera sees"""

    bl_idname = "holotime.render_vr"
    bl_label = "Render Video"
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
        if not needs_sidecar_and_scene(cls, context):
            return False
        cls.poll_message_set("The scene has no camera: add one first (Cameras panel)")
        return context.scene.holotime.vr_projection != "perspective" or context.scene.camera is not None

    def execute(self, context):
        """Send the job and return at once; the video is fetched when it is done."""
        scene = context.scene
        settings, obj, job = scene.holotime, active_scene_object(context), uuid.uuid4().hex
        source = scene_file(self, obj)
        if source is None:
            return {"CANCELLED"}
        params = {"projection": settings.vr_projection, "width": settings.vr_width}
        inputs = {"scene": str(source)}
        if settings.vr_projection == "ods":
            params["ipd"] = settings.vr_eye_distance
        if settings.vr_projection == "perspective":
            render = scene.render
            ratio = render.resolution_y * render.pixel_aspect_y / (render.resolution_x * render.pixel_aspect_x)
            params["height"] = 2 * round(settings.vr_width * ratio / 2)
            params["fps"] = scene.render.fps / scene.render.fps_base
            inputs["path"] = str(write_path(context, obj, storage.user_folder("paths") / f"{job}.json"))
        output = self.filepath or settings.vr_output
        output = bpy.path.ensure_ext(bpy.path.abspath(output), ".mp4") if output else ""
        label = settings.bl_rna.properties["vr_projection"].enum_items[settings.vr_projection].name
        entry = client.Entry(f"{obj.name}, {label}", scene=scene.name, blend=bpy.data.filepath, output=output)
        client.submit(job, "render", params, inputs, results.FetchVideo(output), entry=entry)
        return {"FINISHED"}


CLASSES = (HOLOTIME_OT_render_vr,)
