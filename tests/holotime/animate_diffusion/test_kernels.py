"""The Triton kernels against their plain twins: on a GPU, or anywhere with Triton under TRITON_INTERPRET=1."""

import os

import pytest
import torch

if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("needs a CUDA device, or Triton with TRITON_INTERPRET=1", allow_module_level=True)
pytest.importorskip("triton", reason="Triton is not installed")

from holotime.animate.diffusion import triton_kernels, triton_products
from holotime.animate.diffusion.graphs import GraphedUNet
from holotime.animate.diffusion.kernels import (
    add_bias_plain,
    add_layer_norm_plain,
    convolve_time,
    geglu_plain,
    interleave_plain,
)
from holotime.animate.diffusion.norm import group_norm
from holotime.animate.diffusion.random_checkpoint import TINY
from holotime.animate.diffusion.triton_products import Tile
from holotime.animate.diffusion.unet import DeepFeatures, UNet

# The interpreter counts loops by arrays of one number.
pytestmark = pytest.mark.filterwarnings("ignore:Conversion of an array with ndim > 0:DeprecationWarning")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize("clips", [0, 1, 2])
@pytest.mark.parametrize("channels", [32, 96])
@pytest.mark.parametrize("extras", [False, True])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.filterwarnings("ignore:overflow encountered in exp")  # of the interpreter: exp(-y) of a large -y
def test_group_norm(clips: int, channels: int, extras: bool, side: int) -> None:
    generator = torch.Generator().manual_seed(channels)
    n, h, w = 4, 9, 17  # 153 rows: one whole tile and a part of one
    x = (torch.randn(n, channels, h, w, generator=generator) + 40).to(DEVICE)  # a mean that would cancel badly
    weight, bias = (torch.randn(channels, generator=generator).to(DEVICE) for _ in range(2))
    shift = torch.randn(n, channels, generator=generator).to(DEVICE) if extras else None
    # In double precision: with this mean, the channels-last kernel of the CPU is off by 3e-3 itself.
    wide = [None if t is None else t.double() for t in (weight, bias, shift)]
    expected = group_norm(x.double(), 32, wide[0], wide[1], 1e-5, clips, wide[2], extras).float()
    rows = x.permute(0, 2, 3, 1).reshape(n, h * w, channels)
    got = triton_kernels.group_norm(rows, 32, weight, bias, 1e-5, clips or n, shift, extras, w, side)
    got = got.view(n, h, w + 2 * side, channels)[:, :, side : side + w].permute(0, 3, 1, 2)
    torch.testing.assert_close(got, expected, atol=2e-4, rtol=1e-4)


