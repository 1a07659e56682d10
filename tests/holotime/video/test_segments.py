"""Writing videos: what comes out, resume after a kill, and what is refused."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from holotime.errors import Cancelled, InputError
from holotime.video import VideoSpec, segments, write_video
from holotime.video.encode import WAITING, EncodeThread, frame_rate

ROOT = Path(__file__).parents[3]
ALL = [
    ("h264", 8, ".mp4"),
    ("h264", 10, ".mp4"),
    ("h265", 8, ".mp4"),
    ("h265", 10, ".mp4"),
    ("av1", 8, ".mp4"),
    ("av1", 10, ".mp4"),
    ("prores", 10, ".mov"),
    ("prores4444", 10, ".mov"),
]


def spec(frames=30, codec="h264", bits=8, **more) -> VideoSpec:
    more = {"segment_seconds": 0.5, "key_seconds": 0.25, "fps": 24.0, "hardware": "off", **more}
    return VideoSpec(128, 64, frames, codec=codec, bits=bits, **more)


@pytest.mark.parametrize(("codec", "bits", "suffix"), ALL)
def test_every_codec_keeps_pictures_and_clock(tmp_path, pictures, decode, codec, bits, suffix):
    notes = []
    path = tmp_path / f"v{suffix}"
    report = write_video(
        path, pictures, spec(30, codec, bits), identity={}, progress=lambda f, note="": notes.append(f)
    )
    assert [f.name for f in tmp_path.iterdir()] == [path.name]
    shown = decode(path)
    assert [s for s, _ in shown] == pytest.approx([i / 24 for i in range(30)], abs=1e-6)
    for (_, picture), drawn in zip(shown, pictures(range(30)), strict=True):
        assert np.abs(picture.astype(int) - drawn).mean() < 3
    assert (report.frames, report.reused, report.hardware) == (30, 0, False)
    assert str(bits) in report.pixel_format or bits == 8
    assert notes == sorted(notes)
    assert (notes[0], notes[-1]) == (0, 1)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate) == pytest.approx(24)
        assert stream.duration * stream.time_base == pytest.approx(30 / 24, abs=1e-3)
        assert stream.codec_context.colorspace == 1  # BT.709
        keys = [p.pts * p.time_base for p in container.demux(stream) if p.pts is not None and p.is_keyframe]
    if "prores" not in codec:
        assert [round(k * 24) for k in keys] == [0, 6, 12, 18, 24]


@pytest.mark.parametrize("codec", ["h264", "h265", "av1"])
def test_a_player_may_jump_to_any_joint(tmp_path, pictures, decode, codec):
    path = tmp_path / "v.mp4"
    write_video(path, pictures, spec(30, codec), identity={})
    whole = decode(path)
    for wanted in (12, 24, 17):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            container.seek(round(wanted / 24 / stream.time_base), stream=stream)
            for frame in container.decode(stream):
                if round(float(frame.pts * frame.time_base) * 24) == wanted:
                    break
            found = frame.reformat(format="yuv444p").to_ndarray(format="rgb24")
        assert np.array_equal(found, whole[wanted][1])


CHILD = """
import json, sys
sys.path.insert(0, sys.argv[1])
from tests_video import pictures
from holotime.video import VideoSpec, segments, write_video
def source(indices):
    for i, picture in zip(indices, pictures(indices)):
        print(i, flush=True)
        yield picture
