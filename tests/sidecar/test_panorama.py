"""Panoramas from a sentence through a real sidecar: a job without any input, resumed when its worker is killed."""

import json

import pytest

from holotime.jobs import run_job
from sidecar import protocol
from sidecar.protocol import hash_file
from tests.holotime.panorama import tiny

pytest.importorskip("diffusers")
REAL = ("--runner", "holotime.jobs:run_job")


@pytest.mark.slow
def test_a_job_without_input_survives_its_worker_and_gives_the_same_picture(own_server, tools, tmp_path, monkeypatch):
    model = tiny.make("sd", tmp_path / "tiny-sd", size=64)
    params = {"prompt": "a lighthouse in a stormy sea", "model": str(model), "width": 128, "steps": 40}
    alone = run_job("panorama", params, {}, tmp_path / "out", tmp_path / "cache", lambda *told: None)
    server = own_server(*REAL)
    with server.client() as client:
        assert "panorama" in protocol.JOB_KINDS
        job = client.submit("panorama", params, {})
        begun = (e for e in client.events(job, 120) if isinstance(e, protocol.Progress) and "step 1" in e.note)
        assert next(begun, None) is not None
        tools.kill(client.status().workers[0].pid)
        info = client.wait(job, timeout=240)
        assert info.attempts == 2
        made = client.result(job)
        assert made["panorama.png"] == hash_file(alone["panorama.png"])[0]
        report = json.loads(client.fetch(made["report.json"], tmp_path / "report.json").read_text())
        assert report["backends"]["panorama"] == "tiny-sd"
