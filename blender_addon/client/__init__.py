"""The main thread's side of the client: what is known about the sidecar and its jobs, and the pump that keeps it fresh.

In a window a timer calls :func:`pump`. In scripts, where timers do not fire, :func:`wait` does:

    bpy.ops.holotime.connect(connection_file="...")
    client.wait(client.connected, 30)
    bpy.ops.holotime.generate()
    job = client.jobs[client.latest_job]
    client.wait(lambda: job.done, 600)

No bpy here. Nothing in this package waits for the network except :func:`wait`.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import growing, tasks
from .forecast import Forecasts
from .job import FINISHED, Job
from .job_ledger import Entry, Ledger
from .network import Failed, Happened, NetworkThread
from .sidecar_process import ClientError, SidecarProcess, start

__all__ = ["FINISHED", "ClientError", "Entry", "Job"]

BUDGET_SECONDS = 0.002  # of one pump: the artist must not feel it
TASK_SECONDS = 0.001  # of it for a task; what it is at then is still brought to its end
STATUS_SECONDS, STATUS_WATCHED = 2.0, 3.0  # between two questions for the server's status; how long one look lasts

Callback = Callable[[Any], None]  # gets an Answered, a Fetched or a Failed

jobs: dict[str, Job] = {}  # by id, oldest first
latest_job = ""  # the job that was sent last from here
link_up = False
link_text = "Not connected"
offers: tuple[str, ...] = ()  # kinds of job that the sidecar can do
server_name = ""  # and version, as it said itself
ledger = Ledger()  # what this side remembers about jobs
forecasts = Forecasts()  # what the sidecar expects of the jobs that are set in the panel
server_status: Any = None  # a ServerStatus of the protocol, while somebody looks at it (see watch_status)
listeners: list[Callable[[], None]] = []  # called after a pump that changed something
known_again: list[Callable[[Job, Entry], None]] = []  # called when a job of an earlier Blender is heard of
pump_milliseconds: deque[float] = deque(maxlen=2000)  # processor time of the latest pumps

own_sidecar: SidecarProcess | None = None  # started from here, ends with Blender
own_died = False  # it ended without being asked to

_thread: NetworkThread | None = None
_starting = False  # own_sidecar is not ready yet
_ending: threading.Thread | None = None  # waits for an earlier sidecar of our own
_on_success: dict[str, Callable[[Job], None]] = {}
_callbacks: dict[int, Callback] = {}
_forgotten: set[str] = set()  # jobs that the artist has taken off the list
_status_wanted = _status_asked = -1e9  # of time.monotonic
_next_ticket = 1


# --- the connection ---------------------------------------------------------------------------------------------------


def connect(connection_file: str | Path, agent: str = "blender") -> None:
    """Begin to talk to the sidecar that wrote this file; ends an earlier conversation. Returns at once."""
    global _thread, link_text
    if not Path(connection_file).is_file():
        raise ClientError(f"{connection_file} does not exist. Start the sidecar, or choose its connection file.")
    disconnect()
    link_text = "Connecting"
    _thread = NetworkThread(connection_file, agent)
    _thread.start()
    _thread.call(0, lambda session: session.subscribe(growing=True))


def disconnect() -> None:
    """Stop talking; jobs go on in the sidecar."""
    global _thread, link_up, link_text, offers, server_status
    if _thread:
        _thread.stop()
    _thread, link_up, link_text, offers = None, False, "Not connected", ()
    server_status = None
    forecasts.clear()
    _callbacks.clear()
    growing.end_all()


def start_sidecar(python: str | Path, root: str | Path, *, gpu: bool = True) -> None:
    """Start a sidecar of our own; once it is ready, a pump connects to it. Returns at once."""
    global own_sidecar, own_died, _starting, link_text
    disconnect()
    stop_sidecar()
    if _ending:  # two sidecars cannot have the same files
        _ending.join()
    own_sidecar = start(python, root, gpu=gpu)
    own_died = False
    _starting, link_text = True, "The sidecar is starting"


def stop_sidecar() -> None:
    """End the sidecar that was started from here, if there is one. Returns at once: that takes it half a second."""
    global own_sidecar, own_died, _starting, _ending
    if own_sidecar:
        _ending = own_sidecar.end()
    own_sidecar, own_died, _starting = None, False, False


def active() -> bool:
    """Whether a conversation has begun or a sidecar is starting (it may not be answered yet)."""
    return _thread is not None or _starting


def connected() -> bool:
    """Whether the sidecar answers."""
    return _thread is not None and link_up


# --- jobs -------------------------------------------------------------------------------------------------------------


def submit(
    job: str,
    kind: str,
    params: dict[str, Any],
    inputs: dict[str, str],
    on_success: Callable[[Job], None] | None = None,
    *,
    entry: Entry | None = None,
    priority: int = 0,
) -> Job:
    """Send a job. ``inputs`` are paths of files; they are hashed and sent by the network thread.

    ``on_success`` is called in a pump once the job has succeeded. ``entry`` is what the ledger keeps about it.
    """
    global latest_job

    def send(session: Any) -> int:
        from ..vendor.protocol import FileSource

        sources = {name: FileSource.of(path) for name, path in inputs.items()}
        return session.submit(job, kind, params, sources, priority)

    def answered(result: Any) -> None:
        text = refusal(result)
        if text:
            known.status, known.error = "failed", text
        else:
            _update(result.reply.info)

    _call(send, answered)
    known = jobs.setdefault(job, Job(job, kind, priority=priority, created=time.time()))
    latest_job = job
    entry = entry or Entry()
    entry.kind, entry.params, entry.inputs = kind, params, dict(inputs)
    ledger.put(job, entry)
    if on_success:
        _on_success[job] = on_success
    return known


def cancel(job: str) -> None:
    """Ask the sidecar to stop a job. Its status changes when it has."""

    def answered(result: Any) -> None:
        if not refusal(result):
            _update(result.reply.info)

    _call(lambda session: session.request(_message("Cancel", job=job)), answered)


def forget(job: str) -> None:
    """Take a job off the list here, whatever the sidecar still says about it."""
    jobs.pop(job, None)
    _forgotten.add(job)
    growing.end(job)


def refresh() -> None:
    """Ask for the list of jobs: after a new start of Blender it comes back this way."""

    def answered(result: Any) -> None:
        if not refusal(result):
            for info in reversed(result.reply.jobs):
                _update(info)

    _call(lambda session: session.request(_message("ListJobs")), answered)


def on_success(job: Job, callback: Callable[[Job], None]) -> None:
    """Call back in a pump when this job succeeds; at once when it has."""
    if job.status == "succeeded":
        callback(job)
    elif not job.done:
        _on_success[job.id] = callback


def fetch(job: Job, result: str, path: str | Path, callback: Callback | None = None) -> None:
    """Bring a result of a job to ``path``. The callback gets a Fetched, or what went wrong (see :func:`refusal`)."""
    if result not in job.results:
        raise ClientError(f"The job has no result '{result}'. It has: {', '.join(job.results) or 'none'}.")
    blob = job.results[result]
    _call(lambda session: session.fetch(blob.sha256, blob.size, path), callback or (lambda result: None))


def watch_status() -> None:
    """Keep ``server_status`` fresh for the next seconds: for a page that is drawn again and again."""
    global _status_wanted
    _status_wanted = time.monotonic()


def _ask_status() -> None:
    global _status_asked
    now = time.monotonic()
    if now - _status_wanted > STATUS_WATCHED or now - _status_asked < STATUS_SECONDS:
        return
    _status_asked = now

    def answered(result: Any) -> None:
        global server_status
        if not refusal(result):
            server_status = result.reply

    _call(lambda session: session.request(_message("GetStatus")), answered)


def _ask_forecast(kind: str, params: dict[str, Any], answered: Callable[[Any | None], None]) -> None:
    _call(
        lambda session: session.request(_message("GetForecast", job_kind=kind, params=params)),
        lambda result: answered(None if refusal(result) else result.reply),
    )


def refusal(result: Any) -> str:
    """What went wrong, from what a callback got; empty when nothing did."""
    if isinstance(result, Failed):
        return result.text
    reply = getattr(result, "reply", None)
    return reply.text if reply is not None and reply.kind == "error" else ""


# --- the pump ---------------------------------------------------------------------------------------------------------


def pump(budget: float = BUDGET_SECONDS, block: float = 0.0) -> int:
    """Take in what has happened and go on with tasks, for at most about ``budget`` seconds.

    Returns how many messages that were. ``block`` is how long to wait for the first message: for scripts, never for a
    window.
    """
    start_time, start_busy = time.perf_counter(), time.thread_time()
    before = link_text
    if _starting:
        _watch_start(block)
    elif own_sidecar and not own_sidecar.running():
        _sidecar_died()
    count, worked = 0, bool(tasks.running)
    try:
        end = start_time + budget
        while _thread is not None:
            wait_first = block and not count and not worked
            _digest(_thread.inbox.get(timeout=block) if wait_first else _thread.inbox.get_nowait())
            count += 1
            if time.perf_counter() >= end:
                break
    except queue.Empty:
        pass
    if link_up and not tasks.running:
        forecasts.ask(_ask_forecast)
        _ask_status()
    if worked:
        tasks.run(time.perf_counter() + TASK_SECONDS)
    worked = growing.pump(_fetch_part) or worked
    if count or worked or link_text != before:
        for listener in listeners:
            listener()
    pump_milliseconds.append(1000 * (time.thread_time() - start_busy))
    return count


def wait(condition: Callable[[], Any], seconds: float) -> bool:
    """For scripts: pump until ``condition()`` holds. False when ``seconds`` passed or nobody is there to answer."""
    end = time.monotonic() + seconds
    while not condition():
        left = end - time.monotonic()
        if left <= 0 or not (active() or tasks.running):
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


def _sidecar_died() -> None:
    """Our own sidecar has ended by itself: say so. Its jobs go on when it is started again."""
    global own_sidecar, own_died, link_text
    assert own_sidecar is not None
    tail = own_sidecar.log_tail(4)
    own_sidecar = None
    disconnect()
    own_died = True
    link_text = "The sidecar has ended unexpectedly. Start it again: unfinished jobs go on where they were."
    if tail:
        link_text += f"\n{tail}"


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
        if getattr(getattr(item.what, "reply", None), "kind", "") == "welcome":
            _welcomed(item.what.reply)
        _callbacks.pop(item.ticket, lambda result: None)(item.what)


def _welcomed(reply: Any) -> None:
    global offers, server_name
    offers, server_name = tuple(reply.job_kinds), reply.server


def _told(event: Any) -> None:
    if event.kind == "state":
        _update(event.info)
    elif event.kind == "subscribed":
        for info in event.jobs:
            _update(info)
    elif event.kind == "progress" and (job := jobs.get(event.job)) and not job.done:
        job.stage, job.fraction, job.eta, job.note = event.stage, event.fraction, event.eta, event.note
    elif event.kind == "preview" and (job := jobs.get(event.job)):
        job.preview, job.previews = event.jpeg, job.previews + 1
    elif event.kind == "growing" and event.job in ledger.entries and (job := jobs.get(event.job)) and not job.done:
        growing.announced(event, _fetch_part)


def _fetch_part(part: Any, path: Path, then: Callable[[str], None]) -> None:
    with contextlib.suppress(ClientError):  # not connected any more: then nothing grows either
        _call(lambda session: session.fetch(part.sha256, part.size, path), lambda result: then(refusal(result)))


def _update(info: Any) -> None:
    if info.job in _forgotten:
        return
    new = info.job not in jobs
    job = jobs.setdefault(info.job, Job(info.job))
    was_done = job.done
    job.take(info)
    entry = ledger.entries.get(job.id)
    if new and entry:
        for listener in known_again:
            listener(job, entry)
    if job.done and not was_done:
        forecasts.outdated()
    if job.done and not was_done and entry and job.status == "succeeded" and entry.seconds != job.seconds:
        entry.seconds = job.seconds
        ledger.save()
    if not job.done or was_done:
        return
    callback = _on_success.pop(job.id, None)
    if callback and job.status == "succeeded":
        callback(job)  # an import takes the growing scene's place when it is complete
    else:
        growing.end(job.id)
