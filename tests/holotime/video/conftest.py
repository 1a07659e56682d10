"""Moving pictures to encode, and a reader of boxes that follows ISO/IEC 14496-12, written without the library's."""

import av
import numpy as np
import pytest

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"sv3d", b"proj", b"edts"}


def pictures(indices, width=128, height=64):
    """Smooth colours that drift: frame i [H, W, 3] uint8 depends on i alone."""
    y, x = np.mgrid[:height, :width] * (2 * np.pi / np.array([height, width])[:, None, None])
    soft = np.stack([128 + 60 * np.sin(a * x + b * y + c) for a, b, c in ((1, 1, 0), (2, 1, 1), (1, 2, 2))], -1)
    for i in indices:
        yield np.roll(soft, (2 * i, 3 * i), (0, 1)).astype(np.uint8)


def parse(data: bytes, path=()) -> dict:
    """{path of types: [payloads]} of an ISO base media file (32-bit size, type; size 1: 64 bit)."""
    found, at = {}, 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind, start = data[at + 4 : at + 8], at + 8
        if size == 1:
            size, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        assert size >= start - at
        assert at + size <= len(data), f"{kind} leaves its parent"
        payload, here = data[start : at + size], (*path, kind)
        found.setdefault(here, []).append(payload)
        inner = None
        if kind in CONTAINERS:
            inner = payload
        elif kind == b"stsd":
            inner = payload[8:]
        elif kind in (b"avc1", b"hvc1", b"hev1", b"av01", b"apch"):
            inner = payload[78:]
        if inner is not None:
            for key, values in parse(inner, here).items():
                found.setdefault(key, []).extend(values)
        at += size
    return found


def entry_path(codec=b"avc1"):
    return (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", codec)


@pytest.fixture(name="pictures")
def _pictures():
    return pictures


@pytest.fixture(name="parse")
def _parse():
    return parse


@pytest.fixture(name="entry_path")
def _entry_path():
    return entry_path


@pytest.fixture(name="decode")
def _decode():
    def decode(path):
        """(seconds, picture [H, W, 3] uint8) of every frame."""
        with av.open(str(path)) as container:
            return [
                (float(f.pts * f.time_base), f.reformat(format="yuv444p").to_ndarray(format="rgb24"))
                for f in container.decode(video=0)
            ]

    return decode
