"""The jobs: whose turn it is, the one that runs, and how each of them ends."""

import dataclasses
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import protocol
from .forecast import Forecast
from .journal import Journal
from .limits import Limits
from .orders import Begin, Broke, Done, Halt
from .protocol import JobInfo, Message, ProtocolError
from .store import BlobStore
from .supervisor import Supervisor, tail

log = logging.getLogger(__name__)
RETRIES = 2  # times that a job is begun again after a worker died under it
CANCEL_SECONDS = 0.8  # that a worker has to stop by itself before it is killed
START_RETRIES = 6  # that a worker may die in a row, whatever it was given
LOG_BYTES = 8000


@dataclass
class _Running:
    info: JobInfo
    out_dir: Path
    begin: Begin
    forecast: Forecast
    told: bool = False  # whether the worker has the order
    cancelled: float | None = None  # when a cancel came, monotonic


class Jobs:
    """The queue and its one running job. Called on the broker's thread only."""

    def __init__(
        self, root: Path, journal: Journal, store: BlobStore, supervisor: Supervisor, limits: Limits,
        publish: Callable[[str, Message], None],
    ) -> None:  # fmt: skip
        self._root, self._journal, self._store, self._supervisor = root, journal, store, supervisor
        self._limits, self._publish = limits, publish
        self._running: _Running | None = None
        self._unfinished: Done | Broke | None = None  # an ending that the disk has not taken yet
        self._death = ""  # why the worker is gone, until the journal knows
        self.paused = journal.get_meta("paused") == "1"
        self._clean()
        for job in journal.recover():
            log.info("job %s was running when the last server ended; it is queued again", job)

    def _clean(self) -> None:
        """What an earlier server left half made is of no use; the stages' cache is what lets a job go on."""
        folder = self._root / "jobs"
        folder.mkdir(exist_ok=True)
        for out_dir in folder.glob("*/out-*"):
            shutil.rmtree(out_dir, ignore_errors=True)
        self._clean_cache()

    def _clean_cache(self) -> None:
        """Stages that a killed worker was writing; complete ones appear under their name in one step."""
        for partial in (self._root / "cache").glob(".*.part"):
            shutil.rmtree(partial, ignore_errors=True)

    # asked by clients

    def info(self, job: str) -> JobInfo:
        """How a job stands."""
        if self._running and self._running.info.job == job:
            return self._running.info
        info = self._journal.info(job)
        if info is None:
            raise ProtocolError("unknown_job", f"there is no job {job} here")
        return info

    def submit(self, client: str, request: protocol.Submit) -> Message:
        """Take a job in, once."""
        if request.job_kind not in protocol.JOB_KINDS:
            raise ProtocolError(
                "refused", f"no job kind {request.job_kind!r}; there are {', '.join(protocol.JOB_KINDS)}"
            )
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
        info = self.info(job)
        if self._running and self._running.info.job == job:
            if self._running.cancelled is None:
                self._running.cancelled = time.monotonic()
                self._running.info = dataclasses.replace(info, note="stopping")
                self._supervisor.send(Halt(job=job))
        elif info.status == "queued":
            self._journal.cancel(job)
            self._tell(job)
        return self.info(job)

    def pause(self, paused: bool) -> None:
        """Begin no more jobs, or go on; remembered over restarts."""
        self.paused = paused
        self._journal.set_meta("paused", "1" if paused else "0")

    @property
    def running(self) -> list[str]:
        """Ids of the jobs that run now."""
        return [self._running.info.job] if self._running else []

    # driven by the broker's loop

    def tick(self) -> None:
        """Begin the next job, end an overdue cancel, notice a dead worker."""
        if self._unfinished:
            self._end(self._unfinished)
        self._death = self._death or self._supervisor.check() or ""
        if self._death and self._running:
            self._worker_died(self._death)
        self._death = ""
        running = self._running
        if running and running.cancelled is not None and time.monotonic() - running.cancelled > CANCEL_SECONDS:
            self._supervisor.kill()
            self._clean_cache()
            self._end_cancelled(running)
        if self._running is None and not self.paused:
            self._begin_next()
        if self._running and not self._running.told and self._supervisor.send(self._running.begin):
            self._running.told = True

    def hear(self, item: Message) -> None:
        """What the worker says."""
        running = self._running
        if running is None or getattr(item, "job", "") != running.info.job:
            return
        if isinstance(item, protocol.Progress):
            self._progress(running, item)
        elif isinstance(item, protocol.Preview):
            self._publish(item.job, item)
        elif isinstance(item, (Done, Broke)):
            self._supervisor.praise()
            self._end(item)

    def stop(self) -> None:
        """The server ends: the running job waits in the journal for the next one."""
        if self._running:
            self._supervisor.kill()
            self._journal.requeue(self._running.info.job, "the server ended")
            shutil.rmtree(self._running.out_dir, ignore_errors=True)
            self._running = None

    # inside

    def _end(self, item: Done | Broke) -> None:
        """A job's last word; kept for the next tick when the disk is full, so that it is not lost."""
        running = self._running
        self._unfinished = item
        if running is not None and running.info.job == item.job:
            if running.cancelled is not None:
                self._end_cancelled(running)
            elif isinstance(item, Done):
                try:
                    self._succeed(running, item)
                except (sqlite3.Error, OSError) as error:
                    self._unfinished = self._no_room(running, item, error)
                    raise
            else:
                self._break(running, item)
        self._unfinished = None

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

    def _begin_next(self) -> None:
        job = self._journal.next_queued()
        if job is None or not self._supervisor.ensure():
            return
        kind, params, inputs = self._journal.task(job)
        lost = sorted({sha for sha in inputs.values() if not self._store.has(sha)})
        if lost:
            text = f"The input {', '.join(lost)} is no longer here. Submit the job again under a new id."
            self._journal.fail(job, "InputError", text, "")
            self._tell(job)
            return
        attempt = self._journal.begin(job, self._supervisor.pid)
        folder = self._root / "jobs" / job
        out_dir = folder / f"out-{attempt}"
        shutil.rmtree(out_dir, ignore_errors=True)
        out_dir.mkdir(parents=True)
        begin = Begin(
            job=job, job_kind=kind, params=params, digests=inputs,
            inputs={name: str(self._store.path(sha)) for name, sha in inputs.items()},
            out_dir=str(out_dir), cache_dir=str(self._root / "cache"), log=str(folder / "log.txt"),
        )  # fmt: skip
        info = self._journal.info(job)
        assert info is not None
        forecast = Forecast(kind, self._journal.stage_seconds(kind))
        _, eta = forecast.update("starting", 0.0)
        self._running = _Running(dataclasses.replace(info, stage="starting", eta=eta), out_dir, begin, forecast)
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
            if not self._store.has(ref.sha256) or not self._store.check(ref.sha256):
                self._store.take(running.out_dir / ref.file, ref.sha256, read_only=True)
        # the blobs are recorded with the results: what a client is told to be there survives
        self._journal.note_blobs(*self._store.changes())
        self._journal.succeed(item.job, item.results, item.stage_seconds)
        self._leave(running)

    def _break(self, running: _Running, item: Broke) -> None:
        for sha in item.damaged:
            self._store.drop(sha)
        shutil.rmtree(running.out_dir, ignore_errors=True)  # first: the journal may need the room
        log_tail = item.trace or tail(Path(running.begin.log))
        self._journal.fail(item.job, item.error_class, item.error, log_tail)
        self._leave(running)

    def _end_cancelled(self, running: _Running) -> None:
        shutil.rmtree(running.out_dir, ignore_errors=True)
        self._journal.cancel(running.info.job)
        self._leave(running)

    def _worker_died(self, why: str) -> None:
        running = self._running
        assert running is not None
        job = running.info.job
        self._clean_cache()
        shutil.rmtree(running.out_dir, ignore_errors=True)
        if running.cancelled is not None:
            self._end_cancelled(running)
            return
        # a worker that died before it had the job says nothing about the job, unless none ever starts
        deaths = self._journal.requeue(job, why, died=running.told)
        if deaths <= RETRIES and self._supervisor.deaths > START_RETRIES:
            log_tail = tail(self._supervisor.log_path)[-LOG_BYTES:]
            self._journal.fail(job, "WorkerDied", "The worker process ends as soon as it is started.", log_tail)
        elif deaths > RETRIES:
            error_class, _, text = why.partition(": ")
            log_tail = tail(Path(running.begin.log), self._supervisor.log_path)[-LOG_BYTES:]
            self._journal.fail(job, error_class, f"The job was begun {deaths} times and each time {text}.", log_tail)
        self._leave(running)

    def _leave(self, running: _Running) -> None:
        self._running = None
        shutil.rmtree(running.out_dir, ignore_errors=True)
        self._tell(running.info.job)
