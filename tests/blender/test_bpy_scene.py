"""Scene import: the file becomes an object that moves as the format says, looks right, and needs no extension."""

import json
import math
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
import scenes

pytestmark = pytest.mark.bpy


def evaluated_points(obj: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """(positions [N, 3], alphas [N]) of the point cloud that the node group makes now."""
    geometry = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).evaluated_geometry()
    cloud = geometry.pointcloud  # lives as long as the geometry set
    if cloud is None:
        return np.zeros((0, 3), np.float32), np.zeros(0, np.float32)
    count = len(cloud.points)
    position, alpha = np.empty(3 * count, np.float32), np.empty(count, np.float32)
    cloud.attributes["position"].data.foreach_get("vector", position)
    cloud.attributes["alpha"].data.foreach_get("value", alpha)
    return position.reshape(-1, 3), alpha


def render_equirect(width: int, out: Path, location: tuple = (0, 0, 0)) -> np.ndarray:
    """[H, W, 3] sRGB of the scene through a Cycles panorama camera at the eye."""
    scene = bpy.context.scene
    data = bpy.data.cameras.new("eye")
    data.type, data.panorama_type = "PANO", "EQUIRECTANGULAR"
    data.clip_start, data.clip_end = 0.01, 10_000
    eye = bpy.data.objects.new("eye", data)
    eye.rotation_euler, eye.location = (math.pi / 2, 0, 0), location
    scene.collection.objects.link(eye)
    scene.camera = eye
    scene.render.resolution_x, scene.render.resolution_y = width, width // 2
    scene.render.resolution_percentage = 100
    if bpy.app.version >= (5, 0, 0):
        scene.render.image_settings.media_type = "IMAGE"
    scene.render.image_settings.file_format = "PNG"
    scene.cycles.samples = 4
    scene.render.filepath = str(out)
    bpy.ops.render.render(write_still=True)
    return read_png(out)


def read_png(path: Path) -> np.ndarray:
    """[H, W, 3] in [0, 1], first row on top."""
    image = bpy.data.images.load(str(path))
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    height = image.size[1]
    bpy.data.images.remove(image)
    return pixels.reshape(height, -1, 4)[::-1, :, :3]


def write_png(path: Path, picture: np.ndarray) -> Path:
    height, width = picture.shape[:2]
    image = bpy.data.images.new("written", width, height)
    pixels = np.ones((height, width, 4), np.float32)
    pixels[..., :3] = picture[::-1]
    image.pixels.foreach_set(pixels.ravel())
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


def black_world() -> None:
    world = bpy.data.worlds.new("black")
    if bpy.app.version < (5, 0, 0):
        world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (0, 0, 0, 1)
    bpy.context.scene.world = world


@pytest.mark.parametrize("loop", [True, False])
def test_points_follow_the_formulas(holotime, tmp_path, loop):
    tensors = scenes.random_scene()
    path = scenes.write_scene(tmp_path / "s.safetensors", tensors, duration=2.0, fps=12.0, loop=loop)
    assert bpy.ops.holotime.import_scene(filepath=str(path)) == {"FINISHED"}
    scene, obj = bpy.context.scene, bpy.context.object
    assert (scene.render.fps, scene.frame_start, scene.frame_end) == (12, 1, 24 if loop else 25)
    for frame in (1, 2, 9, 24, 25, 30, 0):
        scene.frame_set(frame)
        t = (frame - 1) / 24
        t = t % 1.0 if loop else min(max(t, 0.0), 1.0)
        position, alpha = scenes.formula(tensors, t)
        shown = alpha >= 1 / 255
        got_position, got_alpha = evaluated_points(obj)
        assert len(got_alpha) == shown.sum(), frame
        np.testing.assert_allclose(got_position, position[shown], atol=2e-4)
        np.testing.assert_allclose(got_alpha, alpha[shown], atol=2e-4)


