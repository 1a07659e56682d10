"""The life of the worker processes, one in each slot: spawn, watch, kill, start again with a growing pause."""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import zmq

from . import devices, memory, protocol
from .orders import Beat
from .security import WORKERS, KeyPair, secure_server

log = logging.getLogger(__name__)
TAIL_BYTES = 4000


@dataclass(frozen=True)
class Patience:
    """How long a worker may be silent."""

    beat_seconds: float = 60.0  # without a heartbeat: stuck in native code that lets no other thread run
    quiet_seconds: float = 900.0  # without a progress call: hanging
    first_pause: float = 0.2  # before a start after a death; doubles
    longest_pause: float = 10.0  # of those


class Slot:
    """A place for one worker process, on one device."""

    def __init__(self, supervisor: "Supervisor", number: int, device: str) -> None:
        self._supervisor, self.number, self.device = supervisor, number, device
        self._process: subprocess.Popen | None = None
        self.route: bytes | None = None  # the connection of the process, once it has spoken
        self.beat = Beat(pid=0, quiet=0.0)  # the last one
        self.deaths = 0  # in a row, without a job that ended in order
        self._heard = 0.0
        self._not_before = 0.0
        self._oom_kills = 0  # of the system when the process was started

    @property
    def log_path(self) -> Path:
        """Where a worker's output goes before its first job."""
        return self._supervisor.logs / f"worker-{self.number}.log"

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def state(self) -> str:
        """absent, waiting, starting or ready."""
        if self._process is None:
            return "waiting" if time.monotonic() < self._not_before else "absent"
        return "ready" if self.route else "starting"

    def ensure(self) -> bool:
        """Start a process if there is none and the pause after a death is over; True when there is one."""
        if self._process is None and time.monotonic() >= self._not_before:
            self._spawn()
        return self._process is not None

    def _spawn(self) -> None:
        boss = self._supervisor
        package = str(Path(__file__).resolve().parents[1])
        # absolute, for the worker has another working folder
        given = [os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
        path = os.pathsep.join([package, *given])
        # safe path: a job's folder below the working folder must never be taken for a module
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
        environment |= devices.environment(self.device, boss.devices)
        self._oom_kills = memory.kills()
        with open(self.log_path, "wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sidecar.worker", "--runner", boss.runner],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=boss.home,
                env=environment,
                start_new_session=True,  # so that what the job starts can be ended with it
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        hello = {"endpoint": boss.endpoint, "server_public": boss.server_public, **asdict(boss.keys)}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(hello).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            log.warning("the worker ended before it could be greeted")
        self.route, self._heard, self.beat = None, time.monotonic(), Beat(pid=self._process.pid, quiet=0.0)
        boss.starts += 1
        log.info("worker %d started on %s, pid %d", self.number, self.device, self._process.pid)

    def hear(self, route: bytes, beat: Beat) -> None:
        """The process lives."""
        self.route, self._heard, self.beat = route, time.monotonic(), beat

    def send(self, item: protocol.Message) -> bool:
        """Tell the worker; False when it is not (any more) connected."""
        if self.route is None:
            return False
        try:
            self._supervisor.socket.send_multipart([self.route, protocol.encode(item)], zmq.NOBLOCK)
        except zmq.ZMQError:
            return False
        return True

    def check(self) -> str | None:
        """Why the worker is no longer there ("class: text"), once after each death; a hanging one is killed."""
        if self._process is None:
            return None
        patience = self._supervisor.patience
        code = self._process.poll()
        if code is not None:
            if code == -getattr(signal, "SIGKILL", 9) and memory.kills() > self._oom_kills:
                return self._bury("OutOfMemory: the system ended the worker process because memory ran out")
            return self._bury(f"WorkerDied: the worker process ended with code {code}")
        silent = time.monotonic() - self._heard
        if silent > patience.beat_seconds:
            return self._bury(f"WorkerHung: the worker gave no sign of life for {silent:.0f} s")
        if self.beat.quiet > patience.quiet_seconds:
            return self._bury(f"WorkerHung: the job reported nothing for {self.beat.quiet:.0f} s")
        return None

    def _bury(self, why: str) -> str:
        self.kill()
        patience = self._supervisor.patience
        pause = min(patience.first_pause * 2**self.deaths, patience.longest_pause)
        self.deaths += 1
        self._not_before = time.monotonic() + pause
        log.warning("worker %d: %s; next start in %.1f s at the earliest", self.number, why, pause)
        return why

    def praise(self) -> None:
        """A job has ended in order: the next death is again the first."""
        self.deaths = 0

    def kill(self) -> None:
        """End the process now, and whatever it has started."""
        if self._process is None:
            return
        if hasattr(os, "killpg"):  # its session: the group's number is the process's, which is not yet collected
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it was broken already
            self._process.stdin.close()
        self._process, self.route, self.beat = None, None, Beat(pid=0, quiet=0.0)


class Supervisor:
    """All slots and the socket on which their workers talk. Everything here is called on the broker's thread."""

    def __init__(
        self, context: zmq.Context, keys: KeyPair, *, runner: str, devices: list[str], logs: Path, home: Path,
        patience: Patience,
    ) -> None:  # fmt: skip
        """``home``: the working folder of the processes. ``runner``: module:function. ``devices``: of the slots."""
        self.runner, self.devices, self.logs, self.home, self.patience = runner, devices, logs, home, patience
        self.server_public = keys.public
        self.keys = KeyPair.new()  # the workers'; new at every start of the server and never on the disk
        self.socket = context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.maxmsgsize = protocol.MAX_FRAME
        self.socket.router_mandatory = True
        secure_server(self.socket, keys, WORKERS)
        port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.endpoint = f"tcp://127.0.0.1:{port}"
        self.starts = 0
        self.slots = [Slot(self, number, device) for number, device in enumerate(devices)]

    def receive(self) -> tuple[Slot, protocol.Message] | None:
        """The next message of a living worker; None for a beat, or for what a dead one has left."""
        route, frame = self.socket.recv_multipart()
        try:
            item = protocol.decode(frame)
        except protocol.ProtocolError:
            log.exception("a worker broke the protocol")
            return None
        if isinstance(item, Beat):
            for slot in self.slots:
                if slot.pid and slot.pid == item.pid:
                    slot.hear(route, item)
            return None
        return next(((slot, item) for slot in self.slots if slot.route == route), None)

    def close(self) -> None:
        """End all processes and free the port."""
        for slot in self.slots:
            slot.kill()
        self.socket.close()


def tail(*paths: Path) -> str:
    """The end of the first of these files that has anything in it."""
    for path in paths:
        try:
            with open(path, "rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - TAIL_BYTES))
                text = file.read().decode(errors="replace").strip()
        except OSError:
            continue
        if text:
            return text
    return ""
