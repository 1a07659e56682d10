"""What Blender and the sidecar say to each other, and the client's half of the conversation without any sockets.

This one file is shared with the Blender extension, which vendors it; so it needs only the standard library and msgpack,
and it is longer than the others on purpose. The words of the protocol are explained in docs/protocol.md.

Three parts: (1) frames: limits, a scan of a frame before anything is built from it, a schema check in both directions;
(2) the messages, as dataclasses; (3) :class:`Session`, a state machine for a client: frames in, happenings out. It owns
no socket and no thread; whoever drives it moves bytes between it and three DEALER sockets and calls ``tick``.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import math
import os
import re
import shutil
import stat
import sys
import threading
import time
import types
import typing
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgpack

VERSION = 1  # the version this file speaks best
VERSIONS = (1,)  # every version this file understands
CONTROL, WORK, EVENTS = "control", "work", "events"
CHANNELS = (CONTROL, WORK, EVENTS)
STATUSES = ("queued", "running", "succeeded", "failed", "cancelled")
FINISHED = ("succeeded", "failed", "cancelled")
JOB_KINDS = ("panorama", "generate", "render", "export")

MAX_FRAME = 2 << 20  # bytes of any frame; sockets refuse more before it is allocated
CHUNK = 1 << 20  # bytes of blob in one chunk; the last one of a blob may be shorter
WINDOW = 8  # chunks that may be under way in one transfer
MAX_DEPTH = 12  # containers inside containers in a frame
MAX_ITEMS = 50_000  # values in a frame
MAX_PARAMS = 64 << 10  # bytes of a job's parameters, packed
MAX_PREVIEW = 256 << 10  # bytes of a JPEG preview
MAX_RESULTS = 40  # files that a job may leave
MAX_LOG = 2000  # characters of a log event
MAX_PART = 512 << 20  # bytes of a part of a growing scene
MAX_PARTS = 64  # that make a growing scene
COPY_BELOW = 64 << 20  # bytes; a smaller input is copied into the inbox, so that its owner may go on editing the file
PAGE = 100  # jobs in one list; with all their results they fit into a frame
EVENT_CREDIT = 64  # events that a subscriber lets the server have under way
HEARTBEAT_SECONDS = 3.0  # between pings
LOST_SECONDS = 10.0  # silence after which the server counts as gone
RETRY_SECONDS = 5.0  # after which an unanswered request is sent again; every request may be sent twice
PROOF_FILE = "proof"  # in the inbox; whoever can read it is on the server's machine and is its user


class ProtocolError(Exception):
    """A frame or a message that breaks the protocol. ``code`` is one of the codes in docs/protocol.md."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.rid = 0  # of the request that was refused, when it could be read


# --- frames -----------------------------------------------------------------------------------------------------------


def scan(frame: bytes | memoryview) -> None:
    """Walk over the msgpack headers of ``frame`` without building a value, and raise when it breaks a limit.

    msgpack allocates what a header announces before it has seen the items, so five bytes could ask for gigabytes.
    Extension types are refused: the protocol has none.
    """
    size = len(frame)
    if size > MAX_FRAME:
        raise ProtocolError("malformed", f"a frame of {size} bytes is over the limit of {MAX_FRAME}")
    position, items = 0, 0
    open_items = [1]  # values still to come, one entry per open container
    while open_items:
        if open_items[-1] == 0:
            open_items.pop()
            continue
        open_items[-1] -= 1
        items += 1
        if items > MAX_ITEMS or position >= size:
            raise ProtocolError("malformed", "a frame ends early or holds too many values")
        head = frame[position]
        position += 1
        children = 0
        if head <= 0x7F or head >= 0xE0 or head in (0xC0, 0xC2, 0xC3):
            continue
        if head <= 0x8F:
            children = 2 * (head & 0x0F)
        elif head <= 0x9F:
            children = head & 0x0F
        elif head <= 0xBF:
            position += head & 0x1F
        elif head in _FIXED:
            position += _FIXED[head]
        elif head in _SIZED:
            width, per_item = _SIZED[head]
            count = int.from_bytes(frame[position : position + width], "big")
            position += width
            if per_item == 0:
                position += count
            else:
                children = per_item * count
        else:
            raise ProtocolError("malformed", f"a frame holds the msgpack type 0x{head:02x}, which the protocol lacks")
        if position > size or children > size - position:
            raise ProtocolError("malformed", "a frame ends early")
        if children:
            if len(open_items) > MAX_DEPTH:
                raise ProtocolError("malformed", f"a frame nests deeper than {MAX_DEPTH}")
            open_items.append(children)
    if position != size:
        raise ProtocolError("malformed", "a frame has bytes after its end")


# msgpack heads: bytes that follow for numbers; (bytes of the length, values per counted item; 0 means raw bytes) else
_FIXED = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_SIZED = {
    0xC4: (1, 0),
    0xC5: (2, 0),
    0xC6: (4, 0),
    0xD9: (1, 0),
    0xDA: (2, 0),
    0xDB: (4, 0),
    0xDC: (2, 1),
    0xDD: (4, 1),
    0xDE: (2, 2),
    0xDF: (4, 2),
}


# --- schema -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Text:
    """A string of at most ``longest`` characters that matches ``pattern`` as a whole."""

    longest: int
    pattern: str = r"(?s).*"