codec, bits, suffix, out, last = sys.argv[2:]
spec = VideoSpec(128, 64, 40, 24.0, codec, int(bits), segment_seconds=0.5, key_seconds=0.25, hardware="off")
write_video(out, source, spec, identity={"scene": 1})
"""


@pytest.mark.parametrize(("codec", "bits", "suffix"), [ALL[0], ALL[3], ALL[4], ALL[6]])
def test_a_killed_render_resumes_to_the_very_same_file(tmp_path, pictures, decode, codec, bits, suffix):
    """A real process, killed by SIGKILL while it draws frame 30, then begun again."""
    (tmp_path / "tests_video.py").write_text((Path(__file__).parent / "conftest.py").read_text())
    undisturbed = tmp_path / f"a{suffix}"
    whole = VideoSpec(128, 64, 40, 24.0, codec, bits, segment_seconds=0.5, key_seconds=0.25, hardware="off")
    write_video(undisturbed, pictures, whole, identity={"scene": 1})

    killed = tmp_path / f"b{suffix}"
    command = [sys.executable, "-c", CHILD, str(tmp_path), codec, str(bits), suffix, str(killed), ""]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    for line in process.stdout:
        if line.strip() == "30":
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    assert not killed.exists()
    again = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    drawn = [int(line) for line in again.stdout.split()]
    assert 0 < len(drawn) < 40  # something was reused
    assert drawn[-1] == 39
    assert killed.read_bytes() == undisturbed.read_bytes()
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(decode(killed), decode(undisturbed), strict=True))
    assert not [f for f in tmp_path.iterdir() if f.name.startswith(".")]


def interrupted(path, pictures, identity, *, stop=25, what=None):
    def source(indices):
        for i, picture in zip(indices, pictures(indices), strict=True):
            if i == stop:
                raise KeyboardInterrupt
            yield picture

    with pytest.raises(KeyboardInterrupt):
        write_video(path, source, what or spec(), identity=identity)


def test_parts_of_another_render_or_damaged_ones_are_not_used(tmp_path, pictures):
    path = tmp_path / "v.mp4"
    assert write_video(tmp_path / "reference.mp4", pictures, spec(), identity={"a": 1}).reused == 0
    interrupted(path, pictures, {"a": 1})
    assert write_video(path, pictures, spec(), identity={"a": 2}).reused == 0
    interrupted(path, pictures, {"a": 1})
    assert write_video(path, pictures, spec(crf=20), identity={"a": 1}).reused == 0
    interrupted(path, pictures, {"a": 1})
    part = sorted((tmp_path / ".v.mp4.parts").glob("*.mp4"))[0]
    part.write_bytes(part.read_bytes()[:-1] + b"\0")
    assert write_video(path, pictures, spec(), identity={"a": 1}).reused == 12
    assert path.read_bytes() == (tmp_path / "reference.mp4").read_bytes()


def test_a_resumed_render_keeps_the_number_of_threads_it_began_with(tmp_path, pictures):
    interrupted(tmp_path / "v.mp4", pictures, {})
    plan = tmp_path / ".v.mp4.parts" / "plan.json"
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "threads": 7}))
    interrupted(tmp_path / "v.mp4", pictures, {}, stop=29)
    assert json.loads(plan.read_text())["threads"] == 7


def test_cancel_leaves_nothing(tmp_path, pictures):
    def cancel(fraction, note=""):
        if fraction > 0.5:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        write_video(tmp_path / "v.mp4", pictures, spec(), identity={}, progress=cancel)
    assert not list(tmp_path.iterdir())


def test_pictures_are_drawn_as_they_are_needed_and_never_pile_up(tmp_path, pictures):
    asked, total = [], 60

    def source(indices):
        for i, picture in zip(indices, pictures(indices), strict=True):
            asked.append((i, threading.current_thread() is threading.main_thread()))
            yield picture

    write_video(tmp_path / "v.mp4", source, spec(total), identity={})
    assert asked == [(i, True) for i in range(total)]


def test_large_pictures_are_encoded_in_several_segments_at_once(tmp_path, pictures, decode, monkeypatch):
    """Drawn in turns, written in order, and a resumed one is still the very same file."""
    monkeypatch.setattr(segments, "lanes", lambda encoder, pixels, threads: 3)
    monkeypatch.setattr(segments, "default_threads", lambda: 3)
    asked = []

    def source(indices):
        asked.extend(indices)
        return pictures(indices)

    write_video(tmp_path / "a.mp4", source, spec(64), identity={})
    assert asked[:6] == [0, 12, 24, 1, 13, 25]
    assert sorted(asked) == list(range(64))
    for (_, picture), drawn in zip(decode(tmp_path / "a.mp4"), pictures(range(64)), strict=True):
        assert np.abs(picture.astype(int) - drawn).mean() < 3
    interrupted(tmp_path / "b.mp4", pictures, {}, stop=50, what=spec(64))
    report = write_video(tmp_path / "b.mp4", pictures, spec(64), identity={})
    assert report.reused > 0
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    monkeypatch.setattr(segments, "lanes", lambda encoder, pixels, threads: 1)
    monkeypatch.setattr(segments, "default_threads", lambda: 1)  # as many threads for each encoder as before
    write_video(tmp_path / "c.mp4", pictures, spec(64), identity={})
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "c.mp4").read_bytes()


def test_the_queue_between_drawing_and_encoding_is_bounded():
    """The caller waits once WAITING pictures wait; the worker holds one more."""
    gate, taken, put = threading.Event(), [], []

    def work(items):
        for item in items:
            gate.wait()
            taken.append(item)

    def produce():
        with EncodeThread(work) as thread:
            for i in range(10):
                thread.put(i)
                put.append(i)

    producer = threading.Thread(target=produce)
    producer.start()
    producer.join(timeout=0.3)
    assert len(put) <= WAITING + 1
    gate.set()
    producer.join()
    assert taken == list(range(10))


def test_an_error_of_the_encoder_reaches_the_caller(tmp_path):
    def source(indices):
        for i in indices:
            yield np.zeros((64, 128 if i < 20 else 64, 3), np.uint8)

    with pytest.raises(InputError, match="64 x 64 pixels; the video has 128 x 64"):
        write_video(tmp_path / "v.mp4", source, spec(60), identity={})
    assert not (tmp_path / "v.mp4").exists()


def test_an_error_of_the_drawing_ends_the_encoder(tmp_path, pictures):
    def source(indices):
        yield from pictures(indices[:20])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_video(tmp_path / "v.mp4", source, spec(60), identity={})
    assert not [t for t in threading.enumerate() if t.name == "encode"]
    with pytest.raises(InputError, match="only 20 frames"):
        write_video(tmp_path / "w.mp4", lambda indices: pictures(indices[:20]), spec(60), identity={})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frames": 0}, "at least one frame"),
        ({"fps": 0.0}, "frames per second"),
        ({"codec": "mpeg2"}, "no codec 'mpeg2'. Choose one of: h264"),
        ({"crf": 99}, "crf"),
        ({"bits": 12}, "8 or 10 bits"),
    ],
)
def test_bad_wishes_are_refused_before_work(tmp_path, change, words):
    def source(indices):
        raise AssertionError("drawn")

    with pytest.raises(InputError, match=words):
        write_video(tmp_path / "v.mp4", source, spec(**change), identity={})
    assert not list(tmp_path.iterdir())


def test_unwritable_places_are_one_line(tmp_path, pictures):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"Cannot write .*Choose another place"):
        write_video(tmp_path / "file" / "v.mp4", pictures, spec(), identity={})
    with pytest.raises(InputError, match="File name too long"):
        write_video(tmp_path / ("n" * 300 + ".mp4"), pictures, spec(), identity={})


FULL = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from tests_video import pictures
from holotime.errors import InputError
from holotime.video import VideoSpec, segments, write_video
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
spec = VideoSpec(128, 64, 40, 24.0, crf=0, segment_seconds=0.5, key_seconds=0.25, hardware="off")
try:
    write_video(sys.argv[3], pictures, spec, identity={})
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize("share", [0.1, 0.7])  # no room for a segment; no room for the whole
def test_a_full_disk_is_one_line_and_the_parts_stay(tmp_path, pictures, share):
    """The process may not write beyond a size, which every write feels as a disk does that is full."""
    (tmp_path / "tests_video.py").write_text((Path(__file__).parent / "conftest.py").read_text())
    whole = VideoSpec(128, 64, 40, 24.0, crf=0, segment_seconds=0.5, key_seconds=0.25, hardware="off")
    reference = write_video(tmp_path / "reference.mp4", pictures, whole, identity={}).path
    limit, out = int(share * reference.stat().st_size), tmp_path / "v.mp4"
    command = [sys.executable, "-c", FULL, str(tmp_path), str(limit), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "no room for" in ended.stdout
    assert "is kept" in ended.stdout
    assert ended.stdout.count("\n") == 1
    assert not out.exists()
    report = write_video(out, pictures, whole, identity={})
    assert report.reused == (40 if share > 0.5 else 0)
    assert out.read_bytes() == reference.read_bytes()


@pytest.mark.parametrize(
    ("fps", "rate"), [(24, "24"), (12.5, "25/2"), (23.976, "24000/1001"), (29.97, "30000/1001"), (59.94, "60000/1001")]
)
def test_frame_rates_are_exact(fps, rate):
    assert str(frame_rate(fps)) == rate
