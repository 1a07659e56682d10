"""Attention and transformer blocks of the video U-Net, on scaled_dot_product_attention.

Tokens come in two layouts, both views of the same channels-last feature map (see norm.py): spatial [N, S, C] with
N = T*B frames, and temporal [T, M, C] with M = B*H*W positions. The temporal one is never transposed in memory.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from holotime.animate.diffusion import kernels
from holotime.animate.diffusion.norm import GroupNorm

TEXT_TOKENS = 77  # the context begins with the text; what follows are image tokens
MAX_BATCH = 65535  # CUDA grids end here; longer batches go in parts


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v for q [N, h, L, d] and k, v [N, h, K, d]; any strides with d contiguous."""
    if q.shape[0] <= MAX_BATCH:
        return F.scaled_dot_product_attention(q, k, v)
    parts = zip(q.split(MAX_BATCH), k.split(MAX_BATCH), v.split(MAX_BATCH), strict=True)
    return torch.cat([F.scaled_dot_product_attention(*part) for part in parts])


class Attention(nn.Module):
    """Multi-head attention. With ``image_dim`` the context's image tokens get their own keys, values and softmax."""

    def __init__(self, dim: int, heads: int, head_dim: int, context_dim: int | None = None) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads, self.head_dim = heads, head_dim
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_k = nn.Linear(context_dim or dim, inner, bias=False)
        self.to_v = nn.Linear(context_dim or dim, inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, dim))
        if context_dim is not None:
            self.to_k_ip = nn.Linear(context_dim, inner, bias=False)
            self.to_v_ip = nn.Linear(context_dim, inner, bias=False)
        self.crosses = context_dim is not None
        self.to_qkv: nn.Linear | None = None

    def fuse(self) -> None:
        """Join q, k and v of self-attention into one matrix (once, after loading)."""
        if self.crosses or self.to_qkv is not None:
            return
        weight = torch.cat([self.to_q.weight, self.to_k.weight, self.to_v.weight]).detach()
        self.to_qkv = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        self.to_qkv.weight = nn.Parameter(weight, requires_grad=False)
        del self.to_q, self.to_k, self.to_v

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, k, v of self-attention for x [..., C], each [..., h, d]."""
        if self.to_qkv is None:
            parts = [self.to_q(x), self.to_k(x), self.to_v(x)]
        else:
            parts = list(self.to_qkv(x).chunk(3, dim=-1))
        q, k, v = (p.unflatten(-1, (self.heads, self.head_dim)) for p in parts)
        return q, k, v

    def spatial(self, x: Tensor) -> Tensor:
        """Self-attention inside each frame: x [N, S, C] -> [N, S, C]."""
        q, k, v = (t.transpose(1, 2) for t in self.project(x))
        return self.to_out(attend(q, k, v).transpose(1, 2).flatten(2))

    def temporal(self, x: Tensor) -> Tensor:
        """Self-attention over time at each position: x [T, M, C] -> [T, M, C] (perhaps a transposed view)."""
        q, k, v = self.project(x)
        if kernels.attends_over_time(q):
            return self.to_out(kernels.attend_over_time(q, k, v).flatten(2))
        q, k, v = (t.permute(1, 2, 0, 3) for t in (q, k, v))  # [M, h, T, d]
        return self.to_out(attend(q, k, v).transpose(1, 2).flatten(2)).transpose(0, 1)

    def cross(self, x: Tensor, context: Tensor) -> Tensor:
        """Attention of x [N, S, C] to context [M, L, D] with M a divisor of N: row n reads context n % M.

        Text and image tokens are attended to by two separate softmaxes whose results are added.
        """
        repeat = x.shape[0] // context.shape[0]
        q = self.to_q(x).unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)
        text, image = context[:, :TEXT_TOKENS], context[:, TEXT_TOKENS:]

        def read(tokens: Tensor, to_k: nn.Linear, to_v: nn.Linear) -> Tensor:
            k, v = (
                to(tokens).repeat(repeat, 1, 1).unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)
                for to in (to_k, to_v)
            )
            return attend(q, k, v)

        out = read(text, self.to_k, self.to_v)
        if image.shape[1]:
            out = out + read(image, self.to_k_ip, self.to_v_ip)
        return self.to_out(out.transpose(1, 2).flatten(2))


class GEGLU(nn.Module):
    """Linear to twice the width; one half gates the other through an exact GELU."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., dim] -> [..., inner]."""
        return kernels.gated_linear(x, self.proj.weight, self.proj.bias)


class FeedForward(nn.Module):
    """GEGLU and a linear layer, over at most ``chunk`` tokens at a time (0: all at once)."""

    def __init__(self, dim: int, mult: int = 4) -> None:
        super().__init__()
        self.net = nn.ModuleList([GEGLU(dim, dim * mult), nn.Identity(), nn.Linear(dim * mult, dim)])
        self.chunk = 0

    def forward(self, x: Tensor) -> Tensor:
        """x [A, B, C] -> the same shape."""
        gate, _, out = self.net
        return out(gate(x))

    def add_to(self, y: Tensor, x: Tensor, matrix: Tensor) -> None:
        """Add to y [M, C'] in place: ``matrix`` [C', 4 C] times what GEGLU makes of x [M, C]."""
        step = self.chunk or len(x)
        for i in range(0, len(x), step):
            y[i : i + step].addmm_(self.net[0](x[i : i + step]), matrix.T)


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention (spatial) or a second self-attention (temporal), feed-forward; pre-norm."""

    def __init__(self, dim: int, heads: int, head_dim: int, context_dim: int | None) -> None:
        super().__init__()
        self.attn1 = Attention(dim, heads, head_dim)
        self.ff = FeedForward(dim)
        self.attn2 = Attention(dim, heads, head_dim, context_dim)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)

    def spatial(self, x: Tensor, context: Tensor, clips: int, copies: int) -> tuple[Tensor, Tensor]:
        """Up to the feed-forward layer: x [T*B, S, C] (overwritten) and its norm, each [T*G*B, S, C].

        context [M, L, D]; B = clips, G = copies of each of them that read different contexts.
        """
        normed = kernels.layer_norm(x, self.norm1)
        normed = kernels.add_layer_norm(x, self.attn1.spatial(normed), self.norm2)
        x, normed = repeat_clips(x, clips, copies), repeat_clips(normed, clips, copies)
        return x, kernels.add_layer_norm(x, self.attn2.cross(normed, context), self.norm3)

    def temporal(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Up to the feed-forward layer: x [T, M, C] (overwritten) and its norm."""
        normed = kernels.layer_norm(x, self.norm1)
        normed = kernels.add_layer_norm(x, self.attn1.temporal(normed), self.norm2)
        return x, kernels.add_layer_norm(x, self.attn2.temporal(normed), self.norm3)


