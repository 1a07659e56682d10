"""Operator: a camera that follows a preset path."""

import json
import math

import bpy
from bpy.props import FloatProperty, StringProperty


class HOLOTIME_OT_add_camera_path(bpy.types.Operator):
    """Add a camera that follows a preset path as keyframes, and make it the scene's camera"""

    bl_idname = "holotime.add_camera_path"
    bl_label = "Add Camera"
    bl_options = {"REGISTER", "UNDO"}

    preset: StringProperty(
        name="Path",
        description="Name of a camera preset; empty: the scene's choice with its parameters",
        options={"SKIP_SAVE"},
    )
    parameters: StringProperty(
        name="Parameters",
        description='Parameters that differ from the preset\'s defaults, as JSON: {"end": 0.5}',
        options={"SKIP_SAVE"},
    )
    duration: FloatProperty(
        name="Duration",
        description="Length of the path in seconds; 0: the preset's own",
        default=0.0,
        min=0.0,
        max=3600.0,
        subtype="TIME_ABSOLUTE",
        unit="TIME_ABSOLUTE",
        options={"SKIP_SAVE"},
    )

    def execute(self, context):
        """Evaluate the path at the scene's frame rate and key it from the scene's first frame on."""
        from ..cameras.camera_object import make_camera
        from ..cameras.presets import presets
        from ..vendor import camera_path

        scene = context.scene
        settings = scene.holotime
        try:
            preset = camera_path.find(presets(), self.preset or settings.camera_preset)
            if self.preset:
                params = json.loads(self.parameters or "{}")
                if not isinstance(params, dict):
                    raise ValueError("not a JSON object")
            else:
                params = {item.name: item.value for item in settings.camera_parameters}
            seconds = self.duration or preset.duration
            frames = max(1, round(seconds * scene.render.fps / scene.render.fps_base))
            poses = camera_path.evaluate(preset, frames, params, seconds=seconds)
        except camera_path.PathError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        except ValueError as error:
            self.report({"ERROR"}, f"The parameters are not a JSON object ({error}).")
            return {"CANCELLED"}
        camera = make_camera(scene, f"HoloTime {preset.title}", poses, scene.frame_start)
        self._extend(scene, context.object, frames)
        for other in context.selected_objects:
            other.select_set(False)
        camera.select_set(True)
        context.view_layer.objects.active = camera
        return {"FINISHED"}

    def _extend(self, scene, active, frames: int) -> None:
        """Make the scene's range at least as long as the path, in whole rounds of a scene that loops."""
        from ..scene_import.importer import find_scene_object

        have = scene.frame_end - scene.frame_start + 1
        if frames <= have:
            return
        obj = find_scene_object(scene, active)
        if obj and obj.holotime.loop:
            clip = max(1, round(obj.holotime.duration * scene.render.fps / scene.render.fps_base))
            frames = clip * math.ceil(frames / clip)
        scene.frame_end = scene.frame_start + frames - 1


CLASSES = (HOLOTIME_OT_add_camera_path,)