@dataclass(frozen=True)
class Span:
    """A finite number in [low, high]."""

    low: float
    high: float


@dataclass(frozen=True)
class AtMost:
    """At most ``count`` bytes, items or entries."""

    count: int


Check = Callable[[Any, str], Any]
Sha256 = Annotated[str, Text(64, r"[0-9a-f]{64}")]
JobId = Annotated[str, Text(64, r"[A-Za-z0-9][A-Za-z0-9_-]{7,63}")]
Name = Annotated[str, Text(100, r"[A-Za-z0-9_][A-Za-z0-9_.-]*")]
Short = Annotated[str, Text(200)]
Long = Annotated[str, Text(8000)]
Count = Annotated[int, Span(0, 2**63 - 1)]
Seconds = Annotated[float, Span(0.0, 1e12)]
Fraction = Annotated[float, Span(0.0, 1.0)]
Status = Annotated[str, Text(10, "|".join(STATUSES))]
Params = dict[str, Any]


def _refuse(where: str, what: str) -> typing.NoReturn:
    raise ProtocolError("malformed", f"{where}: {what}")


def _check_json(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                _refuse(where, "a key is not a string")
            _check_json(item, where)
    elif isinstance(value, list):
        for item in value:
            _check_json(item, where)
    elif isinstance(value, float):
        if not math.isfinite(value):
            _refuse(where, "a number is not finite")
    elif value is not None and not isinstance(value, (str, int, bool)):
        _refuse(where, f"a {type(value).__name__} has no place there")
    return value


def _compile(hint: Any) -> Check:
    """The function that checks a plain value against a type hint and gives the value of that type."""
    limits: tuple = ()
    if typing.get_origin(hint) is Annotated:
        hint, *rest = typing.get_args(hint)
        limits = tuple(rest)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return _check_json
    if origin in (types.UnionType, typing.Union):
        inner = _compile(next(a for a in arguments if a is not type(None)))
        return lambda value, where: None if value is None else inner(value, where)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return lambda value, where: _build(hint, value, where)
    if origin is list:
        each = _compile(arguments[0])
        most = limits[0].count if limits else 1000

        def check_list(value: Any, where: str) -> list:
            if not isinstance(value, list) or len(value) > most:
                _refuse(where, f"is not a list of at most {most}")
            return [each(item, where) for item in value]

        return check_list
    if origin is dict:
        name, each = _compile(arguments[0]), _compile(arguments[1])
        most = limits[0].count if limits else 100

        def check_dict(value: Any, where: str) -> dict:
            if not isinstance(value, dict) or len(value) > most:
                _refuse(where, f"is not a map of at most {most}")
            return {name(key, where): each(item, where) for key, item in value.items()}

        return check_dict
    return _compile_scalar(hint, limits)


def _compile_scalar(hint: type, limits: tuple) -> Check:
    if hint is str:
        text = limits[0] if limits else Text(200)
        pattern = re.compile(text.pattern)

        def check_text(value: Any, where: str) -> str:
            if not isinstance(value, str) or len(value) > text.longest or not pattern.fullmatch(value):
                _refuse(where, f"is not a text of at most {text.longest} characters like {text.pattern}")
            return value

        return check_text
    if hint is bytes:
        most = limits[0].count

        def check_bytes(value: Any, where: str) -> Any:
            if not isinstance(value, (bytes, memoryview)) or len(value) > most:
                _refuse(where, f"is not at most {most} bytes")
            return value

        return check_bytes
    if hint is bool:
        return lambda value, where: value if isinstance(value, bool) else _refuse(where, "is not true or false")
    span = limits[0] if limits else Span(-(2**63), 2**63 - 1)

    def check_number(value: Any, where: str) -> Any:
        allowed = (int,) if hint is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, allowed) or not span.low <= value <= span.high:
            _refuse(where, f"is not a number from {span.low} to {span.high}")
        return hint(value)

    return check_number


_CHECKS: dict[type, dict[str, Check]] = {}


def _checks(cls: type) -> dict[str, Check]:
    if cls not in _CHECKS:
        hints = typing.get_type_hints(cls, include_extras=True)
        _CHECKS[cls] = {f.name: _compile(hints[f.name]) for f in dataclasses.fields(cls)}
    return _CHECKS[cls]


def _build(cls: type, plain: Any, where: str) -> Any:
    """An object of the dataclass ``cls`` from a map; fields it does not know are ignored."""
    if not isinstance(plain, dict):
        _refuse(where, "is not a map")
    values = {name: check(plain[name], f"{where}.{name}") for name, check in _checks(cls).items() if name in plain}
    try:
        return cls(**values)
    except TypeError as error:
        raise ProtocolError("malformed", f"{where}: a field is missing ({error})") from None


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


# --- messages ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Message:
    """Base of all messages. A reply carries the request's ``rid``; an event carries its subscription's."""

    kind: ClassVar[str] = ""
    channel: ClassVar[str] = ""  # where a client sends it; "" for what only a server sends
    rid: Count = 0  # request id, chosen by the client, unique within a connection

    def redundancy_key(self) -> tuple[str, str] | None:
        """Of two queued events with the same key only the newer is worth sending; None: never replaced."""
        return None


