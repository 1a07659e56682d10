"""RIFE's network: its published files, and its circle."""

from pathlib import Path

import pytest
import torch

from holotime.enhance.ifnet import IFNet, load_ifnet, warp
from holotime.errors import InputError

from .conftest import randomise

CPU = torch.device("cpu")
SMALL = (16, 12, 8, 4)


@pytest.fixture
def frames() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.rand(1, 3, 32, 128, generator=generator) for _ in range(2))


@pytest.mark.parametrize("gains", [True, False])
def test_rolling_the_input_rolls_the_output(gains: bool, frames: tuple[torch.Tensor, torch.Tensor]) -> None:
    network = randomise(IFNet(gains, SMALL)).eval()
    first, second = frames
    for wrap, exact in ((True, True), (False, False)):
        with torch.inference_mode():
            flow, trust = network.wrapped(wrap)(first, second, 0.3)
            rolled = network(first.roll(32, -1), second.roll(32, -1), 0.3)
        assert flow.shape == (1, 4, 32, 128)
        assert trust.shape == (1, 1, 32, 128)
        off = max((flow.roll(32, -1) - rolled[0]).abs().max(), (trust.roll(32, -1) - rolled[1]).abs().max())
        assert (off < 1e-4) == exact, f"off by {off}"


@pytest.mark.parametrize("gains", [True, False])
def test_read_from_a_published_file(gains: bool, tmp_path: Path, frames: tuple[torch.Tensor, torch.Tensor]) -> None:
    network = randomise(IFNet(gains, SMALL)).eval()
    state = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    state["module.block_tea.conv0.0.0.weight"] = torch.zeros(3)  # what only the training needed
    torch.save(state, tmp_path / "rife.pkl")
    read = load_ifnet(tmp_path / "rife.pkl", CPU)
    with torch.inference_mode():
        for a, b in zip(network(*frames, 0.5), read(*frames, 0.5), strict=True):
            torch.testing.assert_close(a, b)


def test_other_networks_are_refused(tmp_path: Path) -> None:
    state = IFNet(True, SMALL).state_dict() | {"block0.lastconv.0.weight": torch.zeros(16, 52, 4, 4)}
    torch.save(state, tmp_path / "rife.pkl")
    with pytest.raises(InputError, match=r"not a network of RIFE 4\.0 or 4\.2 to 4\.6"):
        load_ifnet(tmp_path / "rife.pkl", CPU)
    torch.save({"hello": torch.zeros(1)}, tmp_path / "rife.pkl")
    with pytest.raises(InputError, match=r"weights get rife-4\.6"):
        load_ifnet(tmp_path / "rife.pkl", CPU)


def test_warp_follows_the_flow_round_the_circle(frames: tuple[torch.Tensor, torch.Tensor]) -> None:
    picture = frames[0]
    flow = torch.zeros(1, 2, 32, 128)
    flow[:, 0] = 50.0
    torch.testing.assert_close(warp(picture, flow, True), picture.roll(-50, -1), atol=1e-4, rtol=0)
    assert not torch.allclose(warp(picture, flow, False), picture.roll(-50, -1), atol=1e-2)
