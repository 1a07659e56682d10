"""The colour conversion against its plain twin and against what a player makes of it."""

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotime.errors import InputError
from holotime.video.yuv import SCALES, _plane, plain_planes, to_video_frame

FORMATS = {"yuv420p": (8, 2, 2), "yuv420p10le": (10, 2, 2), "yuv422p10le": (10, 2, 1), "yuva444p10le": (10, 1, 1)}


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(sorted(FORMATS)),
    st.sampled_from([np.uint8, np.uint16, np.float32]),
    st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_planes_match_the_twin(width, height, pixel_format, kind, seed):
    bits, across, down = FORMATS[pixel_format]
    values = np.random.default_rng(seed).random((2 * height, 2 * width, 3)) * 1.2 - 0.1  # also outside [0, 1]
    rgb = (values.clip(0, 1) * SCALES[np.dtype(kind)]).astype(kind) if kind != np.float32 else values.astype(kind)
    frame = to_video_frame(rgb, pixel_format)
    for ours, theirs in zip(frame.planes, plain_planes(rgb, bits, across, down), strict=False):
        drawn = _plane(ours, 1 if bits == 8 else 4)
        difference = np.abs(drawn.astype(int) - theirs)
        assert difference.max() <= 1  # float32 against float64 may round a half the other way
        assert (difference > 0).sum() <= max(2, 0.01 * difference.size)


def test_grey_and_primaries_have_their_values_of_bt709():
    swatch = np.zeros((2, 10, 3), np.uint8)
    for i, color in enumerate([(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255)]):
        swatch[:, 2 * i : 2 * i + 2] = color
    luma, cb, cr = (_plane(p, 1) for p in to_video_frame(swatch, "yuv420p").planes)
    assert luma[0, ::2].tolist() == [16, 235, 63, 173, 32]
    assert (cb[0, 0], cr[0, 0]) == (128, 128)
    swatch[:] = (255, 0, 0)
    assert [int(_plane(p, 1)[0, -1]) for p in to_video_frame(swatch, "yuv420p").planes] == [63, 102, 240]


def test_a_player_sees_the_picture_again(pictures):
    (rgb,) = pictures([0])
    frame = to_video_frame(rgb, "yuv420p").reformat(format="yuv444p", src_colorspace="ITU709", src_color_range="MPEG")
    back = frame.to_ndarray(format="rgb24").astype(int)
    difference = (back - rgb)[2:-2, 2:-2]  # at its edges FFmpeg repeats the chroma
    assert np.abs(difference).mean() < 1.5  # chroma has 8 bits
    assert np.abs(difference.mean((0, 1))).max() < 0.2  # neither darker, brighter nor tinted
    from_the_right = (back[:, ::-1] - rgb)[2:-2, 2:-2]
    assert np.abs(difference).mean() < 0.1 * np.abs(from_the_right).mean()


def test_alpha_goes_along_where_there_is_room():
    picture = np.zeros((4, 4, 4), np.float32)
    picture[:2, :, 3] = 0.5
    planes = to_video_frame(picture, "yuva444p10le").planes
    assert _plane(planes[3], 4)[0].tolist() == [512] * 4
    assert _plane(planes[3], 4)[3].tolist() == [0] * 4
    opaque = to_video_frame(picture[..., :3].copy(), "yuva444p10le").planes[3]
    assert _plane(opaque, 4).min() == 1023


def test_bad_pictures_are_refused():
    with pytest.raises(InputError, match="even sides"):
        to_video_frame(np.zeros((4, 5, 3), np.uint8), "yuv420p")
    with pytest.raises(InputError, match="float64"):
        to_video_frame(np.zeros((4, 4, 3)), "yuv420p")
    assert isinstance(to_video_frame(np.zeros((4, 5, 3), np.uint8), "yuva444p10le"), av.VideoFrame)
