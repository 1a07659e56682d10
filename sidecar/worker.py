"""The worker: one process that runs one job at a time by calling the library, and tells the broker how it goes.

Its main thread runs the job; a second thread talks to the broker; a third ends the process when the broker is gone,
which it notices by the end of standard input, so no orphan stays behind even when the broker was killed.
"""

import argparse
import contextlib
import errno
import hashlib
import importlib
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from holotime.files import file_to_disk

from . import memory, protocol
from .forecast import REUSED, STARTING
from .orders import Beat, Begin, Broke, Done, Grown, GrownPart, Halt, StageUse
from .protocol import BlobRef, Message
from .security import KeyPair, secure_client

log = logging.getLogger(__name__)
BEAT_SECONDS = 0.5
POST_MS = 50  # between posts of progress, of which the newest is enough
BELL = "inproc://bell"
PREVIEW_SECONDS = 1.0  # between previews
MAX_LOG_FILE = 8 << 20  # bytes of a running job's log; when there are more, it begins anew with the last of them
KEEP_LOG_FILE = 1 << 20


class _Desk:
    """What the two threads share. All access under ``lock``."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.task: Begin | None = None
        self.halted: set[str] = set()
        self.outbox: dict[str, Message] = {}  # kind -> message: of progress and previews the newest wins
        self.reported = time.monotonic()


class Reporter:
    """The progress callable that a job gets. Raises Cancelled when the job was cancelled."""

    def __init__(self, desk: _Desk, job: str, post: Callable[[Message], None]) -> None:
        self._desk, self._job, self._post = desk, job, post
        self._stage, self._since = "", time.monotonic()
        self._previewed = 0.0
        self._reused: set[str] = set()
        self.stages: dict[str, StageUse] = {}

    def __call__(self, stage: str, fraction: float, note: str = "", preview: bytes | None = None) -> None:
        """``fraction`` in [0, 1] of the stage; ``preview`` a JPEG of at most 256 KiB."""
        from holotime.errors import Cancelled

        now = time.monotonic()
        with self._desk.lock:
            self._desk.reported = now
            halted = self._job in self._desk.halted
        if halted:
            raise Cancelled("The job was cancelled.")
        if stage != self._stage:
            self.close_stage(now)
            self._stage = stage
            memory.reset_peak()
        if note == REUSED:
            self._reused.add(stage)
        done = min(max(float(fraction), 0.0), 1.0)
        self._post(
            protocol.Progress(job=self._job, stage=stage[:200], fraction=0.0, stage_fraction=done, note=note[:200])
        )
        if preview and now - self._previewed >= PREVIEW_SECONDS:
            self._previewed = now
            if len(preview) > protocol.MAX_PREVIEW:
                log.warning("a preview of %d bytes is too large and was left out", len(preview))
            else:
                self._post(protocol.Preview(job=self._job, stage=stage, jpeg=preview))

    def close_stage(self, now: float) -> None:
        """Add what the stage that ends now took; one that was read from the cache tells nothing."""
        if self._stage and self._stage not in self._reused:
            before = self.stages.get(self._stage, StageUse())
            self.stages[self._stage] = StageUse(
                seconds=before.seconds + now - self._since,
                memory=max(before.memory, memory.peak()),
                gpu_memory=max(before.gpu_memory, memory.gpu_peak()),
            )
        self._since = now


class Shown:
    """Leaves the parts of a growing scene (``holotime.job_context.ScenePart``) where the broker takes them.

    Of these messages too the newest is enough: each names all parts that make the present scene.
    """

    def __init__(self, task: Begin, post: Callable[[Message], None]) -> None:
        self._task, self._post = task, post
        self._parts: list[GrownPart] = []

    def __call__(self, part: Any) -> None:
        """May be called on any thread, by one at a time. OSError when the disk does not take it."""
        sha256 = hashlib.sha256(part.data).hexdigest()
        folder, file = Path(self._task.out_dir), f"growing-{part.number}-{sha256[:8]}.safetensors"
        try:
            (folder / file).write_bytes(part.data)
        except OSError:
            (folder / file).unlink(missing_ok=True)
            raise
        if part.whole:
            for old in self._parts:  # which the broker has not taken in the meantime
                (folder / old.file).unlink(missing_ok=True)
            self._parts = []
        self._parts.append(GrownPart(number=part.number, sha256=sha256, size=len(part.data), file=file))
        self._post(Grown(job=self._task.job, step=part.step, splats=part.splats, parts=list(self._parts)))


class Worker:
    """The main thread's side."""

    def __init__(self, runner: str) -> None:
        self._runner_name = runner
        self._runner: Callable | None = None
        self.desk = _Desk()
        self.context = zmq.Context()
        self._bell = self.context.socket(zmq.PAIR)  # rung when the other thread should not wait
        self._bell.linger = 0
        self._bell.bind(BELL)

    def serve(self) -> None:
        """Run jobs for ever."""
        while True:
            with self.desk.lock:
                self.desk.lock.wait_for(lambda: self.desk.task is not None)
                task = self.desk.task
            assert task is not None
            ending = self._run(task)
            with self.desk.lock:
                self.desk.task = None
            self.post(ending)

    def post(self, item: Message) -> None:
        """Line a message up for the broker."""
        with self.desk.lock:
            self.desk.outbox.pop(item.kind, None)
            self.desk.outbox[item.kind] = item
        if isinstance(item, (Done, Broke)):
            self._bell.send(b"")

    def _run(self, task: Begin) -> Message:
        from holotime.errors import Cancelled, HoloTimeError
        from holotime.job_context import AUTO, JobContext
        from holotime.shelf import MODELS

        _redirect_output(Path(task.log))
        damaged = [sha for name, sha in task.digests.items() if not _is_whole(Path(task.inputs[name]), sha)]
        if damaged:
            lost = ", ".join(damaged)
            text = f"The input {lost} was damaged on the server's disk and is removed. Submit a new job with it."
            return Broke(job=task.job, error_class="InputError", error=text, damaged=damaged, trace="")
        report = Reporter(self.desk, task.job, self.post)
        try:
            out_dir = Path(task.out_dir)
            inputs = {name: Path(path) for name, path in task.inputs.items()}
            report(STARTING, 0.0)
            run = self._load()
            MODELS.resize(task.keep_models if task.memory == AUTO else 0)
            context = JobContext(Path(task.work_dir), task.memory, Shown(task, self.post))
            made = run(task.job_kind, task.params, inputs, out_dir, Path(task.cache_dir), report, context)
            report.close_stage(time.monotonic())
            if len(made) > protocol.MAX_RESULTS:
                raise ValueError(f"a job may leave {protocol.MAX_RESULTS} files, this one left {len(made)}")
            results = {name: _seal(out_dir, name, Path(path)) for name, path in made.items()}
            return Done(job=task.job, results=results, stages=report.stages)
        except Cancelled:
            return Broke(job=task.job, error_class="Cancelled", error="", damaged=[], trace="")
        except HoloTimeError as error:
            _log_trace()
            return _broke(task, error, "")
        except Exception as error:
            if _is_out_of_memory(error):
                _log_trace()
                return Broke(
                    job=task.job, error_class="OutOfMemory", damaged=[], trace=traceback.format_exc()[-4000:],
                    error=f"The job needed more memory than there is ({str(error)[:500]}). Try a smaller size or fewer "
                    "frames.", smaller=True,
                )  # fmt: skip
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                text = f"The server's disk is full ({error}). Make room, for example with prune, and submit a new job."
                return Broke(job=task.job, error_class="DiskFull", error=text[:2000], damaged=[], trace="")
            _log_trace()
            return _broke(task, error, traceback.format_exc()[-4000:])

    def _load(self) -> Callable:
        if self._runner is None:
            module, _, name = self._runner_name.partition(":")
            self._runner = getattr(importlib.import_module(module), name)
        return self._runner


