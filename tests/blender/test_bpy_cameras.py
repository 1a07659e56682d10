"""Cameras: the safe volume of the scene file, hand-keyed cameras, cuts."""

import json
import os
import subprocess

import bpy
import numpy as np
import pytest
import scenes

pytestmark = pytest.mark.bpy


def volume(metres: list[float]) -> dict[str, str]:
    """Metadata of a scene whose volume was measured in the six directions of the axes."""
    axes = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]]
    return {"safe_walk": json.dumps({"version": 1, "share": 0.02, "directions": axes, "metres": metres})}


def place(pose) -> np.ndarray:
    return np.array([row[3] for row in pose.matrix[:3]])


def test_the_measured_volume_travels_with_the_scene(holotime, tmp_path):
    """It comes from the file, stays in the .blend when the file is gone, and is interpolated as the library does."""
    from bl_ext.user_default.holotime.cameras import safe_walk

    metres = [0.3, 0.2, 0.9, 0.1, 0.4, 0.15]
    near = scenes.panorama_scene(scenes.ramps(16), distance=1.0)
    path = scenes.write_scene(tmp_path / "near.safetensors", near, metadata=volume(metres))
    bpy.ops.holotime.import_scene(filepath=str(path))
    path.unlink()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "work.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "work.blend"))
    walk = safe_walk.of(bpy.context.scene.objects[0])
    assert walk.measured
    assert walk.nearest() == 0.1
    np.testing.assert_allclose(walk.reach(walk.directions), metres, rtol=1e-6)
    bpy.ops.holotime.write_scene(filepath=str(path))
    assert safe_walk._in_file(str(path)) == volume(metres)["safe_walk"]  # and goes into a file that is written anew
    looks = np.random.default_rng(0).normal(size=(50, 3))
    python = os.environ.get("HOLOTIME_PYTHON")
    if python:
        code = f"""
import json, sys, numpy as np
from holotime.safe_walk import SafeWalk
data = json.load(sys.stdin)
walk = SafeWalk(np.array(data["directions"], float), np.array({metres}))
print(json.dumps(walk.reach(np.array({looks.tolist()})).tolist()))
"""
        text = volume(metres)["safe_walk"]
        run = subprocess.run([python, "-c", code], input=text, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        np.testing.assert_allclose(walk.reach(looks), json.loads(run.stdout), rtol=1e-9)
    lines = safe_walk.wire(walk)
    lengths = np.linalg.norm(np.concatenate([np.array(strip) for strip in lines]), axis=1)
    assert 0.1 <= lengths.min() < 0.15
    assert 0.6 < lengths.max() <= 0.9


@pytest.mark.parametrize("preset", ["orbit", "dolly", "flythrough", "figure_eight"])
def test_a_path_stays_in_the_measured_volume(holotime, tmp_path, preset):
    from bl_ext.user_default.holotime.cameras import safe_walk
    from bl_ext.user_default.holotime.cameras.path import chosen_path

    near = scenes.panorama_scene(scenes.ramps(16), distance=1.0)
    path = scenes.write_scene(tmp_path / "near.safetensors", near, metadata=volume([0.02] * 6))
    bpy.ops.holotime.import_scene(filepath=str(path))
    scene, settings = bpy.context.scene, bpy.context.scene.holotime
    settings.camera_preset = preset
    walk = safe_walk.of(scene.objects[0])
    free, factor = chosen_path(settings, 24, None)
    assert factor == 1
    assert max(np.linalg.norm(place(p)) for p in free) > 0.02
    kept, factor = chosen_path(settings, 24, walk)
    assert factor < 1
    assert max(np.linalg.norm(place(p)) for p in kept) <= 0.02 * 1.01
    bpy.ops.holotime.add_camera_path()
    far = []
    for frame in range(scene.frame_start, scene.frame_end + 1, 5):
        scene.frame_set(frame)
        far.append(scene.camera.matrix_world.translation.length)
    assert 0.005 < max(far) <= 0.0205
    settings.clamp_to_safe = False
    bpy.ops.holotime.add_camera_path()
    scene.frame_set((scene.frame_start + scene.frame_end) // 3)
    assert max(np.linalg.norm(place(p)) for p in chosen_path(settings, 24, None)[0]) > 0.02


def test_without_a_measured_volume_it_is_estimated_from_the_splats(holotime, tmp_path):
    """A wall one metre away lets the camera go a tenth of that; damaged metadata counts as none."""
    from bl_ext.user_default.holotime.cameras import safe_walk

    near = scenes.panorama_scene(scenes.ramps(64), distance=1.0)
    for i, metadata in enumerate(({}, {"safe_walk": "{}"}, {"safe_walk": "broken"}, {"safe_walk": '{"version": 9}'})):
        path = scenes.write_scene(tmp_path / f"near{i}.safetensors", near, metadata=metadata)
        bpy.ops.holotime.import_scene(filepath=str(path))
        walk = safe_walk.of(bpy.context.object)
        assert not walk.measured
        looks = np.random.default_rng(1).normal(size=(40, 3))
        np.testing.assert_allclose(walk.reach(looks), safe_walk.SHARE, rtol=0.1)
