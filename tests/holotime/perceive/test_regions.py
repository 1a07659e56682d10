import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from holotime import sphere
from holotime.perceive import regions


def test_regions_join_across_the_seam_and_at_the_poles():
    mask = np.zeros((16, 32), bool)
    mask[8, :3] = mask[8, -3:] = True  # one, across the seam
    mask[0, 4] = mask[0, 20] = True  # one, at the pole
    mask[5, 10] = mask[9, 25] = True  # two alone
    labels, count = regions.label(mask)
    assert count == 5
    assert labels[8, 0] == labels[8, -1] > 0
    assert labels[0, 4] == labels[0, 20] > 0
    assert (labels > 0).sum() == mask.sum()


def test_a_corner_across_the_seam_joins():
    mask = np.zeros((16, 32), bool)
    mask[7, 0] = mask[8, -1] = True
    assert regions.label(mask)[1] == 2


@given(seed=st.integers(0, 1000), turn=st.integers(0, 31))
@settings(max_examples=25, deadline=None)
def test_regions_turn_with_the_picture(seed, turn):
    mask = np.random.default_rng(seed).random((16, 32)) < 0.4
    a, count = regions.label(mask)
    b, other = regions.label(np.roll(mask, turn, 1))
    assert count == other
    pairs = {*zip(np.roll(a, turn, 1).ravel().tolist(), b.ravel().tolist(), strict=True)}
    assert len(pairs) == len({p for p, _ in pairs}) == len({q for _, q in pairs})


def test_areas_sum_to_the_sphere():
    labels, count = regions.label(np.random.default_rng(0).random((32, 64)) < 0.5)
    np.testing.assert_allclose(regions.areas(labels, count).sum(), 4 * np.pi, rtol=1e-6)


def test_growing_covers_at_least_a_circle_and_not_much_more():
    mask = np.zeros((128, 256), bool)
    mask[12, 0] = True  # near the pole, at the seam
    grown = regions.grow(mask, 0.1)
    d = sphere.directions(128)
    angle = np.arccos(np.clip(d @ d[12, 0], -1, 1))
    assert grown[angle < 0.09].all()
    assert not grown[angle > 0.2].any()


def test_filling_a_hole_is_smooth_and_exact_for_constants():
    known = np.ones((64, 128), bool)
    known[20:40, :30] = known[20:40, -10:] = False
    d = sphere.directions(64)
    values = 2 + d[..., 0] + d[..., 2]
    filled = regions.fill(np.where(known, values, 99).astype(np.float32), known)
    assert np.array_equal(filled[known], values[known])
    assert np.abs(filled - values)[~known].max() < 0.6
    np.testing.assert_allclose(regions.fill(np.where(known, 3, 99).astype(np.float32), known), 3, rtol=1e-4)
    empty = np.zeros_like(known)
    assert regions.fill(values, empty) is values


def test_linear_resize_turns_with_the_picture():
    a = np.random.default_rng(1).random((16, 32, 7)).astype(np.float32)
    b = regions.resize_linear(np.roll(a, 5, 1), 32, 64)
    np.testing.assert_allclose(np.roll(regions.resize_linear(a, 32, 64), 10, 1), b, atol=1e-5)