def _is_out_of_memory(error: Exception) -> bool:
    """Whether a smaller plan may help. torch's errors are known by name and text, for torch need not be loaded."""
    text = str(error)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text))
    )


def _log_trace() -> None:
    """Into the job's log, if the disk takes it: a full one may be what the job has died of."""
    with contextlib.suppress(OSError):
        traceback.print_exc()
        sys.stderr.flush()


def _broke(task: Begin, error: Exception, trace: str) -> Broke:
    text = str(error).strip() or type(error).__name__
    return Broke(job=task.job, error_class=type(error).__name__[:100], error=text[:2000], damaged=[], trace=trace)


def _is_whole(path: Path, sha256: str) -> bool:
    try:
        return protocol.hash_file(path)[0] == sha256
    except OSError:
        return False


def _seal(out_dir: Path, name: str, path: Path) -> BlobRef:
    """Check that a result lies in the job's folder, write it through to the disk, and name it by its digest."""
    path = path if path.is_absolute() else out_dir / path
    if path.is_symlink() or not path.is_file() or out_dir.resolve() not in path.resolve().parents:
        raise ValueError(f"result {name!r} is not a plain file of the job's folder: {path.name}")
    if os.name == "posix" or os.access(path, os.W_OK):
        file_to_disk(path)
    sha256, size = protocol.hash_file(path)
    flat = out_dir / path.name
    if path.resolve() != flat.resolve():
        raise ValueError(f"result {name!r} must lie directly in the job's folder, not in a folder below it")
    return BlobRef(sha256=sha256, size=size, file=path.name)


