"""Surfaces, splats, layers and windows against closed forms."""

import math

import numpy as np
import pytest

from holotime import sphere
from holotime.reconstruct import windows
from holotime.reconstruct.budget import Grid
from holotime.reconstruct.layers import background, behind_edges, near_things
from holotime.reconstruct.splats import OVERLAP, Patches, make_discs, quaternions
from holotime.reconstruct.surface import MAX_STRETCH, invert, measure, snap_edges
from holotime.reconstruct.sweeps import spread_frames, visits
from holotime.scene4d import Gaussians

HEIGHT = 64


def floor(height: int = HEIGHT) -> np.ndarray:
    """[H, W] inverse distance of a plane 1.6 m below the eye, a shell of 20 m above and beyond."""
    return np.maximum(-sphere.directions(height)[..., 2] / 1.6, 1 / 20).astype(np.float32)


def all_pixels(height: int = HEIGHT) -> Patches:
    return Grid(height, 2 * height).level(0)


def test_slope_of_a_plane_is_exact_enough():
    surface = measure(floor(256))
    phi = sphere.latitudes(256)
    rows = (phi < -0.3) & (phi > -1.4)
    # d = h / sin(-phi): d(ln d) / d(south) = -cot(-phi)
    expected = -1 / np.tan(-phi[rows])
    assert np.abs(surface.slope[rows][..., 1] - expected[:, None]).max() < 0.08
    assert np.abs(surface.slope[rows][..., 0]).max() < 1e-3


def test_slopes_do_not_cross_edges_and_stay_limited():
    inverse = np.full((HEIGHT, 2 * HEIGHT), 0.1, np.float32)
    inverse[20:40, 120:] = 1.0
    inverse[20:40, :8] = 1.0  # across the seam
    assert np.abs(measure(inverse).slope).max() < 1e-6
    noise = np.exp(np.random.default_rng(0).normal(size=inverse.shape)).astype(np.float32)
    assert np.linalg.norm(measure(noise).slope, axis=-1).max() <= MAX_STRETCH * 1.001


def test_surface_follows_a_roll():
    inverse = np.exp(0.3 * np.random.default_rng(1).normal(size=(HEIGHT, 2 * HEIGHT))).astype(np.float32)
    inverse = sphere.blur(inverse, 2.0)
    for function in (snap_edges, lambda a: measure(a).slope):
        assert np.allclose(np.roll(function(inverse), 17, 1), function(np.roll(inverse, 17, 1)), atol=1e-5)


def test_soft_edges_become_sharp_and_slopes_stay():
    hard = np.full((128, 256), 1 / 10, np.float32)
    hard[40:80, 100:160] = 1.0
    soft = sphere.blur(hard, 0.8)
    sharp = snap_edges(soft)
    between = lambda a: ((a > 0.2) & (a < 0.9)).sum()  # noqa: E731
    assert between(sharp) < 0.25 * between(soft)
    assert np.array_equal(snap_edges(floor(256)), floor(256))


def test_sky_lies_on_the_shell():
    assert np.allclose(invert(np.array([[2.0, np.inf, 500.0]]), 100.0), [[0.5, 0.01, 0.01]])


def test_quaternions_make_the_rotations():
    rng = np.random.default_rng(2)
    rotation = np.linalg.qr(rng.normal(size=(200, 3, 3)))[0]
    rotation *= np.linalg.det(rotation)[:, None, None]
    n = len(rotation)
    one = Gaussians(
        np.zeros((n, 3)), quaternions(rotation), np.tile([1.0, 2.0, 3.0], (n, 1)), np.ones(n), np.ones((n, 3))
    )
    assert np.allclose(one.covariances(), rotation @ np.diag([1.0, 4.0, 9.0]) @ rotation.transpose(0, 2, 1), atol=1e-4)


