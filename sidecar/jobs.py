"""The jobs: whose turn it is, those that run, and how each of them ends."""

import dataclasses
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import protocol
from .forecast import STARTING, Forecast, expect
from .growing import GrowingScenes
from .journal import Journal
from .limits import Limits
from .orders import Begin, Broke, Done, Grown, Halt
from .protocol import JobInfo, Message, ProtocolError
from .store import BlobStore
from .supervisor import Slot, Supervisor, tail
from .workload import workload

log = logging.getLogger(__name__)
RETRIES = 2  # times that a job is begun again after a worker died under it
CANCEL_SECONDS = 0.8  # that a worker has to stop by itself before it is killed
START_RETRIES = 6  # that a worker may die in a row, whatever it was given
LOG_BYTES = 8000  # of a failed job's log that the journal keeps
KEEP_JOBS = 20_000  # finished ones that the journal remembers
KEEP_LOG = 256 << 10  # bytes of a finished job's log that stay on the disk
AUTO, LOW = "auto", "low"  # memory plans


@dataclass
class _Running:
    info: JobInfo
    slot: Slot
    pid: int  # of the slot's process when the job began
    out_dir: Path
    begin: Begin
    forecast: Forecast
    told: bool = False  # whether the worker has the order
    cancelled: float | None = None  # when a cancel came, monotonic
    ending: Done | Broke | None = None  # the worker's last word, which the disk has not taken yet


