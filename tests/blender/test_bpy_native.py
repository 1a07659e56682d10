"""Native splats: with Blender 5.3's API as far as it is known, played on real point clouds of this Blender.

A PointCloud of today has everything but its ``type``, which a property of our own stands in for.
"""

from collections.abc import Iterator

import bpy
import numpy as np
import pytest
import scenes

pytestmark = [
    pytest.mark.bpy,
    pytest.mark.skipif(
        "resize" not in bpy.types.PointCloud.bl_rna.functions, reason="point clouds of this Blender cannot be resized"
    ),
]
HERE = "type" in bpy.types.PointCloud.bl_rna.properties  # a Blender that has them: no stand-in


@pytest.fixture
def native(holotime) -> Iterator[None]:
    """A Blender with native splats."""
    if not HERE:
        items = [("POINTS", "Points", ""), ("GAUSSIAN_SPLAT", "3D Gaussian Splat", "")]
        bpy.types.PointCloud.type = bpy.props.EnumProperty(items=items)
    yield
    if not HERE:
        del bpy.types.PointCloud.type


def values(data, name: str, width: int) -> np.ndarray:
    """[N, width] of a point attribute, whatever its type is called."""
    layer = data.attributes[name].data
    out = np.empty(len(layer) * width, np.float32)
    layer.foreach_get({"FLOAT_COLOR": "color", "FLOAT": "value", "QUATERNION": "value"}.get(
        data.attributes[name].data_type, "vector"), out)  # fmt: skip
    return out.reshape(-1, width)


@pytest.mark.skipif(HERE, reason="this Blender has native splats")
def test_without_the_type_a_mesh_is_made(holotime, tmp_path):
    from bl_ext.user_default.holotime.scene_import import native_splats

    assert not native_splats.supported()
    bpy.ops.holotime.import_scene(filepath=str(scenes.write_scene(tmp_path / "s.safetensors", scenes.random_scene(9))))
    assert bpy.context.object.type == "MESH"
    assert native_splats.problem == ""


@pytest.mark.parametrize("loop", [True, False])
def test_native_splats_follow_the_formulas(native, tmp_path, loop):
    tensors = scenes.random_scene(200)
    path = scenes.write_scene(tmp_path / "s.safetensors", tensors, duration=2.0, fps=12.0, loop=loop)
    assert bpy.ops.holotime.import_scene(filepath=str(path)) == {"FINISHED"}
    scene, obj = bpy.context.scene, bpy.context.object
    assert obj.type == "POINTCLOUD"
    assert obj.data.type == "GAUSSIAN_SPLAT"
    assert {"position", "scale", "rotation", "radiance:base"} <= set(obj.data.attributes.keys())
    quats = tensors["quats"] / np.linalg.norm(tensors["quats"], axis=1, keepdims=True)
    np.testing.assert_allclose(values(obj.data, "rotation", 4), quats, atol=1e-5)
    np.testing.assert_allclose(values(obj.data, "scale", 3), np.exp(tensors["log_scales"]), rtol=1e-5)
    drawn = values(obj.data, "radiance:base", 4)
    np.testing.assert_allclose(0.5 + 0.28209479177387814 * drawn[:, :3], tensors["colors"], atol=1e-5)
    for frame in (1, 9, 24):
        scene.frame_set(frame)
        t = (frame - 1) / 24
        place, alpha = scenes.formula(tensors, t)
        shown = alpha >= 1 / 255
        got = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        np.testing.assert_allclose(values(got, "position", 3), place[shown], atol=2e-4)
        base = values(got, "radiance:base", 4)
        np.testing.assert_allclose(base[:, 3], alpha[shown], atol=2e-4)
        np.testing.assert_allclose(0.5 + 0.28209479177387814 * base[:, :3], tensors["colors"][shown], atol=1e-5)
        turned = tensors["quats"] + (t - tensors["t_centers"])[:, None] * tensors["omegas"]
        turned = (turned / np.linalg.norm(turned, axis=1, keepdims=True))[shown]
        same = np.abs((values(got, "rotation", 4) * turned).sum(1))
        np.testing.assert_allclose(same, 1, atol=1e-4)


def test_native_splats_go_back_to_a_file_and_take_the_controls(native, tmp_path):
    from bl_ext.user_default.holotime.scene_import.reader import read_scene
    from bl_ext.user_default.holotime.scene_import.splat_object import scene_modifier, set_input

    tensors = scenes.random_scene(500)
    tensors["t_log_scales"][:] = 20.0
    path = scenes.write_scene(tmp_path / "s.safetensors", tensors, duration=2.0)
    bpy.ops.holotime.import_scene(filepath=str(path))
    obj = bpy.context.object
    assert bpy.ops.holotime.write_scene(filepath=str(tmp_path / "again.safetensors")) == {"FINISHED"}
    again = read_scene(tmp_path / "again.safetensors")
    np.testing.assert_allclose(again.tensors["colors"], tensors["colors"], atol=1e-5)
    np.testing.assert_allclose(again.tensors["motion"], tensors["motion"], atol=1e-5)
    modifier = scene_modifier(obj)
    before = len(obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.points)
    set_input(modifier, "Viewport Density", 0.5)
    set_input(modifier, "Splat Size", 2.0)
    set_input(modifier, "Low Pass", 0.0)
    bpy.context.view_layer.update()
    after = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    assert 0.4 < len(after.points) / before < 0.6
    sizes = values(after, "scale", 3).mean() / np.exp(tensors["log_scales"]).mean()
    assert sizes == pytest.approx(2.0, rel=0.1)


def test_an_unexpected_api_falls_back_and_says_so(native, holotime, tmp_path, monkeypatch):
    from bl_ext.user_default.holotime.scene_import import native_splats

    def refuse(name: str, count: int) -> bpy.types.PointCloud:
        raise TypeError("resize() takes no arguments")

    monkeypatch.setattr(native_splats, "begin", refuse)
    bpy.ops.holotime.import_scene(filepath=str(scenes.write_scene(tmp_path / "s.safetensors", scenes.random_scene(9))))
    assert bpy.context.object.type == "MESH"
    assert "takes no arguments" in native_splats.problem
    assert len(bpy.data.pointclouds) == 0
    monkeypatch.undo()
    bpy.ops.holotime.import_scene(filepath=str(tmp_path / "s.safetensors"))
    assert bpy.context.object.type == "POINTCLOUD"
    assert native_splats.problem == ""