def test_time_is_seconds_at_any_frame_rate(holotime, tmp_path):
    tensors = scenes.random_scene()
    path = scenes.write_scene(tmp_path / "s.safetensors", tensors, duration=2.0)
    scene = bpy.context.scene
    cube = bpy.data.objects.new("animated", None)
    scene.collection.objects.link(cube)
    cube.keyframe_insert("location", frame=1)
    scene.render.fps, scene.frame_start, scene.frame_end = 30, 11, 500
    bpy.ops.holotime.import_scene(filepath=str(path))
    assert (scene.render.fps, scene.frame_end) == (30, 500)  # a scene that moves already keeps its time
    scene.frame_set(11 + 15)
    position, alpha = scenes.formula(tensors, 0.25)
    np.testing.assert_allclose(evaluated_points(bpy.context.object)[0], position[alpha >= 1 / 255], atol=2e-4)


def test_speed_offset_and_density(holotime, tmp_path):
    from bl_ext.user_default.holotime.scene_import.splat_object import scene_modifier, set_input

    tensors = scenes.random_scene(2000)
    path = scenes.write_scene(tmp_path / "s.safetensors", tensors, duration=2.0)
    bpy.ops.holotime.import_scene(filepath=str(path))
    obj = bpy.context.object
    modifier = scene_modifier(obj)
    set_input(modifier, "Speed", -2.0)
    set_input(modifier, "Offset", 0.5)
    bpy.context.scene.frame_set(12)  # one second: -2 * (1 - 0.5) / 2 = -0.5, which is 0.5 in a loop
    position, alpha = scenes.formula(tensors, 0.5)
    got = evaluated_points(obj)[0]
    np.testing.assert_allclose(got, position[alpha >= 1 / 255], atol=2e-4)
    set_input(modifier, "Viewport Density", 0.25)
    bpy.context.view_layer.update()
    assert 0.2 < len(evaluated_points(obj)[0]) / len(got) < 0.3


def test_sheets_face_the_camera_and_have_the_splats_size(holotime, tmp_path):
    """The sheet of a sphere-shaped splat ends at CUT sigma on both sides and is square to the view."""
    from bl_ext.user_default.holotime.scene_import.materials import CUT
    from bl_ext.user_default.holotime.scene_import.splat_object import scene_modifier, set_input

    sigma, place = 0.2, np.array([1.0, 4.0, -0.5])
    tensors = {k: v[:1] for k, v in scenes.random_scene(1).items()}
    tensors |= {
        "means": place[None],
        "motion": np.zeros((1, 3, 3)),
        "log_scales": np.full((1, 3), np.log(sigma)),
        "opacity_logits": np.full(1, 3.0),
        "t_log_scales": np.full(1, 20.0),
    }
    bpy.ops.holotime.import_scene(filepath=str(scenes.write_scene(tmp_path / "s.safetensors", tensors)))
    obj = bpy.context.object
    bpy.ops.holotime.add_camera_path(preset="rotate360")
    camera = bpy.context.scene.camera
    camera.animation_data_clear()
    camera.location = (0.3, -0.2, 0.1)
    set_input(scene_modifier(obj), "Splats in Viewport", True)
    set_input(scene_modifier(obj), "Low Pass", 0.0)
    bpy.context.view_layer.update()
    mesh = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    corners = np.array([v.co for v in mesh.vertices])
    view = place - np.array(camera.location)
    np.testing.assert_allclose(corners.mean(0), place, atol=1e-5)
    np.testing.assert_allclose((corners - place) @ view / np.linalg.norm(view), 0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(corners - place, axis=1), CUT * sigma * math.sqrt(2), rtol=1e-4)


def test_low_pass_widens_by_an_angle_at_the_eye(holotime, tmp_path):
    """A rasterizer adds 0.3 px^2 to the footprint; here the same angle, at any distance."""
    from bl_ext.user_default.holotime.scene_import.materials import CUT
    from bl_ext.user_default.holotime.scene_import.splat_object import scene_modifier, set_input

    tensors = scenes.panorama_scene(scenes.ramps(8), distance=6.0)
    bpy.ops.holotime.import_scene(filepath=str(scenes.write_scene(tmp_path / "s.safetensors", tensors)))
    obj = bpy.context.object
    set_input(scene_modifier(obj), "Splats in Viewport", True)
    set_input(scene_modifier(obj), "Low Pass", 0.05)
    bpy.context.view_layer.update()
    mesh = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    sheet = np.array([v.co for v in mesh.vertices[:4]])
    sigma = math.hypot(0.55 * 6.0 * math.pi / 8, 0.05 * 6.0)
    np.testing.assert_allclose(np.linalg.norm(sheet - sheet.mean(0), axis=1), CUT * sigma * math.sqrt(2), rtol=1e-4)


