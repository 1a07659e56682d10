import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from holotime import sphere
from holotime.perceive.views import VIEWS, Views, sample_panorama, view_pictures
from holotime.reconstruct import original

TESTS = Path(__file__).resolve().parents[2]
GOLDENS = ("pers_cameras", "point_cloud", "warp", "cfe", "depth_alignment")


@pytest.mark.parametrize("name", GOLDENS)
def test_golden(name):
    spec = importlib.util.spec_from_file_location("check_goldens", TESTS / "check_goldens.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    records = list(module.cases(TESTS / "goldens", f"{name}."))
    assert records
    failed = [r for r in records if not r["ok"]]
    assert not failed, failed


@pytest.mark.parametrize(("ratio", "degrees"), [(1.0, 74.755), (1.1, 80.082), (1.3, 89.604)])
def test_cameras_are_orthonormal_with_true_fields_of_view(ratio, degrees):
    views = Views.icosahedron(32, ratio)
    assert math.degrees(views.fov) == pytest.approx(degrees, abs=2e-3)
    eye = views.rotation.transpose(1, 2) @ views.rotation
    torch.testing.assert_close(eye, torch.eye(3).expand(VIEWS, 3, 3), atol=1e-6, rtol=0)
    assert torch.linalg.det(views.rotation) == pytest.approx(np.ones(VIEWS), abs=1e-5)
    assert (views.rotation[:, 2, 1] < 0).all()  # down points down


def test_views_cover_every_direction():
    views = Views.icosahedron(64, 1.0)
    directions = torch.from_numpy(sphere.directions(64).copy())
    pixels, depth = views.project(directions)
    inside = ((pixels >= -1e-3) & (pixels <= views.size + 1e-3)).all(-1) & (depth > 0)
    assert inside.any(0).all()


def test_project_undoes_directions():
    views = Views.icosahedron(16, 1.1)
    directions = views.directions()
    for v in (0, 7, 19):
        pixels, depth = views.project(directions[v])
        grid = torch.arange(16) + 0.5
        torch.testing.assert_close(pixels[v, ..., 0], grid.expand(16, 16), atol=1e-4, rtol=0)
        torch.testing.assert_close(pixels[v, ..., 1], grid[:, None].expand(16, 16), atol=1e-4, rtol=0)
        torch.testing.assert_close(1 / depth[v], views.rays().norm(dim=-1), atol=1e-5, rtol=0)


def test_rays_agree_with_the_pinhole_of_the_sphere_module():
    views = Views.icosahedron(24, 1.3)
    for v in (3, 12):
        rays = sphere.perspective_rays(24, 24, views.fov, views.rotation[v].numpy())
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        np.testing.assert_allclose(views.directions()[v].numpy(), rays, atol=1e-5)


def test_sampling_has_no_seam_and_no_pole():
    """A picture that is linear in the direction is sampled right everywhere, also across the seam and at the poles."""
    d = sphere.directions(128)
    panorama = torch.from_numpy(np.ascontiguousarray(d.transpose(2, 0, 1)))
    views = Views.icosahedron(40, 1.3)
    for v, directions in enumerate(views.directions()):
        error = (sample_panorama(panorama, directions) - directions.permute(2, 0, 1)).abs().max()
        assert error < 2e-3, v
    pole = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    torch.testing.assert_close(sample_panorama(panorama, pole)[2], pole[:, 2], atol=1e-3, rtol=0)


def test_rolling_the_panorama_turns_the_directions():
    panorama = torch.rand(1, 32, 64)
    directions = Views.icosahedron(20, 1.1).directions()[4]
    turn = 2 * math.pi * 8 / 64  # the picture moves 8 pixels to the right: the world turns to +X
    c, s = math.cos(turn), math.sin(turn)
    turned = directions @ torch.tensor([(c, s, 0), (-s, c, 0), (0, 0, 1)]).T
    for nearest in (False, True):
        a = sample_panorama(panorama, directions, nearest=nearest)
        b = sample_panorama(panorama.roll(8, -1), turned, nearest=nearest)
        assert ((a - b).abs() < 1e-3).float().mean() > 0.99


def test_nearest_passes_infinities_on_and_mixes_nothing():
    panorama = torch.full((1, 32, 64), 3.0)
    panorama[:, :16] = torch.inf
    out = sample_panorama(panorama, Views.icosahedron(16, 1.1).directions()[0], nearest=True)
    assert set(out.unique().tolist()) <= {3.0, math.inf}


def test_pictures_of_a_finer_panorama_are_averaged():
    stripes = torch.zeros(1, 512, 1024)
    stripes[..., ::2] = 1
    pictures = view_pictures(stripes, Views.icosahedron(32, 1.1))
    assert pictures.shape == (VIEWS, 1, 32, 32)
    one_sample = sample_panorama(stripes, Views.icosahedron(32, 1.1).directions()[0])
    assert pictures[0].std() < one_sample.std()


def test_published_pictures_are_those_of_the_clean_cameras_away_from_the_seam():
    d = sphere.directions(128)
    panorama = torch.from_numpy(np.ascontiguousarray(d.transpose(2, 0, 1)))
    published = original.sample_views(panorama, 1.0, 24)
    clean = view_pictures(panorama, Views.icosahedron(24, 1.0))
    ahead = Views.icosahedron(24, 1.0).directions()
    inner = (ahead[..., 1] > 0) & (ahead[..., 2].abs() < 0.9)
    assert (published - clean).abs().amax(1)[inner].max() < 5e-3


def test_warp_of_an_unmoved_camera_is_the_picture():
    torch.manual_seed(0)
    image, depth = torch.rand(24, 24, 3) * 255, 2 + torch.rand(24, 24)
    poses = torch.eye(4).expand(2, 4, 4)
    out, mask, far = original.warp(image, depth, poses, torch.tensor([20.0, 20.0, 12.0, 12.0]))
    inner = mask[0, 1:-1, 1:-1]
    assert inner.all()
    assert (out[0] - image).abs()[1:-1, 1:-1].mean() < 3  # positions round to a pixel or just beside it
    assert (far[0] - depth)[1:-1, 1:-1].abs().mean() < 0.02


def test_cyclic_flow_joins_halves_without_a_seam():
    calls = []

    def estimate(first, second, context):
        calls.append(first)
        return torch.zeros(1, 2, 8 * first.shape[2], 8 * first.shape[3])

    features = torch.arange(8.0).reshape(1, 1, 1, 8)
    flow = original.cyclic_flow(estimate, features, features, features)
    assert flow.shape == (1, 8, 64, 2)
    assert calls[0].flatten().tolist() == [4, 5, 6, 7, 0, 1, 2, 3]
    assert calls[1].flatten().tolist() == list(range(8))
