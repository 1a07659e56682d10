"""Operators: send a job, bring its result into the scene."""

import uuid
from math import degrees
from pathlib import Path

import bpy
from bpy.props import StringProperty

from .. import client, job_list, results, storage
from ..models import DIFFUSION, VIDEO_MODELS
from ..properties import RELATIVE

DRAWN = {"PROMPT": "text", "PHOTO": "outpaint"}  # sources that a model draws
TITLE = 40  # letters of a sentence in the job list
NOT_CONNECTED = "Not connected to a sidecar: connect or start one first (Generate panel)"


def generate_params(settings) -> dict:
    """The parameters of a ``generate`` job from a scene's settings."""
    params = {
        name: getattr(settings, name)
        for name in ("prompt", "fit", "width", "frames", "fps", "strength", "seed", "budget", "animator")
    }
    if settings.use_direction:
        params["direction"] = degrees(settings.direction)
    if settings.animator in DIFFUSION:
        params |= {"quality": settings.diffusion_quality, "memory": settings.diffusion_memory}
    if settings.animator in VIDEO_MODELS:
        params |= {"video_model": settings.video_model, "loop": settings.video_loop}
    if settings.enhance_fps > settings.fps:
        params["enhance_fps"] = settings.enhance_fps
    if settings.enhance_scale != "1":
        params["enhance_scale"] = int(settings.enhance_scale)
    if drawn(settings):
        params |= {"panorama": DRAWN[settings.world_source], "panorama_model": panorama_model(settings)}
        if settings.world_source == "PHOTO":
            params |= photo_params(settings)
    return params


def drawn(settings) -> bool:
    """Whether the job draws its panorama itself: from the text or round the photo, when none was made before."""
    return settings.world_source in DRAWN and not settings.panorama


def panorama_model(settings) -> str:
    """The model that draws the panorama."""
    return settings.panorama_own_model if settings.panorama_model == "OWN" else settings.panorama_model


def photo_params(settings) -> dict:
    """Where a photo looks, in degrees."""
    return {name: degrees(getattr(settings, f"photo_{name}")) for name in ("fov", "yaw", "pitch")}


def why_not(settings) -> str:
    """Why nothing can be generated as it is set; empty when it can."""
    if drawn(settings):
        if settings.panorama_model == "OWN" and not settings.panorama_own_model.strip():
            return "Name the model that is to draw the panorama (World panel)"
        if settings.world_source == "PROMPT" and not settings.prompt.strip():
            return "Write a sentence first (World panel)"
        return "Choose a photo first (World panel)" if settings.world_source == "PHOTO" and not settings.photo else ""
    return "" if settings.panorama else "Choose a panorama first (World panel)"


class HOLOTIME_OT_generate(bpy.types.Operator):
    """Send the panorama, or the sentence, to the sidecar, which turns it into an animated world"""

    bl_idname = "holotime.generate"
    bl_label = "Generate"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        """Only with a sidecar and a panorama."""
        if not client.connected():
            cls.poll_message_set(NOT_CONNECTED)
            return False
        reason = why_not(context.scene.holotime)
        cls.poll_message_set(reason or " ")
        return not reason

    def execute(self, context):
        """Send the job and return at once."""
        from ..motion_brush import sources

        scene = context.scene
        settings = scene.holotime
        source = settings.panorama if not drawn(settings) else settings.photo * (settings.world_source == "PHOTO")
        path = Path(bpy.path.abspath(source)) if source else None
        if path and not path.is_file():
            self.report({"ERROR"}, f"{path} is not a file. Choose an image.")
            return {"CANCELLED"}
        job, name = uuid.uuid4().hex, path.name if path else settings.prompt[:TITLE]
        inputs = {"panorama": str(path)} if path else {}
        try:
            if sources.has_hint(scene):
                inputs["hint"] = str(sources.write_hint(scene, storage.user_folder("hints") / f"{job}.png"))
        except (sources.BrushError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        # The scene is looked up again by name when the job is done: it may be gone, or moved by undo, by then.
        on_success = results.Import(scene.name) if settings.auto_import else None
        title = job_list.unused_title(path.stem if path else name)
        entry = client.Entry(title, scene=scene.name, blend=bpy.data.filepath, auto_import=settings.auto_import)
        client.submit(job, "generate", generate_params(settings) | {"name": name}, inputs, on_success, entry=entry)
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