KINDS: dict[str, type[Message]] = {}


@typing.dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
def message(kind: str, channel: str = "") -> Callable[[type], type]:
    """Make a class a message of this kind that clients send on this channel ("" if only servers send it)."""

    def register(cls: type) -> type:
        made: Any = dataclass(frozen=True, kw_only=True)(cls)
        made.kind, made.channel = kind, channel
        KINDS[kind] = made
        return made

    return register


_thread = threading.local()


def encode(item: Message) -> bytes:
    """The frame of a message. ProtocolError when it breaks its own schema or a limit."""
    plain = _plain(item)
    _build(type(item), plain, item.kind)
    try:
        packer = _thread.packer
    except AttributeError:  # one for each thread, for its buffer: to allocate that anew takes longer than to fill it
        packer = _thread.packer = msgpack.Packer(use_bin_type=True)
    frame = packer.pack({"v": VERSION, "kind": item.kind, **plain})
    if len(frame) > MAX_FRAME:
        raise ProtocolError("malformed", f"{item.kind}: {len(frame)} bytes are over the limit of {MAX_FRAME}")
    return frame


def decode(frame: bytes | memoryview, *, sender: str = "any") -> Message:
    """The message in a frame. ProtocolError (with ``rid`` set when it could be read) when it is not one.

    ``sender`` "client" or "server" refuses kinds that the other side sends.
    """
    scan(frame)
    try:
        plain = msgpack.unpackb(frame, raw=False, strict_map_key=True)
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise ProtocolError("malformed", f"a frame is not msgpack: {error}") from None
    if not isinstance(plain, dict):
        raise ProtocolError("malformed", "a frame is not a map")
    try:
        version, kind = plain.get("v"), plain.get("kind")
        if version not in VERSIONS or isinstance(version, bool):
            raise ProtocolError("version", f"version {version!r:.40} is not spoken here, only {list(VERSIONS)}")
        cls = KINDS.get(kind) if isinstance(kind, str) else None
        if cls is None or (sender == "client" and not cls.channel):
            raise ProtocolError("unknown_kind", f"a message of kind {kind!r:.40} is not known here")
        return _build(cls, plain, cls.kind)
    except ProtocolError as error:
        rid = plain.get("rid")
        error.rid = rid if isinstance(rid, int) and not isinstance(rid, bool) and 0 <= rid < 2**63 else 0
        raise


@dataclass(frozen=True, kw_only=True)
class BlobRef:
    """A result: its content's digest, its size and the file name that its maker gave it."""

    sha256: Sha256
    size: Count
    file: Name


@dataclass(frozen=True, kw_only=True)
class JobInfo:
    """All that a server says about a job. Times are Unix seconds, 0 when it has not happened."""

    job: JobId
    job_kind: Name
    status: Status
    priority: Annotated[int, Span(-10, 10)] = 0
    created: Seconds = 0.0
    started: Seconds = 0.0
    finished: Seconds = 0.0
    attempts: Count = 0  # times a worker has begun it
    stage: Short = ""
    fraction: Fraction = 0.0  # of the whole job
    eta: Seconds | None = None  # seconds to go; None when nothing can be said yet
    note: Short = ""
    memory: Short = "auto"  # the plan: "low" after the job ran out of memory
    device: Short = ""  # of the worker that runs it, or ran it last
    error_class: Annotated[str, Text(100)] = ""
    error: Annotated[str, Text(2000)] = ""  # what to show to the user
    log_tail: Long = ""  # last lines of the worker's log, for a failure; left out of lists
    results: Annotated[dict[Name, BlobRef], AtMost(MAX_RESULTS)] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether the job has come to an end. A job that a server does not know is not done."""
        return self.status in FINISHED


# Requests on the control channel: small, answered at once, never behind work.


@message("hello", CONTROL)
class Hello(Message):
    """First words of a client: which versions it speaks, best first."""

    versions: Annotated[list[Count], AtMost(20)]
    agent: Short = ""


@message("ping", CONTROL)
class Ping(Message):
    """Heartbeat."""


@message("status", CONTROL)
class GetStatus(Message):
    """How is the server?"""


@message("jobs", CONTROL)
class ListJobs(Message):
    """Jobs, newest first, a page at a time."""

    offset: Count = 0
    statuses: Annotated[list[Status], AtMost(5)] = field(default_factory=list)  # empty: all


@message("job", CONTROL)
class GetJob(Message):
    """One job, with its results and its log's tail."""

    job: JobId


@message("cancel", CONTROL)
class Cancel(Message):
    """Stop a job; answered with its state. A finished job stays as it is."""

    job: JobId


@message("pause", CONTROL)
class Pause(Message):
    """Start no more jobs (True) or go on (False); a running job runs to its end."""

    paused: bool


@message("metrics", CONTROL)
class GetMetrics(Message):
    """Counters and times."""


@message("forecast", CONTROL)
class GetForecast(Message):
    """How long would such a job take, and how much memory? Answered with ``forecast_reply``."""

    job_kind: Name
    params: Params = field(default_factory=dict)


@message("prune", CONTROL)
class Prune(Message):
    """Remove blobs that no waiting job needs, and cached stages, least recently used first, down to ``keep_bytes``."""

    keep_bytes: Count = 0


