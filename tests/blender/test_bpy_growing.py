"""The growing scene in Blender: parts are read and checked, followed during a real training, drawn, and replaced."""

import json
import uuid
from pathlib import Path

import bpy
import numpy as np
import pytest
import scenes
from test_bpy_client import JOB_SECONDS, START_SECONDS, client, picture
from test_bpy_preview import HEIGHT, WIDTH, gpu

pytestmark = pytest.mark.bpy
__all__ = ["client", "gpu"]  # fixtures


def write_part(path: Path, tensors: dict, *, splats: int, rows: dict | None = None, **meta) -> Path:
    """A part of a growing scene, by hand; ``rows`` [M] by tensor."""
    described = {"format": "holotime-growing", "version": "1", "number": "0", "whole": "true", "step": "0"}
    described |= {"splats": str(splats), "duration": "2.0", "fps": "12.0", "loop": "true", **meta}
    header, body = {"__metadata__": described}, b""
    arrays = {name: np.asarray(v, np.float32 if name == "means" else np.float16) for name, v in tensors.items()}
    arrays |= {f"{name}.rows": np.asarray(v, np.int32) for name, v in (rows or {}).items()}
    types = {"float32": "F32", "float16": "F16", "int32": "I32"}
    for name, array in arrays.items():
        data = array.tobytes()
        header[name] = {
            "dtype": types[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def test_parts_are_applied(installed, tmp_path):
    from bl_ext.user_default.holotime.scene_import.growing_part import apply, read_part

    tensors = scenes.random_scene(50)
    moves = np.flatnonzero(np.arange(50) % 3 == 0)
    some = {**tensors, "motion": tensors["motion"][moves]}
    first = read_part(write_part(tmp_path / "a", some, splats=50, rows={"motion": moves}))
    scene = apply(None, first)
    assert (len(scene), scene.duration, scene.fps, scene.loop) == (50, 2.0, 12.0, True)
    np.testing.assert_allclose(scene.tensors["quats"], tensors["quats"], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(scene.tensors["motion"][moves], tensors["motion"][moves], rtol=1e-3, atol=1e-3)
    assert not scene.tensors["motion"][1].any()
    change = {"colors": np.ones((2, 3))}
    delta = {"number": "1", "whole": "false"}
    second = read_part(write_part(tmp_path / "b", change, splats=50, rows={"colors": [4, 7]}, **delta))
    after = apply(scene, second)
    assert (after.tensors["colors"][[4, 7]] == 1).all()
    assert after.tensors["means"] is scene.tensors["means"]
    assert not (scene.tensors["colors"][4] == 1).all(), "what was there stays as it was"


@pytest.mark.parametrize(
    ("tensors", "rows", "meta", "words"),
    [
        ({"colors": np.ones((3, 3))}, None, {}, "want"),
        ({"colors": np.ones((2, 3))}, {"colors": [1, 50]}, {}, "not there"),
        ({"colors": np.ones((2, 3))}, {"colors": [3, 1]}, {}, "not there"),
        ({"colors": np.full((50, 3), np.nan)}, None, {}, "finite"),
        ({}, None, {"version": "2"}, "version 1"),
        ({}, None, {"splats": "-1"}, "cannot be"),
        ({}, None, {"splats": "99999999999"}, "cannot be"),
        ({}, None, {"whole": "maybe"}, "metadata"),
    ],
)
def test_damaged_parts_are_refused(installed, tmp_path, tensors, rows, meta, words):
    from bl_ext.user_default.holotime.scene_import.growing_part import SceneFileError, read_part

    with pytest.raises(SceneFileError, match=words):
        read_part(write_part(tmp_path / "x", tensors, rows=rows, **{"splats": 50, **meta}))
    whole = write_part(tmp_path / "y", {"colors": np.ones((50, 3))}, splats=50)
    whole.write_bytes(whole.read_bytes()[:-1])
    with pytest.raises(SceneFileError, match="fit into"):
        read_part(whole)


def test_a_gap_is_refused(installed, tmp_path):
    from bl_ext.user_default.holotime.scene_import.growing_part import SceneFileError, apply, read_part

    delta = read_part(write_part(tmp_path / "b", {"colors": np.ones((50, 3))}, splats=50, whole="false"))
    with pytest.raises(SceneFileError, match="follow"):
        apply(None, delta)


@pytest.fixture
def watched(client, holotime, monkeypatch):
    """(pictures that came, jobs whose scene has ended) of the client's growing scenes, as in a window."""
    from bl_ext.user_default.holotime.viewport import splat_growing

    growing, pictures, gone = client.growing, [], []
    monkeypatch.setattr(growing, "prepare", splat_growing.prepare)
    monkeypatch.setattr(growing, "shown", [splat_growing.show, lambda job, shown: pictures.append((job, shown))])
    monkeypatch.setattr(growing, "ended", [splat_growing.hide, gone.append])
    holotime.results.last_import = holotime.results.last_error = ""
    yield pictures, gone
    growing.end_all()
    for job, state in client.jobs.items():
        if not state.done:
            client.cancel(job)  # of a test that failed: the next one must not wait for it


def begin(client, holotime, tmp_path: Path, steps: int) -> str:
    """Send a job that trains, as the Generate operator does."""
    job = uuid.uuid4().hex
    path = picture(tmp_path / "panorama.png", 128, 64)
    entry = client.Entry("x", scene=bpy.context.scene.name, blend=bpy.data.filepath, auto_import=True)
    params = {"width": 128, "frames": 2, "budget": 1500, "sweeps": 0, "recipe": "lite", "train_steps": steps}
    on_success = holotime.results.Import(bpy.context.scene.name)
    client.submit(job, "generate", params, {"panorama": str(path)}, on_success, entry=entry)
    return job


def count(pictures: list, job: str) -> int:
    """How many pictures of a job came."""
    return sum(name == job for name, _ in pictures)


def test_the_scene_grows_until_it_is_imported(watched, client, holotime, gpu, tmp_path):
    from bl_ext.user_default.holotime.viewport import splat_growing

    pictures, gone = watched
    for steps in (150, 1000, 6000, 36_000):  # a fast machine has to train longer to be seen at it
        holotime.results.last_import = ""
        job = begin(client, holotime, tmp_path, steps)
        client.wait(lambda job=job: count(pictures, job) >= 2 or client.jobs[job].done, JOB_SECONDS)
        if count(pictures, job) >= 2 and not client.jobs[job].done:
            break
    else:
        pytest.fail(f"no training was long enough to be watched; {client.growing.problem}")
    pictures[:] = [(name, shown) for name, shown in pictures if name == job]
    gone.clear()
    view = splat_growing._views[job]
    target = gpu.types.GPUOffScreen(WIDTH, HEIGHT, format="RGBA32F")
    projection = np.array([[1.2, 0, 0, 0], [0, 1.8, 0, 0], [0, 0, -1.0002, -0.02], [0, 0, -1, 0]])
    with target.bind():
        frame = gpu.state.active_framebuffer_get()
        frame.clear(color=(0, 0, 0, 0), depth=1.0)
        while splat_growing.draw_view(view, np.eye(4), projection, (WIDTH, HEIGHT), 0.5, linear=False):
            pass
        seen = np.array(frame.read_color(0, 0, WIDTH, HEIGHT, 4, 0, "FLOAT").to_list())
    target.free()
    assert (seen[..., 3] > 0.5).mean() > 0.9, "it fills the view"
    assert client.wait(lambda: holotime.results.last_import or holotime.results.last_error, JOB_SECONDS)
    assert holotime.results.last_error == ""
    assert gone == [job]
    assert splat_growing._views == {}
    assert len(pictures[-1][1].upload.sorting.means) == len(
        bpy.data.objects[holotime.results.last_import].data.vertices
    )
    assert not client.growing.busy()


def test_a_cancelled_job_shows_nothing_any_more(watched, client, holotime, tmp_path):
    from bl_ext.user_default.holotime.viewport import splat_growing

    pictures, gone = watched
    job = begin(client, holotime, tmp_path, 100_000)
    assert client.wait(lambda: pictures, JOB_SECONDS), client.growing.problem
    assert job in splat_growing._views
    bpy.ops.wm.read_homefile(use_empty=True)  # another file is opened: its view is its own
    assert splat_growing._views == {}
    client.cancel(job)
    assert client.wait(lambda: client.jobs[job].done, START_SECONDS)
    assert gone == [job]
    assert client.growing._scenes == {}