def _redirect_output(path: Path) -> None:
    """Let everything that is printed from now on, by libraries in C too, go to the job's log."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _converse(worker: Worker, endpoint: str, keys: KeyPair, server_public: str) -> None:
    """The second thread: beats and messages out, tasks and halts in."""
    bell = worker.context.socket(zmq.PAIR)
    bell.connect(BELL)
    socket = worker.context.socket(zmq.DEALER)
    socket.linger = 0
    secure_client(socket, keys, server_public)
    socket.connect(endpoint)
    poller = zmq.Poller()
    poller.register(bell, zmq.POLLIN)
    poller.register(socket, zmq.POLLIN)
    desk, beaten, job_log = worker.desk, 0.0, _JobLog()
    while True:
        now = time.monotonic()
        with desk.lock:
            outbox, desk.outbox = desk.outbox, {}
            task, quiet = desk.task, now - desk.reported if desk.task else 0.0
        if now - beaten >= BEAT_SECONDS:
            beaten = now
            socket.send(protocol.encode(_beat(quiet)))
            printed = job_log.news(task)
            if printed:
                socket.send(protocol.encode(printed))
        for item in outbox.values():
            socket.send(protocol.encode(item))
        ready = dict(poller.poll(POST_MS))
        if bell in ready:
            bell.recv()
        if socket not in ready:
            continue
        order = protocol.decode(socket.recv())
        with desk.lock:
            if isinstance(order, Begin):
                desk.task, desk.reported = order, now
            elif isinstance(order, Halt):
                desk.halted.add(order.job)
            desk.lock.notify_all()


def _beat(quiet: float) -> Beat:
    from holotime.shelf import MODELS

    used, total = memory.gpu_now()
    return Beat(
        pid=os.getpid(), quiet=quiet, memory=memory.resident(), gpu_memory=used, gpu_total=total, models=MODELS.used
    )


class _JobLog:
    """The log of the job that runs: what is new at its end, and a limit to its size."""

    def __init__(self) -> None:
        self._seen: tuple[str, int] = ("", 0)  # job, size of its log

    def news(self, task: Begin | None) -> protocol.Log | None:
        """The last lines, when there are new ones."""
        if task is None:
            return None
        try:
            size = os.path.getsize(task.log)
            if (task.job, size) == self._seen:
                return None
            with open(task.log, "rb+") as file:
                file.seek(max(0, size - (KEEP_LOG_FILE if size > MAX_LOG_FILE else protocol.MAX_LOG)))
                end = file.read()
                if size > MAX_LOG_FILE:  # standard output appends, so writing goes on at the new end
                    file.seek(0)
                    file.write(end)
                    file.truncate()
                    size = len(end)
        except OSError:
            return None
        self._seen = (task.job, size)
        text = end[-protocol.MAX_LOG :].decode(errors="replace").strip()
        return protocol.Log(job=task.job, text=text) if text else None


def _die_with_broker() -> None:
    """The third thread: standard input is a pipe that only the broker holds; its end is the broker's end."""
    while os.read(0, 1024):
        pass
    if hasattr(os, "killpg") and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)  # with what the job has started
    os._exit(3)


def main() -> None:
    """Entry point of the process; the first line of standard input says where the broker is and how to get in."""
    parser = argparse.ArgumentParser(prog="sidecar.worker")
    parser.add_argument("--runner", required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches us too; the broker decides
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            sys.exit(3)
        line += byte
    hello = json.loads(line)
    worker = Worker(arguments.runner)
    keys = KeyPair(hello["public"], hello["secret"])
    threading.Thread(target=_die_with_broker, daemon=True).start()
    talk = threading.Thread(
        target=_converse, args=(worker, hello["endpoint"], keys, hello["server_public"]), daemon=True
    )
    talk.start()
    worker.serve()


if __name__ == "__main__":
    main()
