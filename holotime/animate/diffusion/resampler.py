"""The Perceiver resampler: image tokens of the CLIP tower to context tokens of the U-Net."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from holotime.animate.diffusion.config import ResamplerConfig


class PerceiverAttention(nn.Module):
    """Learned queries read the image tokens and each other."""

    def __init__(self, dim: int, dim_head: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        inner = dim_head * heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_kv = nn.Linear(dim, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, dim, bias=False)

    def forward(self, x: Tensor, latents: Tensor) -> Tensor:
        """x [B, N, C] image tokens, latents [B, Q, C] -> [B, Q, C]."""
        latents = self.norm2(latents)
        q = self.to_q(latents)
        k, v = self.to_kv(torch.cat([self.norm1(x), latents], dim=1)).chunk(2, dim=-1)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Resampler(nn.Module):
    """``num_queries * video_length`` learned queries through ``depth`` layers of attention and feed-forward."""

    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__()
        dim = config.dim
        self.latents = nn.Parameter(torch.zeros(1, config.num_queries * config.video_length, dim))
        self.proj_in = nn.Linear(config.embedding_dim, dim)
        self.proj_out = nn.Linear(dim, config.output_dim)
        self.norm_out = nn.LayerNorm(config.output_dim)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    PerceiverAttention(dim, config.dim_head, config.heads),
                    nn.Sequential(
                        nn.LayerNorm(dim),
                        nn.Linear(dim, dim * config.ff_mult, bias=False),
                        nn.GELU(),
                        nn.Linear(dim * config.ff_mult, dim, bias=False),
                    ),
                ]
            )
            for _ in range(config.depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Image tokens x [B, N, embedding_dim] -> context tokens [B, num_queries * video_length, output_dim]."""
        x = self.proj_in(x)
        latents = self.latents.expand(len(x), -1, -1)
        for layer in self.layers:
            attention, feed_forward = cast(nn.ModuleList, layer)
            latents = latents + attention(x, latents)
            latents = latents + feed_forward(latents)
        return self.norm_out(self.proj_out(latents))
