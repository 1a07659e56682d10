"""Fused element-wise operations for what the U-Net spends its memory traffic on.

On CUDA with Triton they run as the kernels of triton_kernels.py; everywhere else, and while torch.compile traces (which
fuses by itself), as the plain twins that define the result: norm.group_norm and geglu_plain.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

enabled = True  # a plain switch: False runs the twins


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether Triton can be imported and has a CUDA device to run on."""
    try:
        import triton  # noqa: F401
    except ImportError:
        return False
    return torch.cuda.is_available()


def usable(x: Tensor) -> bool:
    """Whether the fused kernels can run on x [...]."""
    return enabled and x.is_cuda and not torch.compiler.is_compiling() and available()


def group_norm(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, clips: int, shift: Tensor | None, silu: bool
) -> Tensor:
    """As norm.group_norm: x [N, C, H, W], weight and bias [C], shift [N, C] or None -> [N, C, H, W] channels-last."""
    from holotime.animate.diffusion import triton_kernels

    n, c, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(n, h * w, c)
    y = triton_kernels.group_norm(rows, groups, weight, bias, eps, clips or n, shift, silu)
    return y.view(n, h, w, c).permute(0, 3, 1, 2)


def geglu(x: Tensor) -> Tensor:
    """x [..., 2 C] -> value * gelu(gate) [..., C]."""
    if not usable(x):
        return geglu_plain(x)
    from holotime.animate.diffusion import triton_kernels

    return triton_kernels.geglu(x.reshape(-1, x.shape[-1])).view(*x.shape[:-1], -1)


def geglu_plain(x: Tensor) -> Tensor:
    """The plain twin of :func:`geglu`. x [..., 2 C] -> [..., C]."""
    value, gate = x.chunk(2, dim=-1)
    return value * F.gelu(gate)