def test_splats_lie_flat_on_the_floor():
    surface = measure(floor())
    patches = all_pixels()
    discs = make_discs(
        patches, surface, np.zeros((HEIGHT, 2 * HEIGHT, 3), np.float32), np.ones((HEIGHT, 2 * HEIGHT), np.float32)
    )
    phi = np.arcsin(discs.direction[:, 2])
    on_floor = (phi < -0.35) & (phi > -1.4)
    n = on_floor.sum()
    g = Gaussians(np.zeros((n, 3)), discs.quats[on_floor], discs.scales[on_floor], np.ones(n), np.zeros((n, 3)))
    covariance = g.covariances()
    sideways = np.sqrt(covariance[:, 0, 0] + covariance[:, 1, 1])
    assert np.median(np.sqrt(covariance[:, 2, 2]) / sideways) < 0.12
    height = discs.direction[on_floor, 2] * discs.distance[on_floor]
    first = ((patches.x % 2 == 0) & (patches.y % 2 == 0))[on_floor]
    assert np.abs(height + 1.6)[first].max() < 1e-3
    # The other ranks of neighbours lie deeper, by the curvature of the sphere over one splat each.
    deeper = 1.6 * 3 * (np.pi / HEIGHT) ** 2
    assert ((height + 1.6)[~first] < 0).all()
    assert (-(height + 1.6)).max() < deeper + 1e-3


def test_splat_covers_its_patch_from_the_eye():
    inverse = np.full((HEIGHT, 2 * HEIGHT), 0.25, np.float32)
    patches = Patches(*(np.array([v], np.int32) for v in (40, 28, 4, 2)))
    image = np.zeros((HEIGHT, 2 * HEIGHT, 3), np.float32)
    discs = make_discs(patches, measure(inverse), image, np.ones(inverse.shape, np.float32))
    pixel = math.pi / HEIGHT * 4.0
    assert sorted(discs.scales[0])[1:] == pytest.approx([OVERLAP * 2 * pixel, OVERLAP * 4 * pixel], rel=0.02)


def test_background_sees_past_what_moves():
    frames = np.full((5, HEIGHT, 2 * HEIGHT, 3), 200, np.uint8)
    inverse = np.full((5, HEIGHT, 2 * HEIGHT), 0.1, np.float32)
    for t in range(5):
        frames[t, 20:30, 10 * t : 10 * t + 10] = 10
        inverse[t, 20:30, 10 * t : 10 * t + 10] = 1.0
    image, far = background(frames, inverse)
    assert np.allclose(image, 200 / 255)
    assert np.allclose(far, 0.1)


