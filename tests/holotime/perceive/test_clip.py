import numpy as np
import pytest

from holotime.clip import Clip
from holotime.errors import Cancelled, InputError
from holotime.perceive import MOVER, SOLID, perceive_clip, perceive_image, travel
from holotime.perceive import clip as clip_module
from holotime.perceive.coarse import Coarse

from .conftest import field, texture

H = 64


@pytest.fixture(scope="module")
def picture():
    return field(H)


@pytest.fixture(scope="module")
def drifting(picture):
    """Four frames in which the ground of a strip is replaced by texture that slides across the seam."""
    frames = np.repeat(picture[None], 4, 0).copy()
    pattern = (255 * texture(H, 5, 30.0)).astype(np.uint8)[..., None]
    rows = slice(44, 56)
    for t in range(4):
        frames[t, rows, -30:] = np.roll(pattern, 2 * t, 1)[rows, -30:]
        frames[t, rows, :30] = np.roll(pattern, 2 * t, 1)[rows, :30]
    return Clip(frames)


def test_a_still_clip_has_no_motion_and_one_distance(picture):
    out = perceive_clip(Clip(np.repeat(picture[None], 3, 0), loop=True), backend="network")
    assert not out.flow_forward.any()
    assert not out.flow_backward.any()
    assert not out.moving.any()
    assert out.visible_next.all()
    assert np.array_equal(out.distance[0], out.distance[2])
    assert out.flow_forward.dtype == out.flow_backward.dtype == np.float16
    assert out.distance.dtype == np.float32
    assert out.backend == "network"
    np.testing.assert_array_equal(out.distance[0], perceive_image(picture).distance)


def test_one_frame_is_a_clip(picture):
    for loop in (True, False):
        out = perceive_clip(Clip(picture[None], loop=loop), backend="prior")
        assert out.distance.shape == (1, H, 2 * H)
        assert not out.flow_forward.any()
        assert out.visible_next.all()


def test_moving_texture_is_seen_moving_but_keeps_its_distance(drifting):
    out = perceive_clip(drifting, backend="network")
    inner = np.zeros((H, 2 * H), bool)
    inner[46:54, :26] = inner[46:54, -26:] = True
    assert out.moving[inner].mean() > 0.9
    assert out.moving[:30].mean() < 0.02
    finite = np.isfinite(out.distance).all(0)
    jitter = np.abs(np.diff(np.log(out.distance[:, finite]), axis=0))
    assert jitter.mean() < 1e-3
    assert not out.flow_forward[-1].any()
    assert not out.flow_backward[0].any()
    assert abs(float(np.median(out.flow_forward[0][inner][:, 0])) - 2) < 0.5


def test_a_loop_flows_from_the_last_frame_into_the_first(drifting):
    forward, backward, _ = clip_module.clip_flow(Clip(drifting.frames, loop=True))
    assert forward[-1].any()
    assert backward[0].any()


def test_a_clip_that_moves_everywhere_moves_everywhere(picture):
    pattern = (255 * texture(H, 7, 15.0)).astype(np.uint8)
    frames = np.stack([np.repeat(np.roll(pattern, 3 * t, 1)[..., None], 3, -1) for t in range(4)])
    clip = Clip(frames)
    forward, _, _ = clip_module.clip_flow(clip)
    assert clip_module.moving_mask(clip, forward).mean() > 0.9


def test_compression_noise_is_no_motion(picture):
    rng = np.random.default_rng(0)
    frames = np.clip(picture[None] + rng.normal(0, 3, (6, *picture.shape)), 0, 255).astype(np.uint8)
    clip = Clip(frames)
    forward, _, _ = clip_module.clip_flow(clip)
    assert clip_module.moving_mask(clip, forward).mean() < 0.02


def test_a_given_still_world_is_used_as_it_is(drifting, picture):
    still = perceive_image(picture, backend="prior")
    out = perceive_clip(drifting, still=still)
    assert out.backend == "prior"
    for distance in out.distance:
        np.testing.assert_allclose(distance, still.distance, rtol=1e-5)
    with pytest.raises(InputError, match="Use one size"):
        perceive_clip(drifting, still=perceive_image(field(32), backend="prior"))


def test_progress_grows_and_may_cancel(drifting):
    seen: list[float] = []
    perceive_clip(drifting, backend="prior", progress=lambda fraction, note="": seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1

    def cancel(fraction: float, note: str = "") -> None:
        if fraction > 0.1:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        perceive_clip(drifting, backend="prior", progress=cancel)


def test_wrong_shape_is_refused():
    with pytest.raises(InputError, match="twice as wide"):
        perceive_clip(Clip(np.zeros((2, 64, 64, 3), np.uint8)))


def test_weighted_median_is_the_median_for_equal_weights():
    values = np.random.default_rng(0).normal(size=(5, 4, 6)).astype(np.float32)
    out = clip_module._weighted_median(values, np.full_like(values, 0.2))
    np.testing.assert_allclose(out, np.median(values, axis=0), atol=1e-6)
    even = clip_module._weighted_median(values[:4], np.full_like(values[:4], 0.25))
    np.testing.assert_allclose(even, np.median(values[:4], axis=0), atol=1e-6)


def test_a_passing_mover_does_not_pull_the_world_behind_it():
    def reading(mover: bool) -> Coarse:
        classes = np.zeros((8, 16, 7), np.float32)
        classes[..., MOVER if mover else SOLID] = 1
        distance = np.full((8, 16), np.log(3.0 if mover else 10.0), np.float32)
        return Coarse(distance, np.full((8, 16), 0.1, np.float32), classes)

    world = clip_module._static([reading(True)] * 3 + [reading(False)] * 2)
    np.testing.assert_allclose(world.log_distance, np.log(10), atol=1e-5)
    assert (world.classes.argmax(-1) == SOLID).all()


@pytest.mark.parametrize("every", [1, 3])
def test_a_traveller_is_followed_across_the_seam_at_a_steady_distance(every):
    frames, step = 10, 6
    rng = np.random.default_rng(1)
    flow = np.zeros((frames, H, 2 * H, 2), np.float16)
    flow[..., 0] = step
    static = Coarse(
        np.zeros((H, 2 * H), np.float32), np.ones((H, 2 * H), np.float32), np.zeros((H, 2 * H, 7), np.float32)
    )
    disc = (np.arange(2 * H) - 100) ** 2 + (np.arange(H)[:, None] - 30) ** 2 < 80
    found = {}
    for t in range(0, frames, every):
        noisy = np.full((H, 2 * H), -1 + 0.2 * rng.normal(), np.float16)
        found[t] = travel.Travellers(np.roll(disc, step * t, 1), noisy)
    distance = np.ones((frames, H, 2 * H), np.float32)
    travel.place_travellers(distance, found, static, flow, -flow, lambda fraction, note="": None)
    raw = np.std([found[t].offset[0, 0] for t in found])
    inside = [float(np.median(np.log(distance[t][np.roll(disc, step * t, 1)]))) for t in range(frames)]
    assert np.std(inside) < 0.6 * raw
    assert abs(np.mean(inside) + 1) < 0.25
    for t in range(frames):
        outside = ~np.roll(disc, step * t, 1)
        assert np.mean(distance[t][outside] != 1) < 0.01
