"""Bad days: slow readers, half-open connections, jumping clocks, full and read-only disks, crowds, stops in a start."""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zmq

from sidecar import protocol
from sidecar.client import Client, JobFailed, Refused
from sidecar.journal import Journal
from sidecar.protocol import Connection
from sidecar.security import KeyPair, secure_client

DISK = 24 << 20  # bytes of the small disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, which can be filled and made read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    if sys.platform != "linux" or not mount or subprocess.run([mount, *options], capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True, capture_output=True)


def dealer(server, channel: str, context: zmq.Context) -> zmq.Socket:
    """A socket with the right key and no manners."""
    connection = Connection.read(server.file)
    item = context.socket(zmq.DEALER)
    item.linger = 0
    secure_client(item, KeyPair(connection.client_public, connection.client_secret), connection.server_public)
    item.connect(connection.addresses[channel])
    return item


def test_a_slow_reader_holds_up_nobody_and_costs_no_memory(server, marks: Path, tools) -> None:
    context = zmq.Context()
    sleeper, glutton = dealer(server, "events", context), dealer(server, "work", context)
    try:
        with server.client() as client:
            before = client.metrics()
            sleeper.send(protocol.encode(protocol.Subscribe(rid=1, credit=1)))
            big = client.submit("generate", {"do": "big", "megabytes": 8})
            ref = client.wait(big, timeout=60).results["big"]
            for n in range(400):  # asks for 400 MB and reads none of it
                glutton.send(protocol.encode(protocol.Get(rid=n, sha256=ref.sha256)))
            job, _ = tools.begin(client, marks)
            for _ in range(200):
                client.status()
            (marks / "go").touch()
            client.wait(job, timeout=30)
            after = client.metrics()
        assert after["events_replaced"] > before["events_replaced"]
        assert after["server_memory"] - before["server_memory"] < 250e6
        heard = []
        while sleeper.poll(300):
            heard.append(protocol.decode(sleeper.recv()).kind)
        assert len(heard) <= 2, "the answer and the one event that it gave credit for"
    finally:
        sleeper.close()
        glutton.close()
        context.term()


def test_who_connects_and_says_nothing_is_shown_out(server) -> None:
    address = Connection.read(server.file).addresses["control"]
    port = int(address.rpartition(":")[2])
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    try:
        with server.client() as client:
            assert client.status().pid == server.process.pid, "others are served meanwhile"
        for item in silent:
            item.settimeout(20)
            while item.recv(4096):  # the server's greeting, then its good-bye
                pass
    finally:
        for item in silent:
            item.close()


class Tunnel:
    """Passes TCP on until it is frozen: then nothing comes through and nobody is told."""

    def __init__(self, address: str) -> None:
        self._port, self.frozen, self.ended = int(address.rpartition(":")[2]), False, threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        try:
            while True:
                near = self._listener.accept()[0]
                if self.frozen:  # a new attempt gets no answer either
                    self._sockets.append(near)
                    continue
                far = socket.create_connection(("127.0.0.1", self._port))
                self._sockets += [near, far]
                for one, other in ((near, far), (far, near)):
                    self._threads.append(threading.Thread(target=self._pass, args=(one, other, one is far)))
                    self._threads[-1].start()
        except OSError:
            return

    def _pass(self, one: socket.socket, other: socket.socket, from_server: bool) -> None:
        try:
            while data := one.recv(65536):
                if not self.frozen:
                    other.sendall(data)
        except OSError:
            return
        if from_server and self.frozen:
            self.ended.set()

    def close(self) -> None:
        for item in self._sockets:
            try:
                item.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            finally:
                item.close()
        for thread in self._threads:
            thread.join(10)


def fill(folder: Path) -> None:
    """Leave no byte free."""
    with open(folder / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 12))


def submit_until_refused(client: Client) -> str:
    """The code of the refusal; the journal has some room left in its own file, so not the first need be refused."""
    try:
        for n in range(3000):
            client.submit("generate", {"do": "wrong", "n": n})
    except Refused as error:
        return error.code
    return ""


@pytest.mark.slow
def test_a_half_open_connection_is_noticed_on_both_sides(server) -> None:
    connection = Connection.read(server.file)
    tunnel = Tunnel(connection.addresses["control"])
    through = replace(connection, addresses={**connection.addresses, "control": tunnel.address})
    try:
        with Client(through, timeout=12) as client:
            client.status()
            tunnel.frozen = True
            with pytest.raises(TimeoutError, match="has not answered"):
                client.status()
            assert tunnel.ended.wait(30), "the server keeps a dead connection"
    finally:
        tunnel.close()


