"""Worker processes: several at a time, out of memory, with checkpoints, with children of their own."""

import sys
import time
from pathlib import Path

import pytest

from sidecar import devices, memory, protocol
from sidecar.client import JobFailed


def test_jobs_run_side_by_side_one_in_each_slot(own_server, marks: Path) -> None:
    server = own_server("--devices", "cpu,cpu,cuda:3")
    with server.client() as client:
        more = {"do": "meet", "marks": str(marks), "together": 3}
        jobs = [client.submit("generate", {**more, "n": n}) for n in range(3)]
        infos = [client.wait(job, timeout=60) for job in jobs]  # none would end alone
        assert {info.device for info in infos} == {"cpu", "cuda:3"}
        workers = client.status().workers
        assert [worker.device for worker in workers] == ["cpu", "cpu", "cuda:3"]
        assert {worker.state for worker in workers} == {"idle"}
        assert all(worker.memory > 10e6 for worker in workers)
        met = sorted((marks / f"met-{n}").read_text().split()[1] for n in range(3) if (marks / f"met-{n}").exists())
        assert met[-1] == "3", "the GPU's worker sees its GPU only"
        assert client.metrics()["worker_starts"] == 3


def test_the_death_of_one_worker_leaves_the_other_jobs_alone(own_server, marks: Path, tools) -> None:
    server = own_server("--devices", "cpu,cpu")
    with server.client() as client:
        first, worker = tools.begin(client, marks)
        second = client.submit("generate", {"do": "crash", "times": 1, "marks": str(marks)})
        assert client.wait(second, timeout=60).attempts == 2
        assert client.job(first).attempts == 1
        assert {w.pid for w in client.status().workers} > {worker}
        (marks / "go").touch()
        assert client.wait(first, timeout=30).attempts == 1


@pytest.mark.parametrize(
    ("asked", "found"), [("cpu", ["cpu"]), ("cpu, cuda:0", ["cpu", "cuda:0"]), ("cuda:1,cuda:0", ["cuda:1", "cuda:0"])]
)
def test_devices_are_named(asked: str, found: list[str], monkeypatch) -> None:
    assert devices.find(asked) == found
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert devices.find("auto") == ["cuda:0", "cuda:1"]
    assert devices.environment("cuda:1", ["cuda:0", "cuda:1"])["CUDA_VISIBLE_DEVICES"] == "7"
    assert devices.environment("cpu", ["cpu", "cuda:0"])["CUDA_VISIBLE_DEVICES"] == ""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.find("auto") == ["cpu"]
    assert devices.environment("cpu", ["cpu"]) == {}
    for wrong in ("gpu", "cuda", "cuda:x", ""):
        with pytest.raises(ValueError, match="is no device"):
            devices.find(wrong)


@pytest.mark.parametrize("kind", ["python", "torch", "cpu allocator"])
def test_a_job_out_of_memory_is_done_again_under_a_smaller_plan(server, marks: Path, kind: str) -> None:
    with server.client() as client:
        job = client.submit("generate", {"do": "hungry", "kind": kind, "modest": True, "marks": str(marks)})
        info = client.wait(job, timeout=60)
        assert (info.attempts, info.memory) == (2, "low"), "and the client is told"
    plans = [line.split() for line in (marks / "plans").read_text().splitlines()]
    assert [plan for plan, _ in plans] == ["auto", "low"]
    assert plans[0][1] != plans[1][1], "in a new process, whose memory is whole"


@pytest.mark.parametrize(("kind", "tries"), [("torch", ["auto", "low"]), ("library", ["auto"])])
def test_a_job_that_never_fits_fails_and_says_so(server, marks: Path, kind: str, tries: list[str]) -> None:
    with server.client() as client:
        job = client.submit("generate", {"do": "hungry", "kind": kind, "modest": False, "marks": str(marks)})
        with pytest.raises(JobFailed, match=r"memory|smallest plan") as caught:
            client.wait(job, timeout=60)
    assert caught.value.info.error_class == "OutOfMemory"
    assert [line.split()[0] for line in (marks / "plans").read_text().splitlines()] == tries


def test_a_worker_that_the_system_ended_for_its_memory_is_known(monkeypatch, own_server, marks: Path, tools) -> None:
    # the kernel's counter is played; the rest is real
    (marks / "sitecustomize.py").write_text(
        "import sys\nif 'serve' in sys.orig_argv:\n"
        "    import pathlib, sidecar.memory as m\n"
        f"    m.kills = lambda: int(pathlib.Path({str(marks / 'kills')!r}).exists())\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{marks}:{Path(__file__).parent}:{Path(__file__).parents[2]}")
    server = own_server()
    with server.client() as client:
        job, worker = tools.begin(client, marks)
        (marks / "kills").touch()
        (marks / "go").touch()
        tools.kill(worker)
        info = client.wait(job, timeout=60)
        assert (info.attempts, info.memory) in ((2, "low"), (1, "auto"))  # 1: it had ended before the kill came
    assert memory.kills() >= 0


def test_a_stage_goes_on_from_its_checkpoint(server, marks: Path) -> None:
    with server.client() as client:
        job = client.submit("generate", {"do": "steps", "marks": str(marks)})
        assert client.wait(job, timeout=60).attempts == 2
    assert (marks / "steps").read_text().split() == [str(n) for n in range(10)], "no step was done twice"
    assert not (server.root / "jobs" / job / "work").exists(), "checkpoints go when the job has ended"


