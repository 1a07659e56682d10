"""The negatives: who is not let in, what is not seen, what is not believed."""

import ast
import dataclasses
import os
import socket
import stat
import threading
from pathlib import Path

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import holotime
import sidecar
from sidecar import protocol
from sidecar.client import Client, Refused
from sidecar.limits import Limits, RateLimit
from sidecar.protocol import CHANNELS, Connection, ProtocolError
from sidecar.security import KeyPair, secure_client


def answers(
    connection: Connection, keys: KeyPair | None, server_public: str, channel: str, patience: int
) -> bytes | None:
    """What a ping-like request with these keys is answered with, within so many milliseconds."""
    context = zmq.Context()
    try:
        with context.socket(zmq.DEALER) as dealer:
            dealer.linger = 0
            if keys:
                secure_client(dealer, keys, server_public)
            dealer.connect(connection.addresses[channel])
            dealer.send(protocol.encode(protocol.Ping(rid=1)))
            return dealer.recv() if dealer.poll(patience) else None
    finally:
        context.term()


def test_a_key_that_is_not_known_gets_nothing(server) -> None:
    connection = Connection.read(server.file)
    known = KeyPair(connection.client_public, connection.client_secret)
    for channel in CHANNELS:
        assert answers(connection, known, connection.server_public, channel, 10_000)
    refused_before = refused_keys(server)
    for channel in CHANNELS:
        assert answers(connection, KeyPair.new(), connection.server_public, channel, 700) is None
        assert answers(connection, None, "", channel, 300) is None
        assert answers(connection, known, KeyPair.new().public, channel, 300) is None
    assert refused_keys(server) > refused_before


def refused_keys(server) -> int:
    with server.client() as client:
        return client.metrics()["refused_keys"]


class Wiretap:
    """Passes TCP on and keeps all that goes by."""

    def __init__(self, address: str) -> None:
        self._port = int(address.rpartition(":")[2])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.heard = bytearray()
        self._sockets: list[socket.socket] = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        try:
            while True:
                near = self._listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._port))
                self._sockets += [near, far]
                for one, other in ((near, far), (far, near)):
                    self._threads.append(threading.Thread(target=self._pass, args=(one, other)))
                    self._threads[-1].start()
        except OSError:
            return

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                self.heard += data
                other.sendall(data)
        except OSError:
            return

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


def test_an_eavesdropper_sees_no_plaintext(server, tmp_path: Path) -> None:
    secret = b"the artist's unpublished panorama "
    (tmp_path / "in").write_bytes(secret * 5000)
    connection = Connection.read(server.file)
    taps = {channel: Wiretap(address) for channel, address in connection.addresses.items()}
    tapped = dataclasses.replace(connection, addresses={channel: tap.address for channel, tap in taps.items()})
    try:
        with Client(tapped, local=False) as client:
            job = client.submit("generate", {"prompt": "a very secret prompt"}, {"panorama": tmp_path / "in"})
            client.wait(job, timeout=30)
            client.fetch_all(job, tmp_path / "out")
    finally:
        for tap in taps.values():
            tap.close()
    assert len(taps["work"].heard) > 5000 * len(secret)
    for channel, tap in taps.items():
        assert len(tap.heard) > 500, channel
        for word in (secret, b"secret prompt", job.encode(), b"panorama", b"job_kind", b"epoch", b"digest"):
            assert word not in tap.heard, (channel, word)
        assert connection.client_secret.encode() not in tap.heard


def test_bytes_that_are_changed_or_replayed_on_the_way_change_nothing(server) -> None:
    connection = Connection.read(server.file)
    tap = Wiretap(connection.addresses["control"])
    tapped = dataclasses.replace(connection, addresses={**connection.addresses, "control": tap.address})
    try:
        with Client(tapped) as client:
            client.pause(False)
            before = client.metrics()["requests"]
    finally:
        tap.close()
    with socket.create_connection(("127.0.0.1", int(connection.addresses["control"].rpartition(":")[2]))) as wire:
        wire.settimeout(2)
        try:
            wire.sendall(bytes(tap.heard))  # all that was said, once more
            while wire.recv(65536):
                pass
        except OSError:
            pass
    with server.client() as client:
        after = client.metrics()["requests"]
    assert after["pause"] == before["pause"]


