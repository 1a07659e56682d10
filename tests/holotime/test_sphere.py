"""Panorama geometry: the contract of directions, and that nothing shows at the seam or the poles."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotime import sphere
from holotime.quality import psnr


def smooth_picture(height: int, seed: int = 0) -> np.ndarray:
    """[H, 2H, 3] float picture that is smooth on the sphere: a polynomial of the direction."""
    rng = np.random.default_rng(seed)
    d = sphere.directions(height)
    basis = np.stack(
        [d[..., 0], d[..., 1], d[..., 2], d[..., 0] * d[..., 1], d[..., 1] * d[..., 2], d[..., 2] ** 2], -1
    )
    return (0.5 + 0.1 * basis @ rng.normal(size=(6, 3))).astype(np.float32)


def test_centre_looks_along_y_and_right_edge_turns_to_x():
    d = sphere.directions(512)
    assert d[256, 512] == pytest.approx((0, 1, 0), abs=0.01)
    assert d[256, 768] == pytest.approx((1, 0, 0), abs=0.01)
    assert d[0, 0][2] > 0.99
    assert np.linalg.norm(d, axis=-1) == pytest.approx(1, abs=1e-6)


def test_solid_angles_sum_to_the_sphere():
    assert sphere.solid_angles(37, 80).sum() * 80 == pytest.approx(4 * math.pi)


@given(st.integers(4, 200), st.integers(0, 2**31 - 1))
@settings(max_examples=30, deadline=None)
def test_pixels_and_directions_are_inverse(height: int, seed: int):
    rng = np.random.default_rng(seed)
    d = rng.normal(size=(20, 3))
    d /= np.linalg.norm(d, axis=-1, keepdims=True)
    x, y = sphere.to_pixels(d, height)
    lam, phi = 2 * np.pi * (x / (2 * height) - 0.5), np.pi * (0.5 - y / height)
    back = np.stack([np.cos(phi) * np.sin(lam), np.cos(phi) * np.cos(lam), np.sin(phi)], -1)
    np.testing.assert_allclose(back, d, atol=1e-9)


@given(st.integers(0, 127), st.sampled_from([(32, 64), (128, 256), (48, 96), (50, 100)]))
@settings(max_examples=20, deadline=None)
def test_resize_is_the_same_wherever_the_seam_is(turn: int, size: tuple[int, int]):
    image = np.random.default_rng(1).random((64, 128, 3)).astype(np.float32)
    # A turn by whole output pixels must turn the output.
    step = 128 // math.gcd(128, size[1])
    turn = turn * step % 128
    turned = sphere.resize(np.roll(image, turn, 1), *size)
    np.testing.assert_allclose(turned, np.roll(sphere.resize(image, *size), turn * size[1] // 128, 1), atol=1e-6)


@given(st.integers(0, 127), st.floats(0.06, 0.4))
@settings(max_examples=20, deadline=None)
def test_blurs_turn_with_the_picture_and_keep_a_constant(turn: int, sigma: float):
    image = np.random.default_rng(2).random((64, 128, 2)).astype(np.float32)
    for blur, s in ((sphere.blur_sphere, sigma), (sphere.blur, sigma * 20)):
        np.testing.assert_allclose(blur(np.roll(image, turn, 1), s), np.roll(blur(image, s), turn, 1), atol=1e-2)
        np.testing.assert_allclose(blur(np.ones((64, 128), np.float32), s), 1, atol=1e-4)


def test_blur_on_the_sphere_does_not_care_where_the_pole_is():
    """A spot blurred at the pole looks like a spot blurred at the equator."""
    height = 256
    d = sphere.directions(height)
    values = []
    for centre in ((0, 0, 1), (0, 1, 0), (0, -1, 0)):
        spot = (d @ np.array(centre, np.float32) > math.cos(0.15)).astype(np.float32)
        soft = sphere.blur_sphere(spot, 0.1)
        ring = np.abs(np.arccos(np.clip(d @ np.array(centre, np.float32), -1, 1)) - 0.15) < 0.01
        values.append((soft.max(), soft[ring].mean(), soft[ring].std()))
    for other in values[1:]:
        assert values[0] == pytest.approx(other, abs=0.03)


def test_sampling_continues_across_the_pole():
    image = smooth_picture(128)
    x = np.full((1, 40), 30.5)
    y = np.linspace(-1, 1, 40)[None]
    line = sphere.sample(image, x, y)[0]
    assert np.abs(np.diff(line, axis=0)).max() < 0.01


def test_cube_map_round_trip():
    image = smooth_picture(128)
    assert psnr(sphere.from_cube(sphere.to_cube(image, 128), 128), image, 1.0) > 45


@pytest.mark.parametrize("forward", [(0, 1, 0), (1, 0, 0), (0, 0, 1), (0, 0, -1), (0.3, -0.5, 0.2)])
def test_a_perspective_view_sees_what_it_looks_at(forward: tuple):
    rotation = sphere.look_at(forward)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)
    image = sphere.directions(256).copy()
    view = sphere.to_perspective(image, 65, 65, 1.0, rotation)
    np.testing.assert_allclose(view[32, 32], np.asarray(forward) / np.linalg.norm(forward), atol=0.02)


def test_padding_more_rows_than_there_are_is_refused():
    with pytest.raises(ValueError, match="rows"):
        sphere.pad(np.zeros((4, 8)), 0, 5)
