"""VR and Render: videos by the sidecar, Cycles for VR, compositing and light for CG objects."""

import bpy

from .. import client, job_list, results
from ..operators import video
from ..operators.scene import active_scene_object
from ..video import check
from ..video.codecs import CODECS
from .common import Panel, column, duration, lines, memory, written


class HOLOTIME_PT_render(Panel, bpy.types.Panel):
    """Videos for headsets and screens"""

    bl_idname = "HOLOTIME_PT_vr"
    bl_label = "VR and Render"

    def draw_header_preset(self, context):
        """Blender's preset menu."""
        from .presets import HOLOTIME_PT_video_presets

        HOLOTIME_PT_video_presets.draw_panel_header(self.layout)

    def draw(self, context):
        """For whom, how good, where to; what it will be; the button."""
        scene = context.scene
        settings, layout = scene.holotime, self.layout
        obj = active_scene_object(context)
        layout.prop(settings, "vr_target", text="")
        col = column(layout)
        if settings.vr_target == "NONE":
            col.prop(settings, "vr_projection")
        if settings.vr_projection != "perspective":
            col.row().prop(settings, "vr_camera", expand=True)
        col.prop(settings, "vr_quality")
        col.prop(settings, "vr_output")
        problem = video.why_not(scene, obj)
        if problem:
            lines(layout, context, problem, "ERROR")
        elif obj:
            self._summary(layout, scene, obj)
        row = layout.row()
        row.scale_y = 1.2
        row.operator("holotime.render_vr", icon="RENDER_ANIMATION")
        self._running(layout, context)

    def _summary(self, layout, scene, obj) -> None:
        """What the video will be, and what it will take."""
        params, wish = video.render_params(scene, obj), video.wish_of(scene, obj)
        seconds = video.seconds_of(scene, obj, params)
        width, height = wish.size
        col = layout.column(align=True)
        col.label(text=f"{width} × {height}, {CODECS[wish.codec].title}, {wish.bits} bit", icon="FILE_MOVIE")
        col.label(text=f"{seconds:.3g} s at {wish.fps:.4g} frames/s", icon="BLANK1")
        reply, exact = client.forecasts.of("render", params | {"seconds": seconds})
        if reply:
            row = col.row()
            row.active = exact
            memory_text = f", {memory(reply.memory)}" if reply.memory else ""
            guess = "" if reply.jobs else " (a first guess)"
            row.label(text=f"About {duration(reply.seconds)}{memory_text}{guess}", icon="TIME")

    def _running(self, layout, context) -> None:
        """The latest video: how far it is, or where it lies."""
        jobs = [job for job in client.jobs.values() if job.kind == "render"]
        job = jobs[-1] if jobs else None
        if job and job.status == "running":
            left = f", {duration(job.eta)} left" if job.eta is not None else ""
            layout.progress(factor=job.fraction, text=f"{job_list.title(job)}{left}")
        elif job and job.status == "failed":
            lines(layout, context, job.error, "ERROR")
        elif results.last_video:
            written(layout, results.last_video)
            if job and job.note:
                lines(layout, context, job.note, "INFO")


class _Video(Panel):
    bl_parent_id = "HOLOTIME_PT_vr"
    bl_options = {"DEFAULT_CLOSED"}


class HOLOTIME_PT_video_picture(_Video, bpy.types.Panel):
    """Projection, size, what the camera may do"""

    bl_idname = "HOLOTIME_PT_video_picture"
    bl_label = "Picture"

    def draw(self, context):
        """Only what the projection has."""
        settings = context.scene.holotime
        col = column(self.layout)
        if settings.vr_target != "NONE":
            col.prop(settings, "vr_projection")
        each = " of an Eye" if settings.vr_projection in check.STEREO else ""
        col.prop(settings, "vr_width", text=f"Width{each}")
        if settings.vr_projection in check.STEREO:
            col.prop(settings, "vr_eye_distance")
        if settings.vr_projection == "fisheye":
            col.prop(settings, "vr_dome")
        if settings.vr_projection != "perspective" and settings.vr_camera == "SCENE":
            col.prop(settings, "vr_level")
        col.prop(settings, "vr_behind")


class HOLOTIME_PT_video_playback(_Video, bpy.types.Panel):
    """How the scene's time runs in the video"""

    bl_idname = "HOLOTIME_PT_video_playback"
    bl_label = "Time"

    def draw(self, context):
        """Loop, speed, phase, length, rate."""
        settings = context.scene.holotime
        col = column(self.layout)
        col.prop(settings, "vr_repeat")
        if settings.vr_repeat != "SCENE":
            col.prop(settings, "vr_speed")
            col.prop(settings, "vr_phase")
        elif (obj := active_scene_object(context)) and video.playback_is_keyed(obj):
            lines(
                self.layout, context, "The playback is keyed: a video takes the values of this frame throughout", "INFO"
            )
        if video.through_camera(settings):
            self.layout.label(text="Length and rate: the timeline's", icon="INFO")
        else:
            col.prop(settings, "vr_seconds", text="Length" if settings.vr_seconds else "Length (0: all)")
            col.prop(settings, "vr_fps", text="Rate (fps)" if settings.vr_fps else "Rate (0: scene)")


class HOLOTIME_PT_video_file(_Video, bpy.types.Panel):
    """Codec and sound"""

    bl_idname = "HOLOTIME_PT_video_file"
    bl_label = "Encoding and Sound"

    def draw(self, context):
        """Codec, bits, sound."""
        settings = context.scene.holotime
        col = column(self.layout)
        col.prop(settings, "vr_codec")
        if len(CODECS[settings.vr_codec].bits) > 1:
            col.row().prop(settings, "vr_bits", expand=True)
        col.prop(settings, "vr_audio")


class HOLOTIME_PT_cycles(_Video, bpy.types.Panel):
    """Let Cycles render, with your own objects in the scene"""

    bl_idname = "HOLOTIME_PT_cycles"
    bl_label = "Cycles and Objects"

    def draw(self, context):
        """One button for each set-up."""
        layout = self.layout
        layout.operator("holotime.setup_vr", icon="CAMERA_STEREO")
        layout.operator("holotime.setup_compositing", icon="NODE_COMPOSITING")
        layout.operator("holotime.estimate_light", icon="LIGHT_SUN")
        layout.operator("holotime.add_shadow_catcher", icon="MOD_MASK")


CLASSES = (
    HOLOTIME_PT_render,
    HOLOTIME_PT_video_picture,
    HOLOTIME_PT_video_playback,
    HOLOTIME_PT_video_file,
    HOLOTIME_PT_cycles,
)
