"""The whole way in any Blender: a real job on a real sidecar, import, play, render, save, reopen without the add-on."""

import os
import subprocess
import sys

import bpy
import numpy as np
import pytest
import scenes
from test_bpy_client import JOB_SECONDS, client, picture, settle
from test_bpy_scene import black_world, evaluated_points, read_png, render_equirect

pytestmark = pytest.mark.bpy
__all__ = ["client"]  # a fixture
WIDTH = 128


def test_the_whole_way(client, holotime, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "work.blend"))
    path = picture(tmp_path / "panorama.png", WIDTH, WIDTH // 2)
    settle(path)
    bpy.context.scene.holotime.budget = 12_000
    assert bpy.ops.holotime.generate() == {"FINISHED"}
    job = client.jobs[client.latest_job]
    assert client.wait(lambda: job.done, JOB_SECONDS)
    assert job.status == "succeeded", job.error
    results = holotime.results
    assert client.wait(lambda: results.last_import or results.last_error, 60)
    assert results.last_error == ""
    scene, obj = bpy.context.scene, bpy.data.objects[results.last_import]
    assert obj.holotime.source.startswith("//holotime")

    scene.frame_set(1)
    places = [evaluated_points(obj)[0]]
    scene.frame_set(scene.frame_start + 2)
    places.append(evaluated_points(obj)[0])
    assert places[0].shape != places[1].shape or np.abs(places[0] - places[1]).max() > 1e-3, "it moves"

    scene.frame_set(1)
    black_world()
    shown = render_equirect(WIDTH, tmp_path / "eye.png")
    assert scenes.psnr(shown, read_png(path)) > 22, "the splats alone show the panorama"

    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "work.blend"))
    code = f"""
import bpy, sys
bpy.ops.wm.open_mainfile(filepath={str(tmp_path / "work.blend")!r})
assert not hasattr(bpy.types.Scene, "holotime")
assert not any("holotime" in name for name in sys.modules)
bpy.context.scene.render.filepath = {str(tmp_path / "again.png")!r}
bpy.ops.render.render(write_still=True)
"""
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path / "nobody")}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    assert np.abs(read_png(tmp_path / "again.png") - shown).max() < 0.01, "the same without the extension"
