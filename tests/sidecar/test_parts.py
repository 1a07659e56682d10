"""The server's parts by themselves: who is told what, forecasts, the journal."""

import errno
import hashlib
import json
import logging
import mmap
import os
import sqlite3
from pathlib import Path

import pytest
import zmq

from sidecar import memory, protocol, server
from sidecar import store as store_module
from sidecar.events import SILENCE_SECONDS, Subscriptions
from sidecar.forecast import REUSED, Forecast, expect
from sidecar.growing import GrowingScenes
from sidecar.journal import Journal, read_needed_blobs
from sidecar.limits import Limits
from sidecar.orders import Grown, GrownPart, StageUse
from sidecar.protocol import CHUNK, BlobRef, Credit, JobInfo, JobState, ProtocolError, Subscribe
from sidecar.store import BlobStore
from sidecar.work import BRIDGE, WorkChannel
from sidecar.workload import workload

JOBS = [f"job-number-{n}" for n in range(3)]


class Told:
    """Subscriptions with a clock, and a connection that keeps what it is sent."""

    def __init__(self) -> None:
        self.now = 0.0
        self.all = Subscriptions(Limits(subscriptions=3), clock=lambda: self.now)
        self.sent: list[protocol.Message] = []
        self.alive = True

    def pump(self) -> list[protocol.Message]:
        self.sent.clear()
        self.all.pump(lambda connection, event: (self.sent.append(event), self.alive)[1])
        return list(self.sent)

    def progress(self, job: str, fraction: float) -> None:
        self.all.publish(job, protocol.Progress(job=job, stage="s", fraction=fraction))

    def state(self, job: str, status: str) -> None:
        self.all.publish(job, JobState(info=JobInfo(job=job, job_kind="generate", status=status)))


def test_without_credit_the_newest_wins_and_memory_is_bounded() -> None:
    told = Told()
    told.all.subscribe(b"c", "one", Subscribe(rid=9, credit=1))
    for step in range(1000):
        for job in JOBS:
            told.progress(job, step / 1000)
    assert len(told.pump()) == 1
    for step in range(1000):
        told.progress(JOBS[0], step / 1000)
    assert told.pump() == []
    told.all.credit(b"c", Credit(rid=9, count=10))
    got = told.pump()
    assert sorted(event.job for event in got) == JOBS
    assert all(event.fraction == 0.999 and event.rid == 9 for event in got)
    assert told.all.replaced >= 3900


def test_the_end_of_a_job_is_told_after_and_instead_of_its_progress() -> None:
    told = Told()
    told.all.subscribe(b"c", "one", Subscribe(rid=1, credit=1))
    told.state(JOBS[0], "running")
    told.progress(JOBS[0], 0.5)
    told.state(JOBS[0], "succeeded")
    (event,) = told.pump()
    assert event.info.status == "succeeded"
    told.all.credit(b"c", Credit(rid=1, count=5))
    assert told.pump() == []


def test_only_the_jobs_that_were_named_are_told() -> None:
    told = Told()
    told.all.subscribe(b"c", "one", Subscribe(rid=1, jobs=[JOBS[1]]))
    for job in JOBS:
        told.progress(job, 0.1)
    assert [event.job for event in told.pump()] == [JOBS[1]]


def test_who_is_gone_or_silent_is_forgotten() -> None:
    told = Told()
    told.all.subscribe(b"c", "one", Subscribe(rid=1))
    told.now += SILENCE_SECONDS - 1
    told.all.credit(b"c", Credit(rid=1, count=0))
    told.now += SILENCE_SECONDS - 1
    told.pump()
    assert len(told.all) == 1
    told.now += 2
    told.pump()
    assert len(told.all) == 0
    with pytest.raises(ProtocolError) as caught:
        told.all.credit(b"c", Credit(rid=1, count=1))
    assert caught.value.code == "no_subscription"
    told.all.subscribe(b"d", "one", Subscribe(rid=1))
    told.alive = False
    told.progress(JOBS[0], 0.1)
    told.pump()
    assert len(told.all) == 0


