"""Jobs through a real server and a real worker."""

import sys
from pathlib import Path

import pytest

from sidecar import protocol
from sidecar.client import JobFailed, Refused, new_job_id


def test_a_job_from_file_to_file(server, tmp_path: Path) -> None:
    panorama = tmp_path / "panorama.png"
    panorama.write_bytes(b"a picture " * 1000)
    with server.client() as client:
        job = client.submit("generate", {"frames": 24}, {"panorama": panorama})
        told = []
        info = client.wait(job, on_progress=told.append, timeout=30)
        assert info.status == "succeeded"
        assert (info.fraction, info.attempts, info.error) == (1.0, 1, "")
        assert info.created <= info.started <= info.finished
        files = client.fetch_all(job, tmp_path / "out")
        assert files["digest"].name == "digest.txt"
        assert "frames" in files["digest"].read_text()
        assert client.result(job) == {"digest": protocol.hash_file(files["digest"])[0]}
    fractions = [event.fraction for event in told if isinstance(event, protocol.Progress)]
    assert fractions == sorted(fractions)


def test_a_thumbnail_and_an_estimate_come_with_the_progress(server, marks: Path) -> None:
    with server.client() as client:
        job = client.submit("generate", {"do": "slow", "marks": str(marks)})
        seen: dict[str, protocol.Message] = {}
        for event in client.events(job, 30):
            seen[event.kind] = event
            if {"progress", "preview"} <= set(seen) and seen["progress"].stage == "waiting":
                break
        client.cancel(job)
    assert seen["preview"].jpeg[:3] == b"\xff\xd8\xff"
    assert seen["progress"].eta is not None
    assert 0 < seen["progress"].stage_fraction <= 0.9


def test_a_job_sent_twice_is_one_job(server, marks: Path) -> None:
    with server.client() as first, server.client() as second:
        job = new_job_id()
        for client in (first, second, first):
            assert client.submit("generate", {"marks": str(marks)}, job_id=job) == job
        first.wait(job, timeout=30)
        second.submit("generate", {"marks": str(marks)}, job_id=job)
        assert second.wait(job, timeout=30).attempts == 1
        assert (marks / "completed").read_text() == "x"
        with pytest.raises(Refused) as caught:
            second.submit("generate", {"marks": str(marks), "other": 1}, job_id=job)
        assert caught.value.code == "job_conflict"


def test_a_job_that_nobody_knows_is_not_done(server) -> None:
    with server.client() as client:
        for ask in (client.job, client.cancel, lambda job: next(client.events(job, 2))):
            with pytest.raises(Refused) as caught:
                ask("nobody-knows-it")
            assert caught.value.code == "unknown_job"


def test_an_unknown_kind_of_job_is_refused(server) -> None:
    with server.client() as client, pytest.raises(Refused, match="there are panorama, generate, render, export"):
        client.submit("mine_bitcoin")


def test_the_librarys_error_reaches_the_client_as_it_is(server) -> None:
    with server.client() as client, pytest.raises(JobFailed) as caught:
        client.wait(client.submit("generate", {"do": "wrong"}), timeout=30)
    info = caught.value.info
    assert (info.status, info.error_class) == ("failed", "InputError")
    assert info.error == "The panorama is 3:1, not 2:1. Use --fit pad."
    assert info.results == {}


def test_a_bug_comes_with_the_end_of_the_log(server) -> None:
    with server.client() as client, pytest.raises(JobFailed) as caught:
        client.wait(client.submit("generate", {"do": "bug"}), timeout=30)
    assert caught.value.info.error_class == "IndexError"
    assert "in bug" in caught.value.info.log_tail
    assert (server.root / "jobs" / caught.value.info.job / "log.txt").read_text().startswith("a line in the log")


@pytest.mark.skipif(sys.platform == "win32", reason="making a link needs a privilege there")
@pytest.mark.parametrize("name", ["link.txt", "../../../journal.sqlite3", "nothing.txt"])
def test_a_result_outside_the_jobs_folder_is_refused(server, name: str) -> None:
    with server.client() as client, pytest.raises(JobFailed, match="not a plain file of the job's folder"):
        client.wait(client.submit("generate", {"do": "outside", "name": name}), timeout=30)


@pytest.mark.parametrize("do", ["slow", "deaf"])
def test_a_cancel_ends_a_running_job_and_leaves_nothing(server, marks: Path, do: str, tools) -> None:
    with server.client() as client:
        job, worker = tools.begin(client, marks, do)
        client.cancel(job)
        last = list(client.events(job, 30))[-1]
        assert last.info.status == "cancelled"
        assert last.info.results == {}
        assert not list((server.root / "jobs" / job).glob("out-*"))
        if do == "deaf":  # it did not listen, so its process had to go
            assert tools.ended(worker)
        # cancelled stays cancelled, and the slot is free
        client.submit("generate", {"do": do, "marks": str(marks)}, job_id=job)
        assert client.cancel(job).status == "cancelled"
        client.wait(client.submit("generate"), timeout=30)


def test_a_queued_job_is_cancelled_at_once_and_control_never_waits(server, marks: Path, tools) -> None:
    with server.client() as client:
        running, _ = tools.begin(client, marks)
        queued = client.submit("generate", {"n": 1})
        assert client.job(queued).status == "queued"
        assert client.cancel(queued).status == "cancelled"
        status = client.status()
        assert (status.running, status.worker) == ([running], "busy")
        client.cancel(running)
        assert list(client.events(running, 30))[-1].info.status == "cancelled"
        assert client.job(queued).attempts == 0


def test_priority_goes_first_then_age_and_a_pause_holds_the_queue(server) -> None:
    with server.client() as client:
        client.pause()
        try:
            jobs = [client.submit("generate", {"n": n}, priority=p) for n, p in enumerate([0, 5, 0, -5, 5])]
            assert {info.job for info in client.jobs("queued")} == set(jobs)
            assert client.status().paused
        finally:
            client.pause(False)
        infos = [client.wait(job, timeout=30) for job in jobs]
    by_start = sorted(range(5), key=lambda n: infos[n].started)
    assert by_start == [1, 4, 0, 2, 3]


def test_a_job_whose_results_were_pruned_is_made_again_under_its_id(server, tmp_path: Path) -> None:
    panorama = tmp_path / "panorama"
    panorama.write_bytes(b"picture to be pruned")
    with server.client() as client:
        job = client.submit("generate", {"n": 7}, {"panorama": panorama})
        client.wait(job, timeout=30)
        before = client.result(job)
        assert client.prune().freed_bytes > 0
        with pytest.raises(Refused) as caught:
            client.fetch(before["digest"], tmp_path / "gone")
        assert caught.value.code == "unknown_blob"
        client.submit("generate", {"n": 7}, {"panorama": panorama}, job_id=job)
        info = client.wait(job, timeout=30)
        assert info.attempts == 2
        assert client.result(job) == before


def test_metrics_and_lists_tell_what_happened(server) -> None:
    with server.client() as client:
        jobs = [client.submit("generate", {"page": n}) for n in range(3)]
        for job in jobs:
            client.wait(job, timeout=30)
        assert [info.job for info in client.jobs()][:3] == jobs[::-1]
        metrics = client.metrics()
        assert metrics["jobs"]["succeeded"] >= 3
        assert metrics["stages"]["generate"]["reading"]["mean_seconds"] >= 0
        assert metrics["requests"]["submit"] >= 3
        assert metrics["worker_starts"] >= 1
