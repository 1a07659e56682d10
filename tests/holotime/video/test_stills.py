"""Stills and EXR: what other programs read from them."""

import struct
import xml.etree.ElementTree as ET
import zlib

import cv2
import numpy as np
import OpenEXR
import pytest

from holotime.errors import InputError
from holotime.video import exr, stills

GPANO = "{http://ns.google.com/photos/1.0/panorama/}"


def picture(channels=3):
    return np.random.default_rng(0).integers(0, 256, (16, 32, channels), dtype=np.uint8)


def description(packet: bytes) -> dict[str, str]:
    text = packet.decode()
    document = ET.fromstring(text[text.index("<x:xmpmeta") : text.index("<?xpacket end")])
    (node,) = document.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    return {name.removeprefix(GPANO): value for name, value in node.attrib.items() if name.startswith(GPANO)}


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    at, chunks = 8, []
    while at < len(data):
        (size,), kind = struct.unpack_from(">I", data, at), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + body) == struct.unpack_from(">I", data, at + 8 + size)[0]
        chunks.append((kind, body))
        at += 12 + size
    return chunks


def check_panorama(tags):
    assert tags["ProjectionType"] == "equirectangular"
    assert tags["UsePanoramaViewer"] == "True"
    assert (tags["FullPanoWidthPixels"], tags["FullPanoHeightPixels"]) == ("32", "16")
    assert (tags["CroppedAreaImageWidthPixels"], tags["CroppedAreaImageHeightPixels"]) == ("32", "16")
    assert (tags["CroppedAreaLeftPixels"], tags["CroppedAreaTopPixels"]) == ("0", "0")


@pytest.mark.parametrize("channels", [3, 4])
def test_a_png_panorama_says_so_and_keeps_its_pixels(channels):
    data = stills.encode(picture(channels), ".png", "equirect")
    chunks = png_chunks(data)
    assert chunks[0][0] == b"IHDR"
    (text,) = [body for kind, body in chunks if kind == b"iTXt"]
    keyword, rest = text.split(b"\0", 1)
    assert keyword == b"XML:com.adobe.xmp"
    assert rest[:4] == bytes(4)  # not compressed, no language, no translated keyword
    check_panorama(description(rest[4:]))
    back = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(back[..., [2, 1, 0, 3][:channels]], picture(channels))


def test_a_jpeg_panorama_says_so():
    data = stills.encode(picture(), ".jpg", "equirect")
    at = 2
    segments = []
    while data[at + 1] != 0xDA:
        (size,) = struct.unpack_from(">H", data, at + 2)
        segments.append((data[at + 1], data[at + 4 : at + 2 + size]))
        at += 2 + size
    assert segments[0][0] == 0xE0  # JFIF stays first
    (packet,) = [body for kind, body in segments if kind == 0xE1]
    header = b"http://ns.adobe.com/xap/1.0/\0"
    assert packet.startswith(header)
    check_panorama(description(packet[len(header) :]))
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).shape == (16, 32, 3)


@pytest.mark.parametrize("projection", ["perspective", "ods", "cubemap"])
def test_other_pictures_do_not_say_that_they_are_one(projection):
    assert b"GPano" not in stills.encode(picture(), ".png", projection)


def test_exr_holds_linear_light_straight_alpha_and_distance(tmp_path):
    color, alpha = picture(), np.linspace(0, 1, 16 * 32, dtype=np.float32).reshape(16, 32)
    distance = np.full((16, 32), np.inf, np.float32)
    distance[4:] = 12.345
    path = exr.write(tmp_path / "a.exr", color, alpha=alpha, distance=distance)
    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels = {name: c.pixels for name, c in file.channels().items()}
        header = dict(file.header())
    assert set(channels) == {"R", "G", "B", "A", "Depth.Z"}
    assert "straight alpha" in header["comments"]
    assert "along the ray" in header["comments"]
    assert {channels[n].dtype for n in "RGBA"} == {np.dtype(np.float16)}
    assert channels["Depth.Z"].dtype == np.float32
    x = color / 255.0
    linear = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    for i, name in enumerate("RGB"):
        np.testing.assert_allclose(channels[name], linear[..., i], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(channels["A"], alpha, atol=5e-4)
    assert channels["Depth.Z"][0, 0] == np.float32(1e10)
    assert channels["Depth.Z"][5, 5] == np.float32(12.345)
    assert [f.name for f in tmp_path.iterdir()] == ["a.exr"]


def test_exr_of_colour_alone_and_of_values_beyond_one(tmp_path):
    bright = np.full((4, 4, 3), 2.0, np.float32)
    path = exr.write(tmp_path / "b.exr", bright)
    with OpenEXR.File(str(path), separate_channels=True) as file:
        assert set(file.channels()) == {"R", "G", "B"}
        assert file.channels()["R"].pixels[0, 0] == pytest.approx(((2 + 0.055) / 1.055) ** 2.4, rel=1e-3)


def test_places_that_cannot_be_written_are_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="Cannot write"):
        exr.write(tmp_path / "file" / "a.exr", picture())
