"""Frames and messages: everything valid survives a round trip, everything else is refused without harm."""

import dataclasses
import math
import re
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sidecar.orders
from holotime.jobs import JOBS
from sidecar import protocol
from sidecar.protocol import AtMost, ProtocolError, Span, Text, decode, encode, scan

assert sidecar.orders  # registers its messages


def values_of(hint: Any) -> st.SearchStrategy:
    """Values that a type hint of the protocol allows."""
    limits: tuple = ()
    if typing.get_origin(hint) is Annotated:
        hint, *rest = typing.get_args(hint)
        limits = tuple(rest)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    limit = limits[0] if limits else None
    if origin in (types.UnionType, typing.Union):
        return st.none() | values_of(next(a for a in arguments if a is not type(None)))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return messages_of(hint)
    if origin is list:
        return st.lists(values_of(arguments[0]), max_size=min(4, limit.count if limit else 4))
    if origin is dict:
        return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=3)
    if hint is Any:
        leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=8)
        leaves |= st.floats(allow_nan=False, allow_infinity=False)
        return st.recursive(leaves, _containers, max_leaves=6)
    if hint is str:
        text = limit if isinstance(limit, Text) else Text(200)
        if text.pattern == Text(1).pattern:
            return st.text(max_size=min(text.longest, 20))
        return st.from_regex(text.pattern, fullmatch=True).filter(lambda value: len(value) <= text.longest)
    if hint is bytes:
        assert isinstance(limit, AtMost)
        return st.binary(max_size=min(limit.count, 40))
    if hint is bool:
        return st.booleans()
    span = limit if isinstance(limit, Span) else Span(-(2**63), 2**63 - 1)
    if hint is int:
        return st.integers(int(span.low), int(span.high))
    return st.floats(span.low, span.high, allow_nan=False, allow_infinity=False)


def _containers(inner: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)


def messages_of(cls: type) -> st.SearchStrategy:
    hints = typing.get_type_hints(cls, include_extras=True)
    return st.builds(cls, **{f.name: values_of(hints[f.name]) for f in dataclasses.fields(cls)})


def refusal_of(call: Callable[[], object]) -> ProtocolError | None:
    try:
        call()
    except ProtocolError as error:
        return error
    return None


any_message = st.one_of([messages_of(cls) for cls in protocol.KINDS.values()])


@pytest.mark.parametrize("cls", protocol.KINDS.values(), ids=lambda cls: cls.kind)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_every_message_survives_a_round_trip(cls: type, data: st.DataObject) -> None:
    item = data.draw(messages_of(cls))
    assert decode(encode(item)) == item
    if item.channel:
        assert decode(encode(item), sender="client") == item
    else:
        with pytest.raises(ProtocolError, match="not known"):
            decode(encode(item), sender="client")


def test_every_message_says_what_it_is() -> None:
    for kind, cls in protocol.KINDS.items():
        assert cls.kind == kind
        assert cls.__doc__
        assert not cls.__doc__.startswith(cls.__name__ + "(")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(frame)


@settings(max_examples=200, deadline=None)
@given(any_message, st.data())
def test_a_mutated_frame_is_a_message_or_refused(item: protocol.Message, data: st.DataObject) -> None:
    frame = bytearray(encode(item))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(frame) - 1))
        how = data.draw(st.sampled_from(["flip", "cut", "repeat", "head"]))
        if how == "flip":
            frame[place] ^= 1 << data.draw(st.integers(0, 7))
        elif how == "cut":
            del frame[place : place + 3]
        elif how == "repeat":
            frame[place:place] = frame[place : place + 5]
        else:
            frame[place] = data.draw(st.sampled_from([0xC1, 0xC7, 0xC9, 0xDD, 0xDF, 0xDB, 0xC6, 0xD9, 0x9F, 0x8F]))
        if not frame:
            return
    refusal = refusal_of(lambda: encode(decode(bytes(frame), sender="client")))
    if refusal:
        assert refusal.code in ("malformed", "version", "unknown_kind")
        assert 0 <= refusal.rid < 2**63


scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats()
json_like = st.recursive(
    scalars | st.text(max_size=40) | st.binary(max_size=300),
    lambda s: st.lists(s, max_size=20) | st.dictionaries(st.text(max_size=5), s, max_size=20),
    max_leaves=40,
)


