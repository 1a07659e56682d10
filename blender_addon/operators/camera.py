"""Operators: a camera that follows a preset path, cameras as markers, what a hand-keyed camera sees as a video."""

import json
import math
from pathlib import Path

import bpy
from bpy.props import FloatProperty, StringProperty

from .scene import active_scene_object, make_active


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
        from ..cameras import safe_walk
        from ..cameras.camera_object import make_camera
        from ..cameras.path import chosen_path
        from ..cameras.presets import presets
        from ..vendor import camera_path

        scene = context.scene
        settings = scene.holotime
        obj = active_scene_object(context)
        try:
            preset = camera_path.find(presets(), self.preset or settings.camera_preset)
            seconds = self.duration or (0.0 if self.preset else settings.camera_duration) or preset.duration
            frames = max(1, round(seconds * scene.render.fps / scene.render.fps_base))
            if self.preset:
                params = json.loads(self.parameters or "{}")
                if not isinstance(params, dict):
                    raise ValueError("not a JSON object")
                poses = camera_path.evaluate(preset, frames, params, seconds=seconds)
            else:
                walk = safe_walk.of(obj) if obj and settings.clamp_to_safe else None
                poses, factor = chosen_path(settings, frames, walk)
                if factor < 1:
                    self.report({"INFO"}, f"The path was scaled to {factor:.2f} of its size to stay in the safe volume")
        except camera_path.PathError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        except ValueError as error:
            self.report({"ERROR"}, f"The parameters are not a JSON object ({error}).")
            return {"CANCELLED"}
        camera = make_camera(scene, f"HoloTime {preset.title}", poses, scene.frame_start)
        self._extend(scene, obj, frames)
        make_active(context, camera)
        return {"FINISHED"}

    def _extend(self, scene, obj, frames: int) -> None:
        """Make the scene's range at least as long as the path, in whole rounds of a scene that loops."""
        if frames <= scene.frame_end - scene.frame_start + 1:
            return
        if obj and obj.holotime.loop:
            clip = max(1, round(obj.holotime.duration * scene.render.fps / scene.render.fps_base))
            frames = clip * math.ceil(frames / clip)
        scene.frame_end = scene.frame_start + frames - 1


class HOLOTIME_OT_mark_camera(bpy.types.Operator):
    """Cut to this camera at the current frame: a timeline marker is bound to it"""

    bl_idname = "holotime.mark_camera"
    bl_label = "Cut Here"
    bl_options = {"REGISTER", "UNDO"}

    camera: StringProperty(name="Camera", description="Name of the camera; empty: the scene's", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context):
        """Only with a camera."""
        cls.poll_message_set("The scene has no camera: add one first")
        return any(obj.type == "CAMERA" for obj in context.scene.objects)

    def execute(self, context):
        """Bind a marker; one that is there already is bound anew."""
        scene = context.scene
        camera = scene.objects.get(self.camera) if self.camera else scene.camera
        if camera is None or camera.type != "CAMERA":
            self.report({"ERROR"}, f"There is no camera '{self.camera}' in this scene.")
            return {"CANCELLED"}
        frame = scene.frame_current
        marker = next((m for m in scene.timeline_markers if m.frame == frame), None)
        marker = marker or scene.timeline_markers.new(camera.name, frame=frame)
        marker.name, marker.camera = camera.name, camera
        scene.camera = camera
        return {"FINISHED"}


class HOLOTIME_OT_select_camera(bpy.types.Operator):
    """Look through this camera"""

    bl_idname = "holotime.select_camera"
    bl_label = "Use Camera"
    bl_options = {"REGISTER", "UNDO"}

    camera: StringProperty(name="Camera", description="Name of the camera")

    def execute(self, context):
        """Make it the scene's camera, and the view's."""
        camera = context.scene.objects.get(self.camera)
        if camera is None or camera.type != "CAMERA":
            self.report({"ERROR"}, f"There is no camera '{self.camera}' in this scene.")
            return {"CANCELLED"}
        context.scene.camera = camera
        make_active(context, camera)
        if context.area and context.area.type == "VIEW_3D":
            context.space_data.region_3d.view_perspective = "CAMERA"
        return {"FINISHED"}


def camera_poses(context, obj: bpy.types.Object | None) -> list[dict]:
    """What the sidecar calls a path: the scene's camera at every frame, relative to the HoloTime scene's eye.

    One {"matrix": 4x4 camera-to-world with OpenCV axes, "fov_x": radians, "shift", "clip"} a frame. Markers bound to
    cameras count, and so do keys of the lens.
    """
    from ..cameras.axes import opencv_to_blender
    from ..scene_import.splat_object import scene_modifier
    from ..vendor.camera_path import blender_lens

    render = context.scene.render
    size = (
        round(render.resolution_x * render.pixel_aspect_x * 100),  # square pixels; only their proportion counts
        round(render.resolution_y * render.pixel_aspect_y * 100),
    )
    scene, poses = context.scene, []
    now = scene.frame_current
    to_eye = obj.matrix_world.inverted_safe() if obj else None
    # Splats need not be evaluated to know where a camera is: half a million take 20 ms a frame.
    playing = [m for o in scene.objects if o.holotime.is_scene and (m := scene_modifier(o)) and m.show_viewport]
    for modifier in playing:
        modifier.show_viewport = False
    try:
        for frame in range(scene.frame_start, scene.frame_end + 1):
            scene.frame_set(frame)
            place, turn, _scale = (
                to_eye @ scene.camera.matrix_world if to_eye else scene.camera.matrix_world
            ).decompose()
            matrix = turn.to_matrix().to_4x4()
            matrix.translation = place
            data = scene.camera.data
            fov_x, shift = blender_lens(
                *size,
                lens=data.lens,
                sensor_width=data.sensor_width,
                sensor_height=data.sensor_height,
                sensor_fit=data.sensor_fit,
                shift=(data.shift_x, data.shift_y),
            )
            poses.append(
                {
                    "matrix": [list(row) for row in opencv_to_blender(matrix)],
                    "fov_x": fov_x,
                    "shift": shift,
                    "clip": (data.clip_start, data.clip_end),
                }
            )
    finally:
        for modifier in playing:
            modifier.show_viewport = True
        scene.frame_set(now)
    return poses


def write_path(context, obj, path: Path) -> Path:
    """Write the scene's camera as a path file for the sidecar."""
    path.write_text(json.dumps(camera_poses(context, obj)), encoding="utf-8")
    return path


CLASSES = (HOLOTIME_OT_add_camera_path, HOLOTIME_OT_mark_camera, HOLOTIME_OT_select_camera)