def test_files_with_secrets_are_for_the_owner_only(server) -> None:
    if os.name != "posix":
        pytest.skip("modes are a POSIX matter")
    keys = [*(server.root / "keys").rglob("*.json"), server.file, server.root / "inbox" / "proof"]
    assert len(keys) == 4
    for path in keys:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for folder in (server.root, server.root / "inbox", server.root / "keys"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    assert "secret" not in repr(Connection.read(server.file)).replace("client_secret", "").replace("server_secret", "")


def test_the_server_listens_on_this_machine_only(server) -> None:
    for address in Connection.read(server.file).addresses.values():
        assert address.startswith("tcp://127.0.0.1:")


def test_another_address_needs_an_option_and_gives_a_warning(tmp_path: Path) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-m", "sidecar", "serve", "--root", str(tmp_path / "root"), "--host", "0.0.0.0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline()
        with Client(tmp_path / "root" / "connection.json") as client:
            client.shutdown()
        process.wait(30)
        assert "fingerprint" in process.stderr.read()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_frame_brings_the_server_down(server, raw_sockets, data) -> None:
    channel = data.draw(st.sampled_from(CHANNELS))
    harmless = [cls for cls in protocol.KINDS.values() if cls not in (protocol.Shutdown, protocol.Pause)]
    frame = data.draw(st.binary(max_size=100))
    if data.draw(st.booleans()):
        cls = data.draw(st.sampled_from(harmless))
        fields = st.sampled_from(
            ["job", "sha256", "size", "offset", "proof", "jobs", "credit", "count", "inputs", "data"]
        )
        values = st.sampled_from(
            ["abcdefgh1", "a" * 64, 0, 1, -1, 2**62, b"", [], ["abcdefgh1"], {}, {"a": "b" * 64}, None, 1.5]
        )
        body = data.draw(st.dictionaries(fields, values, max_size=6))
        frame = protocol.msgpack.packb({"v": 1, "rid": 5, "kind": cls.kind, "job_kind": "generate", **body})
    parts = [frame] if data.draw(st.integers(0, 9)) else [frame, frame]
    raw_sockets[channel].send_multipart(parts)
    # the server answers the next request on the same channel, whatever came before
    raw_sockets[channel].send(protocol.encode(protocol.Ping(rid=77)))
    while True:
        assert raw_sockets[channel].poll(20_000), "the server does not answer any more"
        answer = protocol.decode(raw_sockets[channel].recv())
        if answer.rid == 77:
            break
    assert isinstance(answer, (protocol.Pong, protocol.Error))


@pytest.fixture(scope="module")
def raw_sockets(server):
    """Sockets with the right key and no manners."""
    connection = Connection.read(server.file)
    context = zmq.Context()
    sockets = {}
    for channel in CHANNELS:
        sockets[channel] = context.socket(zmq.DEALER)
        sockets[channel].linger = 0
        secure_client(
            sockets[channel], KeyPair(connection.client_public, connection.client_secret), connection.server_public
        )
        sockets[channel].connect(connection.addresses[channel])
    yield sockets
    for item in sockets.values():
        item.close()
    context.term()


def test_a_frame_that_is_too_large_ends_only_its_own_connection(server) -> None:
    connection = Connection.read(server.file)
    context = zmq.Context()
    with context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        secure_client(dealer, KeyPair(connection.client_public, connection.client_secret), connection.server_public)
        dealer.connect(connection.addresses["control"])
        dealer.send(bytes(8 << 20))
        assert not dealer.poll(300)
    context.term()
    with server.client() as client:
        assert client.status().pid == server.process.pid


def test_requests_beyond_the_rate_are_refused_until_time_has_passed() -> None:
    now = [0.0]
    rate = RateLimit(Limits(requests_per_second=10, burst=3), clock=lambda: now[0])
    for _ in range(3):
        rate.charge("one")
    with pytest.raises(ProtocolError, match="slow down"):
        rate.charge("one")
    rate.charge("another")
    now[0] += 0.1
    rate.charge("one")


def test_a_wrong_version_is_told_which_ones_there_are(server) -> None:
    with server.client() as client:
        assert client.ask(protocol.Hello(versions=[7, 1])).version == 1
        with pytest.raises(Refused) as refused:
            client.ask(protocol.Hello(versions=[7]))
        assert refused.value.code == "version"


def test_nothing_here_can_run_what_it_reads() -> None:
    forbidden_modules = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
    forbidden_calls = {"eval", "exec", "compile"}
    folders = (Path(sidecar.__file__).parent, Path(holotime.__file__).parent)
    for path in [path for folder in folders for path in folder.rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            if isinstance(node, ast.ImportFrom):
                names.append(node.module or "")
            assert not forbidden_modules & {name.partition(".")[0] for name in names}, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in forbidden_calls, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in ("recv_pyobj", "send_pyobj"), path
                if node.func.attr == "load" and getattr(node.func.value, "id", "") in ("torch", "np", "numpy"):
                    given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
                    safe = {"torch": ("weights_only", True)}.get(node.func.value.id, ("allow_pickle", False))
                    assert given.get(safe[0]) is safe[1], f"{path}:{node.lineno}"
