"""The reference client: blocking, for the command line and the tests. All of its knowledge is in protocol.Session."""

import os
import subprocess
import sys
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import zmq

from . import protocol
from .protocol import (
    CHANNELS,
    Answered,
    Connection,
    Fetched,
    FileSource,
    Happening,
    JobInfo,
    Link,
    Message,
    Moved,
    Session,
    Told,
)
from .security import KeyPair, secure_client

POLL_MS = 250


class Refused(Exception):
    """The server has refused a request; ``code`` as in docs/protocol.md."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class JobFailed(Exception):
    """A job has ended as failed or cancelled; ``info`` says how."""

    def __init__(self, info: JobInfo) -> None:
        super().__init__(info.error or f"job {info.job} was {info.status}")
        self.info = info


def new_job_id() -> str:
    """An id that nobody else will choose."""
    return uuid.uuid4().hex


class Client:
    """A connection to a sidecar. Use it in a ``with`` block, on one thread. Deadlines are in seconds."""

    def __init__(
        self, connection: Connection | str | os.PathLike, *, timeout: float = 30.0, local: bool = True
    ) -> None:
        """``timeout``: silence of the server after which a call raises TimeoutError. ``local`` False: move bytes."""
        if not isinstance(connection, Connection):
            connection = Connection.read(connection)
        self.connection, self._timeout = connection, timeout
        self.session = Session(connection, agent=f"holotime-client {os.getpid()}")
        if not local:
            self.session.stay_remote()
        self._context = zmq.Context()
        self._sockets: dict[str, zmq.Socket] = {}
        self._poller = zmq.Poller()
        self._answers: dict[int, Happening] = {}
        self._events: deque[Message] = deque()
        self._ticked = 0.0
        self._following: set[str] = set()
        self.on_moved: Callable[[Moved], None] = lambda moved: None  # told how blobs travel
        keys = KeyPair(connection.client_public, connection.client_secret)
        for channel in CHANNELS:
            socket = self._sockets[channel] = self._context.socket(zmq.DEALER)
            socket.linger = 0
            socket.maxmsgsize = protocol.MAX_FRAME
            secure_client(socket, keys, connection.server_public)
            socket.connect(connection.addresses[channel])
            self._poller.register(socket, zmq.POLLIN)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the sockets."""
        for socket in self._sockets.values():
            socket.close()
        self._context.term()

    # jobs

    def submit(
        self, kind: str, params: dict[str, Any] | None = None, inputs: dict[str, Path | str] | None = None,
        job_id: str | None = None, priority: int = 0,
    ) -> str:  # fmt: skip
        """Send a job with whichever of its input files the server lacks; gives its id."""
        job = job_id or new_job_id()
        sources = {name: FileSource.of(path) for name, path in (inputs or {}).items()}
        reply = self.wait_for(self.session.submit(job, kind, params, sources, priority))
        assert isinstance(reply, protocol.JobReply)
        return job

    def job(self, job_id: str) -> JobInfo:
        """How a job stands. Refused with code unknown_job when the server does not know it."""
        reply = self.ask(protocol.GetJob(job=job_id))
        assert isinstance(reply, protocol.JobReply)
        return reply.info

    def jobs(self, *statuses: str) -> Iterator[JobInfo]:
        """Jobs of these statuses (none named: all), newest first."""
        offset = 0
        while True:
            page = self.ask(protocol.ListJobs(offset=offset, statuses=list(statuses)))
            assert isinstance(page, protocol.JobList)
            yield from page.jobs
            offset += len(page.jobs)
            if not page.jobs or offset >= page.total:
                return

    def events(self, job_id: str, timeout: float | None = None, *, growing: bool = False) -> Iterator[Message]:
        """What happens to a job, from how it stands now to the JobState that ends it; also over a server's restart.

        ``growing``: with the parts of the scene that it trains.
        """
        self._events.clear()
        self.session.subscribe([job_id], growing=growing)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            while not self._events:
                self._step(self._patience(deadline))
            event = self._events.popleft()
            if isinstance(event, protocol.Error):
                raise Refused(event.code, event.text)
            if isinstance(event, protocol.Subscribed):
                event = protocol.JobState(info=event.jobs[0])
            yield event
            if isinstance(event, protocol.JobState) and event.info.done:
                return

    def wait(
        self, job_id: str, on_progress: Callable[[Message], None] | None = None, timeout: float | None = None
    ) -> JobInfo:
        """Wait for a job's end; JobFailed when it did not succeed. ``on_progress`` gets Progress and Preview."""
        for event in self.events(job_id, timeout):
            if on_progress and isinstance(event, (protocol.Progress, protocol.Preview)):
                on_progress(event)
        info = self.job(job_id)
        if info.status != "succeeded":
            raise JobFailed(info)
        return info

    def result(self, job_id: str) -> dict[str, str]:
        """name -> sha256 of a succeeded job's results."""
        return {name: ref.sha256 for name, ref in self.job(job_id).results.items()}

    def fetch(self, sha256: str, dest: str | os.PathLike, size: int = 0) -> Path:
        """Bring a blob into a file: on one machine a link to the read-only file of the store, else its bytes."""
        self.wait_for(self.session.fetch(sha256, size, dest))
        return Path(dest)

    def fetch_all(self, job_id: str, folder: str | os.PathLike) -> dict[str, Path]:
        """Bring all results of a job into a folder, under the names that their maker gave them."""
        info = self.job(job_id)
        return {name: self.fetch(r.sha256, Path(folder) / r.file, r.size) for name, r in info.results.items()}

    def cancel(self, job_id: str) -> JobInfo:
        """Stop a job. Gives how it stands right after the request; follow its events for the end."""
        reply = self.ask(protocol.Cancel(job=job_id))
        assert isinstance(reply, protocol.JobReply)
        return reply.info

    # the server

    def status(self) -> protocol.ServerStatus:
        """How the server is."""
        reply = self.ask(protocol.GetStatus())
        assert isinstance(reply, protocol.ServerStatus)
        return reply

    def metrics(self) -> dict[str, Any]:
        """The server's counters."""
        reply = self.ask(protocol.GetMetrics())
        assert isinstance(reply, protocol.MetricsReply)
        return reply.values

    def pause(self, paused: bool = True) -> None:
        """Let the server begin no more jobs, or go on."""
        self.ask(protocol.Pause(paused=paused))

    def prune(self, keep_bytes: int = 0) -> protocol.Pruned:
        """Remove blobs that no waiting job needs."""
        reply = self.ask(protocol.Prune(keep_bytes=keep_bytes))
        assert isinstance(reply, protocol.Pruned)
        return reply

    def shutdown(self) -> None:
        """End the server."""
        self.ask(protocol.Shutdown())

    def ask(self, request: Message) -> Message:
        """Send a request and wait for its answer; Refused when it is an error."""
        reply = self.wait_for(self.session.request(request))
        assert reply is not None
        return reply

    # inside

    def wait_for(self, rid: int) -> Message | None:
        """Wait for the answer to a request that was given to the session; None for a fetch that has ended well."""
        while rid not in self._answers:
            self._step(self._patience(None))
        happening = self._answers.pop(rid)
        if isinstance(happening, Fetched):
            return None
        assert isinstance(happening, Answered)
        if isinstance(happening.reply, protocol.Error):
            raise Refused(happening.reply.code, happening.reply.text)
        return happening.reply

    def _patience(self, deadline: float | None) -> int:
        """Milliseconds to wait for the next frame; TimeoutError when there is no more time."""
        now = time.monotonic()
        if self.session.silence > self._timeout:
            raise TimeoutError(f"The sidecar has not answered for {self._timeout:.0f} s. Is it running?")
        if deadline is not None and now > deadline:
            raise TimeoutError("The deadline has passed and the job has not ended.")
        return POLL_MS if deadline is None else max(1, min(POLL_MS, round((deadline - now) * 1000)))

    def _step(self, wait_ms: int) -> None:
        """Move frames once between the session and the sockets."""
        now = time.monotonic()
        if now - self._ticked > 0.5:
            self._ticked = now
            self._sort(self.session.tick())
        self._flush()
        for socket, _ in self._poller.poll(wait_ms):
            # several at a time, but not for ever: a fast server must not keep us from sending
            for _ in range(16):
                try:
                    frame = socket.recv(zmq.NOBLOCK, copy=False)
                except zmq.Again:
                    break
                self._sort(self.session.receive(frame.buffer))
                self._flush()  # at once, so that the server has the next request while we write this chunk

    def _flush(self) -> None:
        for channel, frame in self.session.outgoing():
            try:
                self._sockets[channel].send(frame, zmq.NOBLOCK, copy=len(frame) < 65536)
            except zmq.Again:
                continue  # the server is away or busy; whatever matters is sent again

    def _sort(self, happenings: list[Happening]) -> None:
        for happening in happenings:
            if isinstance(happening, Answered) and isinstance(happening.request, protocol.Subscribe):
                self._events.append(happening.reply)
            elif isinstance(happening, (Answered, Fetched)):
                self._answers[happening.rid] = happening
            elif isinstance(happening, Told):
                self._events.append(happening.event)
            elif isinstance(happening, Moved):
                self.on_moved(happening)
            else:
                assert isinstance(happening, Link)


def start_server(root: str | os.PathLike, *options: str, timeout: float = 30.0) -> tuple[subprocess.Popen, Path]:
    """Start ``python -m sidecar serve --root root`` and wait until it is ready: (process, connection file).

    The caller ends it: ``Client.shutdown`` or ``process.terminate``, then ``process.wait``.
    """
    import json

    package = str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))}
    process = subprocess.Popen(
        [sys.executable, "-m", "sidecar", "serve", "--root", str(root), *options],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=environment,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    process.stdout.close()
    if not line:
        code = process.wait(timeout)
        raise RuntimeError(f"The sidecar ended with code {code} before it was ready; its log is in {root}/logs.")
    return process, Path(json.loads(line)["connection_file"])