@message("shutdown", CONTROL)
class Shutdown(Message):
    """End the server; a running job goes back to the queue of the journal."""


# Requests on the work channel: jobs and blobs.


@message("submit", WORK)
class Submit(Message):
    """Run a job. The client chose ``job``; the same again changes nothing, another job under the same id is refused."""

    job: JobId
    job_kind: Name
    params: Params = field(default_factory=dict)
    inputs: Annotated[dict[Name, Sha256], AtMost(20)] = field(default_factory=dict)
    priority: Annotated[int, Span(-10, 10)] = 0


@message("put", WORK)
class Put(Message):
    """I want to send this blob. Answered with ``granted`` (from where, how many chunks) or ``stored``."""

    sha256: Sha256
    size: Count


@message("chunk", WORK)
class Chunk(Message):
    """A part of a blob, in both directions; ``size`` is that of the whole blob."""

    sha256: Sha256
    offset: Count
    size: Count
    data: Annotated[bytes, AtMost(CHUNK)]


@message("adopt", WORK)
class Adopt(Message):
    """I have put this blob into the inbox under its digest: take it. Answered with ``stored``."""

    sha256: Sha256
    size: Count
    proof: Annotated[bytes, AtMost(64)]


@message("get", WORK)
class Get(Message):
    """Send the chunk of this blob that begins at ``offset``: one request is the credit for one chunk."""

    sha256: Sha256
    offset: Count = 0


@message("locate", WORK)
class Locate(Message):
    """Where is this blob's file? Only for a client that proves to be on the server's machine."""

    sha256: Sha256
    proof: Annotated[bytes, AtMost(64)]


# Requests on the events channel.


@message("subscribe", EVENTS)
class Subscribe(Message):
    """Send me what happens to these jobs (none named: to all). Replaces this connection's earlier subscription."""

    jobs: Annotated[list[JobId], AtMost(PAGE)] = field(default_factory=list)
    credit: Annotated[int, Span(1, 1000)] = EVENT_CREDIT
    log: bool = False  # whether to send what the jobs print, too
    growing: bool = False  # and which parts make the scenes that they train


@message("credit", EVENTS)
class Credit(Message):
    """I have read so many events: send as many more. Also sent with each ping, to keep the subscription alive."""

    count: Annotated[int, Span(0, 1000)]


# Replies.


@message("error")
class Error(Message):
    """A request was refused. ``code`` is for programs, ``text`` for people."""

    code: Name
    text: Annotated[str, Text(2000)]


@message("ok")
class Ok(Message):
    """Done."""


@message("welcome")
class Welcome(Message):
    """The version to speak from now on, and who is speaking."""

    version: Count
    server: Short
    epoch: Short  # differs after every start of the server
    job_kinds: Annotated[list[Name], AtMost(100)]


@message("pong")
class Pong(Message):
    """Heartbeat's answer."""

    epoch: Short


@dataclass(frozen=True, kw_only=True)
class WorkerInfo:
    """One slot: a process that runs one job at a time on one device."""

    slot: Count
    device: Short  # cpu, cuda:0, ...
    state: Short  # as ``worker`` of ServerStatus
    pid: Count = 0
    job: Short = ""  # that runs there
    memory: Count = 0  # bytes resident
    gpu_memory: Count = 0  # bytes that it has taken of its GPU
    gpu_total: Count = 0  # bytes that the GPU has
    models: Count = 0  # bytes of models kept loaded for the next job


@message("server_status")
class ServerStatus(Message):
    """The answer to ``status``."""

    epoch: Short
    pid: Count
    uptime: Seconds
    paused: bool
    worker: Short  # of the busiest slot: absent, starting, idle, busy or waiting (for its next start after it died)
    running: Annotated[list[JobId], AtMost(100)]
    counts: dict[Name, Count]  # jobs by status
    blob_bytes: Count
    quota_bytes: Count
    workers: Annotated[list[WorkerInfo], AtMost(64)] = field(default_factory=list)


@message("metrics_reply")
class MetricsReply(Message):
    """The answer to ``metrics``."""

    values: Params


@dataclass(frozen=True, kw_only=True)
class StageForecast:
    """What a stage is expected to need."""

    stage: Short
    seconds: Seconds
    memory: Count = 0  # bytes at its peak, 0 when nothing is known
    gpu_memory: Count = 0


@message("forecast_reply")
class ForecastReply(Message):
    """The answer to ``forecast``."""

    seconds: Seconds  # of all stages, without the wait in the queue
    memory: Count  # bytes at the peak of the hungriest stage, 0 when nothing is known
    gpu_memory: Count
    stages: Annotated[list[StageForecast], AtMost(100)]
    jobs: Count  # finished ones that this is learnt from; 0: a first guess


@message("job_list")
class JobList(Message):
    """A page of jobs; ``total`` is the number of all that match."""

    jobs: Annotated[list[JobInfo], AtMost(PAGE)]
    total: Count


@message("job_info")
class JobReply(Message):
    """The answer to ``job``, ``cancel`` and ``submit``."""

    info: JobInfo


@message("missing")
class Missing(Message):
    """The answer to ``submit`` when inputs are not here: nothing was done; send these blobs and submit again."""

    need: Annotated[list[Sha256], AtMost(20)]


