"""The client against a real sidecar: the operators an artist uses, from the first click to the video."""

import json
import math
import os
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest
import scenes
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


def test_the_panel_shows_what_the_sidecar_expects(client, holotime):
    """The forecast is asked for once for each wish, comes back by the pump, and is dropped with the connection."""
    from bl_ext.user_default.holotime.operators.jobs import generate_params

    params = generate_params(bpy.context.scene.holotime)
    assert client.wait(lambda: client.forecasts.of("generate", params)[1], 10)
    reply, exact = client.forecasts.of("generate", params)
    assert exact
    assert reply.seconds > 0
    more = params | {"frames": 4 * params["frames"]}
    assert client.forecasts.of("generate", more) == (reply, False)  # what is known meanwhile
    assert client.wait(lambda: client.forecasts.of("generate", more)[1], 10)
    assert client.forecasts.of("generate", more)[0].seconds > reply.seconds
    client.watch_status()
    assert client.wait(lambda: client.server_status is not None, 10)
    assert client.server_status.workers


def frames_of(path: Path) -> dict:
    """What is in a video: codec, pixel format, size, frames, seconds of sound, and the middle of each frame."""
    code = """
import json, sys, av
with av.open(sys.argv[1]) as file:
    video = file.streams.video[0]
    out = {"codec": video.codec_context.name, "format": video.codec_context.pix_fmt, "sound": len(file.streams.audio),
           "size": [video.codec_context.width, video.codec_context.height], "middles": []}
    for frame in file.decode(video):
        picture = frame.to_ndarray(format="rgb24")
        h, w = picture.shape[:2]
        out["middles"].append((picture[h//2-4:h//2+4, w//2-4:w//2+4].mean((0, 1)) / 255).tolist())
print(json.dumps(out))
"""
    python = os.environ["HOLOTIME_PYTHON"]
    run = subprocess.run([python, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def rendered(client, holotime, path: Path) -> dict:
    """Render the video as it is set; what is in it."""
    bpy.ops.holotime.render_vr(filepath=str(path))
    job = client.jobs[client.latest_job]
    assert client.wait(lambda: job.done, JOB_SECONDS)
    assert job.status == "succeeded", job.error
    assert client.wait(lambda: holotime.results.last_video or holotime.results.last_error, 30)
    assert holotime.results.last_error == ""
    found = frames_of(Path(holotime.results.last_video))
    holotime.results.last_video = ""
    return found


@pytest.fixture
def ball(holotime, tmp_path) -> bpy.types.Scene:
    """A Blender scene around whose eye there is a ball that differs in every direction."""
    metadata = {"world": "z-up", "provenance": "{}"}
    splats = scenes.panorama_scene(scenes.ramps(64))
    path = scenes.write_scene(tmp_path / "ball.safetensors", splats, metadata=metadata)
    bpy.ops.holotime.import_scene(filepath=str(path))
    holotime.results.last_video = ""
    scene = bpy.context.scene
    scene.frame_end = scene.frame_start + 3
    return scene


def test_hand_keyed_cameras_with_a_cut_are_what_the_video_shows(client, holotime, ball, tmp_path):
    """Two cameras bound to markers look to the right and to the left; so does the video."""
    scene, settings = ball, ball.holotime
    for frame, heading in ((1, -90.0), (3, 90.0)):
        camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        scene.collection.objects.link(camera)
        camera.rotation_euler = (math.pi / 2, 0.0, math.radians(heading))
        scene.frame_set(frame)
        bpy.ops.holotime.mark_camera(camera=camera.name)
    settings.vr_projection, settings.vr_width, settings.vr_quality = "perspective", 128, "BEST"
    seen = rendered(client, holotime, tmp_path / "cut.mp4")
    assert len(seen["middles"]) == 4
    ramps = scenes.ramps(64)
    right, left = ramps[31:33, 95:97].mean((0, 1)), ramps[31:33, 31:33].mean((0, 1))
    for middle, want in zip(seen["middles"], (right, right, left, left), strict=True):
        assert middle == pytest.approx(want.tolist(), abs=0.04)
    assert not np.allclose(right, left, atol=0.2)
    assert scene.frame_current == 3  # the timeline is where it was


def test_every_kind_of_video_that_the_panel_offers(client, holotime, ball, tmp_path):
    settings = ball.holotime
    settings.vr_width, settings.vr_seconds, settings.vr_quality = 64, 0.25, "DRAFT"
    settings.vr_repeat, settings.vr_speed = "ping-pong", 2.0
    for projection, codec, bits, size in (
        ("vr180", "h265", "10", [128, 64]),
        ("equirect", "av1", "8", [64, 32]),
        ("fisheye", "h264", "10", [64, 64]),
        ("ods", "prores", "10", [64, 64]),
    ):
        settings.vr_projection, settings.vr_codec, settings.vr_bits = projection, codec, bits
        seen = rendered(client, holotime, tmp_path / f"{projection}_{codec}.mp4")
        assert seen["size"] == size
        assert len(seen["middles"]) == 3
        assert seen["codec"].replace("libdav1d", "av1") == {"h265": "hevc"}.get(codec, codec)
        assert ("10" in seen["format"]) == (bits == "10")
    settings.vr_projection, settings.vr_width = "cubemap", 96
    settings.vr_codec, settings.vr_behind = "prores4444", "transparent"
    sound = tmp_path / "sound.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 8000, 8000, "NONE", ""))
        file.writeframes(bytes(16000))
    settings.vr_audio = str(sound)
    seen = rendered(client, holotime, tmp_path / "cube.mov")
    assert (seen["size"], seen["codec"], seen["sound"]) == ([96, 64], "prores", 1)
    assert "yuva" in seen["format"]


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
