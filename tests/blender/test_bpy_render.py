"""Worlds from scenes, Cycles set-ups, light: rendered and compared."""

import math
from pathlib import Path

import bpy
import numpy as np
import pytest
import scenes
from test_bpy_scene import black_world, read_png, render_equirect, write_png

pytestmark = pytest.mark.bpy


def flat_camera(location, look_at) -> bpy.types.Object:
    from mathutils import Vector

    obj = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    obj.location = location
    obj.rotation_euler = (Vector(look_at) - Vector(location)).to_track_quat("-Z", "Y").to_euler()
    scene = bpy.context.scene
    scene.collection.objects.link(obj)
    scene.camera = obj
    return obj


def still(path: Path, width: int = 96, height: int = 64) -> np.ndarray:
    """[H, W, 3] of the scene as Cycles renders it."""
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = width, height, 100
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_depth = "PNG", "8"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return read_png(path)


def cube(location, size: float, color) -> bpy.types.Object:
    bpy.ops.mesh.primitive_cube_add(size=size, location=location)
    obj = bpy.context.object
    material = bpy.data.materials.new("flat")
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    emission, output = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
    emission.inputs["Color"].default_value = (*color, 1)
    tree.links.new(emission.outputs[0], output.inputs["Surface"])
    obj.data.materials.append(material)
    return obj


def one_splat(tmp_path: Path, opacity_logit: float = 2.0) -> bpy.types.Object:
    """A single white splat three metres ahead."""
    tensors = {k: v[:1] for k, v in scenes.random_scene(1).items()}
    tensors |= {
        "means": np.array([[0.0, 3.0, 0.0]]),
        "motion": np.zeros((1, 3, 3)),
        "log_scales": np.full((1, 3), np.log(0.35)),
        "opacity_logits": np.full(1, opacity_logit),
        "t_log_scales": np.full(1, 20.0),
        "colors": np.ones((1, 3)),
    }
    bpy.ops.holotime.import_scene(filepath=str(scenes.write_scene(tmp_path / "one.safetensors", tensors)))
    return bpy.context.object


def test_a_cube_half_behind_and_half_before_a_splat(holotime, tmp_path):
    """Cycles: the cube's far half is seen through the splat, its near half covers it."""
    one_splat(tmp_path)
    black_world()
    bar = cube((0, 3, 0), 1.0, (1, 0, 0))
    bar.scale = (0.2, 4.0, 0.2)
    bar.rotation_euler.z = math.radians(40)  # from in front of the splat to behind it
    flat_camera((0, 0, 0), (0, 3, 0))
    bpy.context.scene.camera.data.lens = 24
    picture = still(tmp_path / "still.png")
    row = picture[32]
    white = row[:, 1]  # green: the splat, not the bar
    red = row[:, 0] > 0.5
    left, right = white[30:44], white[52:66]  # the bar goes to the back on the left or right side of the middle
    assert red[40:56].all()
    assert abs(left.mean() - right.mean()) > 0.1  # one side is veiled by the splat, the other is bare


def test_the_layers_compose_to_the_whole_picture(holotime, tmp_path):
    """Compositing the held-out layers gives what one render of everything gives, at soft edges too."""
    one_splat(tmp_path, opacity_logit=0.5)
    scene = bpy.context.scene
    black_world()
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.1, 0.2, 0.4, 1)
    cube((0.3, 3.0, 0.0), 0.6, (0.2, 0.6, 0.1))
    flat_camera((0, 0, 0), (0, 3, 0))
    scene.cycles.samples = 16
    whole = still(tmp_path / "whole.png")
    assert bpy.ops.holotime.setup_compositing() == {"FINISHED"}
    assert scene.render.image_settings.file_format == "OPEN_EXR_MULTILAYER"
    composed = still(tmp_path / "composed.png")
    assert whole.max() > 0.4
    assert np.abs(composed - whole).mean() < 0.01
    assert np.abs(composed - whole).max() < 0.2
    assert bpy.ops.holotime.setup_compositing() == {"FINISHED"}  # again: nothing doubles
    assert len([layer for layer in scene.view_layers if layer.use]) == 3


