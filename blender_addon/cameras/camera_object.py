"""A keyed Blender camera from the poses of a path."""

import bpy

from . import axes

CLIP_START, CLIP_END = 0.01, 10_000.0  # metres


def make_camera(scene: bpy.types.Scene, name: str, poses: list, frame_start: int) -> bpy.types.Object:
    """A camera with one key per frame and pose (location, quaternion; lens only when it changes), linked and active."""
    data = bpy.data.cameras.new(name)
    data.sensor_fit, data.sensor_width = "HORIZONTAL", axes.SENSOR_WIDTH
    data.clip_start, data.clip_end = CLIP_START, CLIP_END
    obj = bpy.data.objects.new(name, data)
    obj.rotation_mode = "QUATERNION"
    scene.collection.objects.link(obj)

    matrices = [axes.opencv_to_blender(pose.matrix) for pose in poses]
    places = [axes.location(m) for m in matrices]
    turns = axes.continuous([axes.quaternion(m) for m in matrices])
    lenses = [(axes.focal_length(pose.fov_x, data.sensor_width),) for pose in poses]
    obj.location, obj.rotation_quaternion, data.lens = places[0], turns[0], lenses[0][0]
    _key(obj, "location", places, frame_start)
    _key(obj, "rotation_quaternion", turns, frame_start)
    if max(lenses) > min(lenses):
        _key(data, "lens", lenses, frame_start)
    scene.camera = obj
    return obj


def _key(owner: bpy.types.ID, path: str, rows: list[tuple[float, ...]], frame_start: int) -> None:
    """One linear key per row. Blender inserts the first and so makes the curves; the rest are filled in at once."""
    owner.keyframe_insert(path, frame=frame_start)
    for index, values in enumerate(zip(*rows, strict=True)):
        points = _curve(owner, path, index).keyframe_points
        points.add(len(values) - len(points))
        coordinates = [c for i, value in enumerate(values) for c in (frame_start + i, value)]
        points.foreach_set("co", coordinates)
        for point in points:
            point.interpolation = "LINEAR"
        _curve(owner, path, index).update()


def _curve(owner: bpy.types.ID, path: str, index: int) -> bpy.types.FCurve:
    # Blender may put the keys of an object and its data into one action, each in a slot of its own.
    animation = owner.animation_data
    strip = animation.action.layers[0].strips[0]
    return strip.channelbag(animation.action_slot).fcurves.find(path, index=index)