def test_one_client_cannot_take_all_subscriptions() -> None:
    told = Told()
    for n in range(3):
        told.all.subscribe(bytes([n]), "one", Subscribe(rid=1))
    told.all.subscribe(b"\0", "one", Subscribe(rid=2))
    with pytest.raises(ProtocolError, match="already 3"):
        told.all.subscribe(b"x", "one", Subscribe(rid=1))
    told.all.subscribe(b"x", "another", Subscribe(rid=1))


def run_forecast(history: dict[str, float], real: dict[str, float], reused: tuple[str, ...] = ()) -> list[tuple]:
    """(true fraction of the time, fraction, error of the time to go in seconds) through a job."""
    now = [0.0]
    expected = {stage: StageUse(seconds=seconds) for stage, seconds in history.items()}
    forecast = Forecast(expected or expect("generate", {}, []), clock=lambda: now[0])
    seen = []
    total = sum(seconds for stage, seconds in real.items())
    for stage, seconds in real.items():
        for step in range(11):
            fraction, eta = forecast.update(stage, step / 10, REUSED if stage in reused and step == 10 else "")
            seen.append((now[0] / total, fraction, eta - (total - now[0])))
            now[0] += seconds / 11
    return seen


def test_a_forecast_from_history_is_right_and_never_falls() -> None:
    stages = {"starting": 1.0, "animate": 10.0, "reconstruct": 40.0}
    seen = run_forecast(stages, stages)
    assert [f for _, f, _ in seen] == sorted(f for _, f, _ in seen)
    assert max(abs(true - fraction) for true, fraction, _ in seen) < 0.1
    assert max(abs(error) for *_, error in seen) < 6


def test_a_forecast_learns_the_pace_of_this_job() -> None:
    history = {"animate": 10.0, "reconstruct": 40.0}
    seen = run_forecast(history, {"animate": 40.0, "reconstruct": 160.0})
    assert abs(seen[15][2]) < 30, "a job four times as long is seen through during its second stage"


def test_stages_from_the_cache_do_not_spoil_the_forecast() -> None:
    history = {"animate": 20.0, "track": 20.0, "reconstruct": 40.0}
    seen = run_forecast(history, {"animate": 0.1, "track": 0.1, "reconstruct": 40.0}, reused=("animate", "track"))
    assert max(abs(error) for *_, error in seen[22:]) < 12


def test_a_kind_of_job_without_history_has_a_fraction_all_the_same() -> None:
    seen = run_forecast({}, {"something": 5.0})
    assert 0 <= seen[0][1] <= seen[-1][1] <= 1


