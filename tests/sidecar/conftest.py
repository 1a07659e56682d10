"""A real server, real workers and real clients for the tests."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sidecar import protocol
from sidecar.client import Client, start_server

DEADLINE = 30.0  # seconds after which a test gives up on anything


class Server:
    """A server in its own folder, which a test may kill and start again."""

    def __init__(self, root: Path, *options: str) -> None:
        self.root, self.marks = root, root.parent / "marks"
        self.marks.mkdir(exist_ok=True)
        self._options = ("--runner", "runners:run_job", *options)
        self._clients: list[Client] = []
        self.process: subprocess.Popen | None = None
        self.start()

    def start(self, *options: str) -> None:
        self.process, self.file = start_server(self.root, *self._options, *options)

    def client(self, **options: object) -> Client:
        client = Client(self.file, timeout=DEADLINE, **options)  # type: ignore[arg-type]
        self._clients.append(client)
        return client

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(DEADLINE)

    def stop(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            with Client(self.file) as client:
                client.shutdown()
        return self.process.wait(DEADLINE)

    def close(self) -> None:
        for client in self._clients:
            client.close()
        try:
            self.stop()
        finally:
            if self.process.poll() is None:
                self.kill()

    def log(self) -> str:
        return (self.root / "logs" / "server.log").read_text(encoding="utf-8")


@pytest.fixture(autouse=True, scope="session")
def _runners_are_found() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(Path(__file__).parent))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that a module's tests share; they must not end it."""
    server = Server(tmp_path_factory.mktemp("sidecar") / "root")
    yield server
    server.close()
    assert '"trace"' not in server.log(), "the server has logged an exception"


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers for one test."""
    servers: list[Server] = []

    def start(*options: str, name: str = "root") -> Server:
        servers.append(Server(tmp_path / name, *options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """A folder in which a job leaves marks of what it did."""
    return tmp_path


def _ended(pid: int, seconds: float = DEADLINE) -> bool:
    """Wait until a process that need not be our child has ended."""
    if hasattr(os, "pidfd_open"):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            return bool(select.select([handle], [], [], seconds)[0])
        finally:
            os.close(handle)
    return _until(lambda: not _exists(pid), seconds)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _until(condition: Callable[[], bool], seconds: float = DEADLINE) -> bool:
    """Poll a condition that nobody can announce, such as a file of another process."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def _begin(client: Client, marks: Path, do: str = "slow", **more: object) -> tuple[str, int]:
    """Submit a job that waits and follow it until it runs: (job, pid of its worker)."""
    job = client.submit("generate", {"do": do, "marks": str(marks), **more})
    for event in client.events(job, DEADLINE):
        if isinstance(event, protocol.Progress) and event.stage in ("waiting", "deaf"):
            break
    assert _until((marks / "begun").exists)
    assert _until(lambda: (marks / "begun").read_text() != "")
    return job, int((marks / "begun").read_text())


def _kill(pid: int) -> None:
    os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


@pytest.fixture
def tools() -> type:
    """Helpers that tests of several modules need; test modules cannot import each other."""

    class Tools:
        ended = staticmethod(_ended)
        until = staticmethod(_until)
        begin = staticmethod(_begin)
        kill = staticmethod(_kill)
        deadline = DEADLINE

    return Tools
