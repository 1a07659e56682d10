"""The thread that owns the sockets. Blender's data is never touched here.

The main thread puts calls for the protocol's Session into one queue and takes what happened out of another. ZeroMQ
sockets may not be shared between threads, so they are made, used and closed in :meth:`NetworkThread.run` only.
"""

import queue
import shutil
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICK_SECONDS = 0.5  # between calls of Session.tick; its own timings are seconds


@dataclass(frozen=True)
class Happened:
    """Something for the main thread: a happening of the session, and the ticket of the call it answers (0: none)."""

    ticket: int
    what: Any  # Link, Answered, Told, Moved or Fetched of the protocol


@dataclass(frozen=True)
class Failed:
    """A call could not be made at all, or the thread has ended (ticket 0). ``text`` is for people."""

    ticket: int
    text: str


class NetworkThread(threading.Thread):
    """Drives one Session over its three DEALER sockets until :meth:`stop`."""

    def __init__(self, connection_file: str | Path, agent: str) -> None:
        super().__init__(name="HoloTime network", daemon=True)
        self.inbox: queue.SimpleQueue[Happened | Failed] = queue.SimpleQueue()  # for the main thread to read
        self._file, self._agent = Path(connection_file), agent
        self._calls: queue.SimpleQueue[tuple[int, Callable[[Any], int]]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._bell, self._ear = socket.socketpair()  # wakes the poll; works on every system
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._tickets: dict[int, int] = {}  # rid -> ticket

    # main thread

    def call(self, ticket: int, function: Callable[[Any], int]) -> None:
        """Run ``function(session)`` in the thread; it returns the rid whose answers carry ``ticket``."""
        self._calls.put((ticket, function))
        self._ring()

    def stop(self, seconds: float = 3.0) -> None:
        """End the thread and wait for it."""
        self._stopping.set()
        self._ring()
        self.join(seconds)
        self._bell.close()

    def _ring(self) -> None:
        with suppress(OSError):  # the bell is ringing already, or the thread has ended and says so in the inbox
            self._bell.send(b"!")

    # the thread

    def run(self) -> None:
        """Connect, then move frames, calls and happenings until stopped."""
        try:
            self._drive()
        except Exception as error:  # whatever ends the thread has to reach the artist
            self.inbox.put(Failed(0, f"{error}"))
        finally:
            self._ear.close()

    def _drive(self) -> None:
        import zmq  # here and not above: loading it takes 30 ms, which registering the extension must not

        from ..vendor import protocol

        connection = protocol.Connection.read(self._file)
        session = protocol.Session(connection, agent=self._agent)
        context = zmq.Context()
        poller = zmq.Poller()
        poller.register(self._ear.fileno(), zmq.POLLIN)
        sockets: dict[str, zmq.Socket] = {}
        try:
            for channel in protocol.CHANNELS:
                sockets[channel] = sock = context.socket(zmq.DEALER)
                sock.linger = 0
                sock.curve_serverkey = connection.server_public.encode()
                sock.curve_publickey = connection.client_public.encode()
                sock.curve_secretkey = connection.client_secret.encode()
                sock.maxmsgsize = protocol.MAX_FRAME
                sock.connect(connection.addresses[channel])
                poller.register(sock, zmq.POLLIN)
            while not self._stopping.is_set():
                self._send(session, sockets, zmq)
                ready = dict(poller.poll(int(TICK_SECONDS * 1000)))
                if self._ear.fileno() in ready:
                    self._ear.recv(4096)
                for sock in sockets.values():
                    if sock in ready:
                        self._receive(session, sock, zmq, protocol.ProtocolError)
                self._take_calls(session)
                self._tell(session.tick())
        finally:
            for sock in sockets.values():
                sock.close()
            context.term()

    def _send(self, session: Any, sockets: dict[str, Any], zmq: Any) -> None:
        for channel, frame in session.outgoing():
            with suppress(zmq.Again):  # the socket is full: the session sends again whatever needs an answer
                sockets[channel].send(frame, zmq.NOBLOCK)

    def _receive(self, session: Any, sock: Any, zmq: Any, protocol_error: type[Exception]) -> None:
        while True:
            try:
                frame = sock.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                self._tell(session.receive(frame))
            except protocol_error as error:
                self.inbox.put(Failed(0, f"The sidecar sent something that cannot be read: {error}"))

    def _take_calls(self, session: Any) -> None:
        while True:
            try:
                ticket, function = self._calls.get_nowait()
            except queue.Empty:
                return
            try:
                self._tickets[function(session)] = ticket
            except Exception as error:  # a file that vanished, a value that the protocol refuses
                self.inbox.put(Failed(ticket, f"{error}"))

    def _tell(self, happenings: list[Any]) -> None:
        for happening in happenings:
            ticket = self._tickets.get(getattr(happening, "rid", -1), 0)
            try:
                if type(happening).__name__ == "Fetched":
                    own(happening.path)
            except OSError as error:  # a full disk, or a folder that was removed in the meantime
                self.inbox.put(Failed(ticket, f"{happening.path} cannot be written ({error.strerror})."))
            else:
                self.inbox.put(Happened(ticket, happening))


def own(path: Path) -> None:
    """Make a fetched file the artist's own: on the sidecar's machine it is a read-only link into its store."""
    if path.stat().st_nlink > 1:
        copy = path.with_name(f".{path.name}.copy")
        shutil.copyfile(path, copy)
        copy.replace(path)