@message("granted")
class Granted(Message):
    """Go on at ``offset``; up to ``credit`` chunks may be under way. Every chunk is answered with one of these."""

    sha256: Sha256
    offset: Count
    credit: Count
    restart: bool = False  # the answer to a put: chunks under way from before are void


@message("stored")
class Stored(Message):
    """The blob is whole, its digest right, and it is on the disk."""

    sha256: Sha256


@message("located")
class Located(Message):
    """The file of a blob: for reading and linking, not for changing."""

    sha256: Sha256
    size: Count
    path: Annotated[str, Text(4096)]


@message("pruned")
class Pruned(Message):
    """What ``prune`` removed."""

    blobs: Count
    freed_bytes: Count


# Events.


@message("subscribed")
class Subscribed(Message):
    """From here on nothing is missed. ``jobs`` is how the named jobs (or the newest unfinished ones) stand now."""

    epoch: Short
    jobs: Annotated[list[JobInfo], AtMost(PAGE)]


@message("state")
class JobState(Message):
    """A job's status has changed."""

    info: JobInfo

    def redundancy_key(self) -> tuple[str, str]:
        return self.info.job, self.kind


@message("progress")
class Progress(Message):
    """How far a job is."""

    job: JobId
    stage: Short
    fraction: Fraction  # of the whole job; never falls
    stage_fraction: Fraction = 0.0  # of the stage
    eta: Seconds | None = None  # seconds to go
    note: Short = ""

    def redundancy_key(self) -> tuple[str, str]:
        return self.job, self.kind


@message("preview")
class Preview(Message):
    """A picture of what is being made."""

    job: JobId
    stage: Short
    jpeg: Annotated[bytes, AtMost(MAX_PREVIEW)]

    def redundancy_key(self) -> tuple[str, str]:
        return self.job, self.kind


@message("log")
class Log(Message):
    """The last lines that a job has printed. Only for a subscription that asked for it."""

    job: JobId
    text: Annotated[str, Text(MAX_LOG)]

    def redundancy_key(self) -> tuple[str, str]:
        return self.job, self.kind


@dataclass(frozen=True, kw_only=True)
class ScenePart:
    """A piece of a growing scene, to be fetched like a result."""

    number: Count
    sha256: Sha256
    size: Annotated[int, Span(1, MAX_PART)]


@message("growing")
class Growing(Message):
    """The parts of a scene that is being trained, a whole one first. Only for a subscription that asked for it."""

    job: JobId
    run: Short  # another one when the job was begun again
    step: Count  # of the training
    splats: Count
    parts: Annotated[list[ScenePart], AtMost(MAX_PARTS)]

    def redundancy_key(self) -> tuple[str, str]:
        return self.job, self.kind

    def missing(self, run: str, number: int) -> list[ScenePart]:
        """The parts to apply, in order, for one who has applied part ``number`` of ``run`` (-1: nothing yet)."""
        first = self.parts[0].number if self.parts else 0
        if run != self.run or number < first:
            return self.parts
        return [part for part in self.parts if part.number > number]


# --- connection file and files ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Connection:
    """The content of a connection file: all that a client needs to reach a server and to be let in."""

    addresses: dict[str, str]  # channel -> ZeroMQ endpoint
    server_public: str  # CurveZMQ keys, Z85
    client_public: str
    client_secret: str = field(repr=False)
    inbox: str  # folder on the server's machine
    pid: int
    epoch: str
    version: int = VERSION

    @classmethod
    def read(cls, path: str | os.PathLike) -> "Connection":
        """Read a connection file. ProtocolError when others may read it too, or when it is not one."""
        path = Path(path)
        try:
            if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise ProtocolError("refused", f"{path} holds a secret key but others may read it: chmod 600 it")
            plain = json.loads(path.read_text(encoding="utf-8"))
            known = {f.name for f in dataclasses.fields(cls)}
            connection = cls(**{key: value for key, value in plain.items() if key in known})
            if connection.version not in VERSIONS:
                raise ProtocolError(
                    "version", f"{path}: the server speaks version {connection.version}, not {VERSIONS}"
                )
            if set(CHANNELS) - set(connection.addresses):
                raise TypeError("an address is missing")
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ProtocolError("refused", f"{path} is not a connection file of a sidecar: {error}") from None
        return connection

    def proof(self) -> bytes:
        """What proves that this client can read the server's inbox; empty on another machine."""
        try:
            return (Path(self.inbox) / PROOF_FILE).read_bytes()[:64]
        except OSError:
            return b""


def hash_file(path: str | os.PathLike) -> tuple[str, int]:
    """(sha256 in hex, size in bytes) of a file."""
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def clone(source: str | os.PathLike, target: str | os.PathLike) -> bool:
    """Make ``target`` a file of its own that shares the source's blocks until one is written to (a reflink).

    Costs nothing and is safe, but only some file systems have it (Btrfs, XFS, bcachefs): False where it does not work.
    """
    if sys.platform != "linux":
        return False
    import fcntl

    ficlone = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
    try:
        with open(source, "rb") as origin, open(target, "wb") as copy:
            fcntl.ioctl(copy.fileno(), ficlone, origin.fileno())
    except OSError:
        return False
    return True


