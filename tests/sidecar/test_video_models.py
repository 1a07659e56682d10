"""A video model as a job of the sidecar, on a tiny pipeline: progress, pictures, a killed worker, the same clip."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from sidecar import protocol

pytest.importorskip("diffusers")
pytest.importorskip("transformers")
from holotime.animate.panoramic.random_model import write

REAL = ("--runner", "holotime.jobs:run_job")


@pytest.fixture
def order(tmp_path: Path) -> tuple[dict, Path]:
    """(settings of the job, a picture)."""
    model = write(tmp_path / "model", "ltx")
    rows, columns = np.mgrid[0:64, 0:128]
    picture = 128 + 80 * np.sin(columns * 2 * np.pi / 64)[..., None] * np.sin(rows[..., None] / 20 + np.arange(3))
    assert cv2.imwrite(str(tmp_path / "sea.png"), picture.astype(np.uint8))
    settings = {
        "animator": "ltx",
        "video_model": str(model),
        "video_width": 256,
        "width": 128,
        "frames": 3,
        "steps": 40,
        "prompt": "waves",
        "budget": 1000,
        "sweeps": 0,
        "perceive": "prior",
        "recipe": "lift",
    }
    return settings, tmp_path / "sea.png"


def test_a_killed_worker_goes_on_to_the_same_clip(own_server, order: tuple[dict, Path], tools) -> None:
    settings, picture = order
    server = own_server(*REAL)
    pictures: list[bytes] = []
    with server.client() as client:
        job = client.submit("generate", settings, {"panorama": picture})
        for event in client.events(job, 120):
            if isinstance(event, protocol.Preview) and event.stage == "animate":
                pictures.append(event.jpeg)
            if isinstance(event, protocol.Progress) and event.note.startswith("ltx step") and pictures:
                break
        assert cv2.imdecode(np.frombuffer(pictures[0], np.uint8), cv2.IMREAD_COLOR).shape == (128, 256, 3)
        tools.kill(client.status().workers[0].pid)
        assert client.wait(job, timeout=120).attempts == 2
        killed = client.result(job)
        report = json.loads(client.fetch(killed["report.json"], server.marks / "report.json").read_text())
        assert any("ltx: resumed at step" in note for note in report["notes"]), report["notes"]
        assert report["backends"]["animate"] == "ltx"

        again = client.submit("generate", settings | {"prompt": "storm"}, {"panorama": picture})
        for event in client.events(again, 120):
            if isinstance(event, protocol.Progress) and event.note.startswith("ltx step"):
                break
        client.cancel(again)
        assert list(client.events(again, 30))[-1].info.status == "cancelled"
    other = own_server(*REAL, name="other")
    with other.client() as client:
        job = client.submit("generate", settings, {"panorama": picture})
        assert client.wait(job, timeout=120).attempts == 1
        assert client.result(job)["clip.mp4"] == killed["clip.mp4"], "as if nobody had been killed"
