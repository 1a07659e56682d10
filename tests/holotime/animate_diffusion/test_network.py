"""The U-Net and its parts beyond the goldens."""

import json
from pathlib import Path

import pytest
import torch

from holotime.animate.diffusion import kernels
from holotime.animate.diffusion.blocks import Upsample
from holotime.animate.diffusion.config import ModelConfig, UNetConfig
from holotime.animate.diffusion.norm import group_norm
from holotime.animate.diffusion.random_checkpoint import TINY, checkpoint_shapes, random_tensor
from holotime.animate.diffusion.seam import Wrap, set_wrap
from holotime.animate.diffusion.speed import prepare
from holotime.animate.diffusion.unet import DeepFeatures, UNet

KEYS = Path(__file__).resolve().parents[4] / "shared" / "reference" / "keys"


def random_unet(config: UNetConfig = TINY.unet) -> UNet:
    generator = torch.Generator().manual_seed(0)
    net = UNet(config)
    net.load_state_dict({k: random_tensor(k, tuple(v.shape), generator).float() for k, v in net.state_dict().items()})
    return net.eval().requires_grad_(False)


@pytest.fixture
def net() -> UNet:
    return random_unet()


def inputs(batch: int = 1, frames: int = 3, width: int = 32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 8, frames, 8, width, generator=generator)
    context = torch.randn(batch, 77 + 4, 32, generator=generator)
    return x, torch.full((batch,), 500), context


def test_published_network_size() -> None:
    with torch.device("meta"):
        net = UNet(UNetConfig())
    assert len(net.state_dict()) == 1516
    assert sum(p.numel() for p in net.parameters()) == 1_438_854_980


@pytest.mark.skipif(not KEYS.is_dir(), reason="the published key lists are not here")
def test_every_published_key_and_shape() -> None:
    published = {}
    for path in KEYS.glob("*.tsv"):
        for line in path.read_text().splitlines():
            key, shape = line.split("\t")
            published[key] = tuple(json.loads(shape))
    assert len(published) == 1516 + 248 + 51 + 294 + 398
    assert checkpoint_shapes(ModelConfig()) == published


def test_clips_of_a_batch_do_not_mix(net: UNet) -> None:
    x, t, context = inputs(batch=2)
    t = torch.tensor([999, 20])
    both = net(x, t, context)
    for i in range(2):
        torch.testing.assert_close(both[i : i + 1], net(x[i : i + 1], t[i : i + 1], context[i : i + 1]))


def test_preparing_does_not_change_the_result(net: UNet) -> None:
    x, t, context = inputs()
    expected = net(x, t, context)
    got = prepare(net, 7, compiled=False)(x, t, context)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


def test_shallow_pass_of_the_same_input_is_exact(net: UNet) -> None:
    x, t, context = inputs()
    for depth in (1, 2, 4):
        deep = DeepFeatures(depth)
        full = net(x, t, context, deep=deep)
        assert deep.hidden is not None
        torch.testing.assert_close(net(x, t, context, deep=deep), full)
        other = net(x + 0.1 * torch.randn_like(x), t, context, deep=deep)
        assert not torch.allclose(other, full)


def test_wrapping_keeps_a_closed_panorama_closed(net: UNet) -> None:
    """64 columns: the overlap is whole at every level, so both copies come out equal; zero padding breaks that."""
    turn, t, context = inputs(width=60)
    x = torch.cat([turn, turn[..., :4]], -1)
    set_wrap(net, Wrap.EXACT)
    y = net(x, t, context)
    torch.testing.assert_close(y[..., 60:], y[..., :4], atol=1e-5, rtol=1e-5)
    set_wrap(net, Wrap.OFF)
    y = net(x, t, context)
    assert (y[..., 60:] - y[..., :4]).abs().max() > 1e-2


@pytest.mark.parametrize("clips", [0, 2])
def test_group_norm_statistics(clips: int) -> None:
    x = torch.randn(6, 64, 4, 5) * 3 + 2  # three frames of two clips
    weight, bias, shift = torch.randn(64), torch.randn(64), torch.randn(6, 64)
    y = group_norm(x, 32, weight, bias, 1e-5, clips, shift, True)
    moved = x + shift[:, :, None, None]
    groups = moved.view(6, 32, 2, 20)
    if clips:
        groups = groups.view(3, 2, 32, 2, 20)
        mean, var = groups.mean((0, 3, 4), keepdim=True), groups.var((0, 3, 4), keepdim=True, unbiased=False)
    else:
        mean, var = groups.mean((2, 3), keepdim=True), groups.var((2, 3), keepdim=True, unbiased=False)
    expected = ((groups - mean) / (var + 1e-5).sqrt()).view(6, 64, 4, 5) * weight[:, None, None] + bias[:, None, None]
    torch.testing.assert_close(y, torch.nn.functional.silu(expected), atol=1e-5, rtol=1e-5)


def test_geglu() -> None:
    x = torch.randn(3, 5, 8)
    torch.testing.assert_close(kernels.geglu(x), x[..., :4] * torch.nn.functional.gelu(x[..., 4:]))


@pytest.mark.parametrize("wrap", list(Wrap))
@pytest.mark.parametrize("width", [4, 8, 16, 24, 32])
def test_folded_upsampling_is_the_same(wrap: Wrap, width: int) -> None:
    """Also where the overlap is not a whole number of columns of the small or the large picture."""
    torch.manual_seed(width)
    up = Upsample(8).requires_grad_(False)
    set_wrap(up, wrap)
    x = torch.randn(2, 8, 5, width).contiguous(memory_format=torch.channels_last)
    expected = up(x)
    up.fold()
    torch.testing.assert_close(up(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("clips", [1, 2])
@pytest.mark.parametrize("shallow", [False, True])
@pytest.mark.parametrize("frames", [1, 3])
def test_one_clip_under_several_contexts(clips: int, shallow: bool, frames: int) -> None:
    """What is shared by the contexts is computed once, with the result of separate passes."""
    torch.manual_seed(clips)
    net = random_unet().optimise()
    x, context = torch.randn(clips, 8, frames, 16, 16), torch.randn(2 * clips, 81, 32)
    time = torch.arange(clips) * 100 + 300

    def run(x: torch.Tensor, time: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        deep = DeepFeatures()
        full = net(x, time, context, deep=deep)
        return net(x * 0.9, time, context, deep=deep) if shallow else full

    apart = run(x.repeat(2, 1, 1, 1, 1), time.repeat(2), context)
    torch.testing.assert_close(run(x, time, context), apart, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(apart[:clips], apart[clips:])
