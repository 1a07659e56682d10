"""Operator: make the panorama from the scene itself, or from a sentence."""

import uuid
from pathlib import Path

import bpy

from .. import client, storage, world_capture
from ..viewport import panorama_view
from .jobs import NOT_CONNECTED

TEXT_JOB = "panorama"  # the kind of job by which a sidecar makes a panorama from a sentence


class HOLOTIME_OT_make_panorama(bpy.types.Operator):
    """Make the panorama from the chosen source: render the world or the scene, or send the sentence to the sidecar"""

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
        if settings.world_source == "PROMPT":
            reason = why_no_text(settings)
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
            if source == "PROMPT":
                self._send(scene, path)
            else:
                name = scene.name
                world_capture.capture(
                    scene, path, world_only=source == "ENVIRONMENT", then=lambda done: use_panorama(name, done)
                )
        except (world_capture.CaptureError, client.ClientError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}

    def _send(self, scene, path: Path) -> None:
        name = scene.name

        def made(job) -> None:
            picture = next(result for result in job.results if result.endswith((".png", ".jpg", ".exr")))
            client.fetch(job, picture, path, lambda result: client.refusal(result) or use_panorama(name, path))

        settings = scene.holotime
        params = {"prompt": settings.prompt, "seed": settings.seed, "width": settings.capture_width}
        entry = client.Entry(settings.prompt[:40], scene=name, blend=bpy.data.filepath)
        client.submit(uuid.uuid4().hex, TEXT_JOB, params, {}, made, entry=entry)


def why_no_text(settings) -> str:
    """Why no panorama can be made from a sentence now; empty when it can."""
    if not client.connected():
        return NOT_CONNECTED
    if TEXT_JOB not in client.offers:
        return "This sidecar has no text-to-panorama model"
    return "" if settings.prompt.strip() else "Write a sentence first"


def use_panorama(scene_name: str, path: Path) -> None:
    """Make a file the panorama of a scene, and show it."""
    from ..scene_import.importer import portable

    scene = bpy.data.scenes.get(scene_name)
    if scene and path.is_file():
        scene.holotime.panorama = portable(path)
        panorama_view.refresh()


CLASSES = (HOLOTIME_OT_make_panorama,)
