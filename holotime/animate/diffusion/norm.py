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

    def forward(self, x: Tensor, *, clips: int = 0, shift: Tensor | None = None, silu: bool = False) -> Tensor:
        """x [N, C, H, W] -> the same shape, channels-last.

        clips: 0 takes statistics in each frame; B takes them over all frames t * B + b of each of the B clips.
        shift: [N, C], added to x first.
        """
        if kernels.usable(x):
            return kernels.group_norm(x, self.num_groups, self.weight, self.bias, self.eps, clips, shift, silu)
        return group_norm(x, self.num_groups, self.weight, self.bias, self.eps, clips, shift, silu)


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