def link_or_copy(source: str | os.PathLike, target: str | os.PathLike, copy_below: int = 0) -> None:
    """Make ``target`` the same content as ``source``, in one step, as cheaply as the disk allows.

    A reflink; else a copy of a file smaller than ``copy_below`` bytes; else a hard link; else a copy.
    """
    target = Path(target)
    partial = target.with_name(f".{target.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        if not clone(source, partial):
            partial.unlink(missing_ok=True)
            try:
                if os.path.getsize(source) < copy_below:
                    shutil.copyfile(source, partial)
                else:
                    os.link(source, partial)
            except OSError:
                shutil.copyfile(source, partial)
        os.replace(partial, target)
    finally:
        # renaming one link of a file onto another link of it does nothing and leaves both
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)


# --- the client without sockets ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FileSource:
    """A file that a job takes as an input."""

    path: Path
    sha256: str
    size: int

    @classmethod
    def of(cls, path: str | os.PathLike) -> "FileSource":
        """Hash a file: 1 GB takes about a second, so not on a thread that draws."""
        return cls(Path(path), *hash_file(path))


@dataclass(frozen=True)
class Link:
    """The server answers (up), or has been silent for too long."""

    up: bool
    text: str


@dataclass(frozen=True)
class Answered:
    """A request has its answer, which may be an :class:`Error`."""

    rid: int
    request: Message
    reply: Message


@dataclass(frozen=True)
class Told:
    """An event: Subscribed, JobState, Progress, Preview, Log or Growing."""

    event: Message


@dataclass(frozen=True)
class Moved:
    """A blob is on its way; ``rid`` is that of the submit or fetch which needs it."""

    rid: int
    sha256: str
    done: int
    total: int


@dataclass(frozen=True)
class Fetched:
    """A fetch has ended well: ``path`` is there, whole."""

    rid: int
    sha256: str
    path: Path


Happening = Link | Answered | Told | Moved | Fetched


@dataclass
class _Pending:
    request: Message
    sent: float  # session clock
    handle: Callable[[Message], list[Happening]]


@dataclass
class _Upload:
    source: FileSource
    owner: int  # rid of the submit
    after: Callable[[Error | None], list[Happening]]
    sent: int = 0  # bytes that have been sent or need not be
    restarting: bool = False  # a put was sent again and is not answered yet


@dataclass
class _Download:
    sha256: str
    size: int
    dest: Path
    part: Path
    digest: Any
    done: int = 0  # bytes on the disk
    asked: int = 0  # bytes on the disk or asked for