def test_geglu() -> None:
    x = torch.randn(45, 2 * 130, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    torch.testing.assert_close(triton_kernels.geglu(x), geglu_plain(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("channels", [32, 320])
def test_add_layer_norm(added: bool, channels: int) -> None:
    generator = torch.Generator().manual_seed(channels)
    x, y = (torch.randn(3, 7, channels, generator=generator).to(DEVICE) + 5 for _ in range(2))
    norm = torch.nn.LayerNorm(channels, device=DEVICE).requires_grad_(False)
    norm.weight.copy_(torch.randn(channels, generator=generator))
    norm.bias.copy_(torch.randn(channels, generator=generator))
    total = x.clone()
    expected = add_layer_norm_plain(total, y, norm) if added else norm(total)
    got = triton_kernels.add_layer_norm(x, y if added else None, norm.weight, norm.bias, norm.eps)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(x, total)


@pytest.mark.parametrize("times", [1, 16, 25, 40])
@pytest.mark.parametrize("fused", [False, True])
def test_attend_over_time(times: int, fused: bool) -> None:
    generator = torch.Generator().manual_seed(times)
    positions, heads, dim = 11, 3, 32
    joint = torch.randn(times, positions, 3 * heads * dim, generator=generator).to(DEVICE)
    parts = [t if fused else t.contiguous() for t in joint.chunk(3, dim=-1)]
    q, k, v = (t.unflatten(-1, (heads, dim)) for t in parts)
    expected = torch.nn.functional.scaled_dot_product_attention(*(t.permute(1, 2, 0, 3).double() for t in (q, k, v)))
    got = triton_kernels.attend_over_time(q, k, v)
    torch.testing.assert_close(got, expected.float().permute(2, 0, 1, 3), atol=1e-5, rtol=1e-5)


def test_add_bias() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(5, 96, 3, 7, generator=generator).to(DEVICE) for _ in range(2))
    bias = torch.randn(96, generator=generator).to(DEVICE)
    expected = add_bias_plain(x.clone(), y, bias)
    rows = x.permute(0, 2, 3, 1).reshape(-1, 96)
    triton_kernels.add_bias(rows, y.permute(0, 2, 3, 1).reshape(-1, 96), bias)
    torch.testing.assert_close(rows.view(5, 3, 7, 96).permute(0, 3, 1, 2), expected)


@pytest.mark.parametrize("shape", [(300, 96, 72), (64, 64, 320), (130, 32, 40)])
def test_product(shape: tuple[int, int, int]) -> None:
    m, k, n = shape
    generator = torch.Generator().manual_seed(n)
    a, b, bias, residual = (torch.randn(*s, generator=generator).to(DEVICE) for s in ((m, k), (n, k), (n,), (m, n)))
    close = {"atol": 1e-4, "rtol": 1e-4}
    tile = Tile(64, 64, 4, 2)  # in single precision a tile takes twice the memory
    torch.testing.assert_close(triton_products.product(a, b, tile=tile), a @ b.T, **close)
    got = triton_products.product(a, b, bias, residual=residual, tile=tile)
    torch.testing.assert_close(got, a @ b.T + bias + residual, **close)
    both, two = torch.cat([b, b.flip(0)]) / k**0.5, torch.cat([bias, -bias])
    expected = geglu_plain(a @ both.T + two)
    torch.testing.assert_close(triton_products.product(a, both, two, gate=True, tile=tile), expected, **close)


def test_convolution_over_time_as_a_product() -> None:
    generator = torch.Generator().manual_seed(4)
    rows = torch.randn(5, 21, 32, generator=generator).to(DEVICE)
    weight = torch.randn(64, 3, 32, generator=generator).to(DEVICE) / 10
    expected = convolve_time(rows.cpu().double(), weight.cpu().double()).float().to(DEVICE)
    flat = triton_products.product(
        rows.flatten(0, 1), weight.flatten(1), taps=3, first_shift=-21, shift=21, tile=Tile(64, 64, 4, 2)
    )
    torch.testing.assert_close(flat.view(5, 21, 64), expected, atol=1e-5, rtol=1e-4)


def test_interleave() -> None:
    generator = torch.Generator().manual_seed(5)
    x, bias = torch.randn(2, 4 * 40, 4, 6, generator=generator).to(DEVICE), torch.arange(40.0, device=DEVICE)
    got = triton_kernels.interleave(x.permute(0, 2, 3, 1), bias).permute(0, 3, 1, 2)
    torch.testing.assert_close(got, interleave_plain(x, bias))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_recorded_passes_are_the_same_passes() -> None:
    torch.manual_seed(0)
    unet = UNet(TINY.unet).to(DEVICE, torch.float16).optimise()
    graphed = GraphedUNet(unet)
    time, deep, replayed = torch.tensor([500], device=DEVICE), DeepFeatures(), DeepFeatures()
    with torch.inference_mode():
        for _ in range(3):  # a full pass, then shallow ones
            x, context = torch.randn(1, 8, 4, 16, 32, device=DEVICE), torch.randn(2, 81, 32, device=DEVICE)
            expected = unet(x, time, context, deep=deep)
            assert torch.equal(graphed(x, time, context, deep=replayed), expected)
            time = time - 1
