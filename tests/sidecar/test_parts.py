"""The server's parts by themselves: who is told what, forecasts, the journal."""

from pathlib import Path

import pytest

from sidecar import protocol
from sidecar.events import SILENCE_SECONDS, Subscriptions
from sidecar.forecast import REUSED, Forecast, expect
from sidecar.journal import Journal, read_needed_blobs
from sidecar.limits import Limits
from sidecar.orders import StageUse
from sidecar.protocol import BlobRef, Credit, JobInfo, JobState, ProtocolError, Subscribe

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
    assert journal.history("generate") == [(JOBS[0], "animate", 0.0, StageUse(seconds=2.0))]
    assert journal.counts() == {"queued": 2, "succeeded": 1}
    journal.close()
