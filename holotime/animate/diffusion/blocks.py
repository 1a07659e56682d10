"""Residual, down- and up-sampling blocks of the video U-Net (layout: see norm.py).

The bias of a convolution is left to what comes next, a norm or a sum: adding it costs a pass over the map on a GPU.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from holotime.animate.diffusion import kernels
from holotime.animate.diffusion.norm import GroupNorm
from holotime.animate.diffusion.seam import WrapConv2d, pad_for_doubling


class TimeConv(nn.Conv3d):
    """A (3, 1, 1) convolution over time."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, (3, 1, 1), padding=(1, 0, 0))

    def time(self, x: Tensor, clips: int) -> Tensor:
        """x [T*B, C, H, W] channels-last with B = clips -> the same shape, without the bias."""
        n, c, h, w = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(n // clips, clips * h * w, c)
        y = kernels.convolve_time(rows, self.weight[..., 0, 0].permute(0, 2, 1))
        return y.reshape(n, h, w, c).permute(0, 3, 1, 2)


class TemporalStack(nn.Module):
    """Four normalised convolutions over time, added to their input. Statistics are taken over the whole clip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # The empty places keep the checkpoint's indices (SiLU, and from the second on dropout).
        self.conv1 = nn.ModuleList([GroupNorm(32, channels), nn.Identity(), TimeConv(channels)])
        self.conv2, self.conv3, self.conv4 = (
            nn.ModuleList([GroupNorm(32, channels), nn.Identity(), nn.Identity(), TimeConv(channels)]) for _ in range(3)
        )

    def forward(self, x: Tensor, clips: int) -> Tensor:
        """x [T*B, C, H, W] (not changed) -> the same shape."""
        h: Tensor = x
        bias: Tensor | None = None
        for stage in (self.conv1, self.conv2, self.conv3, self.conv4):
            shift = None if bias is None else bias.expand(len(x), -1)
            conv = cast(TimeConv, stage[-1])
            h = conv.time(stage[0](h, clips=clips, shift=shift, silu=True), clips)
            bias = conv.bias
        assert bias is not None
        return kernels.add_bias(h, x, bias)


class ResBlock(nn.Module):
    """Two normalised 3x3 convolutions with the time embedding between them, then the temporal stack."""

    def __init__(self, channels: int, emb_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_layers = nn.ModuleList(
            [GroupNorm(32, channels), nn.Identity(), WrapConv2d(channels, out_channels, 3, padding=1)]
        )
        self.emb_layers = nn.ModuleList([nn.Identity(), nn.Linear(emb_channels, out_channels)])
        self.out_layers = nn.ModuleList(
            [
                GroupNorm(32, out_channels),
                nn.Identity(),
                nn.Identity(),
                WrapConv2d(out_channels, out_channels, 3, padding=1),
            ]
        )
        self.skip_connection = nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)
        # The misspelling is the checkpoint's.
        self.temopral_conv = TemporalStack(out_channels)

    def forward(self, x: Tensor, emb: Tensor, clips: int) -> Tensor:
        """x [T*B, C, H, W], emb [B, E] (already through SiLU), B = clips -> [T*B, C', H, W]."""
        first, last = cast(WrapConv2d, self.in_layers[2]), cast(WrapConv2d, self.out_layers[3])
        assert first.bias is not None
        assert last.bias is not None
        h = first.of_norm(self.in_layers[0], x, biased=False)
        shift = (self.emb_layers[1](emb) + first.bias).repeat(x.shape[0] // clips, 1)
        h = last.of_norm(self.out_layers[0], h, shift, biased=False)
        return self.temopral_conv(kernels.add_bias(h, self.skip(x), last.bias), clips)

    def skip(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] at the width of the result; a 1x1 convolution is the matrix it is."""
        if isinstance(self.skip_connection, nn.Identity):
            return x
        matrix = self.skip_connection.weight[:, :, 0, 0]
        return F.linear(x.permute(0, 2, 3, 1), matrix, self.skip_connection.bias).permute(0, 3, 1, 2)


class Downsample(nn.Module):
    """Half the rows and columns by a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = WrapConv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] -> [N, C, H/2, W/2]."""
        return self.op(x)


class Upsample(nn.Module):
    """Twice the rows and columns: nearest neighbours, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = WrapConv2d(channels, channels, 3, padding=1)
        self.folded: nn.Parameter | None = None  # [4 C, C, 2, 2]

    def fold(self) -> None:
        """Replace the convolution by four of 2x2 on the small picture, one for each pixel of two by two.

        Two of three taps always fall on the same small pixel: their weights are added (once, after loading).
        """
        if self.folded is not None:
            return
        weight = self.conv.weight.detach().float()
        halves = ((slice(0, 1), slice(1, 3)), (slice(0, 2), slice(2, 3)))  # taps of the first and the second pixel
        pictures = [
            torch.stack(
                [torch.stack([weight[:, :, a, b].sum((2, 3)) for b in halves[q]], -1) for a in halves[p]], dim=-2
            )
            for p in (0, 1)
            for q in (0, 1)
        ]
        folded = torch.cat(pictures).to(self.conv.weight.dtype).contiguous(memory_format=torch.channels_last)
        self.folded = nn.Parameter(folded, requires_grad=False)
        self.conv.register_parameter("weight", None)

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] -> [N, C, 2H, 2W]."""
        if self.folded is None:
            return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))
        assert self.conv.bias is not None
        y = F.conv2d(pad_for_doubling(x, self.conv.wrap), self.folded, padding=(1, 0))
        return kernels.interleave(y, self.conv.bias)