def test_vr_is_set_up(holotime, tmp_path):
    scene = bpy.context.scene
    scene.holotime.vr_projection, scene.holotime.vr_width = "ods", 256
    assert bpy.ops.holotime.setup_vr() == {"FINISHED"}
    assert scene.camera.data.stereo.use_spherical_stereo
    assert scene.camera.data.stereo.interocular_distance == pytest.approx(0.064)
    scene.frame_start = scene.frame_end = 1
    scene.cycles.samples = 1
    scene.render.filepath = str(tmp_path / "vr")
    scene.render.use_file_extension = True
    bpy.ops.render.render(animation=True)
    video = next(tmp_path.glob("vr*.mp4"))
    clip = bpy.data.movieclips.load(str(video))
    assert tuple(clip.size) == (256, 256)  # one 2:1 panorama above another
    scene.holotime.vr_projection, scene.holotime.vr_width = "vr180", 64
    assert bpy.ops.holotime.setup_vr() == {"FINISHED"}
    scene.render.filepath = str(tmp_path / "half")
    bpy.ops.render.render(animation=True)
    clip = bpy.data.movieclips.load(str(next(tmp_path.glob("half*.mp4"))))
    assert tuple(clip.size) == (128, 64)  # two squares beside each other
    assert scene.camera.data.longitude_max == pytest.approx(math.pi / 2)
    scene.holotime.vr_projection = "cubemap"
    with pytest.raises(RuntimeError, match="no cube maps"):
        bpy.ops.holotime.setup_vr()
    scene.holotime.vr_projection = "equirect"
    bpy.ops.holotime.setup_vr()
    assert scene.camera.data.longitude_max == pytest.approx(math.pi)
    assert not scene.render.use_multiview
    assert len([o for o in scene.objects if o.type == "CAMERA"]) == 1


@pytest.mark.parametrize("source", ["ENVIRONMENT", "RENDER"])
def test_a_panorama_from_the_scene(holotime, tmp_path, source):
    """What is captured and shown as the world again is the same picture."""
    scene = bpy.context.scene
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
    picture = scenes.ramps()
    bpy.ops.holotime.set_world_clip(filepath=str(write_png(tmp_path / "world.png", picture)))
    scene.view_settings.view_transform = "Standard"
    flat_camera((0, 0, 0), (0, 1, 0))
    if source == "RENDER":
        cube((0, 5, 0), 1.0, (1, 0, 0))
    scene.holotime.world_source, scene.holotime.capture_width, scene.holotime.capture_samples = source, 128, 4
    count = len(bpy.data.scenes), len(bpy.data.objects), len(bpy.data.cameras)
    assert bpy.ops.holotime.make_panorama() == {"FINISHED"}
    assert (len(bpy.data.scenes), len(bpy.data.objects), len(bpy.data.cameras)) == count
    made = read_png(Path(bpy.path.abspath(scene.holotime.panorama)))
    assert scene.holotime.panorama.startswith("//")
    red = (made[..., 0] > 0.9) & (made[..., 1] < 0.1)
    assert red.any() == (source == "RENDER")
    if source == "RENDER":
        assert abs(np.nonzero(red)[1].mean() - 63.5) < 1
        made = np.where(red[..., None], picture, made)
    assert scenes.psnr(made, picture) > 28 if source == "RENDER" else 36


def test_text_needs_a_sidecar_that_can(holotime):
    settings = bpy.context.scene.holotime
    settings.world_source, settings.prompt = "PROMPT", "a lighthouse"
    assert not bpy.ops.holotime.make_panorama.poll()