@pytest.mark.parametrize("splats", [True, False])
def test_the_splats_alone_show_the_panorama(holotime, tmp_path, splats):
    from bl_ext.user_default.holotime.scene_import.splat_object import scene_modifier, set_input

    picture = scenes.ramps()
    path = scenes.write_scene(tmp_path / "s.safetensors", scenes.panorama_scene(picture))
    bpy.ops.holotime.import_scene(filepath=str(path))
    set_input(scene_modifier(bpy.context.object), "Splats in Render", splats)
    black_world()
    shown = render_equirect(128, tmp_path / "eye.png")
    assert scenes.psnr(shown, picture) > 34
    assert scenes.psnr(np.roll(shown, 3, 1), picture) < 30  # the check can see an angle of three pixels


def test_the_world_coincides_with_the_panorama(holotime, tmp_path):
    picture = scenes.ramps()
    path = write_png(tmp_path / "panorama.png", picture)
    assert bpy.ops.holotime.set_world_clip(filepath=str(path)) == {"FINISHED"}
    bpy.context.scene.render.engine = "CYCLES"
    bpy.context.scene.view_settings.view_transform = "Standard"
    shown = render_equirect(128, tmp_path / "eye.png", location=(3, 1, 2))
    assert scenes.psnr(shown, picture) > 38


def test_the_world_clip_shows_the_frame_of_the_time(holotime, tmp_path):
    """A clip of grey frames at 12 fps in a scene of 24: the world shows frame i between i - 1/2 and i + 1/2."""
    clip = write_grey_clip(tmp_path / "clip.mp4", frames=8, fps=12)
    path = scenes.write_scene(tmp_path / "scene.safetensors", scenes.random_scene(3), duration=8 / 12, fps=12.0)
    scene = bpy.context.scene
    bpy.ops.holotime.import_scene(filepath=str(path))
    scene.render.fps = 24
    from bl_ext.user_default.holotime.scene_import.splat_object import scene_modifier, set_input

    set_input(scene_modifier(bpy.context.object), "Offset", 1 / 24)
    assert bpy.ops.holotime.set_world_clip() == {"FINISHED"}  # clip.mp4 beside the scene's file
    assert bpy.path.abspath(scene.world.node_tree.nodes["Clip"].image.filepath) == str(clip)
    bpy.data.objects.remove(bpy.context.object)
    shown = []
    for frame in (1, 5, 15, 17, 21):  # clip frames 0, 2, 7, 8 = 0 and 10 = 2
        scene.frame_set(frame)
        shown.append(render_equirect(16, tmp_path / "eye.png").mean())
    want = [(20 + 25 * i) / 255 for i in (0, 2, 7, 0, 2)]
    np.testing.assert_allclose(shown, want, atol=0.02)


def write_grey_clip(path: Path, frames: int, fps: int) -> Path:
    """Frame i is grey of (20 + 25 i) / 255, encoded by Blender itself."""
    scene = bpy.data.scenes.new("grey")
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.view_settings.view_transform = "Raw"
    scene.render.resolution_x, scene.render.resolution_y, scene.render.fps = 64, 32, fps
    scene.camera = bpy.data.objects.new("c", bpy.data.cameras.new("c"))
    scene.collection.objects.link(scene.camera)
    scene.world = bpy.data.worlds.new("grey")
    if bpy.app.version < (5, 0, 0):
        scene.world.use_nodes = True
    color = scene.world.node_tree.nodes["Background"].inputs["Color"]
    for i in range(frames):
        grey = (20 + 25 * i) / 255
        color.default_value = (grey, grey, grey, 1)
        color.keyframe_insert("default_value", frame=i + 1)
    scene.frame_start, scene.frame_end = 1, frames
    settings = scene.render.image_settings
    if bpy.app.version >= (5, 0, 0):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format, scene.render.ffmpeg.codec = "MPEG4", "H264"
    scene.render.ffmpeg.constant_rate_factor = "PERC_LOSSLESS"
    scene.render.filepath, scene.render.use_file_extension = str(path), False
    with bpy.context.temp_override(scene=scene):
        bpy.ops.render.render(animation=True, scene=scene.name)
    bpy.data.scenes.remove(scene)
    return path