class Session:
    """A client's half of the conversation.

    The driver sends every ``(channel, frame)`` of :meth:`outgoing` (it may drop one when a socket is full: whatever
    needs an answer is sent again), hands every frame it gets to :meth:`receive`, and calls :meth:`tick` about once a
    second. Not thread-safe: drive it from one thread. Files are read and written in the calls, one chunk at a time.
    """

    def __init__(self, connection: Connection, *, agent: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self.connection = connection
        self.up = False  # whether the server answers
        self.epoch = ""  # of the server that answered last
        self._clock = clock
        self._proof = connection.proof()
        self._may_prove = True
        self._queue: deque[tuple[str, bytes]] = deque()
        self._block = bytearray(CHUNK)  # of a file that is being sent
        self._pending: dict[int, _Pending] = {}
        self._next_rid = 1
        self._heard = self._pinged = clock()
        self._subscription: Subscribe | None = None
        self._unread = 0  # events received since credit was last given
        self._ask(Hello(versions=list(VERSIONS), agent=agent))

    @property
    def local(self) -> bool:
        """Whether this client shares a disk with the server, so that blobs are handed over as files."""
        return bool(self._proof)

    @property
    def silence(self) -> float:
        """Seconds since the server was last heard, or since the session began."""
        return self._clock() - self._heard

    def stay_remote(self) -> None:
        """Move bytes even when the server is on this machine."""
        self._proof, self._may_prove = b"", False

    # what the driver calls

    def outgoing(self) -> Iterator[tuple[str, bytes]]:
        """Take out what has to be sent now."""
        while self._queue:
            yield self._queue.popleft()

    def receive(self, frame: bytes | memoryview) -> list[Happening]:
        """Digest a frame from the server. ProtocolError when it is not one; the session goes on."""
        reply = decode(frame)
        self._heard = self._clock()
        happenings: list[Happening] = []
        if not self.up:
            self.up = True
            happenings.append(Link(True, "connected"))
        if isinstance(reply, (Pong, Welcome, Subscribed)):
            self._meet(reply.epoch)
        if isinstance(reply, (JobState, Progress, Preview, Log, Growing)):
            happenings += self._event(reply)
        elif isinstance(reply, Error) and reply.code == "no_subscription":
            if self._subscription and reply.rid == self._subscription.rid:
                self._subscribe_again()
        elif pending := self._pending.get(reply.rid):
            happenings += pending.handle(reply)
        return happenings

    def tick(self) -> list[Happening]:
        """Send heartbeats, send unanswered requests again, notice a silent server."""
        now = self._clock()
        if now - self._pinged >= HEARTBEAT_SECONDS:
            self._pinged = now
            self._post(Ping())
            if self._subscription:
                self._post(Credit(rid=self._subscription.rid, count=self._unread))
                self._unread = 0
        for pending in self._pending.values():
            if now - pending.sent >= RETRY_SECONDS:
                pending.sent = now
                self._post(pending.request)
        if self.up and now - self._heard > LOST_SECONDS:
            self.up = False
            return [Link(False, f"no answer for {LOST_SECONDS:.0f} s")]
        return []

    # what an application calls

    def request(self, request: Message) -> int:
        """Send any request; its answer comes as Answered with this rid."""
        return self._ask(request)

    def submit(
        self,
        job: str,
        job_kind: str,
        params: dict[str, Any] | None = None,
        inputs: dict[str, FileSource] | None = None,
        priority: int = 0,
    ) -> int:
        """Submit a job, sending first whichever inputs the server lacks. Answered with JobReply or Error."""
        inputs = inputs or {}
        digests = {name: source.sha256 for name, source in inputs.items()}
        request = Submit(job=job, job_kind=job_kind, params=params or {}, inputs=digests, priority=priority)
        sources = {source.sha256: source for source in inputs.values()}
        rounds = 0

        def handle(reply: Message) -> list[Happening]:
            nonlocal rounds
            if not isinstance(reply, Missing):
                return self._answer(reply)
            rounds += 1
            del self._pending[reply.rid]
            unknown = [sha for sha in reply.need if sha not in sources]
            if unknown or rounds > 3:
                text = f"the server lacks {', '.join(unknown or reply.need)} and it could not be sent"
                return [Answered(reply.rid, request, Error(rid=reply.rid, code="unknown_blob", text=text))]
            waiting = set(reply.need)
            rid = reply.rid

            def after(sha256: str, error: Error | None) -> list[Happening]:
                if error and waiting:
                    waiting.clear()
                    return [Answered(rid, request, dataclasses.replace(error, rid=rid))]
                if waiting == {sha256}:
                    self._ask(request, handle, rid)
                waiting.discard(sha256)
                return []

            for sha in reply.need:
                self._upload(_Upload(sources[sha], rid, functools.partial(after, sha)))
            return []

        return self._ask(request, handle)

    def fetch(self, sha256: str, size: int, dest: str | os.PathLike) -> int:
        """Bring a blob into the file ``dest``: Fetched, or Answered with an Error. An interrupted fetch goes on."""
        dest = Path(dest)
        dest.parent.mkdir(parents=True, exist_ok=True)
        if not self.local:
            return self._pull(sha256, size, dest, self._take_rid())

        def handle(reply: Message) -> list[Happening]:
            if isinstance(reply, Located):
                try:
                    link_or_copy(reply.path, dest)
                except (
                    FileNotFoundError
                ):  # gone since then, as a part of a growing scene may be: the server will say so
                    pass
                except OSError:  # a disk that this process cannot reach after all: take the bytes instead
                    self._proof = b""
                else:
                    self._pending.pop(reply.rid)
                    return [Fetched(reply.rid, sha256, dest)]
            elif not (isinstance(reply, Error) and reply.code == "not_local"):
                return self._answer(reply)
            request = self._pending.pop(reply.rid).request
            try:
                self._pull(sha256, size, dest, reply.rid)
            except OSError as error:
                text = f"{dest} cannot be written: {error}"
                return [Answered(reply.rid, request, Error(rid=reply.rid, code="disk", text=text))]
            return []

        return self._ask(Locate(sha256=sha256, proof=self._proof), handle)

    def subscribe(self, jobs: list[str] | None = None, log: bool = False, growing: bool = False) -> int:
        """Ask for events of these jobs (none named: of all); Told(Subscribed) comes first.

        ``log``: also what they print; ``growing``: also the scenes that they train.
        """

        def handle(reply: Message) -> list[Happening]:
            if not isinstance(reply, Subscribed):
                return self._answer(reply)
            del self._pending[reply.rid]
            return [Told(reply)]

        if self._subscription:
            self._pending.pop(self._subscription.rid, None)
        rid = self._take_rid()
        self._subscription = Subscribe(rid=rid, jobs=list(jobs or []), log=log, growing=growing)
        self._unread = 0
        return self._ask(self._subscription, handle, rid)

    # inside

    def _take_rid(self) -> int:
        self._next_rid += 1
        return self._next_rid - 1

    def _post(self, item: Message) -> None:
        self._queue.append((item.channel, encode(item)))

    def _ask(self, request: Message, handle: Callable[[Message], list[Happening]] | None = None, rid: int = 0) -> int:
        request = dataclasses.replace(request, rid=rid or self._take_rid())
        self._post(request)
        self._pending[request.rid] = _Pending(request, self._clock(), handle or self._answer)
        return request.rid

    def _answer(self, reply: Message) -> list[Happening]:
        return [Answered(reply.rid, self._pending.pop(reply.rid).request, reply)]

    def _meet(self, epoch: str) -> None:
        """A server that was started anew knows nothing of us: subscribe and ask again."""
        if self.epoch and epoch != self.epoch:
            self._proof = self.connection.proof() if self._may_prove else b""
            for pending in self._pending.values():
                pending.sent = -math.inf
            if self._subscription and self._subscription.rid not in self._pending:
                self._subscribe_again()
        self.epoch = epoch

    def _subscribe_again(self) -> None:
        assert self._subscription is not None
        self.subscribe(self._subscription.jobs, self._subscription.log, self._subscription.growing)

    def _event(self, event: Message) -> list[Happening]:
        if not self._subscription or event.rid != self._subscription.rid:
            return []
        self._unread += 1
        if self._unread >= EVENT_CREDIT // 4:
            self._post(Credit(rid=event.rid, count=self._unread))
            self._unread = 0
        return [Told(event)]

    def _upload(self, upload: _Upload) -> None:
        source = upload.source
        if self.local:
            try:
                link_or_copy(source.path, Path(self.connection.inbox) / source.sha256, COPY_BELOW)
            except OSError:  # the inbox's disk is full or not ours to write: send the bytes
                pass
            else:
                request = Adopt(sha256=source.sha256, size=source.size, proof=self._proof)
                self._ask(request, lambda reply: self._adopted(upload, reply))
                return
        self._ask(Put(sha256=source.sha256, size=source.size), lambda reply: self._granted(upload, reply))

    def _adopted(self, upload: _Upload, reply: Message) -> list[Happening]:
        del self._pending[reply.rid]
        if isinstance(reply, Stored):
            return upload.after(None)
        if isinstance(reply, Error) and reply.code == "not_local":
            self._proof = b""
            self._upload(upload)
            return []
        return upload.after(reply if isinstance(reply, Error) else None)

    def _granted(self, upload: _Upload, reply: Message) -> list[Happening]:
        source = upload.source
        if isinstance(reply, Granted):
            self._pending[reply.rid].sent = self._clock()
            if reply.restart:
                upload.sent, upload.restarting = reply.offset, False
            upload.sent = max(upload.sent, reply.offset)
            try:
                while upload.sent < min(source.size, reply.offset + reply.credit * CHUNK):
                    with open(source.path, "rb", buffering=0) as file:
                        file.seek(upload.sent)
                        count = file.readinto(self._block)
                    if not count:
                        raise OSError("it became shorter")
                    # a view will do: the frame is made at once, and to allocate a new megabyte each time is slow
                    data: Any = memoryview(self._block)[:count]
                    self._post(
                        Chunk(rid=reply.rid, sha256=source.sha256, offset=upload.sent, size=source.size, data=data)
                    )
                    upload.sent += count
            except OSError as error:
                del self._pending[reply.rid]
                return upload.after(Error(code="digest", text=f"{source.path} changed while it was sent: {error}"))
            return [Moved(upload.owner, source.sha256, reply.offset, source.size)]
        if isinstance(reply, Error) and reply.code == "no_upload":  # the server was started anew in between
            if not upload.restarting:  # every chunk under way is answered so
                upload.restarting = True
                self._post(self._pending[reply.rid].request)
            return []
        del self._pending[reply.rid]
        return upload.after(reply if isinstance(reply, Error) else None)

    def _pull(self, sha256: str, size: int, dest: Path, owner: int) -> int:
        part = dest.with_name(f"{dest.name}.{sha256[:8]}.part")
        download = _Download(sha256, size, dest, part, hashlib.sha256())
        with part.open("ab+") as file:  # what an earlier fetch brought
            if file.tell() > size:
                file.truncate(0)
            file.seek(0)
            while block := file.read(CHUNK):
                download.digest.update(block)
                download.done += len(block)
        download.asked = download.done
        self._pull_more(download, owner, first=True)
        return owner

    def _pull_more(self, download: _Download, owner: int, first: bool = False) -> None:
        while first or download.asked < min(download.size, download.done + WINDOW * CHUNK):
            request = Get(sha256=download.sha256, offset=min(download.asked, download.size))
            self._ask(request, lambda reply: self._pulled(download, owner, reply))
            download.asked += CHUNK
            first = False

    def _pulled(self, download: _Download, owner: int, reply: Message) -> list[Happening]:
        pending = self._pending[reply.rid]
        if isinstance(reply, Chunk) and reply.offset != download.done and reply.offset <= download.size:
            return []  # came before one that was lost; both are asked for again
        del self._pending[reply.rid]
        if not isinstance(reply, Chunk):
            return [Answered(owner, pending.request, dataclasses.replace(reply, rid=owner))]
        try:
            return self._keep(download, owner, pending.request, reply)
        except OSError as error:
            text = f"{download.dest} cannot be written: {error}"
            return [Answered(owner, pending.request, Error(rid=owner, code="disk", text=text))]

    def _keep(self, download: _Download, owner: int, request: Message, reply: Chunk) -> list[Happening]:
        with download.part.open("ab") as file:
            file.write(reply.data)
        download.digest.update(reply.data)
        download.done += len(reply.data)
        if download.done < reply.size:
            download.size = reply.size
            self._pull_more(download, owner)
            return [Moved(owner, download.sha256, download.done, download.size)]
        if download.digest.hexdigest() != download.sha256:
            download.part.unlink()
            error = Error(rid=owner, code="digest", text=f"{download.dest} arrived damaged: fetch it again")
            return [Answered(owner, request, error)]
        os.replace(download.part, download.dest)
        return [Fetched(owner, download.sha256, download.dest)]