def repeat_clips(x: Tensor, clips: int, copies: int) -> Tensor:
    """x [T*B, ...] with B = clips -> [T*G*B, ...] with G = copies of all clips after each other."""
    if copies == 1:
        return x
    apart = x.view(-1, 1, clips, *x.shape[1:])
    return apart.repeat(1, copies, *(1 for _ in x.shape)).flatten(0, 2)  # not a view: it will be written to


class PointwiseConv1d(nn.Conv1d):
    """A width-1 convolution, applied to tokens as the matrix it is."""

    def forward(self, x: Tensor) -> Tensor:
        """x [..., C] -> [..., C']."""
        return F.linear(x, self.weight[..., 0], self.bias)


class Transformer(nn.Module):
    """A transformer block between two projections, beside a residual connection."""

    def __init__(self, channels: int, heads: int, head_dim: int, context_dim: int | None, linear: bool) -> None:
        super().__init__()
        inner = heads * head_dim
        self.norm = GroupNorm(32, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, inner) if linear else PointwiseConv1d(channels, inner, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(inner, heads, head_dim, context_dim)])
        self.proj_out = nn.Linear(inner, channels) if linear else PointwiseConv1d(inner, channels, 1)
        self.merged: nn.Parameter | None = None  # [channels, 4 inner]

    @property
    def block(self) -> TransformerBlock:
        """The only block."""
        return cast(TransformerBlock, self.transformer_blocks[0])

    def merge(self) -> None:
        """Multiply the feed-forward layer's second matrix into the projection that follows (once, after loading)."""
        if self.merged is not None:
            return
        second, last = cast(nn.Linear, self.block.ff.net[2]), self.proj_out.weight.detach().flatten(1).float()
        assert self.proj_out.bias is not None
        self.merged = nn.Parameter((last @ second.weight.float()).to(second.weight.dtype), requires_grad=False)
        bias = last @ second.bias.float() + self.proj_out.bias.float()
        self.proj_out.bias = nn.Parameter(bias.to(second.bias.dtype), requires_grad=False)
        self.block.ff.net[2] = nn.Identity()

    def leave(self, tokens: Tensor, normed: Tensor, x: Tensor) -> Tensor:
        """x + proj_out(tokens + feed-forward(normed)): tokens, normed [..., C'], x [N, C, H, W] -> as x."""
        n, c, h, w = x.shape
        if self.merged is None:
            y = self.proj_out(tokens + self.block.ff(normed))
            return y.view(n, h, w, c).permute(0, 3, 1, 2).add_(x)
        tokens, normed = (t.reshape(-1, t.shape[-1]) for t in (tokens, normed))
        assert self.proj_out.bias is not None
        residual = x.permute(0, 2, 3, 1).reshape(-1, c)
        y = kernels.linear_add(tokens, self.proj_out.weight.flatten(1), self.proj_out.bias, residual)
        self.block.ff.add_to(y, normed, self.merged)
        return y.view(n, h, w, c).permute(0, 3, 1, 2)


class SpatialTransformer(Transformer):
    """Each frame attends to itself and to the context."""

    def __init__(self, channels: int, heads: int, head_dim: int, context_dim: int) -> None:
        super().__init__(channels, heads, head_dim, context_dim, linear=True)

    def forward(self, x: Tensor, context: Tensor, clips: int, copies: int) -> Tensor:
        """x [T*B, C, H, W] channels-last, context [M, L, D] -> [T*G*B, C, H, W] with B = clips, G = copies."""
        n, c, h, w = x.shape
        tokens = self.proj_in(self.norm(x).permute(0, 2, 3, 1).reshape(n, h * w, c))
        tokens, normed = self.block.spatial(tokens, context, clips, copies)
        return self.leave(tokens, normed, repeat_clips(x.permute(0, 2, 3, 1), clips, copies).permute(0, 3, 1, 2))


class TemporalTransformer(Transformer):
    """Each position attends to itself at all times; there is no positional encoding and no mask."""

    def __init__(self, channels: int, heads: int, head_dim: int, *, linear: bool = True) -> None:
        super().__init__(channels, heads, head_dim, None, linear)

    def forward(self, x: Tensor, clips: int) -> Tensor:
        """x [T*B, C, H, W] channels-last with B = clips -> the same shape."""
        n, c, h, w = x.shape
        tokens = self.norm(x, clips=clips).permute(0, 2, 3, 1).reshape(n // clips, clips * h * w, c)
        tokens, normed = self.block.temporal(self.proj_in(tokens))
        return self.leave(tokens, normed, x)
