"""What goes wrong: the sidecar dies, Blender is closed, keys are wrong, disks refuse, things are deleted."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import bpy
import pytest
import scenes
from test_bpy_client import JOB_SECONDS, START_SECONDS, picture, settle

pytestmark = pytest.mark.bpy


@pytest.fixture
def python() -> str:
    found = os.environ.get("HOLOTIME_PYTHON", "")
    if not found:
        if os.environ.get("CI") == "true":
            pytest.fail("HOLOTIME_PYTHON must name a Python in which the library is installed")
        pytest.skip("set HOLOTIME_PYTHON to a Python in which the library is installed")
    return found


@pytest.fixture
def client(holotime: ModuleType, python: str):
    """The client, connected to a sidecar of its own."""
    client = holotime.client
    bpy.ops.holotime.start_sidecar(python=python)
    assert client.wait(client.connected, START_SECONDS), client.link_text
    yield client
    if client.active() or client.own_sidecar:
        bpy.ops.holotime.disconnect() if client.active() else client.stop_sidecar()
    client.jobs.clear()


def test_the_sidecar_dies_in_mid_job_and_the_job_goes_on(client, holotime, tmp_path, python):
    settle(picture(tmp_path / "panorama.png", 256, 128))
    bpy.ops.holotime.generate()
    job = client.jobs[client.latest_job]
    assert client.wait(lambda: job.status == "running", JOB_SECONDS)
    os.kill(client.own_sidecar._process.pid, signal.SIGKILL)
    client.wait(lambda: client.own_died, 10)
    assert client.own_died
    assert not client.connected()
    assert "ended unexpectedly" in client.link_text
    assert "Start it again" in client.link_text
    assert not job.done
    bpy.ops.holotime.start_sidecar(python=python)
    assert client.wait(lambda: job.done, JOB_SECONDS), client.link_text
    assert job.status == "succeeded", job.error
    assert client.wait(lambda: holotime.results.last_import or holotime.results.last_error, START_SECONDS)
    assert not holotime.results.last_error


def test_the_job_list_and_the_import_come_back_after_blender_was_closed(client, holotime, tmp_path):
    """A second Blender opens the same file while the job runs; it gets the scene."""
    blend = tmp_path / "work.blend"
    settle(picture(tmp_path / "panorama.png", 256, 128))
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    bpy.ops.holotime.generate()
    job = client.latest_job
    assert client.wait(lambda: client.jobs[job].status in ("queued", "running"), START_SECONDS)
    connection = client._thread._file
    code = f"""
import bpy, importlib
bpy.ops.preferences.addon_enable(module="bl_ext.user_default.holotime")
h = importlib.import_module("bl_ext.user_default.holotime")
h.client.known_again.append(h.results.known_again)
bpy.ops.wm.open_mainfile(filepath={str(blend)!r})
bpy.ops.holotime.connect(connection_file={str(connection)!r})
assert h.client.wait(h.client.connected, {START_SECONDS}), h.client.link_text
assert h.client.wait(lambda: {job!r} in h.client.jobs, {START_SECONDS})
assert h.job_list.title(h.client.jobs[{job!r}]) == "panorama"
assert h.client.wait(lambda: h.results.last_import or h.results.last_error, {JOB_SECONDS})
print("RESULT", h.results.last_import, h.results.last_error, len(bpy.context.scene.objects))
bpy.ops.holotime.disconnect()
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), check=False
    )
    assert "RESULT scene  1" in run.stdout, run.stdout[-800:] + run.stderr[-800:]
    assert client.wait(lambda: client.jobs[job].done, START_SECONDS)  # both Blenders were told


def test_two_blenders_on_one_sidecar(client, holotime, tmp_path):
    """Each sees the other's job as it runs; what one stops is stopped for both."""
    settle(picture(tmp_path / "panorama.png", 1024, 512))
    settings = bpy.context.scene.holotime
    settings.auto_import, settings.width, settings.frames = False, 2048, 200
    bpy.ops.holotime.generate()
    job = client.jobs[client.latest_job]
    assert client.wait(lambda: job.status == "running", JOB_SECONDS)
    code = f"""
import bpy, importlib
bpy.ops.preferences.addon_enable(module="bl_ext.user_default.holotime")
client = importlib.import_module("bl_ext.user_default.holotime").client
bpy.ops.holotime.connect(connection_file={str(client._thread._file)!r})
assert client.wait(lambda: {job.id!r} in client.jobs, {START_SECONDS}), client.link_text
job = client.jobs[{job.id!r}]
assert client.wait(lambda: job.fraction > 0, {START_SECONDS})
print("RESULT", job.status)
bpy.ops.holotime.cancel_job(job=job.id)
assert client.wait(lambda: job.done, {START_SECONDS})
bpy.ops.holotime.disconnect()
"""
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
    assert "RESULT running" in run.stdout, run.stdout[-800:] + run.stderr[-800:]
    assert client.wait(lambda: job.done, START_SECONDS)
    assert job.status == "cancelled"
    assert client.connected()


