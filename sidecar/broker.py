"""The broker: one loop that lets clients in, answers control, feeds events and drives the jobs. No heavy work."""

import dataclasses
import json
import logging
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

from . import events, memory, protocol
from .growing import GrowingScenes
from .jobs import Jobs
from .journal import Journal, read_needed_blobs
from .limits import Limits, RateLimit
from .parent import Parent
from .protocol import CHANNELS, CONTROL, EVENTS, WORK, Connection, Message, ProtocolError
from .security import (
    CLIENTS,
    ClientKeys,
    Doorkeeper,
    fingerprint,
    load_or_make_keys,
    make_inbox,
    private_folder,
    secure_server,
    write_connection_file,
)
from .store import BlobStore, prune_cache
from .supervisor import Patience, Supervisor
from .work import BRIDGE, STOP, WorkChannel

log = logging.getLogger(__name__)
AGENT = "holotime-sidecar 1"
CONNECTION_FILE = "connection.json"
JOURNAL_FILE = "journal.sqlite3"
TICK_SECONDS = 0.1  # while a job runs; a dead worker is noticed within this time
IDLE_SECONDS = 0.5  # else; the parent's death is noticed within this time
CACHE_REST_SECONDS = 600.0  # a stage's result that was used within this time before a running job began stays
TROUBLE_SECONDS = 1.0  # pause of the jobs after the disk has refused
BUSIEST = ("busy", "starting", "idle", "waiting", "absent")  # states of a slot
SEND_QUEUE = 100  # frames that wait for one slow client before answers to it are dropped


@dataclass(frozen=True)
class Options:
    """How a server is set up."""

    root: Path  # folder for everything that it keeps
    runner: str = "holotime.jobs:run_job"  # what a worker calls
    host: str = "127.0.0.1"  # address to listen on
    devices: tuple[str, ...] = ("cpu",)  # of the worker slots, one each
    keep_models: int = 8 << 30  # bytes of models that a worker may keep loaded between jobs
    parent_pid: int = 0  # end when this process ends; 0: do not
    quota_bytes: int = 50 << 30  # of blobs
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)


