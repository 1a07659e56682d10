"""Telling players that an MP4 is a sphere: Spherical Video V2 boxes, and the older V1 XML for those that want it.

V2 (Google, "Spherical Video V2 RFC"): ``st3d`` and ``sv3d`` go into the video sample entry, after the codec's
configuration box and before optional ones such as ``pasp``. V1: an RDF document in a ``uuid`` box of the track.
Boxes grow, so the sizes of their parents change, and where ``moov`` stands before the media (fast start) the chunk
offsets move too.
"""

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

from holotime.errors import InputError

Stereo = Literal["mono", "top_bottom"]
STEREO_MODES: dict[str, int] = {"mono": 0, "top_bottom": 1}  # st3d.stereo_mode
CONFIGURATIONS = {b"avcC", b"hvcC", b"av1C", b"vpcC"}
VIDEO_ENTRIES = {b"avc1", b"avc3", b"hvc1", b"hev1", b"av01", b"vp09"}
ENTRY_HEADER = 78  # bytes of a VisualSampleEntry before its boxes (ISO/IEC 14496-12)
V1_UUID = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")
SOURCE = "HoloTime"


def box(kind: bytes, payload: bytes) -> bytes:
    """One ISO base media box."""
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def split(data: bytes) -> list[tuple[bytes, bytes]]:
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


def join(boxes: list[tuple[bytes, bytes]]) -> bytes:
    """The inverse of :func:`split`."""
    return b"".join(box(kind, payload) for kind, payload in boxes)


def v2_boxes(stereo: Stereo) -> list[tuple[bytes, bytes]]:
    """``st3d`` and ``sv3d`` of a full equirectangular sphere looking along its centre."""
    no_flags = bytes(4)  # version 0, flags 0
    pose = no_flags + struct.pack(">iii", 0, 0, 0)  # yaw, pitch, roll, 16.16 degrees
    bounds = no_flags + struct.pack(">IIII", 0, 0, 0, 0)  # top, bottom, left, right: nothing cut off
    projection = join([(b"prhd", pose), (b"equi", bounds)])
    header = no_flags + SOURCE.encode() + b"\0"
    return [
        (b"st3d", no_flags + bytes([STEREO_MODES[stereo]])),
        (b"sv3d", join([(b"svhd", header), (b"proj", projection)])),
    ]


def v1_box(stereo: Stereo) -> tuple[bytes, bytes]:
    """The ``uuid`` box with the RDF document of Spherical Video V1."""
    mode = "<GSpherical:StereoMode>top-bottom</GSpherical:StereoMode>" if stereo == "top_bottom" else ""
    xml = (
        '<?xml version="1.0"?><rdf:SphericalVideo xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        'xmlns:GSpherical="http://ns.google.com/videos/1.0/spherical/">'
        "<GSpherical:Spherical>true</GSpherical:Spherical><GSpherical:Stitched>true</GSpherical:Stitched>"
        f"<GSpherical:StitchingSoftware>{SOURCE}</GSpherical:StitchingSoftware>"
        f"<GSpherical:ProjectionType>equirectangular</GSpherical:ProjectionType>{mode}</rdf:SphericalVideo>"
    )
    return b"uuid", V1_UUID + xml.encode()


def _inside(payload: bytes, path: list[bytes], change: Callable[[bytes], bytes]) -> bytes:
    """``payload`` with ``change`` applied to every box at ``path`` below it."""
    return join(
        [
            (kind, (_inside(body, path[1:], change) if path[1:] else change(body)) if kind == path[0] else body)
            for kind, body in split(payload)
        ]
    )


def _tag_entries(payload: bytes, stereo: Stereo) -> bytes:
    """The ``stsd`` payload with the V2 boxes in every video sample entry."""
    entries = []
    for kind, body in split(payload[8:]):
        if kind in VIDEO_ENTRIES:
            children = [b for b in split(body[ENTRY_HEADER:]) if b[0] not in (b"st3d", b"sv3d")]
            after = max((i + 1 for i, b in enumerate(children) if b[0] in CONFIGURATIONS), default=0)
            children[after:after] = v2_boxes(stereo)
            body = body[:ENTRY_HEADER] + join(children)
        entries.append((kind, body))
    if not any(kind in VIDEO_ENTRIES for kind, _ in entries):
        raise ValueError("its pictures are not H.264, H.265, AV1 or VP9")
    return payload[:8] + join(entries)


