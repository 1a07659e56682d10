"""Clips and images: reading what artists have, refusing what cannot be used, writing what plays."""

import av
import cv2
import numpy as np
import pytest

from holotime.clip import Clip, read_clip, read_image, read_image_with_alpha, write_clip, write_frames
from holotime.errors import InputError
from holotime.quality import psnr


def gradient_clip(frames: int = 6, loop: bool = True) -> Clip:
    i, j = np.meshgrid(np.arange(64), np.arange(128), indexing="ij")
    pictures = [np.stack([i * 3, j, np.full_like(i, 20 * t)], -1) for t in range(frames)]
    return Clip(np.array(pictures, np.uint8), 12.0, loop)


def test_video_round_trip_keeps_colours_rate_and_loop(tmp_path):
    clip = gradient_clip()
    back = read_clip(write_clip(tmp_path / "c.mp4", clip))
    assert back.frames.shape == clip.frames.shape
    assert (back.fps, back.loop) == (12.0, True)
    assert psnr(back.frames, clip.frames) > 35
    assert np.abs(back.frames.astype(int).mean((1, 2)) - clip.frames.astype(int).mean((1, 2))).max() < 1.5
    with av.open(str(tmp_path / "c.mp4")) as file:
        assert file.streams.video[0].codec_context.name == "h264"
        assert file.streams.video[0].codec_context.pix_fmt == "yuv420p"


def test_a_writer_that_is_stopped_leaves_nothing(tmp_path):
    def frames():
        yield gradient_clip().frames[0]
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_frames(tmp_path / "c.mp4", frames(), 12)
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="no frames"):
        write_frames(tmp_path / "c.mp4", [], 12)
    assert not list(tmp_path.iterdir())


def test_times_of_loops_and_others():
    assert gradient_clip(4).times.tolist() == [0, 0.25, 0.5, 0.75]
    assert gradient_clip(5, loop=False).times.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert gradient_clip(1, loop=False).times.tolist() == [0]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey_and_alpha(tmp_path, suffix):
    deep = np.full((4, 8, 3), 40000, np.uint16)
    cv2.imwrite(str(tmp_path / f"deep.{suffix}"), deep)
    assert (read_image(tmp_path / f"deep.{suffix}") == round(40000 / 257)).all()
    cv2.imwrite(str(tmp_path / f"grey.{suffix}"), np.full((4, 8), 9, np.uint8))
    assert read_image(tmp_path / f"grey.{suffix}").shape == (4, 8, 3)
    bgra = np.zeros((4, 8, 4), np.uint8)
    bgra[...] = (10, 20, 200, 128)
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), bgra)
    assert read_image(tmp_path / f"a.{suffix}")[0, 0].tolist() == [100, 10, 5]
    assert read_image_with_alpha(tmp_path / f"a.{suffix}")[0, 0].tolist() == [200, 20, 10, 128]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_truncated_images_are_refused(tmp_path, suffix):
    path = tmp_path / f"cut.{suffix}"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (64, 128, 3), np.uint8))
    data = path.read_bytes()
    read_image(path)
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(InputError, match="cut short"):
        read_image(path)


def test_other_bad_inputs_say_what_to_do(tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "film.mp4").write_text("no film")
    (tmp_path / "none").mkdir()
    for path, match in {
        "empty.png": "0 bytes",
        "text.png": "cannot be read as an image",
        "film.mp4": "cannot be read as a video",
        "none": "No images",
        "missing.png": "does not exist",
    }.items():
        with pytest.raises(InputError, match=match):
            read_clip(tmp_path / path)
    with pytest.raises(InputError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(InputError, match="frames"):
        Clip(np.zeros((0, 4, 8, 3), np.uint8))


def test_a_folder_of_frames_and_frames_of_differing_size(tmp_path):
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i:02d}.png"), np.full((4, 8, 3), i, np.uint8))
    assert read_clip(tmp_path).frames[:, 0, 0, 0].tolist() == [0, 1, 2]
    cv2.imwrite(str(tmp_path / "03.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InputError, match=r"03\.png has another size"):
        read_clip(tmp_path)
