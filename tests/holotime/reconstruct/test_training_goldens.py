"""The recorded numbers of the reconstruction, and what its checks cannot see."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from holotime.reconstruct.training import available
from holotime.reconstruct.training.losses import photometric, ssim_map
from holotime.reconstruct.training.recipe import nearest_scales, position_rate
from holotime.reconstruct.training.recipe_inputs import cameras

TESTS = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("prefix", ["spacetime_gaussians", "reconstruction_inputs"])
def test_goldens(prefix):
    spec = importlib.util.spec_from_file_location("check_goldens", TESTS / "check_goldens.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    records = list(module.cases(TESTS / "goldens", prefix))
    assert len(records) > 20
    assert not [r for r in records if not r["ok"]]


def test_scales_are_the_distance_of_the_three_nearest():
    x = torch.arange(6.0)
    points = torch.stack([x, 0 * x, 0 * x], -1)
    want = torch.sqrt(torch.tensor([(1 + 4 + 9) / 3, (1 + 1 + 4) / 3]))
    assert torch.allclose(torch.exp(nearest_scales(points)[:2]), want)


def test_recipe_has_120_cameras_that_move_as_published():
    poses = cameras()
    assert len(poses) == 120
    assert sum(bool(c.translation.any()) for c in poses) == 80
    assert position_rate(0, 1.0) == pytest.approx(1.6e-4)
    assert position_rate(35_000, 1.0) == pytest.approx(1.6e-6)


def test_masked_pixels_do_not_count():
    random = torch.Generator().manual_seed(0)
    target = torch.rand(1, 3, 24, 24, generator=random)
    image = target.clone()
    image[..., :8] = 0
    weight = torch.ones(1, 24, 24)
    assert float(photometric(image, target, weight, 0.2, 4.0)) > 10
    weight[..., :8] = 0
    assert float(photometric(image, target, weight, 0.2, 4.0)) == pytest.approx(0, abs=1e-4)
    assert float(ssim_map(target, target).mean()) == pytest.approx(1, abs=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not available(), reason="needs a CUDA device and gsplat")
def test_cube_faces_show_what_the_panorama_shows():
    """The same splats from both rasterizers, in the directions of the panorama's pixels."""
    import numpy as np

    from holotime.reconstruct.training.rasterizers import CubeRasterizer, PanoramaRasterizer, sample
    from holotime.render.torch_twin import Splats

    random = torch.Generator().manual_seed(1)
    direction = torch.nn.functional.normalize(torch.randn(3000, 3, generator=random), dim=-1)
    distance = 2 + 3 * torch.rand(3000, 1, generator=random)
    quats = torch.nn.functional.normalize(torch.randn(3000, 4, generator=random), dim=-1)
    scales = distance * (0.01 + 0.04 * torch.rand(3000, 3, generator=random))
    opacities, colors = 0.2 + 0.7 * torch.rand(3000, generator=random), torch.rand(3000, 3, generator=random)
    splats = Splats(direction * distance, quats, scales, opacities, colors)
    flat, cube = PanoramaRasterizer(128), CubeRasterizer(128, size=256)
    picture = flat.draw(splats, torch.zeros(3), flat.lens(None)).color[0]
    on_gpu = Splats(*(getattr(splats, n).cuda() for n in ("means", "quats", "scales", "opacities", "colors")))
    lens = cube.lens(None)
    faces = cube.draw(on_gpu, torch.zeros(3), lens).color.cpu()
    want = sample(picture, lens.directions.cpu())
    error = ((faces - want)[..., 16:-16, 16:-16] ** 2).mean()
    assert 10 * np.log10(1 / float(error)) > 35


@pytest.mark.parametrize("padding", [0, 5])
def test_fast_window_means_are_the_convolution(padding):
    from holotime.reconstruct.training.losses import _smooth

    x = torch.rand(2, 3, 24, 31, generator=torch.Generator().manual_seed(0))
    fast, slow = x.clone().requires_grad_(), x.double().requires_grad_()  # doubles take the plain convolution
    pictures = _smooth(fast, padding), _smooth(slow, padding)
    assert torch.allclose(pictures[0].double(), pictures[1], atol=1e-6)
    weight = torch.rand(pictures[0].shape, generator=torch.Generator().manual_seed(1))
    for picture in pictures:
        (picture * weight.to(picture)).sum().backward()
    assert torch.allclose(fast.grad.double(), slow.grad, atol=1e-6)