def two_layers(shift: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A grey box 2 m away in front of a green wall 8 m away: inverse [H, W], image [H, W, 3]."""
    inverse = np.full((128, 256), 1 / 8, np.float32)
    image = np.zeros((128, 256, 3), np.float32) + np.array([0.1, 0.8, 0.1], np.float32)
    inverse[50:80, 100:150] = 1 / 2
    image[50:80, 100:150] = 0.5
    return np.roll(inverse, shift, 1), np.roll(image, shift, 1)


@pytest.mark.parametrize("shift", [0, 128])  # in the middle, across the seam
def test_background_goes_on_behind_a_box(shift):
    inverse, image = two_layers(shift)
    hidden = behind_edges(measure(inverse), image, sidestep=0.3)
    mask = np.roll(hidden.mask, -shift, 1)
    assert not mask[:49].any()
    assert not mask[81:].any()
    # A side step of 0.3 m uncovers 0.3 (1/2 - 1/8) rad = 4.6 pixels.
    width = int(mask[65, 100:125].sum())
    assert 4 <= width <= 8
    assert np.allclose(hidden.image[hidden.mask], [0.1, 0.8, 0.1], atol=0.02)
    assert np.allclose(hidden.inverse[hidden.mask], 1 / 8, rtol=0.1)


def test_nothing_is_hidden_behind_a_plain_floor():
    assert not behind_edges(measure(floor(128)), np.zeros((128, 256, 3), np.float32)).mask.any()


def test_near_things_are_found_on_the_far_side_only():
    inverse, _ = two_layers()
    near = near_things(inverse)
    assert near[65, 98:100].all()
    assert near[65, 150:152].all()
    assert not near[50:80, 100:150].any()
    assert not near[65, :96].any()


@pytest.mark.parametrize(("count", "loop"), [(1, False), (1, True), (2, False), (7, False), (24, True), (60, False)])
def test_schedules_cover_the_clip(count, loop):
    found = windows.schedules(count, loop)
    assert bool(found) == (count > 1)
    for schedule in found:
        assert schedule.frames[0] == 0
        assert schedule.frames[-1] == (count if loop else count - 1)
        assert np.allclose(schedule.shares().sum(0), 1)
        assert schedule.time(0) == 0
        assert schedule.time(schedule.intervals) == 1


def test_key_windows_hand_over_without_a_hole():
    """Front over back: whatever the time, at most a seventh of what lies behind shows."""
    for t in np.linspace(0, 2, 101):  # keys at 0 (front), 1 (back), 2 (front)
        front = [math.exp(-(((t - k) / windows.FRONT_WIDTH) ** 2)) for k in (0, 2)]
        back = math.exp(-(((t - 1) / windows.BACK_WIDTH) ** 2))
        assert (1 - front[0]) * (1 - front[1]) * (1 - back) < 1 / 7


def test_points_follow_the_flow():
    """A sky that turns by two columns a frame: splats turn with it and stay on their shell."""
    height, count = 64, 9
    frames = np.zeros((count, height, 2 * height, 3), np.uint8)
    d = sphere.directions(height)
    base = np.round(127 + 120 * np.sin(9 * d)).astype(np.uint8)
    for t in range(count):
        frames[t] = np.roll(base, 2 * t, 1)
    flow = np.zeros((count, height, 2 * height, 2), np.float32)
    flow[..., 0] = 2
    clip = windows.halve(frames, flow, -flow)
    schedule = windows.Schedule((0, 4, 8), count, False)
    inverse = np.full((count, height, 2 * height), 0.05, np.float32)
    x, y = np.array([20.5, 127.5], np.float32), np.array([25.5, 40.5], np.float32)
    motion = windows.motions(x, y, schedule, 1, clip, inverse)
    for dt in (-0.5, -0.25, 0.25, 0.5):
        lam = 2 * math.pi * ((x + 2 * 8 * dt) / (2 * height) - 0.5)
        phi = math.pi * (0.5 - y / height)
        truth = 20 * np.stack([np.cos(phi) * np.sin(lam), np.cos(phi) * np.cos(lam), np.sin(phi)], -1)
        lam0 = 2 * math.pi * (x / (2 * height) - 0.5)
        start = 20 * np.stack([np.cos(phi) * np.sin(lam0), np.cos(phi) * np.cos(lam0), np.sin(phi)], -1)
        there = start + dt * (motion[:, 0] + dt * motion[:, 1])
        assert np.linalg.norm(there - truth, axis=-1).max() < 20 * math.pi / height * 0.3


def test_what_only_changes_its_light_stays():
    frames = np.stack([np.full((64, 128, 3), 40 + 20 * t, np.uint8) for t in range(5)])
    flow = np.random.default_rng(0).normal(0, 2, (5, 64, 128, 2)).astype(np.float32)
    clip = windows.halve(frames, flow, -flow)
    inverse = np.full((5, 64, 128), 0.1, np.float32)
    schedule = windows.Schedule((0, 2, 4), 5, False)
    motion = windows.motions(np.array([50.5], np.float32), np.array([30.5], np.float32), schedule, 1, clip, inverse)
    assert not motion.any()


def test_visits_reach_every_frame():
    for count in (1, 2, 5, 16, 24, 61):
        order = visits(count, 3)
        assert set(order) == set(range(count))
        assert len(order) >= 3 * 8
    assert visits(24, 0) == []
    assert spread_frames(24, 4) == [3, 9, 15, 21]
    assert spread_frames(3, 8) == [0, 1, 2]
