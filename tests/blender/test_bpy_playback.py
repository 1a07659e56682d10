"""The scene's controls: loop modes, phase, opacity, what the viewport shows, files that are lost, PLY sequences."""

from pathlib import Path

import bpy
import numpy as np
import pytest
import scenes
from test_bpy_scene import evaluated_points

pytestmark = pytest.mark.bpy


@pytest.fixture
def imported(holotime, tmp_path):
    """(tensors, object, its modifier) of a scene of two seconds."""
    from bl_ext.user_default.holotime.scene_import.splat_object import scene_modifier

    tensors = scenes.random_scene()
    bpy.ops.holotime.import_scene(filepath=str(scenes.write_scene(tmp_path / "s.safetensors", tensors, duration=2.0)))
    return tensors, bpy.context.object, scene_modifier(bpy.context.object)


def test_ping_pong_phase_and_opacity(imported):
    from bl_ext.user_default.holotime.scene_import.splat_object import set_input
    from bl_ext.user_default.holotime.viewport.splat_view import playing

    tensors, obj, modifier = imported
    scene = bpy.context.scene
    cases = [({}, 13, 0.5), ({"Ping-Pong": True}, 37, 0.5), ({"Ping-Pong": True, "Phase": 0.25}, 31, 0.5)]
    for inputs, frame, want in cases:
        for name, value in {"Ping-Pong": False, "Phase": 0.0, **inputs}.items():
            set_input(modifier, name, value)
        scene.frame_set(frame)
        assert playing(obj, scene)["time"] == pytest.approx(want, abs=1e-5)  # what the viewport's splats show
        position, alpha = scenes.formula(tensors, want)
        np.testing.assert_allclose(evaluated_points(obj)[0], position[alpha >= 1 / 255], atol=2e-4)
    set_input(modifier, "Opacity", 0.5)
    bpy.context.view_layer.update()
    shown = 0.5 * alpha >= 1 / 255
    np.testing.assert_allclose(evaluated_points(obj)[1], 0.5 * alpha[shown], atol=2e-4)


def test_points_can_be_switched_off_in_the_viewport(imported):
    from bl_ext.user_default.holotime.scene_import.splat_object import set_input

    _, obj, modifier = imported
    set_input(modifier, "Points in Viewport", False)
    bpy.context.view_layer.update()
    assert len(evaluated_points(obj)[0]) == 0


def test_a_lost_file_is_found_or_written_anew(imported, tmp_path):
    from bl_ext.user_default.holotime.scene_import.reader import read_scene

    tensors, obj, _ = imported
    path = tmp_path / "s.safetensors"
    moved = path.rename(tmp_path / "elsewhere.safetensors")
    other = scenes.write_scene(tmp_path / "other.safetensors", scenes.random_scene(7))
    with pytest.raises(RuntimeError, match="another scene"):
        bpy.ops.holotime.relink_scene(filepath=str(other))
    bpy.ops.holotime.relink_scene(filepath=str(moved))
    assert Path(obj.holotime.source) == moved
    moved.unlink()
    assert bpy.ops.holotime.write_scene() == {"FINISHED"}
    again = read_scene(Path(bpy.path.abspath(obj.holotime.source)))
    assert (again.duration, again.fps, again.loop) == (2.0, 12.0, True)
    for t in (0.0, 0.4, 0.9):
        got, want = scenes.formula(again.tensors, t), scenes.formula(tensors, t)
        np.testing.assert_allclose(got[0], want[0], atol=1e-4)
        np.testing.assert_allclose(got[1], want[1], atol=1e-4)
    np.testing.assert_allclose(again.tensors["colors"], tensors["colors"], atol=1e-5)
    np.testing.assert_allclose(again.tensors["log_scales"], tensors["log_scales"], atol=1e-5)


def test_ply_sequence(imported, tmp_path):
    tensors, _, _ = imported
    folder = tmp_path / "ply"
    assert bpy.ops.holotime.export_ply(directory=str(folder), frame_start=7, frame_end=8) == {"FINISHED"}
    files = sorted(folder.iterdir())
    assert [f.name for f in files] == ["s_0007.ply", "s_0008.ply"]
    header, _, body = files[0].read_bytes().partition(b"end_header\n")
    names = [line.split()[-1].decode() for line in header.splitlines() if line.startswith(b"property")]
    assert names[:3] == ["x", "y", "z"]
    table = np.frombuffer(body, "<f4").reshape(-1, len(names))
    position, alpha = scenes.formula(tensors, 0.25)
    shown = alpha >= 1 / 255
    np.testing.assert_allclose(table[:, :3], position[shown], atol=2e-4)
    np.testing.assert_allclose(1 / (1 + np.exp(-table[:, names.index("opacity")])), alpha[shown], atol=1e-4)
    with pytest.raises(RuntimeError, match="cannot be made"):
        bpy.ops.holotime.export_ply(directory=str(files[0] / "below"))


def test_two_scenes_in_a_file(imported, tmp_path):
    first = imported[1]
    bpy.ops.holotime.import_scene(filepath=str(scenes.write_scene(tmp_path / "b.safetensors", scenes.random_scene(9))))
    second = bpy.context.object
    assert first != second
    bpy.ops.holotime.select_scene(obj=first.name)
    assert bpy.context.object == first
    bpy.data.objects.remove(second)
    with pytest.raises(RuntimeError, match="no object"):
        bpy.ops.holotime.select_scene(obj="b")


def test_cameras_as_cuts(holotime):
    scene = bpy.context.scene
    bpy.ops.holotime.add_camera_path(preset="orbit")
    one = scene.camera
    bpy.ops.holotime.add_camera_path(preset="dolly")
    two = scene.camera
    scene.frame_set(1)
    bpy.ops.holotime.mark_camera(camera=one.name)
    scene.frame_set(10)
    bpy.ops.holotime.mark_camera(camera=two.name)
    scene.frame_set(5)
    assert scene.camera == one
    scene.frame_set(12)
    assert scene.camera == two
    with pytest.raises(RuntimeError, match="no camera"):
        bpy.ops.holotime.mark_camera(camera="Cube")
