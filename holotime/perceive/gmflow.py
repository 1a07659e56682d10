"""GMFlow (Xu et al., CVPR 2022): optical flow as global matching, for motions that a local search loses.

Features of both pictures see each other in a transformer; each pixel's match is the expectation over all pixels of the
other picture; self-attention carries matches to where nothing matches; a second pass at twice the resolution looks for
what is left in a small neighbourhood. Names of the parameters are those of the published weights.

Panoramas are cylinders: convolutions, shifted windows and matching wrap in longitude, which needs no other weights.
At an eighth of the size every feature sees every other one; two windows a side, as for photographs, lose turns.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from holotime.errors import InputError
from holotime.weights.safe import read_tensors

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as the weights were trained
MULTIPLE = 32  # sides of a picture must divide by this
NOWHERE = -1e9  # logit of what may not be attended to


@dataclass(frozen=True)
class GMFlowConfig:
    """The published network of two scales; smaller ones are for tests."""

    stem: tuple[int, int, int] = (64, 96, 128)  # channels of the three stages; the last is that of all features
    layers: int = 6  # pairs of self- and cross-attention
    expansion: int = 4  # of the transformer's hidden layer
    splits: tuple[int, int] = (1, 8)  # windows along each side, at an eighth (few features: no windows) and a quarter
    radius: int = 4  # features around a match that the second scale looks at
    hidden: int = 256  # channels of the upsampler


def around(x: Tensor, pad: int) -> Tensor:
    """[B, C, h, w] padded by ``pad``: columns wrap, rows end in zeros."""
    return F.pad(torch.cat([x[..., -pad:], x, x[..., :pad]], dim=-1), (0, 0, pad, pad))


class Conv(nn.Conv2d):
    """A convolution whose columns wrap."""

    def __init__(self, inside: int, out: int, size: int, stride: int = 1, bias: bool = True) -> None:
        super().__init__(inside, out, size, stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, out, h / stride, w / stride]."""
        pad = self.kernel_size[0] // 2
        return super().forward(around(x, pad) if pad else x)


