"""Filling holes: nothing black is left, what is covered stays, panoramas have no seam."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotime import sphere
from holotime.render import EquirectCamera, Picture, fill_holes, rasterize


def picture_of(color, alpha, distance=3.0):
    alpha = np.asarray(alpha, np.float32)
    distance = np.where(alpha > 0, np.broadcast_to(distance, alpha.shape), np.inf).astype(np.float32)
    return Picture((color * alpha[..., None]).astype(np.float32), alpha, distance)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    share=st.floats(0.05, 1),
    wrap=st.booleans(),
    seed=st.integers(0, 999),
)
def test_a_flat_colour_fills_everything(height, width, share, wrap, seed):
    alpha = (np.random.default_rng(seed).random((height, width)) < share) * 0.9
    filled = fill_holes(picture_of(np.array([0.2, 0.5, 0.8]), alpha), wrap=wrap)
    assert filled.shape == (height, width, 3)
    np.testing.assert_allclose(
        filled, np.broadcast_to([0.2, 0.5, 0.8] if alpha.any() else [0, 0, 0], filled.shape), atol=1e-4
    )


def test_covered_pixels_stay():
    rng = np.random.default_rng(0)
    alpha = (rng.random((32, 64)) < 0.7).astype(np.float32)
    color = rng.random((32, 64, 3))
    np.testing.assert_allclose(fill_holes(picture_of(color, alpha))[alpha == 1], color[alpha == 1], atol=1e-6)


def test_a_slit_takes_the_far_colour():
    """Left a near red thing, right a far green wall, a slit between: the wall goes on behind the thing."""
    color = np.zeros((32, 64, 3))
    color[:, :30, 0], color[:, 34:, 1] = 1, 1
    alpha = np.ones((32, 64))
    alpha[:, 30:34] = 0
    distance = np.where(np.arange(64) < 30, 1.0, 6.0)[None].repeat(32, 0)
    filled = fill_holes(picture_of(color, alpha, distance), wrap=False)[:, 30:34]
    assert filled[..., 1].min() > 0.75
    assert np.allclose(filled.sum(-1), 1, atol=1e-3)


@pytest.mark.parametrize("roll", [32, -64])
def test_rolling_the_panorama_rolls_the_filling(roll, make_splats):
    picture = rasterize(make_splats(150, 2, sizes=(0.02, 0.05)), EquirectCamera(128, 64))
    assert 0.1 < (picture.alpha < 0.5).mean() < 0.97
    rolled = Picture(*(np.roll(a, roll, axis=1) for a in (picture.color, picture.alpha, picture.distance)))
    np.testing.assert_allclose(fill_holes(rolled), np.roll(fill_holes(picture), roll, axis=1), atol=2e-3)


def test_no_edge_at_seam_or_pole():
    """A hole over a pole or over the seam is filled as smoothly as anywhere else."""
    height = 64
    d = sphere.directions(height).astype(np.float64)
    for centre in [(0, 0, 1), (0, 0, -1), (0, -1, 0)]:
        alpha = (d @ np.array(centre, float) < 0.9).astype(np.float32)
        filled = fill_holes(picture_of(0.5 + 0.4 * d, alpha))
        assert np.abs(filled - (0.5 + 0.4 * d)).max() < 0.25
        seam = np.abs(filled[:, 0] - filled[:, -1]).max()
        assert seam < 1.5 * max(np.abs(np.diff(filled, axis=1)).max(), 0.02)