def test_a_saved_scene_moves_without_the_extension(holotime, tmp_path):
    path = scenes.write_scene(tmp_path / "scene.safetensors", scenes.random_scene(), duration=2.0)
    blend = tmp_path / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    bpy.ops.holotime.import_scene(filepath=str(path))
    assert bpy.context.object.holotime.source == "//scene.safetensors"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    code = f"""
import bpy, json, sys
bpy.ops.wm.open_mainfile(filepath={str(blend)!r})
assert not hasattr(bpy.types.Scene, "holotime")
assert not any("holotime" in name for name in sys.modules)
obj = next(o for o in bpy.context.scene.objects if o.type == "MESH")
out = {{}}
for frame in (1, 12):
    bpy.context.scene.frame_set(frame)
    geometry = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).evaluated_geometry()
    cloud = geometry.pointcloud
    out[frame] = [list(p.co) for p in cloud.points][:20]
print("RESULT" + json.dumps(out))
"""
    environment = {"BLENDER_USER_RESOURCES": str(tmp_path / "nobody"), "PATH": "/usr/bin:/bin"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    result = next(line for line in run.stdout.splitlines() if line.startswith("RESULT"))
    frames = json.loads(result.removeprefix("RESULT"))
    assert np.abs(np.array(frames["1"][:5]) - np.array(frames["12"][:5])).max() > 0.01


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: b"", "empty"),
        (lambda data: data[:-400], "cut short"),
        (lambda data: b"\xff" * 64, "not a .safetensors"),
        (lambda data: data.replace(b"holotime-scene4d", b"something-else--"), "not a HoloTime scene"),
        (lambda data: data.replace(b'"version": "1"', b'"version": "9"'), "newer"),
    ],
)
def test_bad_files_say_what_is_wrong(holotime, tmp_path, change, words):
    path = scenes.write_scene(tmp_path / "s.safetensors", scenes.random_scene())
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(RuntimeError, match=words):
        bpy.ops.holotime.import_scene(filepath=str(path))
    assert not bpy.context.scene.objects


def test_undo_takes_the_import_back(holotime, tmp_path):
    path = scenes.write_scene(tmp_path / "s.safetensors", scenes.random_scene())
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.holotime.import_scene(filepath=str(path))
    bpy.ops.ed.undo_push(message="import")
    assert len(bpy.context.scene.objects) == 1
    bpy.ops.ed.undo()
    assert len(bpy.context.scene.objects) == 0


@pytest.mark.parametrize("harm", ["group", "nodes"])
def test_undo_while_the_nodes_are_made_begins_them_again(holotime, tmp_path, harm):
    from bl_ext.user_default.holotime.scene_import.scene_nodes import UNFINISHED, finished, scene_group_steps

    steps = scene_group_steps()
    for _ in range(40):
        next(steps)
    (group,) = [tree for tree in bpy.data.node_groups if UNFINISHED in tree]
    assert 20 < len(group.nodes) < 45
    if harm == "group":
        bpy.data.node_groups.remove(group)
    else:
        for node in list(group.nodes)[-5:]:
            group.nodes.remove(node)
    made = finished(steps)
    assert [tree for tree in bpy.data.node_groups if UNFINISHED in tree] == []
    assert len(made.nodes) > 100
    tensors = scenes.random_scene()
    bpy.ops.holotime.import_scene(filepath=str(scenes.write_scene(tmp_path / "s.safetensors", tensors)))
    assert bpy.context.object.modifiers[0].node_group == made
    position, alpha = scenes.formula(tensors, 0.0)
    np.testing.assert_allclose(evaluated_points(bpy.context.object)[0], position[alpha >= 1 / 255], atol=2e-4)
