"""Sound that goes along: passed through packet by packet, encoded where it must be, cut at the video's end."""

import av
import numpy as np
import pytest

from holotime.errors import InputError
from holotime.video import VideoSpec, write_video

RATE = 44100


def sound(path, codec, seconds, layout="stereo"):
    """A file with a tone of 440 Hz."""
    wave = np.sin(2 * np.pi * 440 * np.arange(int(RATE * seconds)) / RATE)
    channels = {"mono": 1, "stereo": 2}[layout]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.codec_context.layout = layout
        kind = stream.codec_context.format.name
        packed = "p" not in kind.removeprefix("pcm")
        data = np.repeat((wave * 20000).astype(np.int16)[None], channels, 0)
        data = data.T.reshape(1, -1).copy() if packed else data
        frame = av.AudioFrame.from_ndarray(data, format="s16" if packed else "s16p", layout=layout)
        frame.sample_rate, frame.pts = RATE, 0
        resampler = av.AudioResampler(kind, layout, RATE, frame_size=stream.codec_context.frame_size or None)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def packets(path):
    """(codec, [(bytes, seconds)]) of the audio packets."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        found = [(bytes(p), float(p.pts * p.time_base)) for p in container.demux(stream) if p.pts is not None]
        return stream.codec_context.name, found


def film(path, pictures, audio, seconds=2.0):
    spec = VideoSpec(128, 64, round(24 * seconds), 24.0, segment_seconds=0.5, key_seconds=0.25, hardware="off")
    return write_video(path, pictures, spec, identity={}, audio=audio)


@pytest.mark.parametrize(
    ("codec", "ending", "into"),
    [("aac", ".m4a", ".mp4"), ("libmp3lame", ".mp3", ".mp4"), ("flac", ".flac", ".mp4"), ("pcm_s16le", ".wav", ".mov")],
)
def test_packets_go_through_as_they_are(tmp_path, pictures, decode, codec, ending, into):
    source = sound(tmp_path / f"s{ending}", codec, 1.5)
    if into == ".mov":
        spec = VideoSpec(128, 64, 48, 24.0, "h264", hardware="off")
        report = write_video(tmp_path / "v.mov", pictures, spec, identity={}, audio=source)
        path = tmp_path / "v.mov"
    else:
        path = tmp_path / "v.mp4"
        report = film(path, pictures, source)
    assert "passed through" in report.audio
    name, made = packets(path)
    original, given = packets(source)
    assert name == original
    assert b"".join(d for d, _ in made) == b"".join(d for d, _ in given)
    assert len(decode(path)) == 48


def test_sound_is_cut_where_the_video_ends(tmp_path, pictures):
    source = sound(tmp_path / "s.m4a", "aac", 9.0)
    film(tmp_path / "v.mp4", pictures, source)
    _, made = packets(tmp_path / "v.mp4")
    assert 1.9 < made[-1][1] <= 2.0


def test_what_an_mp4_cannot_hold_is_encoded_and_said(tmp_path, pictures):
    source = sound(tmp_path / "s.wav", "pcm_s16le", 3.0)
    report = film(tmp_path / "v.mp4", pictures, source)
    assert report.audio == "aac, encoded from pcm_s16le"
    with av.open(str(tmp_path / "v.mp4")) as container:
        pieces = [f.to_ndarray()[0] for f in container.decode(audio=0)]
    heard = np.concatenate(pieces)
    assert len(heard) / RATE == pytest.approx(2.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(heard[4096 : 4096 + RATE]))
    assert spectrum.argmax() == pytest.approx(440, abs=2)


def test_the_sound_of_a_video_will_do(tmp_path, pictures):
    film(tmp_path / "a.mp4", pictures, sound(tmp_path / "s.m4a", "aac", 1.0))
    film(tmp_path / "b.mp4", pictures, tmp_path / "a.mp4")
    assert [d for d, _ in packets(tmp_path / "b.mp4")[1]] == [d for d, _ in packets(tmp_path / "a.mp4")[1]]


def test_bad_sound_is_refused_before_work(tmp_path, pictures):
    film(tmp_path / "silent.mp4", pictures, None, 0.5)
    (tmp_path / "text.wav").write_text("la la la")
    for name, words in (
        ("none.wav", "does not exist"),
        ("silent.mp4", "no audio track"),
        ("text.wav", "cannot be read"),
    ):
        with pytest.raises(InputError, match=words):
            film(tmp_path / "v.mp4", lambda indices: pytest.fail("drawn"), tmp_path / name)
    assert not (tmp_path / "v.mp4").exists()
