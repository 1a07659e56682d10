"""Layers of the perception networks: everything wraps in longitude and knows a row's latitude."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def row_latitudes(height: int, device: torch.device) -> Tensor:
    """[H] latitude of each row's centre in radians."""
    return math.pi * (0.5 - (torch.arange(height, device=device, dtype=torch.float32) + 0.5) / height)


def row_channels(image: Tensor) -> Tensor:
    """[B, 4, H, W] what tells a network how high each row of an image [B, C, H, W] lies, in the image's type."""
    batch, _, height, width = image.shape
    phi = row_latitudes(height, image.device)
    rows = torch.stack([torch.sin(phi), torch.cos(phi), torch.sin(3 * phi), (phi > 0).float()]).to(image.dtype)
    return rows[None, :, :, None].expand(batch, 4, height, width)


def wrap(x: Tensor, columns: int) -> Tensor:
    """[..., W] -> [..., W + 2 columns], continued around the circle."""
    return torch.cat([x[..., -columns:], x, x[..., :columns]], dim=-1)


def double(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, C, 2H, 2W], bilinear and without a seam."""
    return F.interpolate(wrap(x, 1), scale_factor=2, mode="bilinear", align_corners=False)[..., 2:-2]


class CircularConv(nn.Module):
    """3x3 convolution that wraps in longitude and pads with zeros beyond the poles, then batch norm and SiLU."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1, activate: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, stride, padding=(1, 0), bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(channels_out, momentum=0.03)
        self.activation = nn.SiLU(inplace=True) if activate else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, Ci, H, W] -> [B, Co, H / stride, W / stride]."""
        return self.activation(self.norm(self.conv(wrap(x, 1))))


class ResidualBlock(nn.Module):
    """Two circular convolutions around a shortcut (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = CircularConv(channels, channels)
        self.second = CircularConv(channels, channels, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same."""
        return F.silu(x + self.second(self.first(x)))


class GlobalAttention(nn.Module):
    """Self-attention between all cells of the coarsest grid, followed by a two-layer MLP.

    It knows a longitude only through integer harmonics of the angle between two cells (rotary embedding, Su et al.
    2021, "RoFormer"), so a turn of the panorama turns the output.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)
        self.norm_mlp = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 3 * channels), nn.GELU(), nn.Linear(3 * channels, channels))
        self.latitude = nn.Linear(6, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same."""
        batch, channels, height, width = x.shape
        cells = height * width
        tokens = x.permute(0, 2, 3, 1).reshape(batch, cells, channels)

        phi = row_latitudes(height, x.device)
        harmonics = torch.stack([f(k * phi) for k in (1, 2, 4) for f in (torch.sin, torch.cos)], -1).to(x.dtype)
        rows = self.latitude(harmonics)[:, None].expand(height, width, channels).reshape(1, cells, channels)

        head_channels = channels // self.heads
        qkv = self.qkv(self.norm_attention(tokens + rows)).reshape(batch, cells, 3, self.heads, head_channels)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [B, heads, H W, C / heads]

        pairs = head_channels // 4  # half of a head's channels turn with longitude, the rest do not
        lam = torch.arange(width, device=x.device, dtype=torch.float32) / width * 2 * math.pi
        turn = lam[:, None] * torch.arange(1, pairs + 1, device=x.device)  # [W, pairs]
        turn = turn[None].expand(height, width, pairs).reshape(cells, pairs)
        cos, sin = turn.cos().to(x.dtype), turn.sin().to(x.dtype)

        def rotary(z: Tensor) -> Tensor:
            a, b, rest = z[..., :pairs], z[..., pairs : 2 * pairs], z[..., 2 * pairs :]
            return torch.cat([a * cos - b * sin, a * sin + b * cos, rest], dim=-1)

        mixed = F.scaled_dot_product_attention(rotary(q), rotary(k), v)
        tokens = tokens + self.project(mixed.transpose(1, 2).reshape(batch, cells, channels))
        tokens = tokens + self.mlp(self.norm_mlp(tokens))
        return tokens.reshape(batch, height, width, channels).permute(0, 3, 1, 2)