class Broker:
    """A server, from the opening of its journal to the freeing of its ports."""

    def __init__(self, options: Options) -> None:
        root = private_folder(options.root)
        self._options, self._root = options, root
        self._started, self.epoch, self._stop = time.time(), secrets.token_hex(8), False
        self._journal = Journal(root / JOURNAL_FILE)
        self._store = BlobStore(root / "blobs", self._journal.blobs())
        shutil.rmtree(root / "live", ignore_errors=True)  # of a server that was killed
        live = BlobStore(root / "live", {}, lasting=False)
        self._growing = GrowingScenes(live)
        (root / "cache").mkdir(exist_ok=True)
        (root / "logs").mkdir(exist_ok=True)
        self._inbox = root / "inbox"
        proof = make_inbox(self._inbox)
        private_folder(root / "keys")
        self.keys = load_or_make_keys(root / "keys" / "server.json")
        self._clients = ClientKeys(root / "keys" / "clients")
        self._parent = Parent(options.parent_pid) if options.parent_pid else None

        self._context = zmq.Context(io_threads=2)
        self._supervisor = Supervisor(
            self._context, self.keys, runner=options.runner, devices=list(options.devices), logs=root / "logs",
            home=root, patience=options.patience,
        )  # fmt: skip
        self._doorkeeper = Doorkeeper(self._context, self._clients, self._supervisor.keys.public)
        self._sockets = {channel: self._open(channel) for channel in CHANNELS}
        self._bridge = self._context.socket(zmq.PAIR)
        self._bridge.linger = 0
        self._bridge.bind(BRIDGE)
        self._work = WorkChannel(
            self._context, self._sockets[WORK], self._store, live, root=root, inbox=self._inbox, proof=proof,
            limits=options.limits, room=self._has_room, known=self._knows,
        )  # fmt: skip
        self._subscriptions = events.Subscriptions(options.limits)
        self._rate = RateLimit(options.limits)
        self._jobs = Jobs(
            root, self._journal, self._store, self._growing, self._supervisor, options.limits,
            self._subscriptions.publish, keep_models=options.keep_models,
        )  # fmt: skip
        self._handlers: dict[type[Message], Callable[[str, Any], Message]] = {
            protocol.Hello: self._hello,
            protocol.Ping: lambda client, request: protocol.Pong(epoch=self.epoch),
            protocol.GetStatus: self._status,
            protocol.ListJobs: self._list,
            protocol.GetJob: lambda client, request: protocol.JobReply(info=self._jobs.info(request.job)),
            protocol.Cancel: lambda client, request: protocol.JobReply(info=self._jobs.cancel(request.job)),
            protocol.Pause: self._pause,
            protocol.GetForecast: lambda client, request: self._jobs.forecast(request),
            protocol.GetMetrics: self._metrics,
            protocol.Prune: self._prune,
            protocol.Shutdown: self._shutdown,
            protocol.Submit: lambda client, request: self._jobs.submit(client, request),
        }
        self._answered: dict[str, int] = {}  # kind -> requests
        self._trouble_until = 0.0

    # life

    def _open(self, channel: str) -> zmq.Socket:
        """A client socket, on the port it had the last time if that is free."""
        socket = self._context.socket(zmq.ROUTER)
        socket.linger = 0
        socket.maxmsgsize = protocol.MAX_FRAME
        socket.router_mandatory = True  # so that a send to a client that is gone is an error, not a secret
        socket.sndhwm = socket.rcvhwm = SEND_QUEUE
        socket.heartbeat_ivl, socket.heartbeat_timeout = 3000, 10_000  # half-open connections end
        socket.handshake_ivl = 5000
        secure_server(socket, self.keys, CLIENTS)
        ports = json.loads(self._journal.get_meta("ports") or "{}")
        host = self._options.host
        try:
            socket.bind(f"tcp://{host}:{ports.get(channel, '*')}")
        except zmq.ZMQError:
            socket.bind(f"tcp://{host}:*")
        return socket

    def connection(self) -> Connection:
        """What a client needs to come in."""
        client = self._clients.default
        addresses = {
            channel: socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
            for channel, socket in self._sockets.items()
        }
        return Connection(
            addresses=addresses, server_public=self.keys.public, client_public=client.public,
            client_secret=client.secret, inbox=str(self._inbox), pid=os.getpid(), epoch=self.epoch,
        )  # fmt: skip

    def run(self, ready: Callable[[Path], None]) -> None:
        """Serve until told to stop. ``ready`` is called with the connection file's path once clients can come."""
        connection = self.connection()
        ports = {channel: address.rpartition(":")[2] for channel, address in connection.addresses.items()}
        self._journal.set_meta("ports", json.dumps(ports))
        self._work.start()
        path = self._root / CONNECTION_FILE
        write_connection_file(path, connection)
        log.info("ready, pid %d, epoch %s, key %s", os.getpid(), self.epoch, fingerprint(self.keys.public))
        try:
            ready(path)
            self._loop()
        finally:
            path.unlink(missing_ok=True)

    def stop(self) -> None:
        """End the loop soon. May be called from a signal handler."""
        self._stop = True

    def close(self) -> None:
        """Free everything; the running job waits in the journal for the next server."""
        self._jobs.stop()
        if self._work.is_alive():
            self._bridge.send_multipart([STOP])
            self._work.join()
        else:
            self._work.discard()
        self._journal.note_blobs(*self._store.changes())
        self._journal.close()
        self._supervisor.close()
        self._doorkeeper.close()
        for socket in [self._sockets[CONTROL], self._sockets[EVENTS], self._bridge]:
            socket.close()
        if self._parent:
            self._parent.close()
        self._context.term()

    def _loop(self) -> None:
        poller = zmq.Poller()
        readers: dict[object, Callable[[], None]] = {
            self._doorkeeper.socket: self._doorkeeper.answer,
            self._sockets[CONTROL]: lambda: self._take(CONTROL),
            self._sockets[EVENTS]: lambda: self._take(EVENTS),
            self._bridge: self._take_submit,
            self._supervisor.socket: self._take_worker,
        }
        for socket in readers:
            poller.register(socket, zmq.POLLIN)
        while not self._stop:
            wait = TICK_SECONDS if self._jobs.running else IDLE_SECONDS
            for socket, _ in poller.poll(round(wait * 1000)):
                try:
                    readers[socket]()
                except Exception:  # one bad frame must not end everybody's server
                    log.exception("a frame could not be handled")
            if self._parent and not self._parent.alive():
                log.info("the parent process has ended, so does this server")
                return
            self._tick()
            self._subscriptions.pump(self._send_event)

    def _tick(self) -> None:
        now = time.monotonic()
        if now < self._trouble_until:
            return
        try:
            self._clients.refresh()
            self._jobs.tick()
            used, gone = self._store.changes()
            if used or gone:
                self._journal.note_blobs(used, gone)
                self._keep_quota()
        except (sqlite3.Error, OSError):
            log.exception("the disk refuses; trying again in %.0f s", TROUBLE_SECONDS)
            self._trouble_until = now + TROUBLE_SECONDS

    def _keep_quota(self) -> None:
        """After new blobs: what can be remade goes first, the stages' cache while no job runs, then old blobs."""
        quota, blobs = self._options.quota_bytes, self._store.total()
        prune_cache(self._root / "cache", max(quota - blobs, 0), self._jobs.began - CACHE_REST_SECONDS)
        if blobs > quota:
            self._store.prune(quota, self._journal.needed_blobs())

    # frames in and out

    def _take(self, channel: str) -> None:
        frames = self._sockets[channel].recv_multipart(copy=False)
        if len(frames) != 2:
            return
        connection, client = frames[0].bytes, str(frames[1].get("User-Id"))
        if not self._knows(client):  # its key was removed while it was connected
            return
        reply = self._answer(channel, connection, client, frames[1].bytes)
        if reply is not None:
            self._send(channel, connection, reply)

    def _knows(self, client: str) -> bool:
        return client in self._clients.names.values()

    def _take_submit(self) -> None:
        connection, client, frame = self._bridge.recv_multipart()
        reply = self._answer(WORK, connection, client.decode(), frame)
        if reply is not None:
            self._bridge.send_multipart([connection, protocol.encode(reply)])

    def _take_worker(self) -> None:
        told = self._supervisor.receive()
        if told is None:
            return
        try:
            self._jobs.hear(*told)
        except (sqlite3.Error, OSError):
            log.exception("the disk refuses; the end of the job is kept and written later")
            self._trouble_until = time.monotonic() + TROUBLE_SECONDS

    def _answer(self, channel: str, connection: bytes, client: str, frame: bytes) -> Message | None:
        """The reply to a frame; whatever the frame is, there is one, and nothing is raised."""
        rid = 0
        try:
            request = protocol.decode(frame, sender="client")
            rid = request.rid
            if request.channel != channel:
                raise ProtocolError("unknown_kind", f"{request.kind} does not belong on the {channel} channel")
            self._answered[request.kind] = self._answered.get(request.kind, 0) + 1
            if channel == EVENTS:
                return self._serve_events(connection, client, request)
            if channel == CONTROL:
                self._rate.charge(client)
            return dataclasses.replace(self._handlers[type(request)](client, request), rid=rid)
        except ProtocolError as error:
            return protocol.Error(rid=rid or error.rid, code=error.code, text=str(error)[:2000])
        except (sqlite3.Error, OSError) as error:
            log.warning("a request failed: %s", error)
            return protocol.Error(rid=rid, code="disk", text=f"the server's disk refuses: {error}"[:2000])
        except Exception:
            log.exception("a request failed")
            return protocol.Error(rid=rid, code="internal", text="the server failed; its log has more")

    def _send(self, channel: str, connection: bytes, reply: Message) -> bool:
        try:
            self._sockets[channel].send_multipart([connection, protocol.encode(reply)], zmq.NOBLOCK)
        except zmq.ZMQError:  # gone, or it does not read: it will ask again
            return False
        return True

    def _send_event(self, connection: bytes, event: Message) -> bool:
        return self._send(EVENTS, connection, event)

    # answers

    def _serve_events(self, connection: bytes, client: str, request: Message) -> Message | None:
        if isinstance(request, protocol.Credit):
            self._subscriptions.credit(connection, request)
            return None
        assert isinstance(request, protocol.Subscribe)
        self._rate.charge(client)
        if request.jobs:
            infos = [self._jobs.info(job) for job in request.jobs]
        else:
            page, _ = self._journal.page(["running", "queued"], 0, protocol.PAGE)
            infos = [self._jobs.info(info.job) if info.status == "running" else info for info in page]
        infos = [dataclasses.replace(info, log_tail="") for info in infos]
        self._subscriptions.subscribe(connection, client, request)
        if request.log:
            for printed in self._jobs.printed():
                self._subscriptions.publish(printed.job, printed)
        if request.growing:
            for grown in self._growing.all():
                self._subscriptions.publish(grown.job, grown)
        return protocol.Subscribed(rid=request.rid, epoch=self.epoch, jobs=infos)

    def _hello(self, client: str, request: Message) -> Message:
        assert isinstance(request, protocol.Hello)
        common = [version for version in request.versions if version in protocol.VERSIONS]
        if not common:
            text = f"this server speaks the versions {list(protocol.VERSIONS)}, the client {request.versions}: update"
            raise ProtocolError("version", text)
        kinds = list(protocol.JOB_KINDS)
        return protocol.Welcome(version=common[0], server=AGENT, epoch=self.epoch, job_kinds=kinds)

    def _status(self, client: str, request: Message) -> Message:
        running, workers = self._jobs.running, self._jobs.workers()
        return protocol.ServerStatus(
            epoch=self.epoch, pid=os.getpid(), uptime=max(0.0, time.time() - self._started), paused=self._jobs.paused,
            worker=min((worker.state for worker in workers), key=BUSIEST.index), running=running[:100],
            workers=workers,
            counts=self._journal.counts(), blob_bytes=self._store.total(), quota_bytes=self._options.quota_bytes,
        )  # fmt: skip

    def _list(self, client: str, request: Message) -> Message:
        assert isinstance(request, protocol.ListJobs)
        page, total = self._journal.page(request.statuses, request.offset, protocol.PAGE)
        running = self._jobs.running
        page = [self._jobs.info(info.job) if info.job in running else info for info in page]
        return protocol.JobList(jobs=page, total=total)

    def _pause(self, client: str, request: Message) -> Message:
        assert isinstance(request, protocol.Pause)
        self._jobs.pause(request.paused)
        return protocol.Ok()

    def _prune(self, client: str, request: Message) -> Message:
        assert isinstance(request, protocol.Prune)
        blobs, freed = self._store.prune(request.keep_bytes, self._journal.needed_blobs())
        left = max(request.keep_bytes - self._store.total(), 0)
        freed += prune_cache(self._root / "cache", left, self._jobs.began - CACHE_REST_SECONDS)
        return protocol.Pruned(blobs=blobs, freed_bytes=freed)

    def _shutdown(self, client: str, request: Message) -> Message:
        log.info("client %s ends the server", client)
        self._stop = True
        return protocol.Ok()

    def _metrics(self, client: str, request: Message) -> Message:
        values = {
            "uptime_seconds": time.time() - self._started,
            "jobs": self._journal.counts(),
            "requests": dict(self._answered),
            "refused_keys": self._doorkeeper.refused,
            "subscribers": len(self._subscriptions),
            "events_sent": self._subscriptions.sent,
            "events_replaced": self._subscriptions.replaced,
            "worker_starts": self._supervisor.starts,
            "blob_bytes": self._store.total(),
            "bytes_in": self._work.bytes_in,
            "bytes_out": self._work.bytes_out,
            "server_memory": memory.resident(),
            "workers": [dataclasses.asdict(worker) for worker in self._jobs.workers()],
            "stages": self._journal.stage_totals(),
        }
        return protocol.MetricsReply(values=values)

    def _has_room(self, size: int) -> bool:
        """Whether ``size`` more bytes fit into the quota, if need be after pruning. On the work channel's thread."""
        left = self._options.quota_bytes - size
        if self._store.total() > left:
            self._store.prune(max(left, 0), read_needed_blobs(self._root / JOURNAL_FILE))
        return self._store.total() <= left
