"""The diffusion animator as a job of the sidecar, on tiny checkpoints: progress, pictures, cancel, going on."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from sidecar import protocol

pytest.importorskip("diffusers")
pytest.importorskip("transformers")
from holotime.animate.diffusion.random_checkpoint import TINY, write

REAL = ("--runner", "holotime.jobs:run_job")
JOB = {
    "animator": "holotime",
    "width": 256,
    "frames": 3,
    "steps": 30,
    "prompt": "waves",
    "budget": 2000,
    "sweeps": 0,
    "perceive": "prior",
}


@pytest.fixture
def panorama(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture; the weights lie where the server will look for them."""
    sizes = {"height": 64, "width": 128, "window": 3, "overlap": 1}
    write(tmp_path / "holotime_guidance.ckpt", TINY, 0.7, stage=sizes)
    write(tmp_path / "holotime_refinement.ckpt", TINY, 0.3, seed=1, stage=sizes)
    monkeypatch.setenv("HOLOTIME_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HOLOTIME_CACHE", str(tmp_path / "models"))
    rows, columns = np.mgrid[0:128, 0:256]
    picture = 128 + 80 * np.sin(columns * 2 * np.pi / 64)[..., None] * np.sin(rows[..., None] / 20 + np.arange(3))
    assert cv2.imwrite(str(tmp_path / "sea.png"), picture.astype(np.uint8))
    return tmp_path / "sea.png"


def follow(client, job: str, words: str, pictures: list[bytes]) -> bool:
    """Follow a job until a note begins with ``words``; collects the pictures of the animate stage."""
    for event in client.events(job, 120):
        if isinstance(event, protocol.Preview) and event.stage == "animate":
            pictures.append(event.jpeg)
        if isinstance(event, protocol.Progress) and event.note.startswith(words):
            return True
    return False


def test_progress_pictures_cancel_and_going_on(own_server, panorama: Path, tools) -> None:
    server = own_server(*REAL)
    pictures: list[bytes] = []
    with server.client() as client:
        job = client.submit("generate", JOB, {"panorama": panorama})
        assert follow(client, job, "guidance step", pictures)
        client.cancel(job)
        assert list(client.events(job, 30))[-1].info.status == "cancelled"
        assert not list((server.root / "jobs" / job).glob("work/*")), "a cancelled job keeps nothing"

        job = client.submit("generate", JOB, {"panorama": panorama})
        assert follow(client, job, "refinement step", pictures)
        assert pictures, "decoded frames of the clip in the making"
        assert cv2.imdecode(np.frombuffer(pictures[0], np.uint8), cv2.IMREAD_COLOR).shape == (128, 256, 3)
        kept = list((server.root / "jobs" / job).glob("work/animate-*/*.safetensors"))
        assert len(kept) == 1
        tools.kill(client.status().workers[0].pid)
        assert client.wait(job, timeout=120).attempts == 2
        killed = client.result(job)
        report = json.loads(client.fetch(killed["report.json"], server.marks / "report.json").read_text())
        assert any("refinement: resumed at step" in note for note in report["notes"]), report["notes"]
        assert any("GiB (auto)" in note for note in report["notes"])
        assert report["backends"]["animate"] == "holotime"

    other = own_server(*REAL, name="other")
    with other.client() as client:
        job = client.submit("generate", JOB, {"panorama": panorama})
        assert client.wait(job, timeout=120).attempts == 1
        whole = client.result(job)
    for name in ("clip.mp4", "scene.safetensors"):
        assert whole[name] == killed[name], "as if nobody had been killed"
