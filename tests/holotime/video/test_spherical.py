"""Spherical metadata, read back by a parser written from the specifications and by FFmpeg."""

import json
import shutil
import struct
import subprocess
import xml.etree.ElementTree as ET

import av
import numpy as np
import pytest

from holotime.clip import read_clip, write_frames
from holotime.errors import InputError
from holotime.video import Sphere, add_spherical
from holotime.video.mp4 import move_chunks


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


@pytest.mark.parametrize("faststart", [True, False], ids=["moov first", "moov last"])
@pytest.mark.parametrize("audio", [False, True], ids=["silent", "sound"])
@pytest.mark.parametrize(
    ("sphere", "mode", "bounds", "tags"),
    [
        (Sphere(), 0, (0, 0), {}),
        (Sphere("equirect", "top_bottom"), 1, (0, 0), {"StereoMode": "top-bottom"}),
        (
            Sphere("half_equirect", "left_right"),
            2,
            (0x40000000, 0x40000000),  # a quarter in 0.32 fixed point
            {
                "StereoMode": "left-right",
                "CroppedAreaImageWidthPixels": "64",
                "CroppedAreaImageHeightPixels": "64",
                "FullPanoWidthPixels": "128",
                "FullPanoHeightPixels": "64",
                "CroppedAreaLeftPixels": "32",
                "CroppedAreaTopPixels": "0",
            },
        ),
    ],
    ids=["mono", "top bottom", "vr180"],
)
def test_boxes_say_what_the_specification_asks(
    tmp_path, parse, entry_path, sphere, mode, bounds, tags, faststart, audio
):
    path = noise_video(tmp_path / "a.mp4", faststart=faststart, audio=audio)
    before, frames = parse(path.read_bytes()), read_clip(path).frames
    assert add_spherical(path, sphere) == path
    boxes = parse(path.read_bytes())
    entry = entry_path()
    (st3d,) = boxes[(*entry, b"st3d")]
    assert st3d == bytes(4) + bytes([mode])
    (svhd,) = boxes[(*entry, b"sv3d", b"svhd")]
    assert svhd[:4] == bytes(4)
    assert svhd[-1] == 0
    assert svhd[4:-1].decode()
    (prhd,) = boxes[(*entry, b"sv3d", b"proj", b"prhd")]
    assert struct.unpack(">Iiii", prhd) == (0, 0, 0, 0)
    (equi,) = boxes[(*entry, b"sv3d", b"proj", b"equi")]
    assert struct.unpack(">IIIII", equi) == (0, 0, 0, *bounds)
    order = [k[-1] for k in boxes if k[:-1] == entry]
    assert order.index(b"avcC") < order.index(b"st3d") < order.index(b"sv3d")
    assert order.index(b"sv3d") < min((order.index(k) for k in (b"pasp", b"colr", b"clap") if k in order), default=99)
    (uuid,) = boxes[(b"moov", b"trak", b"uuid")]
    assert uuid[:16].hex() == "ffcc8263f8554a938814587a02521fdd"
    found = {e.tag.split("}")[1]: e.text for e in ET.fromstring(uuid[16:])}
    assert found.pop("Spherical") == found.pop("Stitched") == "true"
    assert found.pop("ProjectionType") == "equirectangular"
    assert found.pop("StitchingSoftware")
    assert found == tags
    kinds = [k[0] for k in boxes if len(k) == 1]
    assert kinds.index(b"moov") < kinds.index(b"mdat")  # fast start
    assert boxes[(b"mdat",)] == before[(b"mdat",)]
    assert np.array_equal(read_clip(path).frames, frames)
    assert [f.name for f in tmp_path.iterdir()] == ["a.mp4"]


def test_a_cube_map_has_its_own_box_and_no_v1(tmp_path, parse, entry_path):
    path = add_spherical(noise_video(tmp_path / "a.mp4"), Sphere("cubemap"))
    boxes = parse(path.read_bytes())
    (cbmp,) = boxes[(*entry_path(), b"sv3d", b"proj", b"cbmp")]
    assert struct.unpack(">III", cbmp) == (0, 0, 0)
    assert (b"moov", b"trak", b"uuid") not in boxes


@pytest.mark.parametrize(
    ("sphere", "name"),
    [
        (Sphere(), "_360"),
        (Sphere(stereo="top_bottom"), "_360_TB"),
        (Sphere("half_equirect", "left_right"), "_180x180_3dh"),
        (Sphere("half_equirect"), "_180x180"),
    ],
)
def test_names_that_players_know(sphere, name):
    assert sphere.name_suffix == name


