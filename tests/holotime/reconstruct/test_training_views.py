"""Displaced views against a world that is known from everywhere; seam, poles, masks."""

import math

import numpy as np
import pytest
import torch

from holotime import sphere
from holotime.reconstruct.training.rasterizers import PanoramaRasterizer, sample
from holotime.reconstruct.training.warp import displaced, edges, unmix

from .conftest import room

HEIGHT = 128


def frame(eye=(0.0, 0.0, 0.0)):
    color, distance = room(eye, height=HEIGHT)
    image = torch.from_numpy(color).permute(2, 0, 1).float() / 255
    return image, torch.from_numpy(1 / distance)


def look_from(eye):
    image, inverse = frame()
    edge = edges(inverse[None])[0]
    clean, known = unmix(image, inverse, edge)
    directions = torch.from_numpy(sphere.directions(HEIGHT).copy())
    lens = PanoramaRasterizer(HEIGHT).lens(None)
    return displaced(clean, known, inverse, edge, directions, torch.tensor(eye), lens)


@pytest.mark.parametrize("eye", [(0.25, 0.0, 0.0), (-0.1, 0.2, 0.1), (0.0, -0.2, -0.2), (0.0, 0.0, 0.25)])
def test_displaced_view_is_what_an_eye_there_sees(eye):
    color, seen, near = look_from(eye)
    truth, inverse = frame(eye)
    weight = torch.from_numpy(sphere.solid_angles(HEIGHT).astype(np.float32)).expand(HEIGHT, 2 * HEIGHT)
    share = float((seen[0] * weight).sum() / weight.sum())
    assert share > 0.9
    error = ((color[0] - truth) ** 2).mean(0)
    assert float((error * seen[0] * weight).sum() / (seen[0] * weight).sum()) < 0.02**2
    off = ((near[0] / inverse - 1).abs() > 0.03) & seen[0]
    assert float((off * weight).sum() / weight.sum()) < 0.005


def test_what_the_pillar_hid_is_not_seen():
    """Behind the pillar, on the side that the step aside uncovers, nothing is known."""
    eye = (0.3, 0.0, 0.0)
    _, seen, _ = look_from(eye)
    _, there = frame(eye)
    _, here = frame()
    d = torch.from_numpy(sphere.directions(HEIGHT).copy())
    point = torch.tensor(eye) + d / there[..., None]
    hidden = sample(here[None], torch.nn.functional.normalize(point, dim=-1)[None], "nearest")[0, 0] * point.norm(
        dim=-1
    )
    hidden = hidden > 1.15  # something nearer lies in front of it, as the clip's eye sees it
    assert hidden.sum() > 50
    assert float((seen[0] & hidden).sum() / hidden.sum()) < 0.02


def test_no_displacement_gives_the_frame_back():
    color, seen, _ = look_from((1e-6, 0.0, 0.0))
    image, inverse = frame()
    calm = ~edges(inverse[None])[0]
    assert bool(seen[0][calm].float().mean() > 0.99)
    assert (color[0] - image)[:, calm & seen[0]].abs().max() < 0.02


def test_edges_wrap():
    _, inverse = frame()
    rolled = torch.roll(inverse, 37, dims=1)
    assert torch.equal(torch.roll(edges(inverse[None]), 37, dims=2), edges(rolled[None]))


def test_unmixed_pixels_take_the_colour_of_their_own_side():
    inverse = torch.full((16, 32), 0.2)
    inverse[:, 10:20] = 1.0
    image = torch.where(inverse > 0.5, 0.9, 0.1).expand(3, -1, -1).clone()
    image[:, :, 9] = image[:, :, 10] = 0.5  # antialiased on both sides
    edge = edges(inverse[None])[0]
    clean, known = unmix(image, inverse, edge)
    assert known.all()
    assert (clean[:, 4:12, 9] - 0.1).abs().max() < 0.02
    assert (clean[:, 4:12, 10] - 0.9).abs().max() < 0.02


def test_thin_things_are_not_known():
    inverse = torch.full((16, 32), 0.2)
    inverse[:, 10] = 1.0
    _, known = unmix(torch.rand(3, 16, 32), inverse, edges(inverse[None])[0])
    assert not known[4:12, 10].any()


def test_sampling_wraps_and_crosses_the_poles():
    d = torch.from_numpy(sphere.directions(64).copy())
    smooth = (d * torch.tensor([1.0, 2.0, 0.5])).sum(-1)[None]
    random = np.random.default_rng(0).normal(size=(1, 50, 40, 3))
    toward = torch.nn.functional.normalize(torch.tensor(random, dtype=torch.float32), dim=-1)
    want = (toward * torch.tensor([1.0, 2.0, 0.5])).sum(-1)
    for mode, limit in (("bicubic", 0.01), ("bilinear", 0.01), ("nearest", 0.1)):
        assert (sample(smooth, toward, mode)[:, 0] - want).abs().max() < limit, mode


def test_weights_of_the_panorama_are_solid_angles():
    weight = PanoramaRasterizer(32).lens(None).weight
    assert weight.mean() == pytest.approx(1, abs=1e-5)
    assert float(weight[0, 16, 0] / weight[0, 0, 0]) == pytest.approx(1 / math.sin(math.pi / 64), rel=0.05)