def test_retry_and_turns(client, holotime, tmp_path):
    settle(picture(tmp_path / "panorama.png", 512, 256))
    settings = bpy.context.scene.holotime
    settings.auto_import, settings.width, settings.frames = False, 1024, 100
    from bl_ext.user_default.holotime.client import turns

    sent = []
    for seed in range(6):  # a sidecar may run several at a time; some have to wait
        settings.seed = seed
        bpy.ops.holotime.generate()
        sent.append(client.jobs[client.latest_job])
    statuses = {"queued", "running"}
    assert client.wait(lambda: {job.status for job in sent} == statuses and len(turns.waiting()) >= 2, JOB_SECONDS)
    last = turns.waiting()[-1]
    bpy.ops.holotime.move_job(job=last.id, first=True)
    moved = client.jobs[client.latest_job]
    assert moved.id != last.id
    assert last.id not in client.jobs
    assert client.wait(lambda: moved.status == "queued", START_SECONDS)
    assert turns.waiting()[0] is moved
    with pytest.raises(RuntimeError, match="first already"):
        bpy.ops.holotime.move_job(job=moved.id, first=True)
    for job in list(client.jobs.values()):
        if not job.done:
            bpy.ops.holotime.cancel_job(job=job.id)
    assert client.wait(lambda: all(job.done for job in client.jobs.values()), START_SECONDS)
    bpy.ops.holotime.retry_job(job=sent[0].id)
    again = client.jobs[client.latest_job]
    assert client.ledger.get(again.id).params == client.ledger.get(sent[0].id).params
    assert client.wait(lambda: again.status == "running", JOB_SECONDS)
    bpy.ops.holotime.cancel_job(job=again.id)
    assert client.wait(lambda: again.done, START_SECONDS)
    (tmp_path / "panorama.png").unlink()
    with pytest.raises(RuntimeError, match="is gone"):
        bpy.ops.holotime.retry_job(job=again.id)


def test_a_wrong_key_gets_no_answer(client, holotime, tmp_path):
    """The panel says that nobody answers; nothing hangs."""
    good = json.loads(Path(client._thread._file).read_text())
    bpy.ops.holotime.disconnect()
    import zmq
    from bl_ext.user_default.holotime.vendor import protocol

    public, secret = zmq.curve_keypair()
    wrong = tmp_path / "connection.json"
    wrong.write_text(json.dumps(good | {"client_public": public.decode(), "client_secret": secret.decode()}))
    wrong.chmod(0o600)
    assert protocol.Connection.read(wrong)
    bpy.ops.holotime.connect(connection_file=str(wrong))
    assert not client.wait(client.connected, 2)
    assert client.link_text == "Connecting"
    bpy.ops.holotime.disconnect()


def test_the_scene_is_deleted_while_its_job_runs(client, holotime, tmp_path):
    settle(picture(tmp_path / "panorama.png", 128, 64))
    keep = bpy.data.scenes.new("other")
    gone = bpy.context.scene
    bpy.ops.holotime.generate()
    with bpy.context.temp_override(window=None, scene=keep):
        bpy.data.scenes.remove(gone)
    assert client.wait(lambda: holotime.results.last_error or holotime.results.last_import, JOB_SECONDS)
    assert "is gone" in holotime.results.last_error


def test_a_disk_that_refuses(client, holotime, tmp_path):
    settle(picture(tmp_path / "panorama.png", 128, 64))
    bpy.context.scene.holotime.auto_import = False
    bpy.ops.holotime.generate()
    job = client.jobs[client.latest_job]
    assert client.wait(lambda: job.done, JOB_SECONDS)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RuntimeError, match="cannot be written"):
        bpy.ops.holotime.import_result(job=job.id, directory=str(tmp_path / "file" / "below"))
    assert not bpy.context.scene.objects


