"""Fused element-wise kernels (Triton, CUDA only) for what the U-Net spends its memory traffic on.

Each has a plain torch twin that runs everywhere else and defines the result: norm.group_norm and geglu_plain.
"""

import torch.nn.functional as F
from torch import Tensor


def usable(x: Tensor) -> bool:
    """Whether the fused kernels can run on x."""
    return False


def group_norm(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, clips: int, shift: Tensor | None, silu: bool
) -> Tensor:
    raise NotImplementedError


def geglu(x: Tensor) -> Tensor:
    """x [..., 2 C] -> value * gelu(gate) [..., C]."""
    return geglu_plain(x)


def geglu_plain(x: Tensor) -> Tensor:
    """The plain twin of :func:`geglu`. x [..., 2 C] -> [..., C]."""
    value, gate = x.chunk(2, dim=-1)
    return value * F.gelu(gate)
