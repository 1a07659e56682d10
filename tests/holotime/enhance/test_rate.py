"""Which moments the frames of another rate show."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holotime.enhance.rate import moments

rates = st.fractions(min_value=1, max_value=120, max_denominator=1001)


@given(count=st.integers(1, 60), rate=rates, wanted=rates)
def test_a_clip_keeps_its_times_and_its_own_frames(count: int, rate: Fraction, wanted: Fraction) -> None:
    found = moments(count, rate, wanted, loop=False)
    times = [p / rate for p in found.positions]
    if count > 1:
        assert times == [k / wanted for k in range(len(times))]
        assert times[-1] <= (count - 1) / rate < times[-1] + 1 / wanted
    for k, position in enumerate(found.positions):
        before, after, time = found.around(k)
        assert before + Fraction(position - before) == position
        assert (time == 0) == (position.denominator == 1)
        assert time == 0 or after == before + 1 < count


@given(count=st.integers(2, 60), rate=rates, wanted=rates)
def test_a_loop_closes(count: int, rate: Fraction, wanted: Fraction) -> None:
    found = moments(count, rate, wanted, loop=True)
    steps = {b - a for a, b in zip(found.positions, [*found.positions[1:], Fraction(count)], strict=True)}
    assert len(steps) == 1, "the step from the last frame back to the first is as long as the others"
    assert abs(len(found.positions) - count * wanted / rate) <= max(Fraction(1, 2), 1 - count * wanted / rate)
    assert found.around(len(found.positions) - 1)[1] < count


def test_what_an_artist_is_told() -> None:
    assert moments(24, Fraction(12), Fraction(24), True).notes == []
    assert moments(24, Fraction(12), Fraction(24), True).originals == 24
    assert len(moments(24, Fraction(12), Fraction(24), False).positions) == 47
    (fewer,) = moments(24, Fraction(24), Fraction(12), True).notes
    assert "left out" in fewer
    (longer,) = moments(25, Fraction(12), Fraction(30), True).notes
    assert "62 frames instead of 62.50" in longer
    assert "0.81% faster" in longer
    (single,) = moments(1, Fraction(12), Fraction(30), False).notes
    assert "single frame" in single


@pytest.mark.parametrize(
    ("rate", "wanted"), [(Fraction(24000, 1001), Fraction(60000, 1001)), (Fraction(10), Fraction(25))]
)
def test_originals_fall_where_they_must(rate: Fraction, wanted: Fraction) -> None:
    found = moments(9, rate, wanted, False)
    assert [p for p in found.positions if p.denominator == 1] == [0, 2, 4, 6, 8]