def test_the_journal_recovers_what_was_running(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    for n, job in enumerate(JOBS):
        journal.add(job, "one", "generate", {"n": n}, {"panorama": f"{n}" * 64}, 0)
    journal.begin(JOBS[0], 1)
    journal.succeed(JOBS[0], {"a": BlobRef(sha256="f" * 64, size=1, file="a")}, {"animate": StageUse(seconds=2.0)})
    journal.begin(JOBS[1], 1)
    journal.close()  # stands for a kill: nothing else is written at the end
    journal = Journal(path)
    assert journal.recover() == [JOBS[1]]
    assert journal.next_queued() == JOBS[1], "it keeps its place in the queue"
    assert journal.info(JOBS[1]).status == "queued"
    assert journal.info(JOBS[0]).results["a"].size == 1
    assert journal.needed_blobs() == read_needed_blobs(path) == {"1" * 64, "2" * 64}
    assert journal.same(JOBS[1], "generate", {"n": 1}, {"panorama": "1" * 64})
    assert not journal.same(JOBS[1], "generate", {"n": 2}, {"panorama": "1" * 64})
    assert journal.history("generate") == [(JOBS[0], {"n": 0}, "animate", 0.0, StageUse(seconds=2.0))]
    assert journal.counts() == {"queued": 2, "succeeded": 1}
    journal.close()


def test_a_forecast_grows_with_the_work_and_is_never_negative() -> None:
    def use(work: float) -> StageUse:
        return StageUse(seconds=2 + 0.5 * work, memory=round(1e9 + 1e7 * work), gpu_memory=0)

    works = [workload("generate", {"width": width, "frames": 8}) for width in (512, 1024, 2048)]
    history = [("job", {}, "animate", work, use(work)) for work in works]
    for size in (256, 1500, 4096):
        work = workload("generate", {"width": size, "frames": 8})
        expected = expect("generate", {"width": size, "frames": 8}, history)["animate"]
        assert expected.seconds == pytest.approx(2 + 0.5 * work, rel=1e-6)
        assert expected.memory == pytest.approx(1e9 + 1e7 * work, rel=1e-6)


def test_a_forecast_from_jobs_of_one_size_scales_what_depends_on_size() -> None:
    same = workload("generate", {"width": 512})
    take = StageUse(seconds=10.0, memory=1_400_000_000)
    history = [
        ("a", {}, "animate", same, take),
        ("a", {}, "starting", same, StageUse(seconds=3.0, memory=500_000_000)),
    ]
    expected = expect("generate", {"width": 1024}, history)
    assert expected["animate"].seconds == pytest.approx(40.0)
    assert expected["animate"].memory == pytest.approx(400e6 + 4 * 1e9, rel=1e-6)
    assert expected["starting"].seconds == pytest.approx(3.0)
    again = expect("generate", {"width": 512}, history)
    assert again["animate"].seconds == pytest.approx(10.0)


@pytest.mark.parametrize(
    "params", [{"width": "wide"}, {"width": -5}, {"width": True}, {"frames": None}, {"width": 1e30}]
)
def test_a_forecast_for_nonsense_is_that_for_the_usual(params: dict) -> None:
    assert workload("generate", params) == workload("generate", {})
    assert expect("generate", params, []) == expect("generate", {}, [])


def test_a_falling_history_does_not_forecast_less_than_nothing() -> None:
    history = [("a", {}, "s", 1.0, StageUse(seconds=9.0)), ("b", {}, "s", 2.0, StageUse(seconds=1.0))]
    assert expect("export", {}, history)["s"].seconds >= 0
    assert expect("generate", {"width": 8192, "frames": 600}, history)["s"].seconds == pytest.approx(5.0)


def test_a_forecast_listens_to_jobs_that_were_done_the_same_way() -> None:
    history = [
        ("a", {"animator": "holotime"}, "animate", 1.0, StageUse(seconds=300.0, gpu_memory=9)),
        ("b", {"animator": "flow"}, "animate", 1.0, StageUse(seconds=6.0)),
    ]
    work = workload("generate", {})
    assert expect("generate", {"animator": "flow"}, history)["animate"].seconds == pytest.approx(6 * work)
    assert expect("generate", {"animator": "holotime"}, history)["animate"].seconds == pytest.approx(300 * work)
    assert expect("generate", {"animator": "other"}, history)["animate"].seconds == pytest.approx(153 * work)


FIRST_SCHEMA = """
CREATE TABLE jobs (number INTEGER PRIMARY KEY, job TEXT NOT NULL UNIQUE, client TEXT NOT NULL, job_kind TEXT NOT NULL,
    params TEXT NOT NULL, inputs TEXT NOT NULL, priority INTEGER NOT NULL, status TEXT NOT NULL, created REAL NOT NULL,
    started REAL NOT NULL DEFAULT 0, finished REAL NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
    deaths INTEGER NOT NULL DEFAULT 0, stage TEXT NOT NULL DEFAULT '', fraction REAL NOT NULL DEFAULT 0,
    note TEXT NOT NULL DEFAULT '', error_class TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '',
    log_tail TEXT NOT NULL DEFAULT '');
CREATE TABLE results (job TEXT, name TEXT, sha256 TEXT, size INTEGER, file TEXT, PRIMARY KEY (job, name));
CREATE TABLE attempts (job TEXT, number INTEGER, pid INTEGER, began REAL, ended REAL NOT NULL DEFAULT 0,
    outcome TEXT NOT NULL DEFAULT '', PRIMARY KEY (job, number));
CREATE TABLE stages (job TEXT NOT NULL, job_kind TEXT NOT NULL, stage TEXT NOT NULL, seconds REAL NOT NULL);
CREATE TABLE events (number INTEGER PRIMARY KEY, time REAL NOT NULL, job TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE blobs (sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL, used REAL NOT NULL);
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO jobs (job, client, job_kind, params, inputs, priority, status, created)
    VALUES ('job-number-0', 'one', 'generate', '{}', '{}', 0, 'running', 1.0);
INSERT INTO stages VALUES ('job-number-9', 'generate', 'animate', 4.0);
PRAGMA user_version=1;
"""


def test_a_journal_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    old = sqlite3.connect(path)
    old.executescript(FIRST_SCHEMA)
    old.close()
    journal = Journal(path)
    assert journal.recover() == [JOBS[0]]
    assert journal.info(JOBS[0]).memory == "auto"
    assert journal.history("generate") == [("job-number-9", {}, "animate", 0.0, StageUse(seconds=4.0))]
    assert expect("generate", {}, journal.history("generate"))["animate"].seconds == 4.0
    journal.begin(JOBS[0], 1, "cuda:1")
    journal.requeue(JOBS[0], "out of memory", memory="low")
    assert (journal.info(JOBS[0]).memory, journal.info(JOBS[0]).device) == ("low", "cuda:1")
    journal.close()
    again = Journal(path)
    assert again.info(JOBS[0]).memory == "low"
    again.close()
    later = sqlite3.connect(path)
    later.execute("PRAGMA user_version=99")
    later.close()
    with pytest.raises(ValueError, match="another version"):
        Journal(path)


def test_the_journal_forgets_the_oldest_finished_jobs_only(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    names = [f"job-number-{n}" for n in range(6)]
    for name in names:
        journal.add(name, "one", "generate", {}, {}, 0)
    for name in names[1:5]:
        journal.begin(name, 1)
        journal.succeed(name, {}, {"s": StageUse(seconds=1.0, memory=5)})
    assert journal.forget(2) == names[2:0:-1]
    assert journal.counts() == {"queued": 2, "succeeded": 2}
    assert journal.info(names[0]) is not None
    assert journal.info(names[1]) is None
    assert journal.stage_totals()["generate"]["s"] == {"count": 4, "mean_seconds": 1.0, "memory": 5, "gpu_memory": 0}
    journal.close()


def test_one_client_cannot_fill_the_disk_with_uploads_that_it_never_completes(tmp_path: Path) -> None:
    context = zmq.Context()
    broker, socket = context.socket(zmq.PAIR), context.socket(zmq.ROUTER)
    broker.bind(BRIDGE)
    work = WorkChannel(
        context, socket, BlobStore(tmp_path / "blobs", {}), BlobStore(tmp_path / "live", {}), root=tmp_path,
        inbox=tmp_path / "inbox", proof=b"",
        limits=Limits(upload_bytes=100), room=lambda size: True, known=lambda client: True,
    )  # fmt: skip
    try:
        work._put(b"c", "one", protocol.Put(sha256="a" * 64, size=60))
        with pytest.raises(ProtocolError, match="incomplete uploads") as caught:
            work._put(b"c", "one", protocol.Put(sha256="b" * 64, size=60))
        assert caught.value.code == "limit"
        work._put(b"c", "one", protocol.Put(sha256="a" * 64, size=60))
        work._put(b"d", "another", protocol.Put(sha256="b" * 64, size=60))
    finally:
        for upload in work._uploads.values():
            upload.suspend()
        work.discard()
        broker.close()
        context.term()


def test_an_upload_tells_the_error_that_writing_through_met(tmp_path: Path, monkeypatch) -> None:
    store = BlobStore(tmp_path / "blobs", {})
    data = bytes(CHUNK)
    count = store_module.SYNC_BYTES // CHUNK + 1
    sha = hashlib.sha256(data * count).hexdigest()
    upload = store_module.Upload(sha, len(data) * count, tmp_path / "part")
    failures = iter([OSError(errno.EIO, "the disk is broken")])

    def fsync(descriptor: int) -> None:
        for failure in failures:  # the system tells it once
            raise failure

    monkeypatch.setattr(os, "fsync", fsync)
    for _ in range(count):
        upload.append(data)
    with pytest.raises(OSError, match="broken"):
        upload.finish(store)
    assert not store.has(sha)


def test_what_a_stage_takes_is_measured() -> None:
    assert memory.resident() > 1 << 20
    memory.reset_peak()
    before = memory.peak()
    with mmap.mmap(-1, 64 << 20) as block:  # new pages, which the heap might not need
        block.write(bytes(64 << 20))
        assert memory.peak() - before > 32 << 20
    assert memory.gpu_now() == (0, 0) or memory.gpu_now()[1] > 0
    assert memory.gpu_peak() >= 0


def test_the_log_is_json_lines_and_takes_its_turn_over_four_files(tmp_path: Path) -> None:
    server._log_to(tmp_path)
    logger = logging.getLogger("sidecar")
    try:
        for n in range(3000):
            logger.info("line %d %s", n, "x" * 4000)
        files = sorted(path.name for path in (tmp_path / "logs").iterdir())
        assert files == ["server.log", "server.log.1", "server.log.2", "server.log.3"]
        assert all(path.stat().st_size <= 2 << 20 for path in (tmp_path / "logs").iterdir())
        last = json.loads((tmp_path / "logs" / "server.log").read_text().splitlines()[-1])
        assert (last["level"], last["text"][:9]) == ("INFO", "line 2999")
    finally:
        for handler in list(logger.handlers):
            handler.close()
            logger.removeHandler(handler)


def test_a_cache_is_pruned_oldest_first_but_not_what_running_jobs_may_read(tmp_path: Path) -> None:
    for age, name in enumerate(["new", "middle", "old"]):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_bytes(bytes(100))
        os.utime(tmp_path / name, (1000.0 - age, 1000.0 - age))
    assert store_module.prune_cache(tmp_path, 150, unused_since=999.5) == 200
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert store_module.prune_cache(tmp_path, 0, unused_since=999.5) == 0
    assert store_module.prune_cache(tmp_path, 0, unused_since=float("inf")) == 100


def test_parts_of_growing_scenes_are_kept_while_a_scene_needs_them(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "live", {}, lasting=False)
    scenes = GrowingScenes(store)

    def grown(job: str, *contents: bytes) -> tuple[Grown, list[str]]:
        parts = []
        for number, data in enumerate(contents):
            sha = hashlib.sha256(data).hexdigest()
            if not store.has(sha):
                (tmp_path / f"{sha[:8]}").write_bytes(data)
            parts.append(GrownPart(number=number, sha256=sha, size=len(data), file=sha[:8]))
        return Grown(job=job, step=1, splats=2, parts=parts), [part.sha256 for part in parts]

    one, (whole, delta) = grown("job-one-1", b"whole", b"delta")
    assert scenes.take(one, "1", tmp_path).parts[1].sha256 == delta
    assert scenes.take(grown("job-two-1", b"whole")[0], "1", tmp_path)
    scenes.drop("job-one-1")
    assert store.has(whole), "the other job has made the same"
    assert not store.has(delta)
    lost, (new, _) = grown("job-two-1", b"new whole", b"lost")
    (tmp_path / lost.parts[1].file).unlink()
    assert scenes.take(lost, "1", tmp_path) is None, "what cannot be taken is left out"
    assert [scene.parts[0].sha256 for scene in scenes.all()] == [whole]
    wrong, _ = grown("job-two-1", b"short")
    (tmp_path / wrong.parts[0].file).write_bytes(b"longer than said")
    assert scenes.take(wrong, "1", tmp_path) is None
    scenes.drop("job-two-1")
    assert not store.has(new), "nothing stays, whatever went wrong before"
    assert not [path for path in (tmp_path / "live").rglob("*") if path.is_file()]
