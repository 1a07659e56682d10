"""The work channel: blobs in and out, on a thread of its own, so that control never waits behind them.

Submits come here too, behind the blobs they need; they are passed on to the broker, which owns the journal.
"""

import contextlib
import dataclasses
import hmac
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import zmq

from . import protocol
from .limits import Limits, RateLimit
from .protocol import ProtocolError
from .store import BlobStore, Upload

log = logging.getLogger(__name__)
BRIDGE = "inproc://work-broker"  # frames: connection, client, request one way; connection, reply the other
STOP = b""
KEEP_PARTIAL_SECONDS = 7 * 86400.0  # of an upload that was broken off


class WorkChannel(threading.Thread):
    """Serves the work socket until :meth:`stop`."""

    def __init__(
        self, context: zmq.Context, socket: zmq.Socket, store: BlobStore, live: BlobStore, *, root: Path, inbox: Path,
        proof: bytes, limits: Limits, room: Callable[[int], bool], known: Callable[[str], bool],
    ) -> None:  # fmt: skip
        """``socket``: bound ROUTER, for this thread only from now on. ``live``: blobs that are only given away.

        ``room(bytes)``: whether the quota allows it. ``known(client)``: whether it may still be here.
        """
        super().__init__(name="work channel", daemon=True)
        self._socket, self._store, self._live, self._inbox, self._proof = socket, store, live, inbox, proof
        _clean(root / "partial")
        self._partial, self._limits, self._room, self._known = root / "partial", limits, room, known
        self._rate = RateLimit(limits)
        self._uploads: dict[tuple[str, str], Upload] = {}  # (client, sha256)
        self._owners: dict[tuple[str, str], bytes] = {}  # which connection sends it
        self._bridge = context.socket(zmq.PAIR)
        self._bridge.linger = 0
        self._bridge.connect(BRIDGE)
        self.bytes_in = self.bytes_out = 0

    def run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._bridge, zmq.POLLIN)
        try:
            while True:
                ready = dict(poller.poll())
                if self._bridge in ready:
                    frames = self._bridge.recv_multipart()
                    if frames == [STOP]:
                        return
                    self._send(*frames)
                if self._socket in ready:
                    self._take()
        finally:
            for upload in self._uploads.values():
                upload.suspend()
            self._socket.close()
            self._bridge.close()

    def discard(self) -> None:
        """Free the sockets of a channel that was never started."""
        self._socket.close()
        self._bridge.close()

    def _take(self) -> None:
        frames = self._socket.recv_multipart(copy=False)
        if len(frames) != 2:
            return
        connection, frame = frames[0].bytes, frames[1].buffer  # a chunk is large: no copy
        client = str(frames[1].get("User-Id"))
        if not self._known(client):
            return
        try:
            request = protocol.decode(frame, sender="client")
        except ProtocolError as error:
            self._reply(connection, protocol.Error(rid=error.rid, code=error.code, text=str(error)[:2000]))
            return
        try:
            if not isinstance(request, protocol.Chunk):
                self._rate.charge(client)
            if isinstance(request, protocol.Submit):
                self._bridge.send_multipart([connection, client.encode(), bytes(frame)])
                return
            reply = self._serve(connection, client, request)
        except ProtocolError as error:
            reply = protocol.Error(code=error.code, text=str(error)[:2000])
        except OSError as error:
            log.warning("blob request failed: %s", error)
            reply = protocol.Error(code="disk", text=f"the server's disk refuses: {error.strerror}")
        except Exception:
            log.exception("request %s failed", request.kind)
            reply = protocol.Error(code="internal", text="the server failed; its log has more")
        self._reply(connection, dataclasses.replace(reply, rid=request.rid))

    def _serve(self, connection: bytes, client: str, request: protocol.Message) -> protocol.Message:
        if isinstance(request, protocol.Get):
            return self._get(request)
        if isinstance(request, protocol.Chunk):
            return self._chunk(connection, client, request)
        if isinstance(request, protocol.Put):
            return self._put(connection, client, request)
        if isinstance(request, protocol.Adopt):
            self._prove(request.proof)
            if not self._store.check(request.sha256):
                self._make_room(request.size)
                self._store.adopt(self._inbox, request.sha256, request.size)
            else:
                (self._inbox / request.sha256).unlink(missing_ok=True)
            return protocol.Stored(sha256=request.sha256)
        if isinstance(request, protocol.Locate):
            self._prove(request.proof)
            store, size = self._whole(request.sha256)
            return protocol.Located(sha256=request.sha256, size=size, path=str(store.path(request.sha256)))
        raise ProtocolError("unknown_kind", f"{request.kind} does not belong on the work channel")

    def _prove(self, proof: bytes) -> None:
        if not hmac.compare_digest(proof, self._proof):
            raise ProtocolError("not_local", "the proof is not what lies in this server's inbox now")

    def _make_room(self, size: int) -> None:
        if not self._room(size):
            raise ProtocolError("quota", f"{size} bytes do not fit into the quota beside what waiting jobs need: prune")

    def _whole(self, sha256: str) -> tuple[BlobStore, int]:
        """Where a blob is, and its size. A part of a growing scene may go at any time: then it is not here."""
        with contextlib.suppress(KeyError):
            if self._live.check(sha256):
                return self._live, self._live.size(sha256)
        known = self._store.has(sha256)
        if not self._store.check(sha256):
            code, text = ("damaged", "was damaged and is removed") if known else ("unknown_blob", "is not here")
            raise ProtocolError(code, f"blob {sha256} {text}: submit its job again")
        return self._store, self._store.size(sha256)

    def _get(self, request: protocol.Get) -> protocol.Chunk:
        store, _ = self._whole(request.sha256)
        try:
            data, size = store.read(request.sha256, request.offset)
        except FileNotFoundError:
            raise ProtocolError("unknown_blob", f"blob {request.sha256} is not here any more") from None
        self.bytes_out += len(data)
        return protocol.Chunk(sha256=request.sha256, offset=request.offset, size=size, data=data)

    def _put(self, connection: bytes, client: str, request: protocol.Put) -> protocol.Message:
        if self._store.check(request.sha256):
            return protocol.Stored(sha256=request.sha256)
        key = (client, request.sha256)
        upload = self._uploads.get(key)
        if upload is None or upload.size != request.size:
            if upload:
                upload.suspend()
                del self._uploads[key]
            if sum(owner == client for owner, _ in self._uploads) >= self._limits.uploads:
                self._forget_oldest(client)
            path = self._partial / f"{client}-{request.sha256}"
            self._check_share(client, request.size, path)
            self._make_room(request.size)
            upload = self._uploads[key] = Upload(request.sha256, request.size, path)
        self._owners[key] = connection
        if upload.offset == upload.size:
            return self._complete(key, upload)
        return protocol.Granted(sha256=request.sha256, offset=upload.offset, credit=protocol.WINDOW, restart=True)

    def _check_share(self, client: str, size: int, path: Path) -> None:
        """One client must not fill the disk with what it never completes."""
        begun = sum(p.stat().st_size for p in self._partial.glob(f"{client}-{'?' * 64}") if p != path)
        announced = sum(u.size - u.offset for (owner, _), u in self._uploads.items() if owner == client)
        if begun + announced + size > self._limits.upload_bytes:
            text = f"more than {self._limits.upload_bytes} bytes of incomplete uploads: complete some first"
            raise ProtocolError("limit", text)

    def _forget_oldest(self, client: str) -> None:
        """Its file stays, so nothing is lost but the right to go on without a new put."""
        key = next(key for key in self._uploads if key[0] == client)
        self._uploads.pop(key).suspend()

    def _chunk(self, connection: bytes, client: str, request: protocol.Chunk) -> protocol.Message:
        key = (client, request.sha256)
        upload = self._uploads.get(key)
        if upload is None and self._store.check(request.sha256):
            return protocol.Stored(sha256=request.sha256)
        if upload is None or self._owners[key] != connection:
            raise ProtocolError("no_upload", "no such upload is under way here (any more): put again")
        room = min(protocol.CHUNK, upload.size - upload.offset)
        if request.offset == upload.offset:
            if len(request.data) != room:
                raise ProtocolError("malformed", f"this chunk must have {room} bytes, not {len(request.data)}")
            self.bytes_in += len(request.data)
            if upload.append(request.data):
                return self._complete(key, upload)
        return protocol.Granted(sha256=request.sha256, offset=upload.offset, credit=protocol.WINDOW)

    def _complete(self, key: tuple[str, str], upload: Upload) -> protocol.Stored:
        del self._uploads[key], self._owners[key]
        upload.finish(self._store)
        return protocol.Stored(sha256=upload.sha256)

    def _reply(self, connection: bytes, reply: protocol.Message) -> None:
        self._send(connection, protocol.encode(reply))

    def _send(self, connection: bytes, frame: bytes) -> None:
        try:
            self._socket.send_multipart([connection, frame], zmq.NOBLOCK, copy=len(frame) < 65536)
        except zmq.ZMQError:  # the client is gone, or reads nothing: it will ask again
            log.debug("a reply on the work channel was dropped")


def _clean(partial: Path) -> None:
    """Uploads that nobody has gone on with for long are given up."""
    partial.mkdir(exist_ok=True)
    now = time.time()
    for path in partial.iterdir():
        if now - path.stat().st_mtime > KEEP_PARTIAL_SECONDS:
            path.unlink()