class Residual(nn.Module):
    """Two convolutions with instance normalisation, and the input."""

    def __init__(self, inside: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Conv(inside, out, 3, stride, bias=False)
        self.conv2 = Conv(out, out, 3, bias=False)
        self.downsample = nn.Sequential(Conv(inside, out, 1, stride)) if stride > 1 or inside != out else None

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w]."""
        y = F.relu(F.instance_norm(self.conv1(x)))
        y = F.relu(F.instance_norm(self.conv2(y)))
        return F.relu(y + (x if self.downsample is None else F.instance_norm(self.downsample(x))))


class Backbone(nn.Module):
    """Features at a quarter and, with the same last weights, at an eighth of a picture's size."""

    def __init__(self, stem: tuple[int, int, int]) -> None:
        super().__init__()
        a, b, c = stem
        self.conv1 = Conv(3, a, 7, 2, bias=False)
        self.layer1 = nn.Sequential(Residual(a, a, 1), Residual(a, a, 1))
        self.layer2 = nn.Sequential(Residual(a, b, 2), Residual(b, b, 1))
        self.layer3 = nn.Sequential(Residual(b, c, 1), Residual(c, c, 1))
        self.conv2 = Conv(c, c, 1)
        self.trident_conv = Conv(c, c, 3, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 3, h, w] to features at an eighth and at a quarter."""
        x = F.relu(F.instance_norm(self.conv1(x)))
        x = self.conv2(self.layer3(self.layer2(self.layer1(x))))
        weight = self.trident_conv.weight
        return F.conv2d(around(x, 1), weight, stride=2), F.conv2d(around(x, 1), weight)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax attention with one head: [..., n, C], [..., m, C], [..., m, V] to [..., n, V]."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def to_windows(x: Tensor, splits: int) -> Tensor:
    """[B, h, w, C] to [B splits^2, h / splits, w / splits, C]."""
    b, h, w, c = x.shape
    x = x.reshape(b, splits, h // splits, splits, w // splits, c)
    return x.transpose(2, 3).reshape(b * splits * splits, h // splits, w // splits, c)


def from_windows(x: Tensor, splits: int) -> Tensor:
    """The inverse of :func:`to_windows`."""
    n, h, w, c = x.shape
    x = x.reshape(n // splits**2, splits, splits, h, w, c).transpose(2, 3)
    return x.reshape(n // splits**2, splits * h, splits * w, c)


class Attention(nn.Module):
    """One layer: single-head attention in windows, then, where it looks at the other picture, a small network."""

    q_proj: nn.Linear
    k_proj: nn.Linear
    v_proj: nn.Linear
    merge: nn.Linear

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        for name in ("q_proj", "k_proj", "v_proj", "merge"):
            setattr(self, name, nn.Linear(channels, channels, bias=False))
        self.norm1 = nn.LayerNorm(channels)
        self.mlp = None
        if expansion:
            wide = 2 * channels * expansion
            self.mlp = nn.Sequential(
                nn.Linear(2 * channels, wide, bias=False), nn.GELU(), nn.Linear(wide, channels, bias=False)
            )
            self.norm2 = nn.LayerNorm(channels)

    def forward(self, x: Tensor, other: Tensor, splits: int, shifted: bool, mask: Tensor) -> Tensor:
        """``x`` [B, h, w, C] after it has looked at ``other`` (same shape), in windows that are shifted by a half."""
        q, k, v = self.q_proj(x), self.k_proj(other), self.v_proj(other)
        _, h, w, c = x.shape
        step = (h // splits // 2, w // splits // 2)
        shifted = shifted and splits > 1
        if shifted:
            q, k, v = (a.roll((-step[0], -step[1]), dims=(1, 2)) for a in (q, k, v))
        q, k, v = (to_windows(a, splits).flatten(1, 2) for a in (q, k, v))
        message = attend(q, k, v, mask.repeat(len(x), 1, 1) if shifted else None)
        message = from_windows(message.reshape(-1, h // splits, w // splits, c), splits)
        if shifted:
            message = message.roll(step, dims=(1, 2))
        message = self.norm1(self.merge(message))
        if self.mlp is not None:
            message = self.norm2(self.mlp(torch.cat([x, message], dim=-1)))
        return x + message


class Block(nn.Module):
    """Self-attention, then cross-attention."""

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        self.self_attn = Attention(channels, 0)
        self.cross_attn_ffn = Attention(channels, expansion)

    def forward(self, x: Tensor, other: Tensor, splits: int, shifted: bool, mask: Tensor) -> Tensor:
        """Features ``x`` [B, h, w, C] that know of ``other``."""
        x = self.self_attn(x, x, splits, shifted, mask)
        return self.cross_attn_ffn(x, other, splits, shifted, mask)


class Transformer(nn.Module):
    """Features of two pictures that know of each other."""

    def __init__(self, channels: int, layers: int, expansion: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(channels, expansion) for _ in range(layers))

    def forward(self, both: Tensor, splits: int) -> Tensor:
        """``both`` [2 B, h, w, C]: the first B belong to the first pictures, the rest to the second."""
        mask = pole_mask(both.shape[1], both.shape[2], splits).to(both.device)
        for number, layer in enumerate(self.layers):
            other = both.roll(len(both) // 2, dims=0)
            both = layer(both, other, splits, number % 2 == 1, mask)
        return both


@lru_cache(maxsize=4)
def pole_mask(height: int, width: int, splits: int) -> Tensor:
    """[splits^2, n, n] logits for shifted windows: the last row of windows holds rows of both poles, kept apart."""
    h, w = height // splits, width // splits
    row = torch.arange(h)[:, None].expand(h, w).reshape(-1) < h - h // 2
    apart = torch.where(row[:, None] == row[None], 0.0, NOWHERE)
    mask = torch.zeros(splits, splits, h * w, h * w)
    mask[-1] = apart
    return mask.reshape(splits * splits, h * w, h * w)


@lru_cache(maxsize=4)
def positions(height: int, width: int, channels: int) -> Tensor:
    """[height, width, channels] sines and cosines of the place in a window (Carion et al. 2020)."""
    half = channels // 2
    step = 10000 ** (2 * (torch.arange(half) // 2) / half)

    def waves(count: int) -> Tensor:
        place = torch.arange(1, count + 1) / (count + 1e-6) * 2 * math.pi
        angle = place[:, None] / step
        return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], dim=-1).flatten(1)

    y, x = waves(height)[:, None].expand(-1, width, -1), waves(width)[None].expand(height, -1, -1)
    return torch.cat([y, x], dim=-1)


def match_everywhere(first: Tensor, second: Tensor) -> Tensor:
    """Flow [B, 2, h, w] from ``first`` to ``second`` [B, h, w, C]: the expected match, the short way around."""
    b, h, w, c = first.shape
    chance = torch.softmax(first.reshape(b, h * w, c) @ second.reshape(b, h * w, c).mT / math.sqrt(c), dim=-1)
    chance = chance.reshape(b, h, w, h, w)
    y, x = (torch.arange(n, dtype=first.dtype, device=first.device) for n in (h, w))
    dy = (chance.sum(-1) * y).sum(-1) - y[:, None]
    away = torch.remainder(x[None] - x[:, None] + w / 2, w) - w / 2  # [from, to]
    dx = torch.einsum("bijk,jk->bij", chance.sum(3), away)
    return torch.stack([dx, dy], dim=1)


def match_nearby(first: Tensor, second: Tensor, radius: int) -> Tensor:
    """The same among the features at most ``radius`` rows and columns away."""
    _, h, w, c = first.shape
    wide = around(second.permute(0, 3, 1, 2), radius).permute(0, 2, 3, 1)
    rows = torch.arange(h, device=first.device)
    logits, shifts = [], []
    for dy in range(-radius, radius + 1):
        outside = ((rows + dy < 0) | (rows + dy >= h))[:, None] * NOWHERE
        for dx in range(-radius, radius + 1):
            there = wide[:, radius + dy : radius + dy + h, radius + dx : radius + dx + w]
            logits.append((first * there).sum(-1) / math.sqrt(c) + outside)
            shifts.append((float(dx), float(dy)))
    chance = torch.softmax(torch.stack(logits, dim=1), dim=1)
    return torch.einsum("bkhw,kc->bchw", chance, torch.tensor(shifts, device=first.device))


def neighbours(x: Tensor, radius: int) -> Tensor:
    """[B, C, (2 r + 1)^2, h, w] values around every place of [B, C, h, w]; columns wrap, beyond the poles zeros."""
    b, c, h, w = x.shape
    side = 2 * radius + 1
    return F.unfold(around(x, radius), side).reshape(b, c, side * side, h, w)


class Propagation(nn.Module):
    """Flow carried to where features are alike: all over the picture, or among neighbours."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.q_proj, self.k_proj = nn.Linear(channels, channels), nn.Linear(channels, channels)

    def forward(self, features: Tensor, flow: Tensor, radius: int | None) -> Tensor:
        """Flow [B, 2, h, w] after ``features`` [B, h, w, C] have been compared; ``radius`` None: everywhere."""
        b, h, w, c = features.shape
        query = self.q_proj(features)
        key = self.k_proj(query)  # of the query: so were the weights trained
        if radius is None:
            values = flow.flatten(2).mT
            return attend(query.reshape(b, h * w, c), key.reshape(b, h * w, c), values).mT.reshape(b, 2, h, w)
        near = neighbours(key.permute(0, 3, 1, 2), radius)
        chance = torch.softmax((query.permute(0, 3, 1, 2)[:, :, None] * near).sum(1) / math.sqrt(c), dim=1)
        return (neighbours(flow, radius) * chance[:, None]).sum(2)


