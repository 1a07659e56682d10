"""Where a scene's files are, several scenes in one file, things that are gone or may not be written."""

import os
import shutil
from pathlib import Path

import bpy
import numpy as np
import pytest
import scenes
from test_bpy_scene import write_png

pytestmark = pytest.mark.bpy


@pytest.fixture
def saved(holotime, tmp_path) -> Path:
    """A saved .blend with a scene and its clip, whose files lie elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = scenes.write_scene(elsewhere / "scene.safetensors", scenes.random_scene())
    clip = write_png(elsewhere / "clip.png", scenes.ramps(16))
    (tmp_path / "project").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "project" / "work.blend"))
    bpy.ops.holotime.import_scene(filepath=str(path))
    bpy.ops.holotime.set_world_clip(filepath=str(clip))
    return tmp_path / "project"


def lost(context) -> list[str]:
    from bl_ext.user_default.holotime.operators import files

    return files.lost_files(context.scene, context.object)


def test_files_are_kept_beside_the_blend_and_move_with_it(saved, tmp_path):
    assert bpy.ops.holotime.keep_beside() == {"FINISHED"}
    obj = bpy.context.object
    assert obj.holotime.source == "//holotime/scene/scene.safetensors"
    bpy.ops.wm.save_mainfile()
    shutil.rmtree(tmp_path / "elsewhere")
    moved = tmp_path / "moved"
    saved.rename(moved)
    bpy.ops.wm.open_mainfile(filepath=str(moved / "work.blend"))
    assert lost(bpy.context) == []
    image = bpy.context.scene.world.node_tree.nodes["Clip"].image
    assert Path(bpy.path.abspath(image.filepath)).parent == moved / "holotime" / "scene"
    (moved / "holotime" / "scene" / "clip.png").unlink()
    (moved / "holotime" / "scene" / "scene.safetensors").unlink()
    assert [text.split()[1] for text in lost(bpy.context)] == ["scene's", "clip"]
    with pytest.raises(RuntimeError, match="is gone"):
        bpy.ops.holotime.keep_beside()


def test_a_lost_file_is_written_anew_or_found(saved, tmp_path):
    obj = bpy.context.object
    source = Path(bpy.path.abspath(obj.holotime.source))
    original = source.read_bytes()
    source.unlink()
    assert len(lost(bpy.context)) == 1
    assert bpy.ops.holotime.write_scene() == {"FINISHED"}
    assert lost(bpy.context) == []
    other = scenes.write_scene(tmp_path / "other.safetensors", scenes.random_scene(50))
    with pytest.raises(RuntimeError, match="another scene"):
        bpy.ops.holotime.relink_scene(filepath=str(other))
    same = tmp_path / "same.safetensors"
    same.write_bytes(original)
    assert bpy.ops.holotime.relink_scene(filepath=str(same)) == {"FINISHED"}
    assert Path(bpy.path.abspath(obj.holotime.source)).resolve() == same


def test_an_unsaved_file_has_no_beside(holotime, tmp_path):
    path = scenes.write_scene(tmp_path / "scene.safetensors", scenes.random_scene())
    bpy.ops.holotime.import_scene(filepath=str(path))
    with pytest.raises(RuntimeError, match="Save the"):
        bpy.ops.holotime.keep_beside()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_disk_is_said(saved):
    saved.chmod(0o500)
    try:
        with pytest.raises(RuntimeError, match="Permission denied"):
            bpy.ops.holotime.keep_beside()
    finally:
        saved.chmod(0o700)


def test_something_in_the_way_is_said(saved):
    """As a read-only disk would: the folder cannot be made."""
    (saved / "holotime").write_text("in the way")
    with pytest.raises(RuntimeError, match="holotime"):
        bpy.ops.holotime.keep_beside()
    obj = bpy.context.object
    assert "elsewhere" in obj.holotime.source


def test_several_scenes_play_by_themselves(holotime, tmp_path):
    """Two scenes in a file, each with its own time; the panel's buttons work on the one that is meant."""
    from bl_ext.user_default.holotime.operators.scene import active_scene_object
    from bl_ext.user_default.holotime.scene_import.splat_object import get_input, scene_modifier, set_input

    for name in ("one", "two"):
        path = scenes.write_scene(tmp_path / f"{name}.safetensors", scenes.random_scene())
        bpy.ops.holotime.import_scene(filepath=str(path))
    scene = bpy.context.scene
    one, two = (bpy.data.objects[name] for name in ("one", "two"))
    two.location.x = 50.0

    def points(obj) -> np.ndarray:
        graph = bpy.context.evaluated_depsgraph_get()
        geometry = obj.evaluated_get(graph).evaluated_geometry()
        cloud = geometry.pointcloud
        values = np.empty(3 * len(cloud.points), np.float32)
        cloud.attributes["position"].data.foreach_get("vector", values)
        return values

    scene.frame_set(8)
    assert np.array_equal(points(one), points(two))
    start = get_input(scene_modifier(two), "Offset")
    set_input(scene_modifier(two), "Offset", start + 0.25)
    later = points(two)
    assert not np.array_equal(points(one), later)
    scene.frame_set(5)  # three frames earlier at 12 a second
    earlier = points(one)
    assert len(earlier) == len(later)
    np.testing.assert_allclose(earlier, later, atol=1e-4)
    bpy.ops.holotime.select_scene(obj="one")
    assert active_scene_object(bpy.context) == one
    bpy.data.objects.remove(one)
    assert active_scene_object(bpy.context) == two
    bpy.data.objects.remove(two)
    assert not bpy.ops.holotime.keep_beside.poll()
    assert not bpy.ops.holotime.add_shadow_catcher.poll()
    with pytest.raises(RuntimeError, match="no object"):
        bpy.ops.holotime.select_scene(obj="one")


def test_no_operator_falls_over_in_an_empty_file(holotime):
    """Every operator either works, or says what is missing, in a file without scene, camera, world and sidecar."""
    for name in dir(bpy.ops.holotime):
        if "preset" in name or name in ("start_sidecar", "setup_sidecar", "show_preferences", "motion_brush"):
            continue
        said = ""
        try:
            getattr(bpy.ops.holotime, name)()
        except RuntimeError as error:
            said = str(error)
        assert "Traceback" not in said, name
        assert not said or len(said) > 20, name
