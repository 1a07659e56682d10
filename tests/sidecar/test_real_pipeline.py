"""The library itself in the worker: whoever is killed, the scene is the same to the last byte."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from holotime.jobs import run_job
from sidecar import protocol
from sidecar.client import new_job_id
from sidecar.protocol import hash_file

SMALL = {"width": 256, "frames": 6, "budget": 5000, "sweeps": 1, "seed": 3}
STAGES = ("animate", "reconstruct")  # in which somebody is killed
REAL = ("--runner", "holotime.jobs:run_job")


@pytest.fixture(scope="module")
def panorama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sky over a sea, with some structure."""
    path = tmp_path_factory.mktemp("panorama") / "sea.png"
    rows, columns = np.mgrid[0:128, 0:256]
    waves = 30 * np.sin(columns * 2 * np.pi / 32 + rows * 0.7) * (rows > 64)
    picture = np.stack([200 - rows + waves, 120 + waves + 0.3 * rows, 60 + rows * 0.5 + waves], -1)
    assert cv2.imwrite(str(path), np.clip(picture, 0, 255).astype(np.uint8))
    return path


@pytest.fixture(scope="module")
def undisturbed(panorama: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """name -> sha256 of what the library makes without any sidecar."""
    folder = tmp_path_factory.mktemp("undisturbed")
    files = run_job("generate", SMALL, {"panorama": panorama}, folder, folder / "cache", lambda *told: None)
    return {name: hash_file(files[name])[0] for name in ("scene.safetensors", "clip.mp4")}


def reach(client, job: str, stage: str) -> bool:
    """Wait until a job is in a stage; False when it was too quick."""
    return any(isinstance(event, protocol.Progress) and event.stage == stage for event in client.events(job, 120))


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("victim", ["worker", "server"])
def test_a_scene_is_the_same_whoever_is_killed(
    own_server, panorama: Path, undisturbed: dict[str, str], tools, stage: str, victim: str
) -> None:
    server = own_server(*REAL)
    with server.client() as client:
        job = client.submit("generate", SMALL, {"panorama": panorama})
        assert reach(client, job, stage)
        worker = client.status().workers[0].pid
        if victim == "worker":
            tools.kill(worker)
        else:
            server.kill()
            assert tools.ended(worker)
            server.start(*REAL)
        info = client.wait(job, timeout=240)
        assert info.attempts == 2
        made = client.result(job)
        assert {name: made[name] for name in undisturbed} == undisturbed
        note = client.fetch(made["report.json"], server.marks / "report.json").read_text()
        assert "perceive: reused from an earlier job" in note, "what was done before was not done again"


@pytest.mark.slow
def test_a_scene_is_the_same_when_its_client_is_killed(
    own_server, panorama: Path, undisturbed: dict[str, str], tools
) -> None:
    server, job = own_server(*REAL), new_job_id()
    script = (
        "import json, sys\nfrom sidecar.client import Client\n"
        "with Client(sys.argv[1]) as client:\n"
        "    job = client.submit('generate', json.loads(sys.argv[2]), {'panorama': sys.argv[3]}, job_id=sys.argv[4])\n"
        "    client.wait(job)\n"
    )

    command = [sys.executable, "-c", script, str(server.file), json.dumps(SMALL), str(panorama), job]
    with subprocess.Popen(command) as artist, server.client() as other:
        assert tools.until(lambda: any(info.job == job for info in other.jobs("running")))
        artist.kill()
        artist.wait(30)
        assert other.wait(job, timeout=240).attempts == 1
        made = other.result(job)
        assert {name: made[name] for name in undisturbed} == undisturbed