@settings(max_examples=300, deadline=None)
@given(json_like)
def test_the_scan_reads_msgpack_as_msgpack_does(value: Any) -> None:
    frame = msgpack.packb(value)
    refusal = refusal_of(lambda: scan(frame))
    assert refusal is None or "deeper" in str(refusal)
    with pytest.raises(ProtocolError):
        scan(frame + b"\xc0")
    if len(frame) > 1:
        with pytest.raises(ProtocolError):
            scan(frame[:-1])


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xdd\xff\xff\xff\xff",  # a list of 2**32 - 1
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\x7f\xff\xff\xff",
        b"\xdc\x00",  # a length that is cut off
        b"\x91" * 40 + b"\xc0",  # deep
        b"\xdc\xea\x60" + b"\xc0" * 60000,  # many
        b"\xc7\x01\x05x",  # an extension
        b"\xd6\xff\x00\x00\x00\x00",  # a time stamp
        b"\xc1",
        bytes(protocol.MAX_FRAME + 1),
    ],
)
def test_a_frame_beyond_the_limits_is_refused_before_it_is_built(frame: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        scan(frame)
    assert caught.value.code == "malformed"


def packed(**fields: Any) -> bytes:
    return msgpack.packb({"v": 1, "rid": 7, **fields})


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"kind": "ping", "v": 99}, "version"),
        ({"kind": "ping", "v": True}, "version"),
        ({"kind": "ping", "v": None}, "version"),
        ({"kind": "open_a_shell"}, "unknown_kind"),
        ({"kind": 5}, "unknown_kind"),
        ({}, "unknown_kind"),
        ({"kind": "cancel"}, "malformed"),
        ({"kind": "cancel", "job": "../../etc"}, "malformed"),
        ({"kind": "cancel", "job": "a" * 65}, "malformed"),
        ({"kind": "cancel", "job": "abcdefgh\n"}, "malformed"),
        ({"kind": "get", "sha256": "A" * 64}, "malformed"),
        ({"kind": "get", "sha256": "a" * 64, "offset": -1}, "malformed"),
        ({"kind": "get", "sha256": "a" * 64, "offset": 1.5}, "malformed"),
        ({"kind": "get", "sha256": "a" * 64, "offset": True}, "malformed"),
        ({"kind": "submit", "job": "abcdefgh", "job_kind": "x", "params": {"a": math.nan}}, "malformed"),
        ({"kind": "submit", "job": "abcdefgh", "job_kind": "x", "params": {"a": b"bytes"}}, "malformed"),
        ({"kind": "submit", "job": "abcdefgh", "job_kind": "x", "params": []}, "malformed"),
        ({"kind": "submit", "job": "abcdefgh", "job_kind": "x", "inputs": {"../x": "a" * 64}}, "malformed"),
        ({"kind": "ping", "rid": -1}, "malformed"),
    ],
)
def test_a_wrong_field_is_refused_with_a_reason(fields: dict, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(packed(**fields), sender="client")
    assert caught.value.code == code
    assert caught.value.rid == (0 if fields.get("rid") == -1 else 7)


def test_unknown_fields_are_ignored() -> None:
    assert decode(packed(kind="ping", later={"a": [1]})) == protocol.Ping(rid=7)


def test_what_an_older_client_or_server_says_is_understood() -> None:
    job = {"job": "abcdefgh1", "job_kind": "generate", "status": "running"}
    assert decode(packed(kind="subscribe", jobs=[], credit=5)).log is False
    assert decode(packed(kind="job_info", info=job)).info.memory == "auto"
    status = {"epoch": "e", "pid": 1, "uptime": 1.0, "paused": False, "worker": "idle", "running": [], "counts": {}}
    assert decode(packed(kind="server_status", **status, blob_bytes=0, quota_bytes=0)).workers == []


def test_the_document_names_every_message_and_every_kind_of_job() -> None:
    text = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    internal = ("worker_", "server_status", "metrics_reply", "job_list", "pruned", "ok")
    for kind in protocol.KINDS:
        assert kind.startswith(internal) or re.search(rf"\b{kind}\b", text), kind
    assert set(protocol.JOB_KINDS) == set(JOBS)
    for kind in JOBS:
        assert f"`{kind}`" in text, kind


def test_a_sender_checks_itself() -> None:
    with pytest.raises(ProtocolError):
        encode(protocol.Cancel(job="no"))
    with pytest.raises(ProtocolError):
        encode(protocol.Preview(job="abcdefgh", stage="x", jpeg=bytes(protocol.MAX_PREVIEW + 1)))
