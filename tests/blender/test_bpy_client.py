"""The client against a real sidecar: the operators an artist uses, from the first click to the video."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest
from test_bpy_scene import write_png

pytestmark = pytest.mark.bpy
START_SECONDS, JOB_SECONDS = 120, 300  # patience for machines that do other things too


@pytest.fixture(scope="module")
def client(installed: ModuleType) -> Iterator[ModuleType]:
    """The extension's client, connected to a sidecar that the extension has started."""
    python = os.environ.get("HOLOTIME_PYTHON", "")
    if not python:
        if os.environ.get("CI") == "true":
            pytest.fail("HOLOTIME_PYTHON must name a Python in which the library is installed")
        pytest.skip("set HOLOTIME_PYTHON to a Python in which the library is installed")
    client = installed.client
    bpy.ops.holotime.start_sidecar(python=python)
    assert client.wait(client.connected, START_SECONDS), client.link_text
    yield client
    bpy.ops.holotime.disconnect()
    assert not client.active()


def picture(path: Path, width: int, height: int) -> Path:
    x, y = np.meshgrid(np.linspace(0, 2 * np.pi, width, endpoint=False), np.linspace(0, 1, height))
    return write_png(path, np.stack([0.5 + 0.3 * np.sin(x), 0.3 + 0.5 * (1 - y), 0.5 + 0.2 * np.cos(2 * x)], -1))


def settle(path: Path) -> None:
    """Small settings for a quick job."""
    settings = bpy.context.scene.holotime
    settings.panorama, settings.width, settings.frames, settings.budget = str(path), 128, 4, 4000


def test_from_panorama_to_video(client, holotime, tmp_path):
    results = holotime.results
    blend = tmp_path / "work.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    settle(picture(tmp_path / "panorama.png", 128, 64))
    assert bpy.context.scene.holotime.auto_import
    assert bpy.ops.holotime.generate() == {"FINISHED"}
    job = client.jobs[client.latest_job]
    seen = []
    assert client.wait(lambda: seen.append((job.status, job.stage, job.fraction)) or job.done, JOB_SECONDS)
    assert job.status == "succeeded", job.error
    assert any(status == "running" and 0 < fraction < 1 for status, _, fraction in seen)
    assert client.wait(lambda: results.last_import or results.last_error, 30)
    assert results.last_error == ""
    obj = bpy.data.objects[results.last_import]
    assert obj.holotime.source.startswith("//holotime")
    assert len(obj.data.vertices) > 1000
    assert bpy.context.scene.world.node_tree.nodes["Clip"].image.source == "MOVIE"
    assert Path(bpy.path.abspath(obj.holotime.source)).with_name("report.json").is_file()

    bpy.context.scene.holotime.vr_width = 256
    video = tmp_path / "vr.mp4"
    bpy.ops.holotime.render_vr(filepath=str(video))
    render = client.jobs[client.latest_job]
    assert client.wait(lambda: render.done, JOB_SECONDS)
    assert render.status == "succeeded", render.error
    assert client.wait(lambda: results.last_video == str(video), 30)
    assert b"st3d" in video.read_bytes()

    if "export" in client.offers:
        written = tmp_path / "out.ply"
        bpy.ops.holotime.export_scene(format="ply", filepath=str(written))
        exported = client.jobs[client.latest_job]
        assert client.wait(lambda: exported.done, JOB_SECONDS)
        assert exported.status == "succeeded", exported.error
        assert client.wait(lambda: results.last_video == str(written), 30)
        assert written.read_bytes().startswith(b"ply")

    bpy.ops.wm.read_homefile(use_empty=True)  # another file: the result can be brought into it again
    bpy.ops.holotime.import_result(job=job.id, directory=str(tmp_path / "again"))
    assert client.wait(lambda: results.last_import or results.last_error, 30)
    clip = tmp_path / "again" / "clip.mp4"
    assert clip.stat().st_nlink == 1  # the artist's own file, not a link into the sidecar's store
    assert os.access(clip, os.W_OK)


def test_a_refused_picture_says_why(client, holotime, tmp_path):
    settle(picture(tmp_path / "square.png", 64, 64))
    bpy.ops.holotime.generate()
    job = client.jobs[client.latest_job]
    assert client.wait(lambda: job.done, JOB_SECONDS)
    assert job.status == "failed"
    assert "twice as wide as high" in job.error


def test_cancel(client, holotime, tmp_path):
    settle(picture(tmp_path / "panorama.png", 1024, 512))
    bpy.context.scene.holotime.width, bpy.context.scene.holotime.frames = 2048, 200
    bpy.ops.holotime.generate()
    job = client.jobs[client.latest_job]
    assert client.wait(lambda: job.status == "running", JOB_SECONDS)
    bpy.ops.holotime.cancel_job()
    assert client.wait(lambda: job.done, 20)
    assert job.status == "cancelled"
    with pytest.raises(RuntimeError, match="no result"):
        bpy.ops.holotime.import_result()


def test_the_job_list_comes_back(client, holotime):
    known = {job.id: job.status for job in client.jobs.values()}
    client.jobs.clear()
    client.refresh()
    assert client.wait(lambda: len(client.jobs) >= len(known), 10)
    assert {job.id: job.status for job in client.jobs.values()} == known
