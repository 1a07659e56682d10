"""The scene's time in the video's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holotime.errors import InputError
from holotime.scene4d import Scene4D
from holotime.video.playback import Playback


def scene(loop: bool) -> Scene4D:
    """Nothing, for 2 seconds at 4 frames per second."""
    shapes = {name: np.zeros((0, *tail)) for name, tail in Scene4D.TENSORS.items()}
    return Scene4D(**shapes, duration=2.0, fps=4.0, loop=loop)


LOOP, CLIP = scene(True), scene(False)


def times(playback, of, *moments):
    return [playback.seconds(of, m) for m in moments]


def test_auto_repeats_a_loop_and_rests_at_the_end_of_a_clip():
    assert times(Playback(), LOOP, 0, 1, 2, 5) == [0, 1, 0, 1]
    assert times(Playback(), CLIP, 0, 1, 2, 5) == [0, 1, 2, 2]
    assert times(Playback("once"), LOOP, 1, 5) == [1, 2]


def test_a_clip_made_to_loop_shows_its_last_frame_for_a_frame():
    assert times(Playback("loop"), CLIP, 2, 2.2, 2.25, 2.5) == pytest.approx([2, 2, 0, 0.25])


def test_ping_pong_comes_back_the_way_it_went():
    assert times(Playback("ping-pong"), CLIP, 0, 1, 2, 3, 4, 5) == [0, 1, 2, 1, 0, 1]


def test_phase_and_speed():
    assert times(Playback(phase=0.25), LOOP, 0, 1) == [0.5, 1.5]
    assert times(Playback(speed=2), LOOP, 0, 0.5, 1) == [0, 1, 0]
    assert times(Playback(speed=-1), LOOP, 0, 0.5) == [0, 1.5]
    assert times(Playback(speed=-1), CLIP, 0, 0.5, 3) == [2, 1.5, 0]
    assert times(Playback(speed=0, phase=0.5), LOOP, 0, 9) == [1, 1]


@given(
    st.sampled_from(["auto", "loop", "ping-pong", "once"]),
    st.floats(-1, 1),
    st.floats(-16, 16),
    st.floats(0, 1000),
    st.booleans(),
)
def test_every_moment_lies_in_the_scene(repeat, phase, speed, moment, loop):
    of = scene(loop)
    assert 0 <= Playback(repeat, phase, speed).seconds(of, moment) <= of.duration


@given(st.sampled_from(["auto", "ping-pong"]), st.floats(-1, 1), st.integers(1, 6), st.floats(0, 20))
def test_what_closes_begins_again_where_it_began(repeat, phase, rounds, moment):
    playback = Playback(repeat, phase)
    length = rounds * playback.round_of(LOOP)
    assert playback.closes(LOOP, length)
    a, b = playback.seconds(LOOP, moment), playback.seconds(LOOP, moment + length)
    assert min(abs(a - b), LOOP.duration - abs(a - b)) < 1e-6


def test_what_does_not_close():
    assert not Playback().closes(LOOP, 3.0)
    assert not Playback().closes(CLIP, 2.0)
    assert not Playback("loop").closes(CLIP, 2.25)
    assert Playback("ping-pong").closes(CLIP, 4.0)


@pytest.mark.parametrize(
    ("change", "words"), [({"repeat": "twice"}, "ping-pong"), ({"speed": 99.0}, "speed"), ({"phase": 2.0}, "phase")]
)
def test_bad_wishes_are_refused(change, words):
    with pytest.raises(InputError, match=words):
        Playback(**change)
