"""Guided sampling of the published recipe: which views, which pixels, where the new splats lie."""

import math

import pytest
import torch

from holotime.reconstruct.training.guided import Guided, bad_pixels, sampled
from holotime.reconstruct.training.recipe import nearest_scales


def test_the_two_worst_views_are_sampled_once_each():
    guided = Guided(torch.full((4,), 5.0))
    guided.observe(1500, [0, 1], [0.1, 0.1])  # too early
    assert not guided.similarity
    guided.observe(1600, [0, 1], [0.95, 0.7])
    guided.observe(1601, [1, 2], [0.99, 0.85])
    assert guided.chosen is None
    guided.observe(1602, [3, 2], [0.9, 0.2])
    assert guided.chosen == [1, 2]
    assert not guided.due(1603, 3, 0.1)
    assert not guided.due(1603, 1, 0.88)
    assert guided.due(1604, 1, 0.87)
    assert not guided.due(1700, 2, 0.5)  # too soon after the other
    assert guided.due(1704, 2, 0.5)
    assert not guided.due(1900, 1, 0.5)


def test_one_poor_view_is_not_enough():
    guided = Guided(torch.full((2,), 5.0))
    guided.observe(1600, [0, 1], [0.95, 0.5])
    assert guided.chosen == []


def test_bad_patches_away_from_the_border_are_sampled():
    target = torch.full((3, 128, 128), 0.5)
    image = target.clone()
    image[:, 48:64, 48:80] = 1.0
    image[:, :16, :16] = 1.0  # bad too, but mostly at the border
    found = bad_pixels(image, target)
    assert found.min() == 13  # a tenth of 128 pixels is left out
    found = found[(found > 15).all(-1)]
    assert found[:, 0].min() >= 48
    assert found[:, 0].max() < 64
    assert found[:, 1].min() >= 48
    assert found[:, 1].max() < 80
    assert len(found) == 16 * 32 * 3 // 4  # three of every four pixels
    assert not ((found % 2 == 0).all(-1)).any()


def test_new_splats_lie_on_the_rays_of_their_pixels():
    pixels, size = torch.tensor([[3, 9], [10, 2]]), 16
    target = torch.rand(3, size, size, generator=torch.Generator().manual_seed(0))
    k = torch.tensor([[20.0, 0, 8], [0, 20.0, 8], [0, 0, 1]])
    turn = torch.tensor([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]) * torch.tensor([1.0, 1.0, 1.26])[:, None]
    viewmat = torch.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = turn, torch.tensor([0.3, 0.0, -0.1])
    new = sampled(pixels, target, viewmat, k, 4.0, torch.Generator().manual_seed(1))
    seen = new["means"] @ viewmat[:3, :3].T + viewmat[:3, 3]
    place = seen[:, :2] / seen[:, 2:] * 20 + 8 - 0.5
    assert torch.allclose(place, pixels.flip(-1).repeat(2, 1).float(), atol=1e-4)
    want = torch.tensor([0.7, 0.7, 7.5, 7.5]) * 4
    assert ((seen[:, 2] / want - 1).abs() <= 0.05 + 1e-5).all()
    assert torch.equal(new["colors"][1], target[:, 10, 2])
    assert float(torch.sigmoid(new["opacity_logits"])[0]) == pytest.approx(0.1)
    assert ((new["t_centers"] >= 0) & (new["t_centers"] <= 1)).all()


def test_sizes_of_new_splats_follow_all_others():
    old = torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]])
    new = torch.tensor([[3.0, 0, 0]])
    assert float(nearest_scales(new, torch.cat([old, new]))) == pytest.approx(0.5 * math.log((1 + 4 + 9) / 3))
