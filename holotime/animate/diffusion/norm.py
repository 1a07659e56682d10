"""Group normalisation over one frame or over the whole clip, for channels-last frames in time-major order.

Feature maps are [T*B, C, H, W] with index t * B + b, stored channels-last: memory is [T, B, H, W, C]. Then spatial
tokens [T*B, H*W, C] and temporal tokens [T, B*H*W, C] are both plain views.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from holotime.animate.diffusion import kernels


class GroupNorm(nn.GroupNorm):
    """GroupNorm with optional SiLU after it, an optional shift before it, and statistics over a frame or a clip."""

    def forward(
        self, x: Tensor, *, clips: int = 0, shift: Tensor | None = None, silu: bool = False, side: int = 0
    ) -> Tensor:
        """x [N, C, H, W] -> [N, C, H, side + W + side], channels-last; what is in the sides is not defined.

        clips: 0 takes statistics in each frame; B takes them over all frames t * B + b of each of the B clips.
        shift: [N, C], added to x first.
        """
        if kernels.usable(x):
            return kernels.group_norm(x, self.num_groups, self.weight, self.bias, self.eps, clips, shift, silu, side)
        y = group_norm(x, self.num_groups, self.weight, self.bias, self.eps, clips, shift, silu)
        return pad_channels_last(y, side) if side else y


def to_channels_last(network: nn.Module) -> nn.Module:
    """The network with the weights of its 2-D convolutions stored channels-last."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def pad_channels_last(x: Tensor, side: int) -> Tensor:
    """x [N, C, H, W] with ``side`` columns of zeros on both sides, channels-last."""
    return F.pad(x.permute(0, 2, 3, 1), (0, 0, side, side)).permute(0, 3, 1, 2)


def group_norm(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, clips: int, shift: Tensor | None, silu: bool
) -> Tensor:
    """The plain twin of :func:`kernels.group_norm`. x [N, C, H, W], weight and bias [C], shift [N, C] or None."""
    if shift is not None:
        x = x + shift[:, :, None, None]
    n, c, h, w = x.shape
    if clips:
        frames = x.permute(0, 2, 3, 1).reshape(n // clips, clips, h * w, c)
        y = F.group_norm(frames.permute(1, 3, 0, 2), groups, weight, bias, eps)  # [B, C, T, S]
        y = y.permute(2, 0, 3, 1).reshape(n, h, w, c).permute(0, 3, 1, 2)
    else:
        y = F.group_norm(x, groups, weight, bias, eps)
    y = y.contiguous(memory_format=torch.channels_last)
    return F.silu(y, inplace=not y.requires_grad) if silu else y
