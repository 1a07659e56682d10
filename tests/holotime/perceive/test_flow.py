import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotime import sphere
from holotime.perceive import flow

from .conftest import texture

HEIGHT = 256


def rotated(image, matrix):
    """The panorama of a world turned by ``matrix``: what lay along d lies along matrix @ d. uint8 [H, W]."""
    d = sphere.directions(HEIGHT) @ matrix
    return np.round(sphere.sample(image, *sphere.to_pixels(d, HEIGHT))).astype(np.uint8)


def rotation(axis: int, angle: float):
    a, b = [k for k in range(3) if k != axis]
    out = np.eye(3)
    out[a, a] = out[b, b] = np.cos(angle)
    out[a, b], out[b, a] = -np.sin(angle), np.sin(angle)
    return out


def true_flow(matrix):
    """[H, W, 2] where every pixel's direction goes."""
    x, y = sphere.to_pixels(sphere.directions(HEIGHT).astype(np.float64) @ matrix.T, HEIGHT)
    dx = flow.wrap_difference(x - (np.arange(2 * HEIGHT) + 0.5), 2 * HEIGHT)
    return np.stack([dx, y - (np.arange(HEIGHT)[:, None] + 0.5)], -1)


def errors(found, true):
    """[H, W] end-point error on the sphere, in pixels of the equator."""
    difference = found - true
    difference[..., 0] = flow.wrap_difference(difference[..., 0], 2 * HEIGHT)
    return flow.speed(difference)


@pytest.fixture(scope="module")
def picture():
    return (40 + 175 * texture(HEIGHT, 3, 25.0)).astype(np.float32)


@pytest.mark.parametrize("angle", [2.0, -2.0])
def test_yaw_gives_the_known_flow_also_across_the_seam(picture, angle):
    shift = round(np.radians(angle) / (2 * np.pi) * 2 * HEIGHT, 3)
    matrix = rotation(2, -np.radians(angle))  # a turn to growing longitude
    first, second = rotated(picture, np.eye(3)), rotated(picture, matrix)
    found = flow.flow_between(first, second)
    error = errors(found, np.broadcast_to([shift, 0.0], found.shape))
    assert np.average(error, weights=np.broadcast_to(sphere.solid_angles(HEIGHT), error.shape)) < 0.12
    seam = np.concatenate([error[:, :8], error[:, -8:]], 1)
    assert np.average(seam, weights=np.broadcast_to(sphere.solid_angles(HEIGHT), seam.shape)) < 0.15


@pytest.mark.parametrize("axis", [0, 1])
def test_poles_are_as_good_as_the_rest(picture, axis):
    matrix = rotation(axis, np.radians(2))
    first, second = rotated(picture, np.eye(3)), rotated(picture, matrix)
    error = errors(flow.flow_between(first, second), true_flow(matrix))
    caps = np.concatenate([error[: HEIGHT // 8], error[-HEIGHT // 8 :]])
    weight = np.concatenate([sphere.solid_angles(HEIGHT)[: HEIGHT // 8], sphere.solid_angles(HEIGHT)[-HEIGHT // 8 :]])
    assert np.average(caps, weights=np.broadcast_to(weight, caps.shape)) < 0.25


def test_nothing_moves_in_equal_frames(picture):
    first = rotated(picture, np.eye(3))
    found = flow.flow_between(first, first)
    assert not found.any()
    assert flow.visible(found, found).all()


def test_covered_pixels_are_not_seen_in_the_next_frame(picture):
    first = rotated(picture, np.eye(3))
    second = first.copy()
    disc = (np.arange(2 * HEIGHT) - 300) ** 2 + (np.arange(HEIGHT)[:, None] - 128) ** 2
    patch = np.round(255 * texture(HEIGHT, 9, 40.0)).astype(np.uint8)
    first, second = first.copy(), second.copy()
    first[disc < 30**2] = patch[disc < 30**2]
    moved = np.roll(disc, 10, 1) < 30**2
    second[moved] = np.roll(patch, 10, 1)[moved]
    seen = flow.visible(flow.flow_between(first, second), flow.flow_between(second, first))
    covered = moved & (disc >= 32**2)
    assert seen[covered].mean() < 0.4
    assert seen[~(moved | (disc < 36**2))].mean() > 0.97


@given(dx=st.floats(-600, 600), width=st.sampled_from([64, 512]))
@settings(max_examples=50, deadline=None)
def test_wrapped_difference_is_the_short_way(dx, width):
    d = flow.wrap_difference(np.float64(dx), width)
    assert -width / 2 <= d <= width / 2
    assert abs(((d - dx) / width) - round((d - dx) / width)) < 1e-9
