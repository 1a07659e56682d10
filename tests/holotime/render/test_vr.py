"""Frames of a camera path and the VR video, from a small moving scene to the file."""

import math

import av
import cv2
import numpy as np
import pytest

from holotime.clip import read_clip
from holotime.errors import Cancelled, InputError
from holotime.render import (
    EquirectCamera,
    PerspectiveCamera,
    eye_cameras,
    render_frame,
    render_frames,
    render_vr,
    scene_time,
    upright,
)
from holotime.scene4d import ALWAYS, Scene4D


def make_scene(loop=True, duration=1.0, fps=6.0) -> Scene4D:
    """A shell of coloured splats with a white ball that rises in front."""
    n = 2000
    i = np.arange(n) + 0.5
    z = 1 - 2 * i / n
    azimuth = math.pi * (1 + 5**0.5) * i
    d = np.stack([np.sqrt(1 - z * z) * np.cos(azimuth), np.sqrt(1 - z * z) * np.sin(azimuth), z], -1)
    means = np.concatenate([4 * d, [[0, 1.0, -0.4]]])
    motion = np.zeros((n + 1, 3, 3))
    motion[-1, 0] = (0, 0, 0.8)
    return Scene4D(
        means=means,
        motion=motion,
        quats=np.tile([1.0, 0, 0, 0], (n + 1, 1)),
        omegas=np.zeros((n + 1, 4)),
        log_scales=np.log(np.concatenate([np.full((n, 3), 0.14), np.full((1, 3), 0.08)])),
        opacity_logits=np.full(n + 1, 4.0),
        t_centers=np.zeros(n + 1),
        t_log_scales=np.full(n + 1, ALWAYS),
        colors=np.concatenate([0.5 + 0.3 * d, [[1, 1, 1]]]),
        duration=duration,
        fps=fps,
        loop=loop,
    )


def test_scene_time_repeats_in_a_loop_and_rests_otherwise():
    loop, once = make_scene(duration=2.0), make_scene(loop=False, duration=2.0)
    assert [scene_time(loop, s) for s in (0, 1, 2, 5)] == [0, 0.5, 0, 0.5]
    assert [scene_time(once, s) for s in (0, 1, 2, 5)] == [0, 0.5, 1, 1]


def test_frames_follow_the_path_and_the_clock():
    scene = make_scene()
    cameras = [PerspectiveCamera(48, 32, 1.2, upright((0.1 * k, 0, 0))) for k in range(3)] + [EquirectCamera(64, 32)]
    shots = [(c, 0.4 * k) for k, c in enumerate(cameras)]
    reports = []
    frames = list(render_frames(scene, shots, progress=lambda f, note="": reports.append(f)))
    assert [f.shape for f in frames] == [(32, 48, 3)] * 3 + [(32, 64, 3)]
    assert all(f.dtype == np.uint8 for f in frames)
    for frame, (camera, seconds) in zip(frames, shots, strict=True):
        assert np.array_equal(frame, render_frame(scene.at(scene_time(scene, seconds)), camera))
    assert reports[-1] == 1


def test_frames_are_drawn_only_when_taken():
    def shots():
        yield PerspectiveCamera(16, 16, 1.0), 0.0
        raise AssertionError("drawn too early")

    assert next(render_frames(make_scene(), shots())).shape == (16, 16, 3)


def test_background_colour_or_filled_holes():
    empty = make_scene().at(0.0)
    splats = type(empty)(*(getattr(empty, n)[-1:] for n in ("means", "quats", "scales", "opacities", "colors")))
    camera = EquirectCamera(64, 32)
    blue = render_frame(splats, camera, background=(0, 0, 1))
    assert blue[0, 0].tolist() == [0, 0, 255]
    assert render_frame(splats, camera).min() > 250  # the only colour there is fills everything


@pytest.mark.parametrize("stereo", ["top_bottom", "mono"])
def test_vr_video(tmp_path, stereo):
    scene = make_scene()
    notes = []
    path = render_vr(scene, tmp_path / "vr.mp4", width=256, stereo=stereo, ipd=0.2, seconds=2.0, crf=4,
                     progress=lambda f, note="": notes.append(f))  # fmt: skip
    assert [f.name for f in tmp_path.iterdir()] == ["vr.mp4"]
    clip = read_clip(path)
    assert clip.frames.shape == (12, 256 if stereo == "top_bottom" else 128, 256, 3)
    assert clip.loop
    assert clip.fps == pytest.approx(6)
    assert b"sv3d" in path.read_bytes()
    assert notes == sorted(notes)
    assert notes[-1] == 1
    frames = clip.frames.astype(float)
    assert np.abs(frames[:6] - frames[6:]).mean() < 1.5  # the second turn of the loop is the first
    assert np.abs(frames[0] - frames[3]).mean() > 0.2  # and something moves
    for k in (0, 4):
        drawn = [render_frame(scene.at(k / 6), c) for c in eye_cameras(256, stereo=stereo, ipd=0.2)]
        assert np.abs(frames[k] - np.concatenate(drawn)).mean() < 2
    if stereo == "top_bottom":  # the ball, 1 m away, stands further right for the left eye, which is on top
        white = frames[2].min(-1) > 180
        left, right = (np.flatnonzero(half.any(0)).mean() for half in (white[:128], white[128:]))
        assert left - right == pytest.approx(2 * math.asin(0.1) / (2 * math.pi) * 256, abs=1.5)


def test_a_scene_that_does_not_loop_rests_on_its_last_frame(tmp_path):
    scene = make_scene(loop=False)
    assert len(read_clip(render_vr(scene, tmp_path / "own.mp4", width=64, stereo="mono"))) == len(scene.frame_times())
    clip = read_clip(render_vr(scene, tmp_path / "long.mp4", width=64, stereo="mono", seconds=2.0, fps=10))
    assert len(clip) == 20
    assert not clip.loop
    assert np.abs(clip.frames[-1].astype(int) - clip.frames[11]).max() < 16


def test_no_black_is_left_when_the_head_moves(tmp_path):
    path = render_vr(make_scene(), tmp_path / "v.mp4", width=128, pose=upright((1.5, 0, 0)), seconds=0.2)
    assert read_clip(path).frames.max(-1).min() > 40


def test_cancel_leaves_nothing(tmp_path):
    def cancel(fraction, note=""):
        if fraction > 0.3:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        render_vr(make_scene(), tmp_path / "vr.mp4", width=64, progress=cancel)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 130}, "multiple of 4"),
        ({"width": 16}, "at least 64"),
        ({"width": 8192}, "at most 5968"),
        ({"width": 8448, "stereo": "mono"}, "at most 8444"),
        ({"stereo": "left_right"}, "stereo layout"),
        ({"ipd": 3.0}, "eye distance"),
        ({"seconds": 0.0}, "not one frame"),
        ({"fps": 0.0}, "not one frame"),
    ],
)
def test_bad_input_is_refused_before_work(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        render_vr(make_scene(), tmp_path / "vr.mp4", **options)
    assert not list(tmp_path.iterdir())


def test_the_video_plays_as_standard_h264(tmp_path):
    path = render_vr(make_scene(), tmp_path / "vr.mp4", width=128, seconds=0.5)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
    reader = cv2.VideoCapture(str(path))
    assert reader.read()[0]
    reader.release()
