"""Doubling the guidance clip."""

from pathlib import Path

import pytest
import torch

from holotime.animate.diffusion.upscale import double, load_upscaler
from holotime.enhance.esrgan import RRDBNet
from holotime.errors import InputError

CPU = torch.device("cpu")


@pytest.fixture
def frames() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 4, 8, generator=generator)
    return torch.nn.functional.interpolate(coarse, scale_factor=4, mode="bilinear")


def test_lanczos_turns_with_the_panorama(frames: torch.Tensor) -> None:
    done: list[int] = []
    big = double(frames, None, swap=False, each=done.append)
    assert big.shape == (2, 3, 32, 64)
    assert done == [1, 2]
    turned = double(frames.roll(5, -1), None, swap=False)
    torch.testing.assert_close(turned, big.roll(10, -1), atol=1e-5, rtol=0)


def test_network_is_read_from_its_file(frames: torch.Tensor, tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = RRDBNet(features=8, blocks=2, growth=4)
    torch.save({"params_ema": made.state_dict()}, tmp_path / "net.pth")
    network = load_upscaler(tmp_path / "net.pth", CPU, torch.float32)
    assert len(network.body) == 2
    big = double(frames, network, swap=False)
    assert big.shape == (2, 3, 32, 64)
    swapped = double(frames.flip(1), network, swap=True)  # BGR in and out: the same network on the same values
    torch.testing.assert_close(swapped.flip(1), big)


def test_another_network_is_refused(tmp_path: Path) -> None:
    torch.save({"params": {"conv_first.weight": torch.zeros(8, 5, 3, 3)}}, tmp_path / "net.pth")
    with pytest.raises(InputError, match="not a network of Real-ESRGAN"):
        load_upscaler(tmp_path / "net.pth", CPU, torch.float32)
    torch.save(RRDBNet(features=8, blocks=1, growth=4, scale=4).state_dict(), tmp_path / "net.pth")
    with pytest.raises(InputError, match="enlarges 4 times"):
        load_upscaler(tmp_path / "net.pth", CPU, torch.float32)