@pytest.mark.parametrize("jump", [10 * 365 * 86400, -10 * 365 * 86400])
def test_a_jumping_clock_disturbs_no_job(own_server, marks: Path, tools, monkeypatch, jump: int) -> None:
    (marks / "sitecustomize.py").write_text(
        "import os, time\nreal = time.time\n"
        f"time.time = lambda: real() + ({jump} if os.path.exists({str(marks / 'jump')!r}) else 0)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{marks}{os.pathsep}{Path(__file__).parent}")
    server = own_server()
    with server.client() as client:
        job, _ = tools.begin(client, marks)
        queued = client.submit("generate", {"n": 1})
        (marks / "jump").touch()
        assert client.status().running == [job]
        events = client.events(job, 30)
        assert next(events).info.status == "running"
        (marks / "go").touch()
        last = list(events)[-1]
        assert (last.info.status, last.info.attempts) == ("succeeded", 1), "nobody was taken for dead"
        assert client.wait(queued, timeout=30).status == "succeeded"
        assert client.wait(client.submit("generate", {"n": 2}), timeout=30).status == "succeeded"
        assert client.metrics()["jobs"] == {"succeeded": 3}
    server.kill()
    (marks / "jump").unlink()
    server.start()
    with server.client() as client:
        assert len(list(client.jobs("succeeded"))) == 3


def test_a_full_disk_loses_nothing_and_is_survived(small_disk: Path, own_server, tmp_path: Path) -> None:
    server = own_server(name="disk/root")
    (tmp_path / "in").write_bytes(os.urandom(6 << 20))
    with server.client(local=False) as client:
        before = client.submit("generate", {"n": 0})
        client.wait(before, timeout=30)
        with pytest.raises(JobFailed) as failed:
            client.wait(client.submit("generate", {"do": "big", "megabytes": 30}), timeout=60)
        assert failed.value.info.error_class == "DiskFull"
        fill(small_disk)
        with pytest.raises(Refused) as refused:
            client.submit("generate", {"n": 1}, {"panorama": tmp_path / "in"})
        assert refused.value.code == "disk"
        assert submit_until_refused(client) == "disk"
        assert client.job(before).status == "succeeded"
        assert client.status().pid == server.process.pid
        (small_disk / "filler").unlink()
        job = client.submit("generate", {"n": 2}, {"panorama": tmp_path / "in"})
        assert client.wait(job, timeout=120).status == "succeeded"
    server.kill()
    server.start()
    with server.client() as client:
        assert client.fetch(client.result(before)["digest"], tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_refused_with_a_reason(small_disk: Path, own_server) -> None:
    server = own_server(name="disk/root")
    with server.client() as client:
        client.wait(client.submit("generate"), timeout=30)
    server.stop()
    remount(small_disk, "ro")
    try:
        command = [sys.executable, "-m", "sidecar", "serve", "--root", str(server.root)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert done.returncode == 2
        assert "cannot be written" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    finally:
        remount(small_disk, "rw")
    server.start()


def test_two_hundred_clients_are_served(server) -> None:
    clients = [server.client() for _ in range(200)]
    try:
        jobs = [client.submit("generate", {"crowd": n}) for n, client in enumerate(clients[:50])]
        for n, client in enumerate(clients):
            assert client.wait(jobs[n % 50], timeout=60).status == "succeeded"
        assert server.client().metrics()["subscribers"] >= 200
    finally:
        for client in clients:
            client.close()


def test_ten_thousand_queued_jobs_are_all_there_after_a_start(own_server) -> None:
    server = own_server()
    server.stop()
    journal = Journal(server.root / "journal.sqlite3")
    journal.close()
    db = sqlite3.connect(server.root / "journal.sqlite3")
    with db:
        db.executemany(
            "INSERT INTO jobs (job, client, job_kind, params, inputs, priority, status, created)"
            " VALUES (?, 'default', 'generate', '{}', '{}', 0, 'queued', 1.0)",
            [(f"queued-{n:05d}",) for n in range(10_000)],
        )
        db.execute("INSERT OR REPLACE INTO meta VALUES ('paused', '1')")
    db.close()
    server.start()
    with server.client() as client:
        assert client.status().counts == {"queued": 10_000}
        assert len(list(client.jobs("queued"))) == 10_000
        first = client.submit("generate", {"n": 1}, priority=9)
        client.pause(False)
        client.wait(first, timeout=30)
        client.wait("queued-00000", timeout=30)
        client.pause()
        assert client.status().counts["queued"] > 5000


@pytest.mark.skipif(sys.platform == "win32", reason="a stop comes as a signal")
def test_a_stop_during_the_start_leaves_nothing_behind(tmp_path: Path) -> None:
    root = tmp_path / "root"
    command = [sys.executable, "-m", "sidecar", "serve", "--root", str(root)]
    for wait in range(0, 400, 40):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            time.sleep(wait / 1000)  # anywhere in the start
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) in (0, -signal.SIGTERM)
            assert b"Traceback" not in process.stderr.read()
            said = process.stdout.read()
        assert not (root / "connection.json").exists()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert json.loads(process.stdout.readline())["pid"] == process.pid
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert said == b"" or json.loads(said)
