"""Codecs: what they refuse and why, and which encoder is taken."""

import dataclasses

import pytest

from holotime.errors import InputError
from holotime.video import codecs
from holotime.video.codecs import CODECS, choose, find_codec, lanes


def test_unknown_codec_lists_the_names():
    with pytest.raises(InputError, match=r"'divx'.*h264, h265, av1, prores, prores4444"):
        find_codec("divx")


@pytest.mark.parametrize(
    ("codec", "size", "bits", "suffix", "words"),
    [
        ("h264", (8192, 8192), 8, ".mp4", r"67\.1 MP.*H\.264 \(35\.7 MP\).*no player.*at most 5968 x 5968"),
        ("h265", (8192, 8192), 10, ".mp4", r"H\.265 \(35\.7 MP\)"),
        ("av1", (2048, 10000), 8, ".mp4", "longer than the highest level of AV1 allows"),
        ("h264", (129, 64), 8, ".mp4", "even sides"),
        ("h264", (128, 64), 12, ".mp4", "8 or 10 bits per channel here, not 12"),
        ("prores", (128, 64), 8, ".mov", "10 bits per channel"),
        ("prores", (128, 64), 10, ".mp4", "does not go into a .mp4; name it .mov"),
        ("av1", (128, 64), 8, ".avi", "name it .mp4"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(codec, size, bits, suffix, words):
    with pytest.raises(InputError, match=words):
        CODECS[codec].check(*size, bits, suffix)


@pytest.mark.parametrize("codec", ["h264", "h265", "av1"])
def test_a_headset_frame_passes(codec):
    CODECS[codec].check(5760, 5760, 8, ".mp4")


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_every_codec_has_a_software_encoder_here(codec):
    for bits in CODECS[codec].pixels:
        encoder = choose(CODECS[codec], 256, 128, bits, hardware="off")
        assert (encoder.name, encoder.hardware, encoder.note) == (CODECS[codec].software, False, "")


def test_a_fallback_from_hardware_says_why():
    encoder = choose(CODECS["h264"], 256, 128, 8)
    assert encoder.hardware or "h264_nvenc" in encoder.note
    if not encoder.hardware:
        with pytest.raises(InputError, match=r"No hardware encoder: .*h264_nvenc.*auto"):
            choose(CODECS["h264"], 256, 128, 8, hardware="only")


def test_a_missing_encoder_names_the_alternatives(monkeypatch):
    lost = dataclasses.replace(CODECS["h265"], software="libnothing", hardware=None)
    monkeypatch.setitem(codecs.CODECS, "h265", lost)
    with pytest.raises(
        InputError, match=r"cannot write H\.265 with 8 bits \(this FFmpeg has no libnothing\).*h264, av1"
    ):
        choose(lost, 256, 128, 8)


def test_headset_pictures_are_encoded_beside_each_other_where_memory_allows():
    size = (5760, 5760)
    x264, x265 = (choose(CODECS[codec], *size, 8, hardware="off") for codec in ("h264", "h265"))
    pixels = size[0] * size[1]
    assert lanes(x264, pixels, 16) == 2
    assert lanes(x265, pixels, 16) == 1
    assert lanes(x264, pixels, 2) == lanes(x264, 1920 * 1080, 16) == 1
