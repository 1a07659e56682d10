"""From a video file to a video file: frames, loop, sphere, sound, resuming, cancelling, and what cannot be."""

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from holotime import quality
from holotime.cache import digest_of
from holotime.clip import Clip, read_clip, write_clip
from holotime.config import from_params
from holotime.enhance import EnhanceConfig, enhance_clip, enhance_video
from holotime.enhance import run as runs
from holotime.enhance.config import choose_upscaler
from holotime.enhance.esrgan import SRVGGNet
from holotime.enhance.frames import KEPT, VideoFrames
from holotime.enhance.ifnet import IFNet
from holotime.errors import BackendUnavailable, Cancelled, InputError
from holotime.video.spherical import Sphere, add_spherical, find_sphere

from .conftest import randomise, turned, with_sound


def config(**asked) -> EnhanceConfig:
    return from_params(EnhanceConfig, asked)


def test_more_frames_keep_the_clips_own(clip: Clip, no_weights: Path) -> None:
    made = enhance_clip(clip, config(fps=36.0))
    assert len(made.clip) == 16
    assert made.clip.fps == 36
    assert np.array_equal(made.clip.frames[::3], clip.frames), "exactly"
    for k in (1, 2, 4, 5):
        truth = turned(64, k)
        before, after = clip.frames[k // 3].astype(float), clip.frames[k // 3 + 1].astype(float)
        plain = before + (k % 3) / 3 * (after - before)
        assert quality.psnr(made.clip.frames[k], truth) > quality.psnr(plain, truth) + 3
    assert made.models == ()
    assert "10 of 16 frames are new (dis)" in made.notes[0]
    assert "weights get rife-4.6" in made.notes[1]
    assert made.clip.duration == clip.duration


def test_a_loop_closes(no_weights: Path) -> None:
    clip = Clip(np.stack([turned(64, 5 * np.sin(i * np.pi / 4)) for i in range(8)]), 8.0, True)
    made = enhance_clip(clip, config(fps=20.0)).clip
    assert (len(made), made.loop) == (20, True)
    assert np.array_equal(made.frames[0], clip.frames[0])
    truth = turned(64, 5 * np.sin(2 * np.pi * 19 / 20))
    assert quality.psnr(made.frames[19], truth) > 30, "the last one lies between the last frame and the first"
    assert quality.loop_ratio(made.frames) < 1.8  # sin is steepest there


def test_fewer_frames_are_taken_or_interpolated(clip: Clip, no_weights: Path) -> None:
    made = enhance_clip(clip, config(fps=6.0))
    assert np.array_equal(made.clip.frames, clip.frames[::2])
    assert "left out" in made.notes[0]
    assert len(enhance_clip(clip, config(fps=8.0)).clip) == 4


def test_networks_by_file(clip: Clip, no_weights: Path, tmp_path: Path) -> None:
    torch.save(randomise(IFNet(True, (16, 12, 8, 4)), 0.1).state_dict(), no_weights / "rife-4.6.pkl")
    torch.save({"params": randomise(SRVGGNet(8, 1, 4), 0.3).state_dict()}, no_weights / "realesr-general-x4v3.pth")
    small = Clip(clip.frames[:2], 12.0)
    made = enhance_clip(small, config(fps=24.0, scale=2))
    assert made.clip.frames.shape == (3, 128, 256, 3)
    assert made.models == ("rife-4.6", "realesr-general-x4v3")
    assert made.backend == "rife-4.6 + realesr-general-x4v3"
    other = tmp_path / "mine.pth"
    other.write_bytes((no_weights / "realesr-general-x4v3.pth").read_bytes())
    named = enhance_clip(small, config(scale=2, model=str(other), interpolator="dis"))
    assert named.models == (str(other),)
    assert enhance_clip(small, config(fps=24.0, interpolator="dis")).models == ()


def test_what_takes_minutes_a_frame_is_not_taken_unasked(no_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for ending in (".param", ".bin"):
        (no_weights / f"realesrgan-x4plus{ending}").write_bytes(b"x")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    chosen = choose_upscaler(config(scale=2))
    assert (chosen.name, chosen.path) == ("lanczos", None)
    assert "minutes a frame without a GPU" in chosen.note
    assert choose_upscaler(config(scale=2, model="realesrgan-x4plus")).name == "realesrgan-x4plus"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_upscaler(config(scale=2)).name == "realesrgan-x4plus"


def test_a_file_becomes_a_file_with_sphere_sound_and_loop(tmp_path: Path, no_weights: Path) -> None:
    loop = Clip(np.stack([turned(64, 4 * np.sin(i * np.pi / 3)) for i in range(6)]), 12.0, True)
    source = write_clip(tmp_path / "clip.mp4", loop)
    with_sound(source, 0.5)
    add_spherical(source, Sphere())
    told: list[float] = []
    made = enhance_video(
        source, tmp_path / "out.mp4", config(fps=24.0, scale=2), progress=lambda f, n="": told.append(f)
    )
    assert (made["frames"], made["size"], made["fps"], made["loop"]) == (12, [256, 128], 24.0, True)
    result = read_clip(tmp_path / "out.mp4")
    assert result.frames.shape == (12, 128, 256, 3)
    assert result.loop
    wanted = enhance_clip(read_clip(source), config(fps=24.0, scale=2)).clip
    assert quality.psnr(result.frames, wanted.frames) > 38
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert len(container.streams.audio) == 1
    frames = VideoFrames(tmp_path / "out.mp4")
    assert frames.sphere == Sphere()
    assert frames.rate == 24
    assert told[-1] == 1
    assert told == sorted(told)
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize("stereo", ["mono", "top_bottom"])
@pytest.mark.parametrize("shape", ["equirect", "half_equirect"])
def test_the_sphere_is_read_back(video: Path, shape, stereo) -> None:
    from holotime.video import mp4

    def box_of(path: Path) -> bytes:
        data = path.read_bytes()
        return dict(mp4.split(data))[b"moov"]

    assert find_sphere(box_of(video)) is None
    add_spherical(video, Sphere(shape, stereo))
    assert find_sphere(box_of(video)) == Sphere(shape, stereo)
    stripped = box_of(video).replace(b"sv3d", b"xv3d")  # a player of the first version sees the document only
    assert find_sphere(stripped) == Sphere(shape, stereo)
    if (shape, stereo) != ("equirect", "mono"):
        with pytest.raises(InputError, match="Enhance the clip that it was made from"):
            enhance_video(video, video.with_name("out.mp4"), config(scale=2))


def test_only_a_few_frames_are_in_memory(tmp_path: Path, no_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_clip(tmp_path / "long.mp4", Clip(np.stack([turned(32, i) for i in range(30)]), 12.0, True))
    frames = VideoFrames(source)
    alone = read_clip(source).frames
    for i in (0, 1, 2, 7, 29, 0, 3):
        assert np.array_equal(frames.get(i), alone[i])
        assert len(frames._kept) <= KEPT
    most = []
    picture = runs.Enhancer.picture

    def watched(self, index, told):
        most.append(len(self._raw) + len(self._large) + len(self._pairs) + len(self.frames._kept))
        return picture(self, index, told)

    monkeypatch.setattr(runs.Enhancer, "picture", watched)
    enhance_video(source, tmp_path / "out.mp4", config(fps=24.0, scale=2))
    assert max(most) <= 3 + 4 + 1 + KEPT


def test_cancelled_leaves_nothing(video: Path, no_weights: Path) -> None:
    def stop(fraction: float, note: str = "") -> None:
        if fraction > 0.4:
            raise Cancelled

    with pytest.raises(Cancelled):
        enhance_video(video, video.with_name("out.mp4"), config(fps=48.0), progress=stop)
    assert [p.name for p in video.parent.glob("*.mp4")] == ["clip.mp4"]
    assert not list(video.parent.glob(".*"))


def test_killed_and_begun_again_it_goes_on(tmp_path: Path, no_weights: Path) -> None:
    source = write_clip(tmp_path / "clip.mp4", Clip(np.stack([turned(32, i) for i in range(20)]), 4.0))
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom holotime.enhance import EnhanceConfig, enhance_video\n"
        "def progress(f, note=''):\n    if f > 0.6: os._exit(9)\n"
        "enhance_video(Path(sys.argv[1]), Path(sys.argv[2]), EnhanceConfig(fps=8.0), progress=progress)\n"
    )
    out = tmp_path / "out.mp4"
    done = subprocess.run([sys.executable, "-c", script, str(source), str(out)], env=os.environ, check=False)
    assert done.returncode == 9
    assert not out.exists()
    assert (tmp_path / ".out.mp4.parts").is_dir()
    drawn: list[float] = []
    made = enhance_video(source, out, EnhanceConfig(fps=8.0), progress=lambda f, n="": drawn.append(f))
    assert made["reused"] > 0
    assert drawn[0] > 0.1
    whole = enhance_video(source, tmp_path / "whole.mp4", EnhanceConfig(fps=8.0))
    assert whole["reused"] == 0
    assert out.read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_pictures_of_an_earlier_attempt_are_used(clip: Clip, no_weights: Path, tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    keep.mkdir()

    def stop(fraction: float, note: str = "") -> None:
        if fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        enhance_clip(clip, config(fps=24.0), stop, keep)
    assert len(list(keep.glob("*.png"))) >= 4
    (keep / "000001.png").write_bytes(b"cut off")
    made = enhance_clip(clip, config(fps=24.0), keep=keep).clip
    assert np.array_equal(made.frames, enhance_clip(clip, config(fps=24.0)).clip.frames)
    assert not list(keep.iterdir())


def test_one_frame(tmp_path: Path, no_weights: Path) -> None:
    single = Clip(turned(64, 0)[None], 12.0, True)
    made = enhance_clip(single, config(fps=30.0, scale=2))
    assert made.clip.frames.shape == (1, 128, 256, 3)
    assert "single frame" in made.notes[0]
    source = write_clip(tmp_path / "one.mp4", single)
    assert enhance_video(source, tmp_path / "out.mp4", config(fps=30.0))["frames"] == 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"scale": 3}, "must be one of 1, 2, 4"),
        ({"fps": -1.0}, "between 0 and 240"),
        ({"fps": float("nan")}, "finite"),
        ({"scale": 2, "model": "realesrgan-x2pluss"}, "Did you mean realesrgan-x2plus"),
        ({"fps": 24.0, "interpolator": "rief"}, "Did you mean rife"),
        ({"scale": 2, "model": "rife-4.6"}, "does something else"),
        ({"scale": 2, "model": "weights/mine.pth"}, r"no network or file weights/mine\.pth"),
        ({}, "nothing to do"),
        ({"fps": 12.0}, "has 12 frames a second already"),
    ],
)
def test_what_cannot_be_is_refused_first(video: Path, no_weights: Path, asked: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        enhance_video(video, video.with_name("out.mp4"), config(**asked))
    assert [p.name for p in video.parent.glob("*.mp4")] == ["clip.mp4"]


def test_other_containers(clip: Clip, tmp_path: Path, no_weights: Path) -> None:
    """Matroska says neither how many frames there are nor what sphere they show."""
    source = tmp_path / "clip.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        for frame in clip.frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    assert VideoFrames(source).count == len(clip)
    assert enhance_video(source, tmp_path / "out.mov", config(fps=24.0))["frames"] == 11


def test_networks_that_are_not_here_say_what_to_do(video: Path, no_weights: Path) -> None:
    for asked in ({"scale": 2, "model": "realesrgan-x2plus"}, {"fps": 24.0, "interpolator": "rife"}):
        with pytest.raises(BackendUnavailable, match="holotime weights get"):
            enhance_video(video, video.with_name("out.mp4"), config(**asked))


def test_files_that_are_no_panoramic_clip(video: Path, tmp_path: Path, no_weights: Path) -> None:
    out = tmp_path / "out.mp4"
    cut = tmp_path / "cut.mp4"
    data = video.read_bytes()
    cut.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(InputError, match="cut short"):
        enhance_video(cut, out, config(fps=24.0))
    cut.write_bytes(data[:200])
    with pytest.raises(InputError, match="cut short"):
        enhance_video(cut, out, config(fps=24.0))
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(InputError, match="cannot be read as a video"):
        enhance_video(tmp_path / "text.mp4", out, config(fps=24.0))
    for name in ("nothing.mp4", "picture.png"):
        with pytest.raises(InputError, match=r"missing or empty|no video"):
            enhance_video(tmp_path / name, out, config(fps=24.0))
    flat = write_clip(tmp_path / "flat.mp4", Clip(np.zeros((2, 64, 64, 3), np.uint8)))
    with pytest.raises(InputError, match="twice as wide as high"):
        enhance_video(flat, out, config(fps=24.0))
    with pytest.raises(InputError, match="is the clip itself"):
        enhance_video(video, video, config(fps=24.0))
    assert not out.exists()


def test_too_large_a_result_is_refused_before_any_work(video: Path, no_weights: Path, monkeypatch) -> None:
    monkeypatch.setattr(VideoFrames, "get", lambda self, index: pytest.fail("a frame was decoded"))
    frames = VideoFrames(video)
    monkeypatch.setattr(
        VideoFrames, "__init__", lambda self, path: self.__dict__.update(vars(frames), width=8192, height=4096)
    )
    with pytest.raises(InputError, match=r"beyond the highest level of H\.264"):
        enhance_video(video, video.with_name("out.mp4"), config(scale=2))


def test_a_result_depends_on_the_weights(video: Path, no_weights: Path) -> None:
    def key() -> str:
        return digest_of(how=runs.plan(config(fps=24.0, scale=2), 6, 12, False).stamp())

    plain = key()
    torch.save({"params": SRVGGNet(8, 1, 4).state_dict()}, no_weights / "realesr-general-x4v3.pth")
    assert key() != plain
