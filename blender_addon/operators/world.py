"""Operator: make the panorama from the scene itself, from a sentence, or round a photo."""

import uuid
from pathlib import Path

import bpy

from .. import client, job_list, results, storage, world_capture
from .jobs import DRAWN, NOT_CONNECTED, TITLE, panorama_model, photo_params

PANORAMA_JOB = "panorama"  # the kind of job by which a sidecar draws a panorama
MAX_WIDTH = 4096  # pixels of a drawn one


class HOLOTIME_OT_make_panorama(bpy.types.Operator):
    """Make the panorama from the chosen source: render the world or the scene, or have the sidecar draw it"""

    bl_idname = "holotime.make_panorama"
    bl_label = "Make Panorama"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        """Only when the source can give one."""
        settings = context.scene.holotime
        if settings.world_source == "RENDER" and context.scene.camera is None:
            cls.poll_message_set("The scene has no camera: the panorama is rendered from where it stands")
            return False
        if settings.world_source == "ENVIRONMENT" and context.scene.world is None:
            cls.poll_message_set("The scene has no world")
            return False
        if settings.world_source in DRAWN:
            reason = why_not_drawn(settings)
            cls.poll_message_set(reason or " ")
            return not reason
        return True

    def execute(self, context):
        """Begin; the panorama is the scene's as soon as it is there."""
        scene = context.scene
        settings = scene.holotime
        source = settings.world_source
        if source == "IMAGE":
            self.report({"ERROR"}, "An image needs no making: choose it as the panorama.")
            return {"CANCELLED"}
        try:
            path = storage.beside("panoramas") / f"{bpy.path.clean_name(scene.name)}_{uuid.uuid4().hex[:6]}.png"
            if source in DRAWN:
                self._send(scene, path)
            else:
                name = scene.name
                world_capture.capture(
                    scene, path, world_only=source == "ENVIRONMENT", then=lambda done: results.use_panorama(name, done)
                )
        except (world_capture.CaptureError, client.ClientError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}

    def _send(self, scene, path: Path) -> None:
        settings, inputs = scene.holotime, {}
        width = max(64, min(MAX_WIDTH, round(settings.capture_width / 32) * 32))
        model = panorama_model(settings)
        params = {"prompt": settings.prompt, "seed": settings.seed, "width": width, "model": model}
        if settings.world_source == "PHOTO":
            params |= photo_params(settings)
            inputs["photo"] = bpy.path.abspath(settings.photo)
        title = job_list.unused_title(settings.prompt[:TITLE] or Path(settings.photo).stem)
        entry = client.Entry(title, scene=scene.name, blend=bpy.data.filepath, output=str(path))
        then = results.FetchPanorama(scene.name, path)
        client.submit(uuid.uuid4().hex, PANORAMA_JOB, params, inputs, then, entry=entry)
        results.last_error = ""


def why_not_drawn(settings) -> str:
    """Why no panorama can be drawn from the sentence or the photo now; empty when it can."""
    if not client.connected():
        return NOT_CONNECTED
    if PANORAMA_JOB not in client.offers:
        return "This sidecar draws no panoramas: update it"
    if settings.panorama_model == "OWN" and not settings.panorama_own_model.strip():
        return "Name the model first"
    if settings.world_source == "PROMPT":
        return "" if settings.prompt.strip() else "Write a sentence first"
    path = Path(bpy.path.abspath(settings.photo)) if settings.photo else None
    return "" if path and path.is_file() else "Choose a photo first"


CLASSES = (HOLOTIME_OT_make_panorama,)
