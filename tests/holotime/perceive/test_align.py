"""Alignment of perspective predictions: exact predictors, noisy ones, and inputs at the edge of sense."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from holotime import sphere
from holotime.clip import Clip, read_clip
from holotime.perceive import GROUND, SKY, WATER, perceive_image, regions
from holotime.perceive.align import Alignment, align
from holotime.perceive.clip import clip_flow, moving_mask
from holotime.perceive.fuse import fuse, fuse_views, make_slots, steady
from holotime.perceive.ground import plane_shift
from holotime.perceive.observe import Block, Scene, Standard, gains, make_blocks, sphere_points
from holotime.perceive.solve import GRID, AlignConfig, Solver, spline_basis
from holotime.perceive.views import VIEWS, Views, sample_panorama

H = 128
GT = Path(__file__).resolve().parents[4] / "shared" / "gt4d"


def world(frames: int = 1, height: int = H, hole: bool = True) -> np.ndarray:
    """[T, H, W] a floor 1.6 m below, walls of a room, a pillar that walks around, an opening to the sky."""
    d = sphere.directions(height).astype(np.float64)
    x, y, z = np.moveaxis(d, -1, 0)
    with np.errstate(divide="ignore"):
        floor = np.where(z < 0, 1.6 / np.maximum(-z, 1e-9), np.inf)
        room = np.minimum(np.where(x > 0, 5 / np.abs(x), 3 / np.abs(x)), 7 / np.abs(y))
    ceiling = np.full_like(z, np.inf) if hole else np.where(z > 0, 2.5 / np.maximum(z, 1e-9), np.inf)
    shell = np.minimum(np.minimum(floor, room), ceiling)
    shell = np.where((z > 0.7) & hole, np.inf, shell)
    out = []
    for t in range(frames):
        pillar = (np.abs(np.angle(np.exp(1j * (np.arctan2(x, y) - 0.15 * t)))) < 0.15) & (np.abs(z) < 0.5)
        out.append(np.where(pillar, np.minimum(2.2, shell), shell))
    return np.stack(out).astype(np.float32)


def scene_of(truth: np.ndarray, rough: float = 1.0, plane: bool = True, loop: bool = False) -> Scene:
    """What would be known before: rough distances and the floor. Movers: where the truth changes."""
    sky = ~np.isfinite(truth).all(0)
    z = sphere.directions(truth.shape[1])[..., 2]
    distance = np.where(sky, 10, np.where(np.isfinite(truth[0]), truth[0], 10)) ** 0.8 * rough
    with np.errstate(invalid="ignore"):
        floor = (np.abs(truth[0] * -z - 1.6) < 0.01) & plane
        moving = np.ptp(np.where(np.isfinite(truth), truth, 99), axis=0) > 1e-3
    flow = torch.zeros(*truth.shape, 2)
    fields = (distance.astype(np.float32), sky, floor.astype(np.float32), np.zeros_like(z), moving)
    seen = torch.ones(truth.shape, dtype=torch.bool)
    return Scene(*(torch.from_numpy(np.ascontiguousarray(f)) for f in fields), flow, seen, loop)


def stub(truth: np.ndarray, views: Views, kind: str, seed: int = 0, bump: float = 0.0) -> list[torch.Tensor]:
    """A perfect predictor, up to a random scale and shift (and a smooth distortion of ``bump``) in each view."""
    generator = torch.Generator().manual_seed(seed)
    length = views.rays().norm(dim=-1)
    out = []
    for frame in truth:
        d = sample_panorama(torch.from_numpy(frame)[None], views.directions(), nearest=True)[0]
        value = {"distance": d, "depth": d / length, "disparity": length / d}[kind]
        coarse = torch.randn(VIEWS, 1, 3, 3, generator=generator) * bump
        value = value * torch.nn.functional.interpolate(coarse, 2 * [views.size], mode="bicubic")[:, 0].exp()
        scale = torch.exp(3 * torch.rand(VIEWS, 1, 1, generator=generator) - 1.5)
        shift = 10 * torch.rand(VIEWS, 1, 1, generator=generator) - 5
        out.append(value * scale + shift)
    return out


def solved(truth, views, kind, config=None, scene=None, **stub_arguments) -> tuple[np.ndarray, Alignment]:
    predictions = stub(truth, views, kind, **stub_arguments)
    scene = scene or scene_of(truth)
    found = align(predictions, kind, views, scene, config or AlignConfig(points=4096))
    rays = torch.from_numpy(sphere.directions(truth.shape[1]).copy())
    return fuse(predictions, found, views, rays, scene.moving, loop=scene.loop).exp().numpy(), found


def mean_error(found: np.ndarray, truth: np.ndarray) -> float:
    """Mean relative error by solid angle with one scale for the clip, over what is solid in both."""
    both = np.isfinite(truth) & np.isfinite(found)
    weight = np.broadcast_to(sphere.solid_angles(*truth.shape[1:]), truth.shape)[both]
    scale = np.median(truth[both] / found[both])
    return float(np.average(np.abs(found[both] * scale / truth[both] - 1), weights=weight))


@pytest.mark.parametrize("kind", ["distance", "depth", "disparity"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_perfect_predictor_gives_the_true_field(kind, seed):
    truth = world(3)
    found, alignment = solved(truth, Views.icosahedron(128, 1.3), kind, seed=seed)
    if kind != "disparity":  # zero is no infinity: the sky of a disparity is for the classes
        sky = np.isinf(truth)
        assert (np.isinf(found) == sky).mean() > 0.99
    both = np.isfinite(truth) & np.isfinite(found)
    assert mean_error(found, truth) < 0.01
    assert np.median(truth[both] / found[both]) == pytest.approx(1, abs=0.01)  # the floor sets the metre
    still = both.all(0) & (np.ptp(np.where(both, truth, 0), axis=0) == 0)
    assert np.abs(np.diff(np.log(found[:, still]), axis=0)).mean() < 3e-3
    assert alignment.disagreement < 0.01


def test_without_a_floor_the_reference_sets_scale_and_shift():
    truth = world(1, hole=False)
    found, _ = solved(truth, Views.icosahedron(96, 1.3), "distance", scene=scene_of(truth, plane=False))
    assert (found > 0).all()
    assert mean_error(found, truth) < 0.12  # the reference is wrong by a power of 0.8


def test_smooth_distortions_are_evened_out():
    truth = world(1)
    views = Views.icosahedron(96, 1.3)
    plain, _ = solved(truth, views, "depth", AlignConfig(points=4096, correction_rounds=0), bump=0.03)
    mended, _ = solved(truth, views, "depth", AlignConfig(points=4096), bump=0.03)
    directions = torch.from_numpy(sphere.directions(H).copy())

    def disagreement(config: AlignConfig) -> float:
        predictions = stub(truth, views, "depth", bump=0.03)
        found = align(predictions, "depth", views, scene_of(truth), config)
        slots = make_slots(directions, views)
        logs = found.log_distance(predictions[0], views, 0).reshape(-1)[slots.index[..., 0]]
        both = (slots.weight > 0.05) & torch.isfinite(logs)
        pair = both[0] & both[1]
        return float((logs[0] - logs[1]).abs()[pair].median())

    assert disagreement(AlignConfig(points=4096)) < 0.7 * disagreement(AlignConfig(points=4096, correction_rounds=0))
    assert mean_error(mended, truth) < 1.1 * mean_error(plain, truth)
    assert mean_error(mended, truth) < 0.06


def test_more_frames_than_are_solved_together_follow_them():
    truth = world(7)
    config = AlignConfig(points=2048, frames=3, rounds=8)
    found, alignment = solved(truth, Views.icosahedron(64, 1.3), "distance", config)
    assert alignment.usable.all()
    assert mean_error(found, truth) < 0.02


def test_a_clip_that_moves_everywhere_and_one_that_never_moves():
    truth = world(1).repeat(3, 0)
    views = Views.icosahedron(64, 1.3)
    for moves in (False, True):
        scene = scene_of(truth)
        scene.moving[:] = moves
        found, _ = solved(truth, views, "depth", AlignConfig(points=2048, rounds=8), scene=scene)
        assert mean_error(found, truth) < 0.01
        both = np.isfinite(found).all(0)
        assert np.abs(np.diff(np.log(found[:, both]), axis=0)).mean() < 3e-3


def test_nothing_but_sky_is_infinitely_far():
    truth = np.full((2, 32, 64), np.inf, np.float32)
    scene = scene_of(truth)
    found, alignment = solved(truth, Views.icosahedron(32, 1.1), "distance", scene=scene)
    assert np.isinf(found).all()
    assert not alignment.usable.any()


def test_a_view_that_is_not_a_number_is_seen_by_its_neighbours():
    truth = world(1)
    views = Views.icosahedron(96, 1.3)
    predictions = stub(truth, views, "depth")
    predictions[0][7] = torch.nan
    found = align(predictions, "depth", views, scene_of(truth), AlignConfig(points=4096))
    assert found.usable[0].sum() == VIEWS - 1
    rays = torch.from_numpy(sphere.directions(H).copy())
    log = fuse(predictions, found, views, rays, torch.zeros(H, 2 * H, dtype=torch.bool))
    assert log.isnan().float().mean() < 0.01
    assert mean_error(log.exp().numpy(), truth) < 0.015


def test_a_constant_prediction_does_not_break_the_rest():
    truth = world(1)
    views = Views.icosahedron(64, 1.3)
    predictions = stub(truth, views, "depth")
    predictions[0][3] = 0.25
    found = align(predictions, "depth", views, scene_of(truth), AlignConfig(points=4096))
    assert torch.isfinite(found.scale).all()
    assert torch.isfinite(found.shift).all()
    log = found.log_distance(predictions[0], views, 0)
    d = sample_panorama(torch.from_numpy(truth[0])[None], views.directions(), nearest=True)[0]
    good = torch.isfinite(d) & torch.isfinite(log)
    good[3] = False
    assert (log - d.log()).abs()[good].median() < 0.02


def test_turning_the_world_turns_the_field():
    truth = world(1)
    views = Views.icosahedron(96, 1.3)
    found, _ = solved(truth, views, "distance")
    turned, _ = solved(np.roll(truth, 37, -1), views, "distance", seed=5)
    back = np.roll(turned, -37, -1)
    both = np.isfinite(found) & np.isfinite(back)
    apart = np.abs(np.log(found[both] / back[both]))
    assert np.median(apart) < 3e-3
    assert (apart < 0.03).mean() > 0.95  # the rest are edges, seen by other pixels of other views


def test_a_step_is_the_least_squares_solution_with_every_unknown_written_out():
    """Twin: the eliminated system against one that has a column for every group's value as well."""
    torch.manual_seed(0)
    m, frames = 60, [0]
    points = scene_of(world(1)).at(sphere_points(m))
    weight = torch.rand(m, VIEWS) * (torch.rand(m, VIEWS) < 0.4)
    weight[:, 0] += 0.1
    gain, p = 1 + torch.rand(m, VIEWS), torch.randn(m, VIEWS)
    known = torch.where(torch.rand(m) < 0.7, 3 + torch.rand(m), torch.nan)
    block = Block(frames, points, p, gain, weight, still=True, known=known)
    solver = Solver([block], frames, "depth", AlignConfig(proximity=1e-9))
    solver.start()
    solver.width = 1e6  # every observation counts fully
    _, trust, mean = solver.group(block)
    w = (trust / solver.unit(mean)[:, None] ** 2).double()
    strength = torch.where(known.isnan(), 0.0, weight.sum(1).clamp_min(1.0) / solver.unit(mean) ** 2).double()
    rows, right = [], []
    for i in range(m):
        for v in range(VIEWS):
            row = torch.zeros(2 * VIEWS + m, dtype=torch.float64)
            row[v], row[VIEWS + v], row[2 * VIEWS + i] = gain[i, v] * p[i, v], gain[i, v], -1
            rows.append(row * w[i, v].sqrt())
            right.append(0.0)
        row = torch.zeros(2 * VIEWS + m, dtype=torch.float64)
        row[2 * VIEWS + i] = strength[i].sqrt()
        rows.append(row)
        right.append(float(strength[i].sqrt() * known[i].nan_to_num()))
    expected = torch.linalg.lstsq(torch.stack(rows), torch.tensor(right, dtype=torch.float64)).solution[: 2 * VIEWS]
    before = solver.theta.clone()
    solver.step()
    positive = expected[:VIEWS] > 0  # others keep what they had
    torch.testing.assert_close(solver.theta[:, positive], expected.reshape(2, -1)[:, positive], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(solver.theta[:, ~positive], before[:, ~positive])


def test_spline_basis_is_a_partition_of_unity_and_local():
    basis = spline_basis(torch.linspace(0, 1, 50))
    torch.testing.assert_close(basis.sum(1), torch.ones(50))
    assert (basis >= 0).all()
    assert ((basis > 0).sum(1) <= 4).all()
    assert basis.shape == (50, GRID)


def test_gains_turn_depth_into_distance():
    length = torch.tensor([1.0, 1.25, 2.0])
    depth = torch.tensor([3.0, 4.0, 5.0])
    torch.testing.assert_close(gains("depth", length) * depth, depth * length)
    torch.testing.assert_close(gains("disparity", length) / depth, 1 / (depth * length))
    torch.testing.assert_close(gains("distance", length), torch.ones(3))


def test_the_plane_of_waves_is_found():
    generator = torch.Generator().manual_seed(0)
    dip = 0.1 + 0.85 * torch.rand(4000, generator=generator, dtype=torch.float64)
    height = 1.8 + 0.03 * torch.randn(4000, generator=generator, dtype=torch.float64)
    x = height / dip
    x[::5] += 3 * torch.rand(800, generator=generator, dtype=torch.float64)  # what only looks like ground
    for shift in (-1.0, 0.0, 2.0):
        found = plane_shift(x - shift, torch.ones_like(x), dip)
        assert found == pytest.approx(shift, abs=0.03)
    assert plane_shift(x[:10], torch.ones(10, dtype=torch.float64), dip[:10]) is None


def test_movers_are_followed_along_the_flow():
    truth = world(2)
    scene = scene_of(truth)
    scene.flow[0, ..., 0] = 0.15 / (2 * math.pi) * truth.shape[2]
    views = Views.icosahedron(64, 1.3)
    standards: dict[int, Standard] = {}
    blocks = make_blocks(stub(truth, views, "distance"), [0, 1], views, "distance", scene, 8192, 8192, standards)
    assert [b.still for b in blocks] == [True, False, False]
    assert [b.frames for b in blocks] == [[0, 1], [0, 1], [1]]
    assert set(standards) == {0, 1}
    moved, _ = scene.followed(blocks[1].points, 0)
    before, after = blocks[1].points.direction, moved
    turn = torch.atan2(after[:, 0], after[:, 1]) - torch.atan2(before[:, 0], before[:, 1])
    assert torch.cos(turn).sub(math.cos(0.15)).abs().max() < 0.02


def test_a_loop_is_followed_from_its_last_frame_into_its_first():
    truth = world(3)
    scene = scene_of(truth, loop=True)
    views = Views.icosahedron(32, 1.3)
    blocks = make_blocks(stub(truth, views, "distance"), [0, 1, 2], views, "distance", scene, 2048, 2048, {})
    assert [b.frames for b in blocks][1:] == [[0, 1], [1, 2], [2, 0]]


def test_nothing_floats_between_two_surfaces():
    views = Views.icosahedron(64, 1.3)
    near = (views.directions()[..., 0] > 0.1).float()
    log = torch.where(near > 0, 1.0, 3.0)
    fused = fuse_views(log, make_slots(torch.from_numpy(sphere.directions(64).copy()), views), 0.05)
    assert ((fused - 1).abs() < 0.02).logical_or((fused - 3).abs() < 0.02).all()


def test_steady_averages_noise_and_keeps_what_really_changes():
    generator = torch.Generator().manual_seed(0)
    log = 1 + 0.02 * torch.randn(14, 4, 8, generator=generator)
    log[6:, 0] += 1  # a mover arrives
    moving = torch.zeros(4, 8, dtype=torch.bool)
    moving[:2] = True
    out = steady(log, moving)
    assert out[:, 2:].std(0).max() == 0
    assert out[:, 1].diff(dim=0).abs().mean() < 0.5 * log[:, 1].diff(dim=0).abs().mean()
    assert (out[6, 0] - out[5, 0]).min() > 0.9
    rolled = steady(log.roll(3, 0), moving, loop=True)
    looped = steady(log, moving, loop=True)
    torch.testing.assert_close(rolled, looped.roll(3, 0))
    sky = torch.full((3, 2, 4), torch.inf)
    assert steady(sky, torch.zeros(2, 4, dtype=torch.bool)).isinf().all()


@pytest.mark.skipif(not GT.is_dir(), reason="needs the ground truth beside the checkout")
@pytest.mark.parametrize("name", ["courtyard", "lagoon"])
def test_the_floor_on_ground_truth(name):
    frames = 4
    clip = read_clip(GT / name / "frames")
    clip = Clip(clip.frames[:frames], 8.0)
    truth = np.load(GT / name / "depth.npz")["depth"][:frames].astype(np.float32)
    forward, _, seen = clip_flow(clip)
    moving = moving_mask(clip, forward)
    look = perceive_image(clip.frames[0])
    sky = look.classes[..., SKY] >= 0.5
    rough = np.exp(regions.fill(np.log(np.where(sky, np.float32(1), look.distance)), ~sky))
    fields = (rough, sky, look.classes[..., GROUND], look.classes[..., WATER], moving)
    tensors = (torch.from_numpy(np.ascontiguousarray(f)) for f in fields)
    scene = Scene(*tensors, torch.from_numpy(forward), torch.from_numpy(seen))
    found, _ = solved(truth, Views.icosahedron(512, 1.3), "distance", AlignConfig(), scene)
    assert mean_error(found, truth) < 0.01
    with np.errstate(invalid="ignore", divide="ignore"):
        still = np.isfinite(truth[1:] * truth[:-1]) & (np.abs(np.log(truth[1:] / truth[:-1])) < 0.005)
        jitter = np.abs(np.log(found[1:] / found[:-1]))
    assert jitter[still & np.isfinite(jitter)].mean() < 3e-3


def test_views_that_differ_on_a_smooth_surface_leave_no_step():
    views = Views.icosahedron(96, 1.3)
    log = torch.ones(VIEWS, 96, 96) + 0.1 * torch.randn(VIEWS, 1, 1, generator=torch.Generator().manual_seed(0))
    fused = fuse_views(log, make_slots(torch.from_numpy(sphere.directions(128).copy()), views), 0.02)
    step = (fused - fused.roll(1, -1)).abs()[32:96]  # between neighbouring columns, away from the poles
    assert step.max() < 0.08  # a ramp over a few columns; a hard switch between views is up to 0.3
    assert (fused.max() - fused.min()) < 0.35
