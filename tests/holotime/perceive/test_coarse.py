"""The geometry rules on drawn predictions."""

import numpy as np
import pytest

from holotime import sphere
from holotime.perceive import GROUND, SKY, SOLID, coarse, prior

from .conftest import field

H = 128
PHI = np.broadcast_to(sphere.latitudes(H)[:, None], (H, 2 * H))
LAM = np.broadcast_to(sphere.longitudes(2 * H)[None], (H, 2 * H))
GREY = np.full((H, 2 * H, 3), 128, np.uint8)


def around(lam: float, phi: float, radius: float):
    """[H, W] a disc on the sphere."""
    centre = np.array([np.cos(phi) * np.sin(lam), np.cos(phi) * np.cos(lam), np.sin(phi)])
    return sphere.directions(H) @ centre > np.cos(radius)


def drawn(sky, sky_probability=0.95, ground=None):
    """A prediction with a sky mask [H, W]; below it ground at 1.6 m if asked, else solid at 10 m."""
    classes = np.zeros((H, 2 * H, 7), np.float32)
    classes[..., SOLID] = 1
    log_distance = np.full((H, 2 * H), np.log(10), np.float32)
    if ground is not None:
        classes[ground] = np.eye(7)[GROUND]
        log_distance = np.where(ground, np.log(1.6 / np.sin(np.maximum(-PHI, 0.01))), log_distance).astype(np.float32)
    p = np.where(sky, np.float32(sky_probability), np.float32(0.02))
    classes *= (1 - p)[..., None]
    classes[..., SKY] = p
    return coarse.Coarse(log_distance, np.full((H, 2 * H), 0.1, np.float32), classes)


def test_an_opening_of_a_room_is_no_sky():
    window = around(np.pi, 0.2, 0.12)
    out = coarse.clean_sky(drawn(window))
    assert not out.sky.any()
    np.testing.assert_allclose(out.log_distance, np.log(10), atol=0.02)
    np.testing.assert_allclose(out.classes.sum(-1), 1, atol=1e-4)


def test_sky_enclosed_below_the_horizon_is_closed_and_the_real_sky_stays():
    real, hole = PHI > 0.3, around(0.5, -0.5, 0.15)
    out = coarse.clean_sky(drawn(real | hole))
    assert np.array_equal(out.sky, real)


def test_a_doubtful_gap_is_closed_and_a_sure_one_stays():
    real, gap = PHI > 0.8, around(1.0, 0.4, 0.1)
    assert np.array_equal(coarse.clean_sky(drawn(real | gap, 0.6)).sky, real)
    assert np.array_equal(coarse.clean_sky(drawn(real | gap, 0.95)).sky, real | gap)


def test_what_floats_in_the_sky_is_sky_and_what_stands_is_not():
    cloud, tower = around(-2.0, 0.6, 0.15), around(2.0, 0.2, 0.25)
    out = coarse.clean_sky(drawn((PHI > 0.05) & ~cloud & ~tower))
    assert out.sky[cloud].all()
    assert not out.sky[tower].any()


@pytest.mark.parametrize("turn", [0, 9, 128])
def test_a_smooth_doubt_joins_the_sky_and_an_edge_stops_it(turn):
    real = PHI > 0.7
    doubt = (PHI > 0.2) & ~real
    wall = doubt & (np.abs(LAM) < 0.5)
    reading = drawn(real)
    reading.classes[doubt] = [0.3, 0, 0, 0, 0.7, 0, 0]
    picture = GREY.copy()
    picture[wall] = [220, 60, 60]
    turned = coarse.Coarse(*(np.roll(a, turn, 1) for a in (reading.log_distance, reading.log_error, reading.classes)))
    sky = np.roll(coarse.spread_sky(turned, np.roll(picture, turn, 1)).sky, -turn, 1)
    free = doubt & (np.abs(LAM) > 0.6)
    assert sky[free].all()
    assert not sky[PHI < 0.15].any()
    inner = wall & (np.abs(LAM) < 0.4) & (PHI < 0.6)
    assert not sky[inner].any()


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.6])
def test_the_ground_ends_up_at_eye_height(factor):
    ground = PHI < -0.05
    reading = drawn(PHI > 0.1, ground=ground)
    noise = np.random.default_rng(0).normal(0, 0.05, (H, 2 * H)).astype(np.float32)
    reading = coarse.Coarse(
        reading.log_distance + np.float32(np.log(factor)) + noise, reading.log_error, reading.classes
    )
    out = coarse.snap_planes(coarse.anchor(reading))
    heights = np.exp(out.log_distance) * np.sin(-PHI)
    assert abs(np.median(heights[PHI < -0.1]) - 1.6) < 0.02
    assert heights[PHI < -0.1].std() < 0.5 * (np.exp(reading.log_distance) * np.sin(-PHI))[PHI < -0.1].std()


def test_without_ground_the_scale_stays():
    reading = drawn(PHI > 0.1)
    assert coarse.anchor(reading) is reading


def test_the_prior_sees_the_field():
    out = prior.read_prior(field(H))
    open_sky = PHI > 0.5
    assert out.sky[open_sky].mean() > 0.95
    assert not out.sky[PHI < -0.02].any()
    steep = PHI < -0.8
    np.testing.assert_allclose(np.exp(out.log_distance)[steep] * np.sin(-PHI[steep]), 1.6, rtol=1e-3)
    assert np.isfinite(out.log_distance).all()


@pytest.mark.parametrize("turn", [1, 100])
def test_the_prior_turns_with_the_picture(turn):
    image = field(H)
    a, b = prior.read_prior(image), prior.read_prior(np.roll(image, turn, 1))
    assert np.mean(np.roll(a.classes.argmax(-1), turn, 1) == b.classes.argmax(-1)) > 0.99
