"""A camera and output settings with which Cycles renders panoramic video: stereo 360°, VR180, mono, dome."""

import math

import bpy

NAME = "HoloTime VR"
SHAPES = {  # projection -> (how both eyes lie in a frame, height of one eye's picture for its width)
    "ods": ("TOPBOTTOM", 0.5),
    "equirect": ("", 0.5),
    "vr180": ("SIDEBYSIDE", 1.0),
    "fisheye": ("", 1.0),
}
CLIP = (0.01, 10_000.0)  # metres


def set_up(
    scene: bpy.types.Scene, eye: bpy.types.Object | None, *, projection: str, width: int, eye_distance: float
) -> bpy.types.Object:
    """Make the scene render video of a projection (a key of SHAPES), ``width`` pixels for an eye; returns its camera.

    Stereo is left above right (ods), or left beside right (vr180). The camera stands at ``eye`` (the HoloTime object)
    and looks along the panorama's centre.
    """
    obj = next((o for o in scene.objects if o.get("holotime_vr")), None)
    if obj is None:
        obj = bpy.data.objects.new(NAME, bpy.data.cameras.new(NAME))
        obj["holotime_vr"] = True
        scene.collection.objects.link(obj)
    data = obj.data
    data.type, data.panorama_type = "PANO", "FISHEYE_EQUIDISTANT" if projection == "fisheye" else "EQUIRECTANGULAR"
    data.fisheye_fov = math.pi
    half = math.pi / 2 if projection == "vr180" else math.pi
    data.longitude_min, data.longitude_max = -half, half
    stereo, down = SHAPES[projection]
    data.clip_start, data.clip_end = CLIP
    obj.location = eye.matrix_world.translation if eye else (0.0, 0.0, 0.0)
    up = math.pi / 2 if projection == "fisheye" else 0.0  # the zenith stands in the middle of a dome
    obj.rotation_euler = (math.pi / 2 + up, 0.0, eye.matrix_world.to_euler().z if eye else 0.0)
    scene.camera = obj
    render = scene.render
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y, render.resolution_percentage = width, round(width * down), 100
    render.use_multiview = bool(stereo)
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
        settings.stereo_3d_format.display_mode = stereo
    render.ffmpeg.format, render.ffmpeg.codec = "MPEG4", "H264"
    render.ffmpeg.constant_rate_factor = "HIGH"
    return obj