def test_light_from_a_panorama(holotime, tmp_path):
    from bl_ext.user_default.holotime.lighting.estimate import estimate

    height, width = 128, 256
    picture = np.full((height, width, 3), 0.4)
    picture[height // 2 :] = 0.2
    y, x = 30, 200  # the sun: a small bright disc on the right
    yy, xx = np.mgrid[:height, :width]
    picture[(yy - y) ** 2 + (xx - x) ** 2 < 9] = 1.0
    light = estimate(picture)
    phi, lam = math.pi * (0.5 - (y + 0.5) / height), 2 * math.pi * ((x + 0.5) / width - 0.5)
    want = (math.cos(phi) * math.sin(lam), math.cos(phi) * math.cos(lam), math.sin(phi))
    assert np.dot(light.direction, want) > math.cos(math.radians(2))
    assert light.strength > 0.3
    rolled = estimate(np.roll(picture, 100, 1))  # over the seam
    assert rolled.strength == pytest.approx(light.strength, rel=0.02)
    assert estimate(np.full((height, width, 3), 0.5)).strength == 0  # an overcast sky has no sun
    scene = bpy.context.scene
    black_world()
    scene.holotime.panorama = str(write_png(tmp_path / "sun.png", picture))
    assert bpy.ops.holotime.estimate_light() == {"FINISHED"}
    lamp = next(o for o in scene.objects if o.type == "LIGHT")
    bpy.context.view_layer.update()
    towards = np.array(lamp.matrix_world.to_3x3().col[2])
    assert np.dot(towards, want) > math.cos(math.radians(2))
    nodes = len(scene.world.node_tree.nodes)
    bpy.ops.holotime.estimate_light()  # again: nothing doubles
    assert len(scene.world.node_tree.nodes) == nodes
    assert len([o for o in scene.objects if o.type == "LIGHT"]) == 1
    scene.render.engine = "CYCLES"
    assert render_equirect(64, tmp_path / "seen.png").max() < 0.02  # the camera still sees the black world


def test_the_shadow_catcher_has_the_worlds_shape(holotime, tmp_path):
    ball = scenes.panorama_scene(scenes.ramps(64), distance=4.0)
    bpy.ops.holotime.import_scene(filepath=str(scenes.write_scene(tmp_path / "ball.safetensors", ball)))
    assert bpy.ops.holotime.add_shadow_catcher() == {"FINISHED"}
    obj = next(o for o in bpy.context.scene.objects if o.is_shadow_catcher)
    lengths = [v.co.length for v in obj.data.vertices]
    assert min(lengths) == pytest.approx(3.94, abs=0.01)
    assert max(lengths) == pytest.approx(3.94, abs=0.01)
    bpy.ops.holotime.add_shadow_catcher()
    assert len([o for o in bpy.context.scene.objects if o.is_shadow_catcher]) == 1


def test_objects_throw_shadows_onto_splats(holotime, tmp_path):
    """Under a sun from above, the splats below a box get darker, and nothing else does."""
    ball = scenes.panorama_scene(np.full((16, 32, 3), 0.5), distance=4.0)
    bpy.ops.holotime.import_scene(filepath=str(scenes.write_scene(tmp_path / "ball.safetensors", ball)))
    scene = bpy.context.scene
    black_world()
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy = 3.0
    scene.collection.objects.link(sun)
    box = cube((0, 1.5, -1.5), 1.2, (0, 0, 0))
    box.visible_camera = False  # only its shadow is seen
    flat_camera((0, 0, 0), (0, 1.5, -2.6))
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    for _ in range(2):  # again: nothing doubles
        assert bpy.ops.holotime.add_shadow_catcher() == {"FINISHED"}
        assert len([layer for layer in scene.view_layers if layer.use]) == 4
    assert len(bpy.data.node_groups) == len({tree.name.split(".")[0] for tree in bpy.data.node_groups})
    scene.view_layers["HoloTime Shadows"].samples = 16
    shadowed = still(tmp_path / "shadowed.png", 48, 48)
    box.hide_render = True
    darker = (still(tmp_path / "free.png", 48, 48) - shadowed).mean(-1)
    assert 0.02 < (darker > 0.1).mean() < 0.6
    assert np.median(np.abs(darker)) < 0.02
    assert darker.min() > -0.1
