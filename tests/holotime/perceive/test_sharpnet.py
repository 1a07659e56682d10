import pytest
import torch

from holotime.perceive import sharpnet
from holotime.perceive.network import make_network
from holotime.perceive.sharpnet import SharpNet, convex_double


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    net = SharpNet()
    for module in net.modules():  # statistics as after training, so that layers do something
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.2, 1)
    return net.eval().requires_grad_(False)


def test_it_is_small(network):
    assert sum(p.numel() for p in network.parameters()) <= 8e6
    assert 2 * sum(v.numel() for v in network.state_dict().values()) <= 16 * 2**20
    assert isinstance(make_network(sharpnet.ARCHITECTURE), SharpNet)
    assert not isinstance(make_network(None), SharpNet)


@pytest.mark.parametrize(("height", "cells"), [(64, 1), (64, 3), (128, 2)])
def test_turning_by_whole_cells_turns_the_output(network, height, cells):
    image, turn = torch.rand(1, 3, height, 2 * height), cells * sharpnet.STRIDE
    with torch.inference_mode():
        before, after = network(image), network(torch.roll(image, turn, -1))
    for name, a, b in zip(before._fields, before, after, strict=True):
        torch.testing.assert_close(torch.roll(a, turn, -1), b, atol=3e-4, rtol=1e-3, msg=name)


def test_shapes_and_size_check(network):
    with torch.inference_mode():
        reading = network(torch.rand(2, 3, 32, 64))
    assert [part.shape[1] for part in reading] == [1, 1, 7, 1, 2, 2, 1]
    assert all(part.shape[0] == 2 and part.shape[2:] == (32, 64) for part in reading)
    with pytest.raises(ValueError, match="multiples of 32"):
        network(torch.zeros(1, 3, 48, 96))


def test_convex_upsampling_stays_within_its_neighbours_and_wraps():
    x = torch.rand(1, 2, 6, 8)
    weights = torch.rand(1, 9, 4, 6, 8).softmax(1)
    out = convex_double(x, weights)
    assert out.shape == (1, 2, 12, 16)
    assert out.min() >= x.min()
    assert out.max() <= x.max()
    rolled = convex_double(torch.roll(x, 3, -1), torch.roll(weights, 3, -1))
    torch.testing.assert_close(torch.roll(out, 6, -1), rolled)
    left = torch.zeros(1, 9, 4, 6, 8)
    left[:, 3] = 1  # everything from the neighbour on the left: the first column takes the last
    torch.testing.assert_close(convex_double(x, left)[..., 0], x.repeat_interleave(2, 2)[..., -1])
