"""Operators: send a job, bring its result into the scene."""

import uuid
from math import degrees
from pathlib import Path

import bpy
from bpy.props import StringProperty

from .. import client, job_list, results, storage
from ..properties import RELATIVE

NOT_CONNECTED = "Not connected to a sidecar: connect or start one first (Generate panel)"


def generate_params(settings) -> dict:
    """The parameters of a ``generate`` job from a scene's settings."""
    params = {
        name: getattr(settings, name)
        for name in ("prompt", "fit", "width", "frames", "fps", "strength", "seed", "budget", "animator")
    }
    if settings.use_direction:
        params["direction"] = degrees(settings.direction)
    return params


class HOLOTIME_OT_generate(bpy.types.Operator):
    """Send the panorama to the sidecar, which turns it into an animated world"""

    bl_idname = "holotime.generate"
    bl_label = "Generate"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        """Only with a sidecar and a panorama."""
        if not client.connected():
            cls.poll_message_set(NOT_CONNECTED)
            return False
        cls.poll_message_set("Choose a panorama first (World panel)")
        return bool(context.scene.holotime.panorama)

    def execute(self, context):
        """Send the job and return at once."""
        from ..motion_brush import sources

        scene = context.scene
        settings = scene.holotime
        path = Path(bpy.path.abspath(settings.panorama))
        if not path.is_file():
            self.report({"ERROR"}, f"{path} is not a file. Choose a panorama image.")
            return {"CANCELLED"}
        job = uuid.uuid4().hex
        inputs = {"panorama": str(path)}
        try:
            if sources.has_hint(scene):
                inputs["hint"] = str(sources.write_hint(scene, storage.user_folder("hints") / f"{job}.png"))
        except (sources.BrushError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        # The scene is looked up again by name when the job is done: it may be gone, or moved by undo, by then.
        on_success = results.Import(scene.name) if settings.auto_import else None
        title = job_list.unused_title(path.stem)
        entry = client.Entry(title, scene=scene.name, blend=bpy.data.filepath, auto_import=settings.auto_import)
        client.submit(job, "generate", generate_params(settings) | {"name": path.name}, inputs, on_success, entry=entry)
        results.last_error = ""
        return {"FINISHED"}


class HOLOTIME_OT_import_result(bpy.types.Operator):
    """Bring the result of a finished job into this scene: the moving world and its clip as background"""

    bl_idname = "holotime.import_result"
    bl_label = "Import Result"
    bl_options = {"REGISTER"}

    job: StringProperty(name="Job", description="Id of the job; empty: the one sent last", options={"SKIP_SAVE"})
    directory: StringProperty(
        name="Folder",
        description="Where the files go; empty: beside the .blend, or the extension's folder while it is not saved",
        subtype="DIR_PATH",
        options={"SKIP_SAVE", *RELATIVE},
    )

    @classmethod
    def poll(cls, context):
        """Only with a sidecar to fetch from."""
        cls.poll_message_set(NOT_CONNECTED)
        return client.connected()

    def execute(self, context):
        """Begin to fetch; the scene appears when its files are here."""
        job = client.jobs.get(self.job or client.latest_job)
        if job is None or job.status != "succeeded":
            self.report({"ERROR"}, "That job has no result (yet). Wait until it has succeeded.")
            return {"CANCELLED"}
        folder = bpy.path.abspath(self.directory) if self.directory else ""
        results.Import(context.scene.name, folder)(job)
        if results.last_error:
            self.report({"ERROR"}, results.last_error)
            return {"CANCELLED"}
        return {"FINISHED"}


CLASSES = (HOLOTIME_OT_generate, HOLOTIME_OT_import_result)
