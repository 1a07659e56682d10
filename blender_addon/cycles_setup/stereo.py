"""A camera and output settings with which Cycles renders a stereo 360° video."""

import math

import bpy

NAME = "HoloTime VR"
CLIP = (0.01, 10_000.0)  # metres


def set_up(
    scene: bpy.types.Scene, eye: bpy.types.Object | None, *, stereo: bool, width: int, eye_distance: float
) -> bpy.types.Object:
    """Make the scene render equirect video, left eye above right eye when ``stereo``; returns its camera.

    The camera stands at ``eye`` (the HoloTime object) and looks along the panorama's centre.
    """
    obj = next((o for o in scene.objects if o.get("holotime_vr")), None)
    if obj is None:
        obj = bpy.data.objects.new(NAME, bpy.data.cameras.new(NAME))
        obj["holotime_vr"] = True
        scene.collection.objects.link(obj)
    data = obj.data
    data.type, data.panorama_type = "PANO", "EQUIRECTANGULAR"
    data.clip_start, data.clip_end = CLIP
    obj.location = eye.matrix_world.translation if eye else (0.0, 0.0, 0.0)
    obj.rotation_euler = (math.pi / 2, 0.0, eye.matrix_world.to_euler().z if eye else 0.0)
    scene.camera = obj
    render = scene.render
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y, render.resolution_percentage = width, width // 2, 100
    render.use_multiview = stereo
    settings = render.image_settings
    if stereo:
        data.stereo.use_spherical_stereo, data.stereo.use_pole_merge = True, True
        data.stereo.convergence_mode = "PARALLEL"
        data.stereo.interocular_distance = eye_distance
        render.views_format = "STEREO_3D"
    if hasattr(settings, "media_type"):  # since 5.0, and to be set before the format
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    if stereo:
        settings.views_format = "STEREO_3D"
        settings.stereo_3d_format.display_mode = "TOPBOTTOM"
    render.ffmpeg.format, render.ffmpeg.codec = "MPEG4", "H264"
    render.ffmpeg.constant_rate_factor = "HIGH"
    return obj
