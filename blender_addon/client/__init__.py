"""The main thread's side of the client: what is known about the sidecar and its jobs, and the pump that keeps it fresh.

In a window a timer calls :func:`pump`. In scripts, where timers do not fire, :func:`wait` does:

    bpy.ops.holotime.connect(connection_file="...")
    client.wait(client.connected, 30)
    bpy.ops.holotime.generate()
    job = client.jobs[client.latest_job]
    client.wait(lambda: job.done, 600)
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .network import Failed, Happened, NetworkThread
from .sidecar_process import ClientError, SidecarProcess, start

BUDGET_SECONDS = 0.002  # of one pump: the artist must not feel it
FINISHED = ("succeeded", "failed", "cancelled")


@dataclass
class Job:
    """A job as far as it is known here."""

    id: str
    kind: str = ""
    status: str = "sending"  # sending until the sidecar has it, then a status of the protocol
    stage: str = ""
    fraction: float = 0.0
    eta: float | None = None  # seconds to go
    note: str = ""
    error: str = ""
    results: dict[str, Any] = field(default_factory=dict)  # name -> BlobRef

    @property
    def done(self) -> bool:
        """Whether it has come to an end, well or badly."""
        return self.status in FINISHED


Callback = Callable[[Any], None]  # gets an Answered, a Fetched or a Failed

jobs: dict[str, Job] = {}  # by id, oldest first
latest_job = ""  # the job that was sent last from here
link_up = False
link_text = "Not connected"
listeners: list[Callable[[], None]] = []  # called after a pump that changed something

own_sidecar: SidecarProcess | None = None  # started from here, ends with Blender

_thread: NetworkThread | None = None
_starting = False  # own_sidecar is not ready yet
_on_success: dict[str, Callable[[Job], None]] = {}
_callbacks: dict[int, Callback] = {}
_next_ticket = 1


def connect(connection_file: str | Path, agent: str = "blender") -> None:
    """Begin to talk to the sidecar that wrote this file; ends an earlier conversation. Returns at once."""
    global _thread, link_text
    if not Path(connection_file).is_file():
        raise ClientError(f"{connection_file} does not exist. Start the sidecar, or choose its connection file.")
    disconnect()
    link_text = "Connecting"
    _thread = NetworkThread(connection_file, agent)
    _thread.start()
    _thread.call(0, lambda session: session.subscribe())


def disconnect() -> None:
    """Stop talking; jobs go on in the sidecar."""
    global _thread, link_up, link_text
    if _thread:
        _thread.stop()
    _thread, link_up, link_text = None, False, "Not connected"
    _callbacks.clear()


def start_sidecar(python: str | Path, root: str | Path) -> None:
    """Start a sidecar of our own; once it is ready, a pump connects to it. Returns at once."""
    global own_sidecar, _starting, link_text
    disconnect()
    stop_sidecar()
    own_sidecar = start(python, root)
    _starting, link_text = True, "The sidecar is starting"


def stop_sidecar() -> None:
    """End the sidecar that was started from here, if there is one."""
    global own_sidecar, _starting
    if own_sidecar:
        own_sidecar.stop()
    own_sidecar, _starting = None, False


def active() -> bool:
    """Whether a conversation has begun or a sidecar is starting (it may not be answered yet)."""
    return _thread is not None or _starting


def connected() -> bool:
    """Whether the sidecar answers."""
    return _thread is not None and link_up


def submit(
    job: str,
    kind: str,
    params: dict[str, Any],
    inputs: dict[str, str],
    on_success: Callable[[Job], None] | None = None,
) -> Job:
    """Send a job. ``inputs`` are paths of files; they are hashed and sent by the network thread.

    ``on_success`` is called in a pump once the job has succeeded.
    """
    global latest_job

    def send(session: Any) -> int:
        from ..vendor.protocol import FileSource

        return session.submit(job, kind, params, {name: FileSource.of(path) for name, path in inputs.items()})

    entry = jobs.setdefault(job, Job(job, kind))
    latest_job = job
    if on_success:
        _on_success[job] = on_success

    def answered(result: Any) -> None:
        text = _refusal(result)
        if text:
            entry.status, entry.error = "failed", text
        else:
            _update(result.reply.info)

    _call(send, answered)
    return entry


def cancel(job: str) -> None:
    """Ask the sidecar to stop a job. Its status changes when it has."""
    _call(lambda session: session.request(_message("Cancel", job=job)), lambda result: _take_info(result))


def refresh() -> None:
    """Ask for the list of jobs: after a new start of Blender it comes back this way."""

    def answered(result: Any) -> None:
        if not _refusal(result):
            for info in reversed(result.reply.jobs):
                _update(info)

    _call(lambda session: session.request(_message("ListJobs")), answered)


def fetch(job: Job, result: str, path: str | Path, callback: Callback | None = None) -> None:
    """Bring a result of a job to ``path``. The callback gets a Fetched, or what went wrong (see :func:`refusal`)."""
    if result not in job.results:
        raise ClientError(f"The job has no result '{result}'. It has: {', '.join(job.results) or 'none'}.")
    blob = job.results[result]
    _call(lambda session: session.fetch(blob.sha256, blob.size, path), callback or (lambda result: None))


def refusal(result: Any) -> str:
    """What went wrong, from what a callback got; empty when nothing did."""
    return _refusal(result)


def pump(budget: float = BUDGET_SECONDS, block: float = 0.0) -> int:
    """Take in what has happened, for at most ``budget`` seconds. Returns how many messages that were.

    ``block`` is how long to wait for the first message: for scripts, never for a window.
    """
    if _starting:
        _watch_start(block)
    if _thread is None:
        return 0
    end, count = time.perf_counter() + budget, 0
    try:
        while True:
            _digest(_thread.inbox.get(timeout=block) if block and not count else _thread.inbox.get_nowait())
            count += 1
            if _thread is None or time.perf_counter() >= end:
                break
    except queue.Empty:
        pass
    if count:
        for listener in listeners:
            listener()
    return count


def wait(condition: Callable[[], Any], seconds: float) -> bool:
    """For scripts: pump until ``condition()`` holds. False when ``seconds`` passed or nobody is there to answer."""
    end = time.monotonic() + seconds
    while not condition():
        left = end - time.monotonic()
        if left <= 0 or not active():
            return False
        pump(block=min(left, 0.25))
    return True


# --- inside -----------------------------------------------------------------------------------------------------------


def _watch_start(block: float) -> None:
    """Connect to our own sidecar once it is ready."""
    global _starting, link_text
    assert own_sidecar is not None
    try:
        connection_file = own_sidecar.ready(block)
    except ClientError as error:
        stop_sidecar()
        link_text = str(error)
        return
    if connection_file:
        _starting = False
        connect(connection_file)


def _message(kind: str, **fields: Any) -> Any:
    from ..vendor import protocol

    return getattr(protocol, kind)(**fields)


def _call(function: Callable[[Any], int], callback: Callback) -> None:
    global _next_ticket
    if _thread is None:
        raise ClientError("Not connected to a sidecar. Connect or start one first.")
    ticket, _next_ticket = _next_ticket, _next_ticket + 1
    _callbacks[ticket] = callback
    _thread.call(ticket, function)


def _refusal(result: Any) -> str:
    if isinstance(result, Failed):
        return result.text
    reply = getattr(result, "reply", None)
    return reply.text if reply is not None and reply.kind == "error" else ""


def _digest(item: Happened | Failed) -> None:
    global link_up, link_text
    if isinstance(item, Failed):
        if item.ticket:
            _callbacks.pop(item.ticket, lambda result: None)(item)
        else:
            link_text = item.text
            if _thread is not None and not _thread.is_alive():
                disconnect()
                link_text = item.text
        return
    what = type(item.what).__name__
    if what == "Link":
        was_up, link_up = link_up, item.what.up
        link_text = "Connected" if link_up else f"The sidecar does not answer: {item.what.text}"
        if link_up and not was_up:
            refresh()
    elif what == "Told":
        _told(item.what.event)
    elif what in ("Answered", "Fetched"):
        _callbacks.pop(item.ticket, lambda result: None)(item.what)


def _told(event: Any) -> None:
    if event.kind == "state":
        _update(event.info)
    elif event.kind == "subscribed":
        for info in event.jobs:
            _update(info)
    elif event.kind == "progress" and (job := jobs.get(event.job)) and not job.done:
        job.stage, job.fraction, job.eta, job.note = event.stage, event.fraction, event.eta, event.note


def _take_info(result: Any) -> None:
    if not _refusal(result):
        _update(result.reply.info)


def _update(info: Any) -> None:
    job = jobs.setdefault(info.job, Job(info.job))
    job.kind, job.status, job.stage, job.fraction = info.job_kind, info.status, info.stage, info.fraction
    job.eta, job.note, job.error, job.results = info.eta, info.note, info.error, dict(info.results)
    if job.done and (callback := _on_success.pop(job.id, None)) and job.status == "succeeded":
        callback(job)