class Jobs:
    """The queue and the running jobs, one in a slot at most. Called on the broker's thread only."""

    def __init__(
        self, root: Path, journal: Journal, store: BlobStore, growing: GrowingScenes, supervisor: Supervisor,
        limits: Limits, publish: Callable[[str, Message], None], *, keep_models: int = 0,
    ) -> None:  # fmt: skip
        """``keep_models``: bytes of models that a worker may keep loaded."""
        self._root, self._journal, self._store, self._supervisor = root, journal, store, supervisor
        self._growing = growing
        self._limits, self._publish, self._keep_models = limits, publish, keep_models
        self._running: dict[str, _Running] = {}
        self._deaths: dict[int, str] = {}  # slot -> why its worker is gone, until the journal knows
        self.paused = journal.get_meta("paused") == "1"
        self._clean(journal.forget(KEEP_JOBS))
        for job in journal.recover():
            log.info("job %s was running when the last server ended; it is queued again", job)

    def _clean(self, forgotten: list[str]) -> None:
        """What an earlier server left half made is of no use; caches and checkpoints let a job go on."""
        folder = self._root / "jobs"
        folder.mkdir(exist_ok=True)
        for out_dir in folder.glob("*/out-*"):
            shutil.rmtree(out_dir, ignore_errors=True)
        for job in forgotten:
            shutil.rmtree(folder / job, ignore_errors=True)
        self._clean_cache("*")

    def _clean_cache(self, pid: int | str) -> None:
        """Stages that a killed worker was writing; complete ones appear under their name in one step."""
        for partial in (self._root / "cache").glob(f".*-{pid}-*.part"):
            shutil.rmtree(partial, ignore_errors=True)

    # asked by clients

    def info(self, job: str) -> JobInfo:
        """How a job stands."""
        if job in self._running:
            return self._running[job].info
        info = self._journal.info(job)
        if info is None:
            raise ProtocolError("unknown_job", f"there is no job {job} here")
        return info

    def submit(self, client: str, request: protocol.Submit) -> Message:
        """Take a job in, once."""
        _check_kind(request.job_kind)
        if len(protocol.msgpack.packb(request.params)) > protocol.MAX_PARAMS:
            raise ProtocolError("limit", f"the parameters are larger than {protocol.MAX_PARAMS} bytes")
        known = self._journal.info(request.job)
        if known:
            if not self._journal.same(request.job, request.job_kind, request.params, request.inputs):
                raise ProtocolError("job_conflict", f"the id {request.job} belongs to another job: choose another id")
            lost = known.status == "succeeded" and not all(self._store.has(r.sha256) for r in known.results.values())
            if not lost:
                return protocol.JobReply(info=self.info(request.job))
        need = sorted({sha for sha in request.inputs.values() if not self._store.has(sha)})
        if need:
            return protocol.Missing(need=need)
        if known:
            self._journal.renew(request.job, "its results were gone")
        else:
            if self._journal.unfinished_of(client) >= self._limits.unfinished_jobs:
                raise ProtocolError("limit", f"already {self._limits.unfinished_jobs} unfinished jobs: wait for some")
            self._journal.add(request.job, client, request.job_kind, request.params, request.inputs, request.priority)
        self._tell(request.job)
        return protocol.JobReply(info=self.info(request.job))

    def cancel(self, job: str) -> JobInfo:
        """Stop a job; a running one ends within CANCEL_SECONDS."""
        info, running = self.info(job), self._running.get(job)
        if running:
            if running.cancelled is None:
                running.cancelled = time.monotonic()
                running.info = dataclasses.replace(info, note="stopping")
                running.slot.send(Halt(job=job))
        elif info.status == "queued":
            self._journal.cancel(job)
            shutil.rmtree(self._folder(job) / "work", ignore_errors=True)
            self._tell(job)
        return self.info(job)

    def pause(self, paused: bool) -> None:
        """Begin no more jobs, or go on; remembered over restarts."""
        self.paused = paused
        self._journal.set_meta("paused", "1" if paused else "0")

    def forecast(self, request: protocol.GetForecast) -> protocol.ForecastReply:
        """What a job would take."""
        _check_kind(request.job_kind)
        history = self._journal.history(request.job_kind)
        expected = expect(request.job_kind, request.params, history)
        stages = [
            protocol.StageForecast(stage=name, seconds=use.seconds, memory=use.memory, gpu_memory=use.gpu_memory)
            for name, use in list(expected.items())[:100]
        ]
        return protocol.ForecastReply(
            seconds=sum(stage.seconds for stage in stages), memory=max((s.memory for s in stages), default=0),
            gpu_memory=max((s.gpu_memory for s in stages), default=0), stages=stages,
            jobs=len({job for job, *_ in history}),
        )  # fmt: skip

    def printed(self) -> list[protocol.Log]:
        """The last lines of what the running jobs have printed."""
        told = {job: tail(Path(running.begin.log))[-protocol.MAX_LOG :] for job, running in self._running.items()}
        return [protocol.Log(job=job, text=text) for job, text in told.items() if text]

    @property
    def running(self) -> list[str]:
        """Ids of the jobs that run now."""
        return list(self._running)

    @property
    def began(self) -> float:
        """When the oldest running job began, Unix seconds; infinity when none runs."""
        return min((running.info.started for running in self._running.values()), default=float("inf"))

    def workers(self) -> list[protocol.WorkerInfo]:
        """The slots and what they do."""
        jobs = {running.slot.number: running.info.job for running in self._running.values()}
        return [
            protocol.WorkerInfo(
                slot=slot.number, device=slot.device, pid=slot.pid, job=jobs.get(slot.number, ""),
                state={"ready": "busy" if slot.number in jobs else "idle"}.get(slot.state, slot.state),
                memory=slot.beat.memory, gpu_memory=slot.beat.gpu_memory, gpu_total=slot.beat.gpu_total,
                models=slot.beat.models,
            )
            for slot in self._supervisor.slots
        ]  # fmt: skip

    # driven by the broker's loop

    def tick(self) -> None:
        """Write down endings, notice dead workers, end overdue cancels, begin the next jobs."""
        for slot in self._supervisor.slots:
            why = slot.check()
            if why:
                self._deaths[slot.number] = why
        for running in list(self._running.values()):
            if running.ending:
                self._end(running, running.ending)
            elif running.slot.number in self._deaths:
                self._worker_died(running, self._deaths[running.slot.number])
            elif running.cancelled is not None and time.monotonic() - running.cancelled > CANCEL_SECONDS:
                self._kill(running.slot)
                self._end_cancelled(running)
        self._deaths.clear()
        if not self.paused:
            self._begin_jobs()
        for running in self._running.values():
            if not running.told and running.slot.send(running.begin):
                running.told = True

    def hear(self, slot: Slot, item: Message) -> None:
        """What a worker says."""
        running = self._running.get(getattr(item, "job", ""))
        if running is None or running.slot is not slot:
            return
        if isinstance(item, protocol.Progress):
            self._progress(running, item)
        elif isinstance(item, (protocol.Preview, protocol.Log)):
            self._publish(item.job, item)
        elif isinstance(item, Grown):
            grown = self._growing.take(item, str(running.info.attempts), running.out_dir)
            if grown:
                self._publish(item.job, grown)
        elif isinstance(item, (Done, Broke)):
            slot.praise()
            self._end(running, item)

    def stop(self) -> None:
        """The server ends: the running jobs wait in the journal for the next one."""
        for running in list(self._running.values()):
            running.slot.kill()
            self._growing.drop(running.info.job)
            self._journal.requeue(running.info.job, "the server ended")
            shutil.rmtree(running.out_dir, ignore_errors=True)
        self._running.clear()

    # inside

    def _folder(self, job: str) -> Path:
        return self._root / "jobs" / job

    def _kill(self, slot: Slot) -> None:
        pid = slot.pid
        slot.kill()
        self._clean_cache(pid)

    def _end(self, running: _Running, item: Done | Broke) -> None:
        """A job's last word; kept for the next tick when the disk is full, so that it is not lost."""
        running.ending = item
        if running.cancelled is not None:
            self._end_cancelled(running)
        elif isinstance(item, Done):
            try:
                self._succeed(running, item)
            except (sqlite3.Error, OSError) as error:
                running.ending = self._no_room(running, item, error)
                raise
        else:
            self._break(running, item)

    def _no_room(self, running: _Running, item: Done, error: Exception) -> Broke:
        """The disk is too full to keep the results: give up what they take, so that there is room to say so."""
        kept = self._journal.result_blobs()
        for ref in item.results.values():
            if ref.sha256 not in kept:
                self._store.drop(ref.sha256)
        shutil.rmtree(running.out_dir, ignore_errors=True)
        text = f"The server's disk has no room for the results ({error}). Make room, then submit a new job."
        return Broke(job=item.job, error_class="DiskFull", error=text, damaged=[], trace="")

    def _tell(self, job: str) -> None:
        self._publish(job, protocol.JobState(info=self.info(job)))

    def _begin_jobs(self) -> None:
        """Give the next jobs to the free slots, first to those whose process is there already."""
        taken = {running.slot.number for running in self._running.values()}
        free = [slot for slot in self._supervisor.slots if slot.number not in taken]
        for slot in sorted(free, key=lambda slot: slot.state != "ready"):
            job = self._journal.next_queued()
            if job is None:
                return
            if slot.ensure():
                self._begin(job, slot)

    def _begin(self, job: str, slot: Slot) -> None:
        kind, params, inputs = self._journal.task(job)
        lost = sorted({sha for sha in inputs.values() if not self._store.has(sha)})
        if lost:
            text = f"The input {', '.join(lost)} is no longer here. Submit the job again under a new id."
            self._journal.fail(job, "InputError", text, "")
            self._tell(job)
            return
        attempt = self._journal.begin(job, slot.pid, slot.device)
        folder = self._folder(job)
        out_dir, work_dir = folder / f"out-{attempt}", folder / "work"
        shutil.rmtree(out_dir, ignore_errors=True)
        out_dir.mkdir(parents=True)
        work_dir.mkdir(exist_ok=True)
        info = self._journal.info(job)
        assert info is not None
        begin = Begin(
            job=job, job_kind=kind, params=params, digests=inputs,
            inputs={name: str(self._store.path(sha)) for name, sha in inputs.items()},
            out_dir=str(out_dir), work_dir=str(work_dir), cache_dir=str(self._root / "cache"),
            log=str(folder / "log.txt"), memory=info.memory, keep_models=self._keep_models,
        )  # fmt: skip
        forecast = Forecast(expect(kind, params, self._journal.history(kind)))
        _, eta = forecast.update(STARTING, 0.0)
        info = dataclasses.replace(info, stage=STARTING, eta=eta)
        self._running[job] = _Running(info, slot, slot.pid, out_dir, begin, forecast)
        self._tell(job)

    def _progress(self, running: _Running, item: protocol.Progress) -> None:
        fraction, eta = running.forecast.update(item.stage, item.stage_fraction, item.note)
        if item.stage != running.info.stage:
            self._journal.stage(item.job, item.stage, fraction, item.note)
        note = "stopping" if running.cancelled is not None else item.note
        running.info = dataclasses.replace(running.info, stage=item.stage, fraction=fraction, note=note, eta=eta)
        self._publish(item.job, dataclasses.replace(item, rid=0, fraction=fraction, eta=eta, note=note))

    def _succeed(self, running: _Running, item: Done) -> None:
        for ref in item.results.values():
            path = running.out_dir / ref.file
            # the new file also where there is one already: to check that one would take time on this thread;
            # a file that is gone was taken before the disk refused something else
            if path.exists() or not self._store.has(ref.sha256):
                self._store.take(path, ref.sha256, read_only=True)
        # the blobs are recorded with the results: what a client is told to be there survives
        self._journal.note_blobs(*self._store.changes())
        work = workload(running.begin.job_kind, running.begin.params)
        self._journal.succeed(item.job, item.results, item.stages, work)
        self._leave(running)

    def _break(self, running: _Running, item: Broke) -> None:
        for sha in item.damaged:
            self._store.drop(sha)
        shutil.rmtree(running.out_dir, ignore_errors=True)  # first: the journal may need the room
        if item.smaller and running.begin.memory == AUTO:
            self._try_smaller(running, item.error)
            return
        log_tail = item.trace or tail(Path(running.begin.log))
        self._journal.fail(item.job, item.error_class, item.error, log_tail)
        self._leave(running)

    def _try_smaller(self, running: _Running, why: str) -> None:
        """Out of memory: once more, in a new process, whose memory is whole, under the smallest plan."""
        log.warning("job %s ran out of memory: %s", running.info.job, why)
        self._kill(running.slot)
        self._journal.requeue(running.info.job, "ran out of memory; again under a smaller plan", memory=LOW)
        self._leave(running)

    def _end_cancelled(self, running: _Running) -> None:
        self._journal.cancel(running.info.job)
        self._leave(running)

    def _worker_died(self, running: _Running, why: str) -> None:
        job = running.info.job
        self._clean_cache(running.pid)
        shutil.rmtree(running.out_dir, ignore_errors=True)
        if running.cancelled is not None:
            self._end_cancelled(running)
            return
        error_class, _, text = why.partition(": ")
        if error_class == "OutOfMemory" and running.begin.memory == AUTO:
            self._try_smaller(running, text)
            return
        # a worker that died before it had the job says nothing about the job, unless none ever starts
        deaths = self._journal.requeue(job, why, died=running.told)
        if deaths <= RETRIES and running.slot.deaths > START_RETRIES:
            log_tail = tail(running.slot.log_path)[-LOG_BYTES:]
            self._journal.fail(job, "WorkerDied", "The worker process ends as soon as it is started.", log_tail)
        elif deaths > RETRIES:
            log_tail = tail(Path(running.begin.log), running.slot.log_path)[-LOG_BYTES:]
            self._journal.fail(job, error_class, f"The job was begun {deaths} times and each time {text}.", log_tail)
        self._leave(running)

    def _leave(self, running: _Running) -> None:
        job = running.info.job
        self._growing.drop(job)
        del self._running[job]
        shutil.rmtree(running.out_dir, ignore_errors=True)
        if self.info(job).done:
            shutil.rmtree(self._folder(job) / "work", ignore_errors=True)
            _shorten(Path(running.begin.log))
        self._tell(job)


def _check_kind(kind: str) -> None:
    if kind not in protocol.JOB_KINDS:
        raise ProtocolError("refused", f"no job kind {kind!r}; there are {', '.join(protocol.JOB_KINDS)}")


def _shorten(path: Path) -> None:
    """Keep the end of a finished job's log only."""
    try:
        if path.stat().st_size <= KEEP_LOG:
            return
        with open(path, "rb+") as file:
            file.seek(-KEEP_LOG, 2)
            end = file.read()
            file.seek(0)
            file.write(end)
            file.truncate()
    except OSError:
        log.warning("the log %s could not be shortened", path)