def test_the_ledger_survives_a_folder_that_cannot_be_written(installed, tmp_path):
    from bl_ext.user_default.holotime.client.job_ledger import Entry, Ledger

    (tmp_path / "file").write_text("in the way")
    ledger = Ledger()
    ledger.open(tmp_path / "file")
    ledger.put("a" * 8, Entry("one"))
    assert "cannot be kept" in ledger.problem
    assert ledger.get("a" * 8).title == "one"
    damaged = Ledger()
    (tmp_path / "jobs.json").write_text("{broken")
    damaged.open(tmp_path)
    assert damaged.entries == {}


def test_undo_during_an_import_begins_it_again(holotime, tmp_path):
    from bl_ext.user_default.holotime.client import tasks
    from bl_ext.user_default.holotime.scene_import.importer import import_steps

    path = scenes.write_scene(tmp_path / "s.safetensors", scenes.random_scene())
    bpy.ops.ed.undo_push(message="before")
    done, failures = [], []
    work = import_steps(bpy.context.scene.name, path, [lambda obj: done.append(obj.name)])
    task = tasks.start("Importing", work, failures.append)
    while not any("holotime_filling" in mesh for mesh in bpy.data.meshes):
        tasks.run(0)
    for _ in range(3):
        tasks.run(0)
    bpy.data.meshes.remove(next(mesh for mesh in bpy.data.meshes if "holotime_filling" in mesh))  # as undo does
    tasks.finish(task)
    assert not failures
    assert done == ["s"]
    assert len(bpy.data.objects["s"].data.vertices) == 200
    assert len(bpy.data.meshes) == 1


def test_an_import_whose_object_is_deleted_says_so(holotime, tmp_path):
    from bl_ext.user_default.holotime.client import tasks
    from bl_ext.user_default.holotime.scene_import.importer import import_steps

    path = scenes.write_scene(tmp_path / "s.safetensors", scenes.random_scene())
    failures = []
    remove = lambda obj: bpy.data.objects.remove(obj)  # noqa: E731
    task = tasks.start("Importing", import_steps(bpy.context.scene.name, path, [remove, remove]), failures.append)
    tasks.finish(task)
    assert "undone" in str(failures[0])


def test_nothing_is_kept_without_a_saved_file(holotime):
    """Results of an unsaved .blend go under the extension's own folder."""
    folder = holotime.storage.results_folder("0123456789abcdef")
    assert Path(bpy.utils.extension_path_user("bl_ext.user_default.holotime")) in folder.parents


def test_forecast_learns(installed):
    from bl_ext.user_default.holotime.client import forecast
    from bl_ext.user_default.holotime.client.job_ledger import Entry

    small = {"width": 512, "frames": 8, "budget": 50_000}
    large = {"width": 2048, "frames": 48, "budget": 1_000_000}
    first, known = forecast.seconds_forecast([], small)
    assert known == 0
    slow = [Entry(kind="generate", params=small, seconds=3 * first)]
    assert forecast.seconds_forecast(slow, small) == (pytest.approx(3 * first), 1)
    assert forecast.seconds_forecast(slow, large)[0] > 20 * first
    assert forecast.memory_forecast(large) > 2 * forecast.memory_forecast(small)


def test_the_environment_set_up_touches_only_what_it_made(installed, tmp_path):
    """The script that makes the sidecar's environment, with a Python that the artist has."""
    script = Path(installed.__file__).parent / "sidecar_setup" / "install.py"

    def run(*arguments: str) -> dict:
        done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, check=False)
        return json.loads(done.stdout.splitlines()[-1])

    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("mine")
    assert "other things" in run("make", "--folder", str(precious), "--package", str(tmp_path))["error"]
    assert "not made by this" in run("remove", "--folder", str(precious))["error"]
    assert (precious / "file").read_text() == "mine"
    assert (
        "does not exist" in run("make", "--folder", str(tmp_path / "new"), "--package", str(tmp_path / "no"))["error"]
    )
    ours = tmp_path / "ours"
    ours.mkdir()
    (ours / "holotime-environment.json").write_text("{}")
    assert run("remove", "--folder", str(ours)) == {"done": {"removed": str(ours)}}
    assert not ours.exists()