def _is_video(trak: bytes) -> bool:
    media = dict(split(dict(split(trak))[b"mdia"]))
    return media[b"hdlr"][8:12] == b"vide"


def _tag_track(trak: bytes, stereo: Stereo) -> bytes:
    """The payload of a video ``trak`` with V2 boxes and the V1 document."""
    trak = _inside(trak, [b"mdia", b"minf", b"stbl", b"stsd"], lambda p: _tag_entries(p, stereo))
    boxes = [b for b in split(trak) if not (b[0] == b"uuid" and b[1][:16] == V1_UUID)]
    return join([*boxes, v1_box(stereo)])


def _move_table(table: bytes, by: int, behind: int) -> bytes:
    """An ``stbl`` payload whose chunk offsets beyond byte ``behind`` grow by ``by`` (64 bit where they must be)."""
    boxes = []
    for kind, body in split(table):
        if kind in (b"stco", b"co64"):
            (count,) = struct.unpack_from(">I", body, 4)
            old = struct.unpack_from(f">{count}{'I' if kind == b'stco' else 'Q'}", body, 8)
            new = [o + by if o >= behind else o for o in old]
            wide = kind == b"co64" or max(new, default=0) >= 1 << 32
            kind = b"co64" if wide else b"stco"
            body = body[:8] + struct.pack(f">{count}{'Q' if wide else 'I'}", *new)
        boxes.append((kind, body))
    return join(boxes)


def _top_level(file: BinaryIO, length: int) -> list[tuple[bytes, int, int, int]]:
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
        block = source.read(min(1 << 20, end - start))
        if not block:
            raise ValueError("it ends too early")
        target.write(block)
        start += len(block)


def add_spherical(path: Path | str, *, stereo: Stereo, output: Path | str | None = None) -> Path:
    """Write the spherical metadata of a full 360 degree picture into an MP4.

    ``stereo``: "mono", or "top_bottom" with the left eye on top. The result replaces ``path``, or becomes ``output``
    (``path`` then stays as it is); it appears under its name only when it is complete. Metadata of an earlier call is
    replaced. Raises InputError for a file that is not a plain MP4 with a video track.
    """
    path = Path(path)
    output = Path(output) if output is not None else path
    if stereo not in STEREO_MODES:
        raise InputError(f"Unknown stereo layout {stereo!r}. Use one of: {', '.join(STEREO_MODES)}.")
    if not path.is_file():
        raise InputError(f"{path} does not exist. Give an MP4.")
    temporary = output.with_name(f".{output.name}.part")
    try:
        with path.open("rb") as source:
            boxes = _top_level(source, path.stat().st_size)
            kinds = [b[0] for b in boxes]
            if b"moof" in kinds or kinds.count(b"moov") != 1:
                raise ValueError("it has no single moov box, or is fragmented")
            _, start, header, end = boxes[kinds.index(b"moov")]
            source.seek(start + header)
            moov = source.read(end - start - header)
            tracks = split(moov)
            if not any(k == b"trak" and _is_video(b) for k, b in tracks):
                raise ValueError("it has no picture track")
            tagged = join([(k, _tag_track(b, stereo) if k == b"trak" and _is_video(b) else b) for k, b in tracks])
            final = tagged
            for _ in range(3):  # a table that turns 64 bit grows once more
                by = 8 + len(final) - (end - start)
                move = partial(_move_table, by=by, behind=end)
                final = _inside(tagged, [b"trak", b"mdia", b"minf", b"stbl"], move)
            with temporary.open("wb") as target:
                _copy(source, target, 0, start)
                target.write(box(b"moov", final))
                _copy(source, target, end, path.stat().st_size)
        temporary.replace(output)
    except (ValueError, KeyError, struct.error) as error:
        raise InputError(f"{path} is not an MP4 that can be tagged as spherical ({error}).") from error
    finally:
        temporary.unlink(missing_ok=True)
    return output
