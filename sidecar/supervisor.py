"""The life of the worker process: spawn, watch, kill, start again with a growing pause."""

import json
import logging
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import zmq

from . import protocol
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


class Supervisor:
    """One slot for a worker. Everything here is called on the broker's thread."""

    def __init__(
        self, context: zmq.Context, keys: KeyPair, *, runner: str, logs: Path, home: Path, patience: Patience
    ) -> None:
        """``home``: the working folder of the process. ``runner``: module:function."""
        self._runner, self._logs, self._home, self._patience = runner, logs, home, patience
        self._server_public = keys.public
        self.keys = KeyPair.new()  # the worker's; new at every start of the server and never on the disk
        self.socket = context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.maxmsgsize = protocol.MAX_FRAME
        self.socket.router_mandatory = True
        secure_server(self.socket, keys, WORKERS)
        port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self._endpoint = f"tcp://127.0.0.1:{port}"
        self._process: subprocess.Popen | None = None
        self._route: bytes | None = None  # the connection of the process, once it has spoken
        self._heard = 0.0
        self.deaths = 0  # in a row, without a job that ended in order
        self._not_before = 0.0
        self.quiet = 0.0  # seconds since the job last reported, by its own account
        self.starts = 0

    @property
    def log_path(self) -> Path:
        """Where a worker's output goes before its first job."""
        return self._logs / "worker.log"

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def state(self) -> str:
        """absent, waiting, starting or ready."""
        if self._process is None:
            return "waiting" if time.monotonic() < self._not_before else "absent"
        return "ready" if self._route else "starting"

    def ensure(self) -> bool:
        """Start a process if there is none and the pause after a death is over; True when there is one."""
        if self._process is None and time.monotonic() >= self._not_before:
            self._spawn()
        return self._process is not None

    def _spawn(self) -> None:
        package = str(Path(__file__).resolve().parents[1])
        # absolute, for the worker has another working folder
        given = [os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
        path = os.pathsep.join([package, *given])
        # safe path: a job's folder below the working folder must never be taken for a module
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
        with open(self.log_path, "wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sidecar.worker", "--runner", self._runner],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=self._home,
                env=environment,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        hello = {"endpoint": self._endpoint, "server_public": self._server_public, **asdict(self.keys)}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(hello).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            log.warning("the worker ended before it could be greeted")
        self._route, self._heard, self.quiet = None, time.monotonic(), 0.0
        self.starts += 1
        log.info("worker started, pid %d", self._process.pid)

    def receive(self) -> protocol.Message | None:
        """The next message of the living worker; None for a beat, or for what a dead one has left."""
        route, frame = self.socket.recv_multipart()
        try:
            item = protocol.decode(frame)
        except protocol.ProtocolError:
            log.exception("a worker broke the protocol")
            return None
        if isinstance(item, Beat):
            if self._process and item.pid == self._process.pid:
                self._route, self._heard, self.quiet = route, time.monotonic(), item.quiet
            return None
        return item if route == self._route else None

    def send(self, item: protocol.Message) -> bool:
        """Tell the worker; False when it is not (any more) connected."""
        if self._route is None:
            return False
        try:
            self.socket.send_multipart([self._route, protocol.encode(item)], zmq.NOBLOCK)
        except zmq.ZMQError:
            return False
        return True

    def check(self) -> str | None:
        """Why the worker is no longer there, once after each death; a hanging one is killed."""
        if self._process is None:
            return None
        code = self._process.poll()
        if code is not None:
            return self._bury(f"WorkerDied: the worker process ended with code {code}")
        silent = time.monotonic() - self._heard
        if silent > self._patience.beat_seconds:
            return self._bury(f"WorkerHung: the worker gave no sign of life for {silent:.0f} s")
        if self.quiet > self._patience.quiet_seconds:
            return self._bury(f"WorkerHung: the job reported nothing for {self.quiet:.0f} s")
        return None

    def _bury(self, why: str) -> str:
        self.kill()
        pause = min(self._patience.first_pause * 2**self.deaths, self._patience.longest_pause)
        self.deaths += 1
        self._not_before = time.monotonic() + pause
        log.warning("%s; next start in %.1f s at the earliest", why, pause)
        return why

    def praise(self) -> None:
        """A job has ended in order: the next death is again the first."""
        self.deaths = 0

    def kill(self) -> None:
        """End the process now."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except OSError:
            log.debug("the worker's standard input was broken already")
        self._process, self._route = None, None

    def close(self) -> None:
        """End the process and free the port."""
        self.kill()
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