def test_checkpoints_outlive_the_server(own_server, marks: Path, tools) -> None:
    server = own_server()
    with server.client() as client:
        job, _ = tools.begin(client, marks)
        kept = server.root / "jobs" / job / "work" / "checkpoint"
        kept.write_text("step 7")
        server.kill()
        server.start()
        assert kept.read_text() == "step 7"
        client.cancel(job)
        assert list(client.events(job, 30))[-1].info.status == "cancelled"
        assert not kept.exists()


@pytest.mark.parametrize("do", ["kernel", "encode", "train"])
def test_a_cancel_reaches_into_compiled_loops_encoders_and_training(server, marks: Path, do: str, tools) -> None:
    with server.client() as client:
        job, worker = tools.begin(client, marks, do)
        time.sleep(0.1)  # let it get into the loop
        client.cancel(job)
        last = list(client.events(job, 30))[-1]
        assert last.info.status == "cancelled"
        assert not list((server.root / "jobs" / job).glob("out-*"))
        if do == "kernel":
            assert tools.ended(worker)
        client.wait(client.submit("generate"), timeout=60)


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are a POSIX matter")
@pytest.mark.parametrize("end", ["cancel", "kill the worker", "kill the server"])
def test_what_a_job_has_started_ends_with_it(own_server, marks: Path, tools, end: str) -> None:
    server = own_server()
    with server.client() as client:
        job, worker = tools.begin(client, marks, "family", deaf=end == "cancel")
        child = int((marks / "child").read_text())
        if end == "cancel":
            client.cancel(job)
        elif end == "kill the worker":
            tools.kill(worker)
        else:
            server.kill()
        assert tools.ended(child)
        if end == "kill the server":
            server.start()
        client.cancel(job)


def test_a_log_is_told_and_kept_short(server, marks: Path, tools) -> None:
    with server.client() as client:
        job = client.submit("generate", {"do": "chatter", "megabytes": 10, "marks": str(marks)})
        log = server.root / "jobs" / job / "log.txt"
        assert tools.until(lambda: (marks / "begun").exists())
        assert tools.until(lambda: log.stat().st_size < 2 << 20), "cut while it runs"
        assert log.read_text().strip().endswith("the last line")
        (marks / "go").touch()
        info = client.wait(job, timeout=30)
        assert info.status == "succeeded"
        assert log.stat().st_size <= 256 << 10


def test_what_a_job_prints_is_told_to_those_who_ask(server, marks: Path) -> None:
    with server.client() as client:
        job = client.submit("generate", {"do": "chatter", "megabytes": 0, "marks": str(marks)})
        for log in (False, True):
            kinds = set()
            client.session.subscribe([job], log)
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline and not {"log", "progress"} <= kinds:
                client._step(50)
                while client._events:
                    event = client._events.popleft()
                    kinds.add(event.kind)
                    assert event.kind != "log" or event.text.endswith("the last line")
            assert ("log" in kinds) is log
        client.cancel(job)
        list(client.events(job, 30))


def test_a_repeated_stage_is_read_and_a_damaged_one_is_made_again(server, marks: Path) -> None:
    with server.client() as client:

        def run() -> str:
            job = client.submit("generate", {"do": "cached", "marks": str(marks)})
            client.wait(job, timeout=30)
            return client.result(job)["x"]

        first = run()
        assert run() == first
        assert (marks / "made").read_text() == "x"
        (stage,) = (server.root / "cache").glob("stage-*")
        (stage / "x.bin").write_bytes(b"")  # a power cut
        assert run() == first
        assert (marks / "made").read_text() == "xx"


def test_a_forecast_is_learnt_from_what_jobs_took(own_server) -> None:
    server = own_server()
    with server.client() as client:
        ask = protocol.GetForecast(job_kind="render", params={"width": 2048})
        guess = client.ask(ask)
        assert guess.jobs == 0
        assert guess.seconds > client.ask(protocol.GetForecast(job_kind="render")).seconds > 0
        for n in range(3):
            client.wait(client.submit("render", {"width": 2048, "n": n}), timeout=30)
        known = client.ask(ask)
        assert known.jobs == 3
        assert {stage.stage for stage in known.stages} == {"starting", "reading", "writing"}
        assert known.seconds < 10
        assert 10e6 < known.memory < 4e9


def test_models_stay_loaded_between_jobs_while_there_is_room(own_server, tmp_path: Path) -> None:
    server = own_server("--keep-models-gb", str(10 / 2**30))
    with server.client() as client:

        def loaded(n: int, *sizes: int) -> tuple[str, str]:
            job = client.submit("generate", {"do": "models", "sizes": list(sizes), "n": n})
            client.wait(job, timeout=30)
            pid, _, text = client.fetch_all(job, tmp_path / str(n))["loaded"].read_text().partition(" ")
            return pid, text

        pid, first = loaded(1, 4, 5)
        assert first == "[4, 5]"
        assert loaded(2, 5, 4) == (pid, "[]")
        assert loaded(3, 3) == (pid, "[3]")  # the one of 5 bytes was used longest ago
        assert loaded(4, 4, 3, 5) == (pid, "[5]")
        assert loaded(5, 11, 11) == (pid, "[11, 11]"), "what does not fit is not kept"
        assert [worker.models for worker in client.status().workers] <= [10]