def chunk_bytes(path, parse, count=8):
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
def test_chunk_offsets_still_point_at_their_chunks(tmp_path, parse, faststart):
    path = noise_video(tmp_path / "a.mp4", 30, faststart=faststart, audio=True)
    before = chunk_bytes(path, parse)
    assert len(before) > 2
    add_spherical(path, Sphere())
    assert chunk_bytes(path, parse) == before


def test_offsets_turn_64_bit_when_they_must(parse):
    def moved(by, behind):
        table = bytes(4) + struct.pack(">III", 2, 1000, (1 << 32) - 10)
        return parse(move_chunks(struct.pack(">I4s", 8 + len(table), b"stco") + table, [(behind, 1 << 60, by)]))

    ((kind, (body,)),) = moved(300, 1000).items()
    assert kind == (b"co64",)
    assert struct.unpack(">IIQQ", body) == (0, 2, 1300, (1 << 32) + 290)
    ((kind, (body,)),) = moved(5, 2000).items()
    assert kind == (b"stco",)
    assert struct.unpack(">IIII", body) == (0, 2, 1000, (1 << 32) - 5)


@pytest.mark.parametrize(
    ("sphere", "box", "payload"),
    [
        (Sphere(stereo="top_bottom"), b"equi", (0, 0, 0, 0, 0)),
        (Sphere("half_equirect", "left_right"), b"equi", (0, 0, 0, 0x40000000, 0x40000000)),
        (Sphere("cubemap"), b"cbmp", (0, 0, 0)),
    ],
)
def test_ffmpeg_agrees(tmp_path, parse, entry_path, sphere, box, payload):
    """A remux keeps V2 metadata only if FFmpeg understood it: it parses ours and writes its own st3d and sv3d."""
    path = noise_video(tmp_path / "a.mp4")
    add_spherical(path, sphere)
    with av.open(str(path)) as source, av.open(str(tmp_path / "b.mp4"), "w", options={"strict": "unofficial"}) as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    boxes = parse((tmp_path / "b.mp4").read_bytes())
    mode = {"mono": 0, "top_bottom": 1, "left_right": 2}[sphere.stereo]
    assert boxes[(*entry_path(), b"st3d")] == [bytes(4) + bytes([mode])]
    (projection,) = boxes[(*entry_path(), b"sv3d", b"proj", box)]
    assert struct.unpack(f">{len(payload)}I", projection) == payload


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not on the path")
@pytest.mark.parametrize(
    ("sphere", "projection", "stereo"),
    [
        (Sphere(), "equirectangular", "2D"),
        (Sphere(stereo="top_bottom"), "equirectangular", "top and bottom"),
        (Sphere("half_equirect", "left_right"), "tiled equirectangular", "side by side"),
        (Sphere("cubemap"), "cubemap", "2D"),
    ],
)
def test_ffprobe_agrees(tmp_path, sphere, projection, stereo):
    path = add_spherical(noise_video(tmp_path / "a.mp4"), sphere)
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_streams", "-of", "json", str(path)]
    shown = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    side = {d["side_data_type"]: d for d in shown["streams"][0]["side_data_list"]}
    assert side["Spherical Mapping"]["projection"] == projection
    assert side["Stereo 3D"]["type"] == stereo


def test_twice_is_once(tmp_path, parse, entry_path):
    path = noise_video(tmp_path / "a.mp4")
    add_spherical(path, Sphere())
    add_spherical(path, Sphere(stereo="top_bottom"))
    twice = path.read_bytes()
    add_spherical(path, Sphere(stereo="top_bottom"))
    assert path.read_bytes() == twice
    assert len(parse(twice)[(*entry_path(), b"st3d")]) == 1
    assert len(parse(twice)[(b"moov", b"trak", b"uuid")]) == 1


def test_output_leaves_the_source_alone(tmp_path, parse, entry_path):
    path = noise_video(tmp_path / "a.mp4")
    data = path.read_bytes()
    assert add_spherical(path, Sphere(), output=tmp_path / "b.mp4") == tmp_path / "b.mp4"
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
            add_spherical(path, Sphere())
        assert path.read_bytes() == data
    with pytest.raises(InputError, match="does not exist"):
        add_spherical(tmp_path / "no.mp4", Sphere())
    with pytest.raises(InputError, match="stereo layout"):
        Sphere(stereo="sideways")
    with pytest.raises(InputError, match="shape"):
        Sphere("pyramid")
    assert not list(tmp_path.glob(".*"))


def test_our_own_writer_can_be_tagged(tmp_path):
    frames = [np.full((64, 64, 3), 30 * k, np.uint8) for k in range(4)]
    path = add_spherical(write_frames(tmp_path / "v.mp4", frames, 12.0), Sphere(stereo="top_bottom"))
    assert len(read_clip(path)) == 4
