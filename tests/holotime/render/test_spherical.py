"""Spherical metadata, read back by a parser written from the specifications and by FFmpeg."""

import struct
import xml.etree.ElementTree as ET

import av
import numpy as np
import pytest

from holotime.clip import read_clip, write_frames
from holotime.errors import InputError
from holotime.render import add_spherical
from holotime.render.spherical import _move_table

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"sv3d", b"proj"}


def parse(data, path=()):
    """{path of types: [payload, ...]} of an ISO base media file (14496-12: 32-bit size, type; size 1: 64 bit)."""
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
        elif kind in (b"avc1", b"hvc1", b"hev1", b"av01"):
            inner = payload[78:]
        if inner is not None:
            for key, values in parse(inner, here).items():
                found.setdefault(key, []).extend(values)
        at += size
    return found


def noise_video(path, frames=5, *, codec="libx264", faststart=True, audio=False):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (64, 128, 3), dtype=np.uint8) for _ in range(frames)]
    with av.open(str(path), "w", options={"movflags": "+faststart"} if faststart else {}) as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        sound = container.add_stream("aac", rate=44100) if audio else None
        if sound is not None:
            samples = av.AudioFrame.from_ndarray(np.zeros((2, 44100), np.float32), format="fltp", layout="stereo")
            samples.sample_rate = 44100
            container.mux([*sound.encode(samples), *sound.encode()])
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def entry_path(codec=b"avc1"):
    return (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", codec)


@pytest.mark.parametrize("faststart", [True, False], ids=["moov first", "moov last"])
@pytest.mark.parametrize("stereo", ["mono", "top_bottom"])
@pytest.mark.parametrize("audio", [False, True], ids=["silent", "sound"])
def test_boxes_say_what_the_specification_asks(tmp_path, stereo, faststart, audio):
    path = noise_video(tmp_path / "a.mp4", faststart=faststart, audio=audio)
    before, frames = parse(path.read_bytes()), read_clip(path).frames
    assert add_spherical(path, stereo=stereo) == path
    boxes = parse(path.read_bytes())
    entry = entry_path()
    (st3d,) = boxes[(*entry, b"st3d")]
    assert st3d == bytes(4) + bytes([{"mono": 0, "top_bottom": 1}[stereo]])
    (svhd,) = boxes[(*entry, b"sv3d", b"svhd")]
    assert svhd[:4] == bytes(4)
    assert svhd[-1] == 0
    assert svhd[4:-1].decode()
    (prhd,) = boxes[(*entry, b"sv3d", b"proj", b"prhd")]
    assert struct.unpack(">Iiii", prhd) == (0, 0, 0, 0)
    (equi,) = boxes[(*entry, b"sv3d", b"proj", b"equi")]
    assert struct.unpack(">IIIII", equi) == (0, 0, 0, 0, 0)
    order = [k[-1] for k in boxes if k[:-1] == entry]
    assert order.index(b"avcC") < order.index(b"st3d") < order.index(b"sv3d")
    assert order.index(b"sv3d") < min((order.index(k) for k in (b"pasp", b"colr", b"clap") if k in order), default=99)
    (uuid,) = boxes[(b"moov", b"trak", b"uuid")]
    assert uuid[:16].hex() == "ffcc8263f8554a938814587a02521fdd"
    tags = {e.tag.split("}")[1]: e.text for e in ET.fromstring(uuid[16:])}
    assert tags["Spherical"] == tags["Stitched"] == "true"
    assert tags["ProjectionType"] == "equirectangular"
    assert tags.get("StereoMode") == ("top-bottom" if stereo == "top_bottom" else None)
    assert boxes[(b"mdat",)] == before[(b"mdat",)]
    assert np.array_equal(read_clip(path).frames, frames)
    assert [f.name for f in tmp_path.iterdir()] == ["a.mp4"]


def chunk_bytes(path, count=8):
    """The first bytes of every chunk, found through the chunk offset tables."""
    data = path.read_bytes()
    boxes = parse(data)
    table = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
    offsets = [
        o
        for kind, code, size in ((b"stco", "I", 4), (b"co64", "Q", 8))
        for payload in boxes.get((*table, kind), [])
        for o in struct.unpack(f">{int.from_bytes(payload[4:8], 'big')}{code}", payload[8:])
    ]
    return [data[o : o + count] for o in offsets]


@pytest.mark.parametrize("faststart", [True, False])
def test_chunk_offsets_still_point_at_their_chunks(tmp_path, faststart):
    path = noise_video(tmp_path / "a.mp4", 30, faststart=faststart, audio=True)
    before = chunk_bytes(path)
    assert len(before) > 2
    add_spherical(path, stereo="mono")
    assert chunk_bytes(path) == before


def test_offsets_turn_64_bit_when_they_must():
    def moved(by, behind):
        table = bytes(4) + struct.pack(">III", 2, 1000, (1 << 32) - 10)
        return parse(_move_table(struct.pack(">I4s", 8 + len(table), b"stco") + table, by, behind))

    ((kind, (body,)),) = moved(300, 1000).items()
    assert kind == (b"co64",)
    assert struct.unpack(">IIQQ", body) == (0, 2, 1300, (1 << 32) + 290)
    ((kind, (body,)),) = moved(5, 2000).items()
    assert kind == (b"stco",)
    assert struct.unpack(">IIII", body) == (0, 2, 1000, (1 << 32) - 5)


def test_ffmpeg_agrees(tmp_path):
    """A remux keeps V2 metadata only if FFmpeg understood it: it parses ours and writes its own st3d and sv3d."""
    path = noise_video(tmp_path / "a.mp4")
    add_spherical(path, stereo="top_bottom")
    with av.open(str(path)) as source, av.open(str(tmp_path / "b.mp4"), "w", options={"strict": "unofficial"}) as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    boxes = parse((tmp_path / "b.mp4").read_bytes())
    assert boxes[(*entry_path(), b"st3d")] == [bytes(4) + b"\x01"]
    assert struct.unpack(">IIIII", boxes[(*entry_path(), b"sv3d", b"proj", b"equi")][0]) == (0, 0, 0, 0, 0)


def test_twice_is_once(tmp_path):
    path = noise_video(tmp_path / "a.mp4")
    add_spherical(path, stereo="mono")
    add_spherical(path, stereo="top_bottom")
    twice = path.read_bytes()
    add_spherical(path, stereo="top_bottom")
    assert path.read_bytes() == twice
    assert len(parse(twice)[(*entry_path(), b"st3d")]) == 1
    assert len(parse(twice)[(b"moov", b"trak", b"uuid")]) == 1


def test_output_leaves_the_source_alone(tmp_path):
    path = noise_video(tmp_path / "a.mp4")
    data = path.read_bytes()
    assert add_spherical(path, stereo="mono", output=tmp_path / "b.mp4") == tmp_path / "b.mp4"
    assert path.read_bytes() == data
    assert (*entry_path(), b"sv3d") in parse((tmp_path / "b.mp4").read_bytes())


def test_bad_files_are_refused_and_left_alone(tmp_path):
    good = noise_video(tmp_path / "good.mp4").read_bytes()
    (tmp_path / "good.mp4").unlink()
    fragmented = tmp_path / "fragmented.mp4"
    with av.open(str(fragmented), "w", options={"movflags": "frag_keyframe+empty_moov"}) as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    for name, data in {
        "empty.mp4": b"",
        "text.mp4": b"this is not a video at all",
        "cut.mp4": good[: len(good) // 2],
        "fragmented.mp4": fragmented.read_bytes(),
    }.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(InputError, match=name):
            add_spherical(path, stereo="mono")
        assert path.read_bytes() == data
    with pytest.raises(InputError, match="does not exist"):
        add_spherical(tmp_path / "no.mp4", stereo="mono")
    with pytest.raises(InputError, match="stereo layout"):
        add_spherical(tmp_path / "cut.mp4", stereo="sideways")
    assert not list(tmp_path.glob(".*"))


def test_our_own_writer_can_be_tagged(tmp_path):
    frames = [np.full((64, 64, 3), 30 * k, np.uint8) for k in range(4)]
    path = add_spherical(write_frames(tmp_path / "v.mp4", frames, 12.0), stereo="top_bottom")
    assert len(read_clip(path)) == 4
