"""Boxes of ISO base media files (ISO/IEC 14496-12): taking them apart, and writing a file with another ``moov``."""

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from holotime.errors import InputError
from holotime.files import whole_file

Boxes = list[tuple[bytes, bytes]]  # (type, payload) of each
ENTRY_HEADER = 78  # bytes of a VisualSampleEntry before its boxes
COPY_BYTES = 1 << 20


def box(kind: bytes, payload: bytes) -> bytes:
    """One box."""
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def split(data: bytes) -> Boxes:
    """(type, payload) of the boxes in ``data``. Raises ValueError where they do not fit together."""
    boxes, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if size == 1:
            (size,), header = struct.unpack_from(">Q", data, at + 8), 16
        elif size == 0:
            size = len(data) - at
        if size < header or at + size > len(data):
            raise ValueError(f"a box of {size} bytes at {at} does not fit")
        boxes.append((kind, data[at + header : at + size]))
        at += size
    return boxes


def join(boxes: Boxes) -> bytes:
    """The inverse of :func:`split`."""
    return b"".join(box(kind, payload) for kind, payload in boxes)


def inside(payload: bytes, path: list[bytes], change: Callable[[bytes], bytes]) -> bytes:
    """``payload`` with ``change`` applied to every box at ``path`` below it."""
    return join(
        [
            (kind, (inside(body, path[1:], change) if path[1:] else change(body)) if kind == path[0] else body)
            for kind, body in split(payload)
        ]
    )


def is_video(trak: bytes) -> bool:
    """Whether the payload of a ``trak`` is a picture track."""
    media = dict(split(dict(split(trak))[b"mdia"]))
    return media[b"hdlr"][8:12] == b"vide"


Moves = list[tuple[int, int, int]]  # (first byte, end, how far it moves) of parts of a file


def move_chunks(table: bytes, moves: Moves) -> bytes:
    """An ``stbl`` payload whose chunk offsets follow their bytes (in 64 bits where they must)."""
    boxes = []
    for kind, body in split(table):
        if kind in (b"stco", b"co64"):
            (count,) = struct.unpack_from(">I", body, 4)
            old = struct.unpack_from(f">{count}{'I' if kind == b'stco' else 'Q'}", body, 8)
            new = [o + next((by for start, end, by in moves if start <= o < end), 0) for o in old]
            wide = kind == b"co64" or max(new, default=0) >= 1 << 32
            kind = b"co64" if wide else b"stco"
            body = body[:8] + struct.pack(f">{count}{'Q' if wide else 'I'}", *new)
        boxes.append((kind, body))
    return join(boxes)


def top_level(file: BinaryIO, length: int) -> list[tuple[bytes, int, int, int]]:
    """(type, start, header length, end) of the boxes of a file; nothing but the headers is read."""
    boxes, at = [], 0
    while at < length:
        file.seek(at)
        head = file.read(16)
        size, kind = struct.unpack_from(">I4s", head)
        header = 8
        if size == 1:
            (size,), header = struct.unpack_from(">Q", head, 8), 16
        elif size == 0:
            size = length - at
        if size < header or at + size > length:
            raise ValueError(f"a box of {size} bytes at {at} does not fit")
        boxes.append((kind, at, header, at + size))
        at += size
    return boxes


def _copy(source: BinaryIO, target: BinaryIO, start: int, end: int) -> None:
    source.seek(start)
    while start < end:
        block = source.read(min(COPY_BYTES, end - start))
        if not block:
            raise ValueError("it ends too early")
        target.write(block)
        start += len(block)


def rewrite(path: Path, output: Path, change: Callable[[bytes], bytes] | None = None) -> Path:
    """Write ``path`` to ``output`` with ``change`` applied to the payload of its ``moov``, and that before the media.

    A player that streams a file wants ``moov`` in front (fast start). The media is copied as it is, free space is left
    out. ``output`` (which may be ``path``) appears under its name only when it is complete and on the disk. InputError
    for a file that is not a plain MP4 or MOV with a picture track.
    """
    try:
        with whole_file(output) as temporary, path.open("rb") as source:
            boxes = top_level(source, path.stat().st_size)
            kinds = [b[0] for b in boxes]
            if b"moof" in kinds or kinds.count(b"moov") != 1:
                raise ValueError("it has no single moov box, or is fragmented")
            _, start, header, end = boxes[kinds.index(b"moov")]
            source.seek(start + header)
            moov = source.read(end - start - header)
            if not any(k == b"trak" and is_video(b) for k, b in split(moov)):
                raise ValueError("it has no picture track")
            changed = change(moov) if change is not None else moov
            front = [b for b in boxes if b[0] in (b"ftyp", b"wide")]
            media = [b for b in boxes if b[0] not in (b"ftyp", b"wide", b"moov", b"free")]
            final, at = changed, sum(e - s for _, s, _, e in front)
            for _ in range(3):  # a table that turns 64 bit grows once more
                moves, new = [], at + 8 + len(final)
                for _, s, _, e in media:
                    moves.append((s, e, new - s))
                    new += e - s
                move = partial(move_chunks, moves=moves)
                final = inside(changed, [b"trak", b"mdia", b"minf", b"stbl"], move)
            with temporary.open("wb") as target:
                for _, s, _, e in front:
                    _copy(source, target, s, e)
                target.write(box(b"moov", final))
                for _, s, _, e in media:
                    _copy(source, target, s, e)
    except (ValueError, KeyError, struct.error) as error:
        raise InputError(f"{path} is not a plain MP4 or MOV ({error}).") from error
    return output