def look_along(features: Tensor, flow: Tensor) -> Tensor:
    """Features [B, h, w, C] seen where ``flow`` [B, 2, h, w] leads; wrapped, zero beyond the poles."""
    _, h, w, _ = features.shape
    y = torch.arange(h, device=flow.device)[:, None] + flow[:, 1]
    x = torch.remainder(torch.arange(w, device=flow.device) + flow[:, 0], w)
    wide = torch.cat([features, features[:, :, :1]], dim=2).permute(0, 3, 1, 2)
    grid = torch.stack([2 * x / w - 1, 2 * y / max(h - 1, 1) - 1], dim=-1)
    return F.grid_sample(wide, grid, padding_mode="zeros", align_corners=True).permute(0, 2, 3, 1)


class GMFlow(nn.Module):
    """The network."""

    def __init__(self, config: GMFlowConfig | None = None) -> None:
        super().__init__()
        self.config = config or GMFlowConfig()
        channels = self.config.stem[-1]
        self.backbone = Backbone(self.config.stem)
        self.transformer = Transformer(channels, self.config.layers, self.config.expansion)
        self.feature_flow_attn = Propagation(channels)
        self.upsampler = nn.Sequential(
            Conv(channels + 2, self.config.hidden, 3), nn.ReLU(), Conv(self.config.hidden, 9 * 16, 1)
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Flow [2 B, 2, h, w] in pixels of pictures [B, 3, h, w] in [0, 1]: B there, then B back.

        Raises InputError unless the sides are multiples of 32.
        """
        if first.shape[-1] % MULTIPLE or first.shape[-2] % MULTIPLE:
            raise InputError(f"GMFlow needs sides that are multiples of {MULTIPLE}, got {list(first.shape[-2:])}.")
        mean, std = (first.new_tensor(v)[:, None, None] for v in (MEAN, STD))
        scales = self.backbone((torch.cat([first, second]) - mean) / std)
        flow: Tensor | None = None
        for number, features in enumerate(scales):
            here = features.permute(0, 2, 3, 1)
            splits = self.config.splits[number]
            if flow is not None:
                flow = 2 * enlarge(flow)
            # Each direction has its own second picture, seen along its own flow.
            pairs = [here.chunk(2), here.chunk(2)[::-1]]
            found = []
            for way, (a, b) in enumerate(pairs):
                so_far = None if flow is None else flow.chunk(2)[way]
                moved = b if so_far is None else look_along(b, so_far)
                matched, known = self._match(a, moved, so_far, splits)
                found.append((self.feature_flow_attn(known, matched, None if so_far is None else 1), known))
            flow = torch.cat([f for f, _ in found])
            about = torch.cat([a for _, a in found])
        assert flow is not None
        return self._upsample(flow, about)

    def _match(self, first: Tensor, second: Tensor, so_far: Tensor | None, splits: int) -> tuple[Tensor, Tensor]:
        """(flow [B, 2, h, w], features [B, h, w, C] of the first picture) of one scale and direction."""
        _, h, w, c = first.shape
        place = positions(h // splits, w // splits, c).to(first).repeat(splits, splits, 1)
        both = self.transformer(torch.cat([first, second]) + place, splits)
        a, b = both.chunk(2)
        if so_far is None:
            return match_everywhere(a, b), a
        return so_far + match_nearby(a, b, self.config.radius), a

    def _upsample(self, flow: Tensor, features: Tensor) -> Tensor:
        """Flow at four times the size: each pixel a convex combination of its neighbourhood (Teed and Deng 2020)."""
        b, _, h, w = flow.shape
        mask = self.upsampler(torch.cat([flow, features.permute(0, 3, 1, 2)], dim=1))
        chance = torch.softmax(mask.reshape(b, 1, 9, 16, h, w), dim=2)
        fine = (chance * neighbours(4 * flow, 1)[:, :, :, None]).sum(2)  # [B, 2, 16, h, w]
        return fine.reshape(b, 2, 4, 4, h, w).permute(0, 1, 4, 2, 5, 3).reshape(b, 2, 4 * h, 4 * w)


def enlarge(x: Tensor) -> Tensor:
    """[B, C, h, w] at twice the size, linear, wrapped."""
    wide = torch.cat([x[..., -1:], x, x[..., :1]], dim=-1)
    return F.interpolate(wide, scale_factor=2, mode="bilinear", align_corners=False)[..., 2:-2]


def load_gmflow(path: Path) -> GMFlow:
    """The published network from its weights. InputError for a file that holds something else."""
    network = GMFlow()
    try:
        network.load_state_dict(read_tensors(path))
    except RuntimeError as error:
        raise InputError(f"{path} does not hold the weights of GMFlow. Fetch them again.") from error
    return network.eval().requires_grad_(False)


@torch.inference_mode()
def match_panoramas(
    network: GMFlow, first: NDArray[np.uint8], second: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Flow there and back [h, w, 2] in pixels of RGB panoramas [h, w, 3] whose sides are multiples of 32."""
    device = next(network.parameters()).device
    pair = [torch.from_numpy(np.ascontiguousarray(a)).to(device).permute(2, 0, 1)[None] / 255 for a in (first, second)]
    there, back = network(*pair).permute(0, 2, 3, 1).cpu().numpy()
    return there, back
