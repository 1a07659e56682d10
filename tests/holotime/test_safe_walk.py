"""The safe-walk volume: walls, hidden places, stretched splats; what it does to paths; how it is kept."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotime.safe_walk import FARTHEST, SafeWalk, measure, walk_directions
from holotime.scene4d import ALWAYS, Scene4D

AXES = {name: i for i, name in enumerate(("+x", "-x", "+y", "-y", "+z", "-z"))}


def sphere_points(count: int) -> np.ndarray:
    i = np.arange(count) + 0.5
    z = 1 - 2 * i / count
    azimuth = math.pi * (1 + math.sqrt(5)) * i
    return np.stack([np.sqrt(1 - z * z) * np.cos(azimuth), np.sqrt(1 - z * z) * np.sin(azimuth), z], -1)


def scene_of(means: np.ndarray, sizes: np.ndarray, **more) -> Scene4D:
    n = len(means)
    return Scene4D(
        means=means,
        motion=np.zeros((n, 3, 3)),
        quats=np.tile([1.0, 0, 0, 0], (n, 1)),
        omegas=np.zeros((n, 4)),
        log_scales=np.log(np.repeat(sizes[:, None], 3, 1)),
        opacity_logits=np.full(n, 5.0),
        t_centers=np.zeros(n),
        t_log_scales=np.full(n, ALWAYS),
        colors=np.full((n, 3), 0.5),
        **more,
    )


def room(halves=(4.0, 4.0, 4.0), count=4_000, blocks=()) -> Scene4D:
    """What an eye in the middle of a box sees, as splats that meet; ``blocks``: (direction, half angle, distance)."""
    d = sphere_points(count)
    distance = (np.asarray(halves) / np.maximum(np.abs(d), 1e-9)).min(-1)
    for direction, angle, near in blocks:
        hit = d @ np.asarray(direction) > math.cos(angle)
        distance[hit] = np.minimum(distance[hit], near)
    return scene_of(d * distance[:, None], 0.9 * math.sqrt(4 * math.pi / count) * distance)


def limits(scene: Scene4D, **options) -> dict[str, float]:
    walk = measure(scene, **options)
    return {name: float(walk.metres[i]) for name, i in AXES.items()}


def test_nobody_walks_through_a_wall():
    near = limits(room((1.0, 4.0, 4.0)))
    assert 0.2 < near["+x"] < 1.0
    assert near["+x"] == pytest.approx(near["-x"], abs=0.15)
    assert near["+y"] > near["+x"] + 0.3


def test_behind_a_near_thing_is_a_hole_and_the_nearer_the_sooner():
    """A block hides a part of the wall: stepping aside uncovers it."""
    free = limits(room())
    block = limits(room(blocks=[((0, 1, 0), 0.5, 1.5)]))
    nearer = limits(room(blocks=[((0, 1, 0), 0.5, 0.7)]))
    for side in ("+x", "-x", "+z", "-z"):
        assert nearer[side] < block[side] < free[side]


def test_a_hole_that_is_closed_by_guessing_is_still_a_hole():
    """The same block before a complete wall: no pixel is empty, but the panorama never saw what shows."""
    whole, hidden = room(), room(blocks=[((0, 1, 0), 0.5, 0.7)])
    both = scene_of(
        np.concatenate([hidden.means, whole.means]), np.exp(np.concatenate([hidden.log_scales, whole.log_scales])[:, 0])
    )
    free, open_, closed = limits(whole), limits(hidden), limits(both)
    for side in ("+x", "-x", "+z", "-z"):
        assert closed[side] == pytest.approx(open_[side], rel=0.35)
        assert closed[side] < 0.6 * free[side]


def test_a_larger_share_lets_the_eye_go_farther():
    scene = room(blocks=[((0, 1, 0), 0.5, 1.0)])
    little, much = limits(scene, share=0.01), limits(scene, share=0.05)
    assert all(little[side] < much[side] for side in ("+x", "-x", "+z", "-z"))


def test_turning_the_scene_turns_the_volume():
    scene = room((3.0, 1.2, 2.0), blocks=[((1, 0, 0), 0.4, 0.8)])
    turned = scene.select(np.arange(len(scene)))
    turned.means = scene.means[:, [1, 0, 2]] * np.array([-1, 1, 1], np.float32)  # a quarter turn to the left
    a, b = limits(scene), limits(turned)
    for before, after in (("+x", "+y"), ("-x", "-y"), ("+y", "-x"), ("-y", "+x"), ("+z", "+z")):
        assert b[after] == pytest.approx(a[before], rel=0.22)


def test_an_open_view_is_as_wide_as_is_asked():
    far = limits(room((500.0, 500.0, 500.0)))
    assert set(far.values()) == {FARTHEST}


def test_a_moving_scene_is_looked_at_more_than_once():
    """Something that comes near only in the middle of the clip counts."""
    scene = room(blocks=[((0, 1, 0), 0.5, 3.0)])
    block = np.flatnonzero(np.linalg.norm(scene.means, axis=1) < 3.01)
    scene.motion[block, 1] = 4 * (-0.75) * scene.means[block]  # t^2: at t = 1/2 a quarter of the distance
    still = room(blocks=[((0, 1, 0), 0.5, 3.0)])
    assert limits(scene)["+x"] < limits(still)["+x"] - 0.1


def test_progress_is_told():
    told = []
    measure(room(count=2000), progress=lambda f, note="": told.append(f))
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 1)


# --- what it does to paths --------------------------------------------------------------------------------------------

walks = st.lists(st.floats(0.05, 2.0), min_size=14, max_size=14).map(
    lambda metres: SafeWalk(walk_directions(), np.array(metres))
)
places = st.lists(st.tuples(*[st.floats(-3, 3)] * 3), min_size=1, max_size=12).map(np.array)


@given(walks)
@settings(max_examples=30)
def test_measured_directions_keep_what_was_measured(walk):
    np.testing.assert_allclose(walk.reach(3.7 * walk.directions), walk.metres, rtol=1e-6)


@given(walks, places)
@settings(max_examples=60)
def test_between_them_the_reach_lies_between_and_is_continuous(walk, where):
    reach = walk.reach(where)
    assert (reach >= walk.metres.min() - 1e-9).all()
    assert (reach <= walk.metres.max() + 1e-9).all()
    away = where[np.linalg.norm(where, axis=1) > 0.1]
    if len(away):
        np.testing.assert_allclose(walk.reach(away + 1e-7), walk.reach(away), rtol=1e-3)


@given(walks, places)
@settings(max_examples=60)
def test_scaled_and_clamped_paths_are_inside(walk, where):
    factor = walk.factor(where)
    assert 0 < factor <= 1
    for inside in (factor * where, walk.clamp(where)):
        assert walk.factor(inside) > 1 - 1e-6
    far = np.linalg.norm(where, axis=1)
    small = far < 0.04  # inside already
    np.testing.assert_array_equal(walk.clamp(where)[small], where[small])
    direction = walk.clamp(where) / np.maximum(np.linalg.norm(walk.clamp(where), axis=1), 1e-12)[:, None]
    np.testing.assert_allclose(direction[far > 0.01], (where / np.maximum(far, 1e-12)[:, None])[far > 0.01], atol=1e-9)


# --- how it is kept ---------------------------------------------------------------------------------------------------


def test_it_travels_with_the_scene(tmp_path):
    scene = room(count=2000)
    assert SafeWalk.of(scene) is None
    scene.safe_walk = measure(scene, share=0.03).as_dict()
    back = Scene4D.load(scene.save(tmp_path / "s.safetensors"))
    kept = SafeWalk.of(back)
    assert kept is not None
    assert kept.share == 0.03
    np.testing.assert_allclose(kept.metres, measure(scene, share=0.03).metres, atol=1e-4)
    assert scene.save(tmp_path / "t.safetensors").read_bytes() == (tmp_path / "s.safetensors").read_bytes()
    back.safe_walk = {**back.safe_walk, "version": 99}
    assert SafeWalk.of(back) is None


def test_a_scene_without_it_stays_readable(tmp_path):
    scene = room(count=100)
    assert Scene4D.load(scene.save(tmp_path / "s.safetensors")).safe_walk is None
