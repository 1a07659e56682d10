"""The Triton kernels against their plain twins: on a GPU, or anywhere with Triton under TRITON_INTERPRET=1."""

import os

import pytest
import torch

if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("needs a CUDA device, or Triton with TRITON_INTERPRET=1", allow_module_level=True)
pytest.importorskip("triton", reason="Triton is not installed")

from holotime.animate.diffusion import triton_kernels
from holotime.animate.diffusion.kernels import geglu_plain
from holotime.animate.diffusion.norm import group_norm

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize("clips", [0, 1, 2])
@pytest.mark.parametrize("channels", [32, 96])
@pytest.mark.parametrize("extras", [False, True])
@pytest.mark.filterwarnings("ignore:overflow encountered in exp")  # of the interpreter: exp(-y) of a large -y
def test_group_norm(clips: int, channels: int, extras: bool) -> None:
    generator = torch.Generator().manual_seed(channels)
    n, h, w = 4, 9, 17  # 153 rows: one whole tile and a part of one
    x = (torch.randn(n, channels, h, w, generator=generator) + 40).to(DEVICE)  # a mean that would cancel badly
    weight, bias = (torch.randn(channels, generator=generator).to(DEVICE) for _ in range(2))
    shift = torch.randn(n, channels, generator=generator).to(DEVICE) if extras else None
    # In double precision: with this mean, the channels-last kernel of the CPU is off by 3e-3 itself.
    wide = [None if t is None else t.double() for t in (weight, bias, shift)]
    expected = group_norm(x.double(), 32, wide[0], wide[1], 1e-5, clips, wide[2], extras).float()
    rows = x.permute(0, 2, 3, 1).reshape(n, h * w, channels)
    got = triton_kernels.group_norm(rows, 32, weight, bias, 1e-5, clips or n, shift, extras)
    torch.testing.assert_close(got.view(n, h, w, channels).permute(0, 3, 1, 2), expected, atol=2e-4, rtol=1e-4)


def test_geglu() -> None:
    x = torch.randn(45, 2 * 130, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    torch.testing.assert_close(triton_kernels.geglu(x), geglu_plain(x), atol=1e-5, rtol=1e-5)
