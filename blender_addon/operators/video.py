"""Operator: a video rendered by the sidecar, for headsets and screens."""

import uuid
from pathlib import Path

import bpy
from bpy.props import StringProperty

from .. import client, results, storage
from ..properties import RELATIVE
from ..video import check, playback
from ..video.codecs import CODECS
from ..video.players import targets
from .camera import write_path
from .scene import active_scene_object, needs_sidecar_and_scene, scene_file

QUALITY = {"DRAFT": (8, "fast"), "STANDARD": (0, "balanced"), "BEST": (-4, "best")}  # added to the crf; effort
ENDINGS = (".mp4", ".mov")


def wish_of(scene: bpy.types.Scene, obj: bpy.types.Object | None) -> check.Wish:
    """The video that a scene's settings ask for."""
    settings, render = scene.holotime, scene.render
    ratio = render.resolution_y * render.pixel_aspect_y / (render.resolution_x * render.pixel_aspect_x)
    return check.Wish(
        settings.vr_projection,
        settings.vr_width,
        2 * round(settings.vr_width * ratio / 2),
        frame_rate(scene, obj),
        settings.vr_codec,
        int(settings.vr_bits),
        settings.vr_behind == "transparent",
        targets().get(settings.vr_target),
    )


def frame_rate(scene: bpy.types.Scene, obj: bpy.types.Object | None) -> float:
    """Frames per second: with a camera the timeline's, else the chosen ones or those of the HoloTime scene."""
    if through_camera(scene.holotime):
        return scene.render.fps / scene.render.fps_base
    return scene.holotime.vr_fps or (obj.holotime.fps if obj else 0.0) or 12.0


def through_camera(settings) -> bool:
    """Whether the scene's camera is sent, and not the eye's own place."""
    return settings.vr_projection == "perspective" or settings.vr_camera == "SCENE"


def seconds_of(scene: bpy.types.Scene, obj: bpy.types.Object, params: dict) -> float:
    """How long the video will last."""
    if through_camera(scene.holotime):
        return (scene.frame_end - scene.frame_start + 1) / params["fps"]
    info = obj.holotime
    usual = playback.seconds_of_round(info.duration, info.fps, info.loop, params["repeat"], params["speed"])
    return params.get("seconds") or usual


def render_params(scene: bpy.types.Scene, obj: bpy.types.Object) -> dict:
    """The parameters of the sidecar's ``render`` job from a scene's settings."""
    settings, wish = scene.holotime, wish_of(scene, obj)
    codec, (finer, effort) = CODECS[wish.codec], QUALITY[settings.vr_quality]
    params = {
        "projection": wish.projection,
        "width": wish.width,
        "fps": wish.fps,
        "codec": wish.codec,
        "bits": wish.bits,
        "effort": effort,
        "behind": settings.vr_behind,
        **_playing(scene, obj),
    }
    if codec.crf:
        usual = wish.target.crf if wish.target and wish.target.codec == wish.codec else codec.crf
        params["crf"] = usual + finer
    if wish.target:
        params["preset"] = wish.target.name
    if wish.projection in check.STEREO:
        params["ipd"] = settings.vr_eye_distance
    if wish.projection == "perspective":
        params["height"] = wish.height
    elif through_camera(settings):
        params["level"] = settings.vr_level
    if wish.projection == "fisheye":
        params["dome"] = settings.vr_dome
    if through_camera(settings):
        params["safe"] = "off"  # the artist's own camera goes where it was keyed; the notes say when that is far out
    elif settings.vr_seconds:
        params["seconds"] = settings.vr_seconds
    return params


def _playing(scene: bpy.types.Scene, obj: bpy.types.Object) -> dict:
    """How the video plays the scene's time."""
    from ..scene_import.splat_object import get_input, scene_modifier

    settings, info, modifier = scene.holotime, obj.holotime, scene_modifier(obj)
    if settings.vr_repeat != "SCENE":
        return {"repeat": settings.vr_repeat, "speed": settings.vr_speed, "phase": settings.vr_phase}
    names = ("Offset", "Speed", "Phase", "Loop", "Ping-Pong")
    offset, speed, phase, loop, ping_pong = (get_input(modifier, name) for name in names)
    played = playback.Played(info.duration, info.fps, info.loop, offset, speed, phase, bool(loop), bool(ping_pong))
    return playback.as_played(played, scene.frame_start * scene.render.fps_base / scene.render.fps)


def playback_is_keyed(obj: bpy.types.Object) -> bool:
    """Whether the scene's playing is animated: a video takes the values of the present frame for all of it."""
    action = obj.animation_data.action if obj.animation_data else None
    bags = [bag for layer in (action.layers if action else ()) for strip in layer.strips for bag in strip.channelbags]
    return any(curve.data_path.startswith("modifiers[") for bag in bags for curve in bag.fcurves)


def why_not(scene: bpy.types.Scene, obj: bpy.types.Object | None) -> str:
    """Why the video cannot be made as it is set; empty when it can."""
    settings = scene.holotime
    if through_camera(settings) and scene.camera is None:
        return "The scene has no camera: add one first (Cameras panel)."
    if settings.vr_audio and not Path(bpy.path.abspath(settings.vr_audio)).is_file():
        return f"The sound {settings.vr_audio} is not there. Choose it anew, or leave it out."
    return check.problem(wish_of(scene, obj))


def with_ending(output: str, codec: str) -> str:
    """A file name with the ending that the codec goes into."""
    path = Path(output)
    stem = path.stem if path.suffix.lower() in ENDINGS else path.name
    return str(path.with_name(stem + CODECS[codec].ending))


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
        """Only with a sidecar, a HoloTime scene, and a video that can be."""
        if not needs_sidecar_and_scene(cls, context):
            return False
        reason = why_not(context.scene, active_scene_object(context))
        cls.poll_message_set(reason or " ")
        return not reason

    def execute(self, context):
        """Send the job and return at once; the video is fetched when it is done."""
        scene = context.scene
        settings, obj, job = scene.holotime, active_scene_object(context), uuid.uuid4().hex
        source = scene_file(self, obj)
        if source is None:
            return {"CANCELLED"}
        inputs = {"scene": str(source)}
        try:
            if through_camera(settings):
                inputs["path"] = str(write_path(context, obj, storage.user_folder("paths") / f"{job}.json"))
        except OSError as error:
            self.report({"ERROR"}, f"The camera path cannot be written to {error.filename} ({error.strerror}).")
            return {"CANCELLED"}
        if settings.vr_audio:
            inputs["audio"] = bpy.path.abspath(settings.vr_audio)
        output = self.filepath or settings.vr_output
        output = with_ending(bpy.path.abspath(output), settings.vr_codec) if output else ""
        entry = client.Entry(f"{obj.name}, {label(settings)}", scene=scene.name, blend=bpy.data.filepath, output=output)
        params = render_params(scene, obj)
        client.submit(job, "render", params, inputs, results.FetchVideo(output), entry=entry)
        return {"FINISHED"}


def label(settings) -> str:
    """What the video is, in a word or two."""
    target = targets().get(settings.vr_target)
    projection = settings.bl_rna.properties["vr_projection"].enum_items[settings.vr_projection]
    return target.title if target else projection.name


CLASSES = (HOLOTIME_OT_render_vr,)
