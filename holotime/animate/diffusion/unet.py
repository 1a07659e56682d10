"""The video U-Net of the panoramic animator (the DynamiCrafter architecture).

Every level is a residual block with a temporal convolution stack, a spatial transformer that reads the text and image
context, and a temporal transformer. Module names follow the published checkpoints, so their keys load as they are.
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from holotime.animate.diffusion.attention import (
    TEXT_TOKENS,
    Attention,
    SpatialTransformer,
    TemporalTransformer,
    Transformer,
)
from holotime.animate.diffusion.blocks import Downsample, ResBlock, TimeConv, Upsample
from holotime.animate.diffusion.config import UNetConfig
from holotime.animate.diffusion.norm import GroupNorm
from holotime.animate.diffusion.seam import WrapConv2d

FRAME_TOKENS = 16  # image tokens a frame when the context is laid out frame by frame


def sinusoidal_embedding(t: Tensor, dim: int) -> Tensor:
    """t [B] -> [B, dim] in float32: cosines, then sines, of frequencies 10000^(-2i/dim) (Vaswani et al. 2017)."""
    half = dim // 2
    frequencies = torch.exp(-math.log(10000.0) * torch.arange(half, dtype=torch.float32, device=t.device) / half)
    angles = t.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def join(h: Tensor, skip: Tensor, frames: int) -> Tensor:
    """Channels of h [T*G*B, C, H, W] and skip [T*B, C', H, W] side by side, T = frames; G contexts share a skip."""
    clip = skip.permute(0, 2, 3, 1).unflatten(0, (frames, 1, -1))
    rest = h.permute(0, 2, 3, 1).unflatten(0, (frames, -1, clip.shape[2]))
    joined = torch.cat([rest, clip.expand(-1, rest.shape[1], -1, -1, -1, -1)], dim=-1)
    return joined.flatten(0, 2).permute(0, 3, 1, 2)


class DeepFeatures:
    """What the last full pass left for :meth:`UNet.forward` to reuse (DeepCache, Ma et al. 2024)."""

    def __init__(self, depth: int = 1) -> None:
        self.depth = depth  # output blocks that are still computed in a shallow pass
        self.hidden: Tensor | None = None  # [T*B, C, H, W] input of the first of them


class UNet(nn.Module):
    """Predicts the velocity v of a noisy latent clip."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        base, width = config.model_channels, config.num_head_channels
        emb = base * 4
        self.time_embed = nn.Sequential(nn.Linear(base, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.fps_embedding = nn.Sequential(nn.Linear(base, emb), nn.SiLU(), nn.Linear(emb, emb))

        def level(channels: int, out: int, factor: int) -> list[nn.Module]:
            layers: list[nn.Module] = [ResBlock(channels, emb, out)]
            if factor in config.attention_resolutions:
                layers.append(SpatialTransformer(out, out // width, width, config.context_dim))
                layers.append(TemporalTransformer(out, out // width, width))
            return layers

        self.input_blocks = nn.ModuleList([nn.ModuleList([WrapConv2d(config.in_channels, base, 3, padding=1)])])
        self.init_attn = nn.ModuleList([TemporalTransformer(base, 8, width, linear=False)])
        skips, channels, factor = [base], base, 1
        for i, mult in enumerate(config.channel_mult):
            for _ in range(config.num_res_blocks):
                self.input_blocks.append(nn.ModuleList(level(channels, mult * base, factor)))
                channels = mult * base
                skips.append(channels)
            if i < len(config.channel_mult) - 1:
                self.input_blocks.append(nn.ModuleList([Downsample(channels)]))
                skips.append(channels)
                factor *= 2
        self.middle_block = nn.ModuleList(
            [
                ResBlock(channels, emb, channels),
                SpatialTransformer(channels, channels // width, width, config.context_dim),
                TemporalTransformer(channels, channels // width, width),
                ResBlock(channels, emb, channels),
            ]
        )
        self.output_blocks = nn.ModuleList()
        for i, mult in reversed(list(enumerate(config.channel_mult))):
            for j in range(config.num_res_blocks + 1):
                layers = level(channels + skips.pop(), mult * base, factor)
                channels = mult * base
                if i and j == config.num_res_blocks:
                    layers.append(Upsample(channels))
                    factor //= 2
                self.output_blocks.append(nn.ModuleList(layers))
        self.out = nn.ModuleList(
            [GroupNorm(32, channels), nn.Identity(), WrapConv2d(channels, config.out_channels, 3, padding=1)]
        )

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return next(self.time_embed.parameters()).dtype

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        fs: Tensor | None = None,
        *,
        frame_context: bool | None = None,
        deep: DeepFeatures | None = None,
    ) -> Tensor:
        """Velocity [G*B, out, T, H, W] of x [B, in, T, H, W] (noisy latent, then image latent).

        timesteps [B] in 0..999; context [G*B, L, D], text tokens first: each clip is predicted under G contexts, and
        what comes before the context is read is computed once; fs [B] frame-rate condition (default_fs if None).
        frame_context: give frame t only its own 16 image tokens (None: exactly when L = 77 + 16 T).
        deep: with features of an earlier step only the outermost blocks run; without, they are stored.
        """
        b, _, t, height, width = x.shape
        dtype = self.dtype
        emb = F.silu(self.embed(timesteps, fs))
        copies = len(context) // b  # still to be made
        total = b * copies
        context = self.frame_contexts(context.to(dtype), t, frame_context)
        h = x.to(dtype).permute(2, 0, 3, 4, 1).reshape(t * b, height, width, -1).permute(0, 3, 1, 2)
        stored = deep.hidden if deep is not None else None
        depth = deep.depth if deep is not None else 0

        skips = []
        clips, every = b, emb.repeat(copies, 1)
        blocks = self.input_blocks[:depth] if stored is not None else self.input_blocks
        for i, block in enumerate(blocks):
            h, clips = self.run(block, h, every, context, clips, total)
            if i == 0:
                h = self.init_attn[0](h, clips)
            skips.append(h)
        outputs = list(self.output_blocks)
        if stored is not None:
            h, outputs = stored, outputs[-depth:]
        else:
            h, _ = self.run(self.middle_block, h, every, context, clips, total)
        for i, block in enumerate(outputs):
            if deep is not None and stored is None and i == len(outputs) - depth:
                deep.hidden = h
            h = join(h, skips.pop(), t)  # and what was joined is let go, before the widest layers
            h, _ = self.run(block, h, every, context, total, total)
        h = cast(WrapConv2d, self.out[2]).of_norm(self.out[0], h)
        return h.permute(0, 2, 3, 1).reshape(t, total, height, width, -1).permute(1, 4, 0, 2, 3)

    def embed(self, timesteps: Tensor, fs: Tensor | None) -> Tensor:
        """[B, 4 * model_channels] embedding of timesteps [B] and frame-rate condition fs [B]."""
        if fs is None:
            fs = torch.full_like(timesteps, self.config.default_fs)
        base, dtype = self.config.model_channels, self.dtype
        time = self.time_embed(sinusoidal_embedding(timesteps, base).to(dtype))
        return time + self.fps_embedding(sinusoidal_embedding(fs, base).to(dtype))

    @staticmethod
    def frame_contexts(context: Tensor, frames: int, frame_context: bool | None) -> Tensor:
        """Context [B, L, D] as the spatial blocks read it: shared [B, L, D], or [T*B, 77 + 16, D] frame by frame."""
        fits = context.shape[1] == TEXT_TOKENS + FRAME_TOKENS * frames
        if not (fits if frame_context is None else frame_context and fits):
            return context
        text, image = context[:, :TEXT_TOKENS], context[:, TEXT_TOKENS:]
        image = image.unflatten(1, (frames, FRAME_TOKENS)).transpose(0, 1)  # [T, B, 16, D]
        return torch.cat([text.expand(frames, *text.shape), image], dim=2).flatten(0, 1)

    @staticmethod
    def run(block: nn.Module, h: Tensor, emb: Tensor, context: Tensor, clips: int, total: int) -> tuple[Tensor, int]:
        """One entry of the network on h [T*clips, C, H, W]; emb [total, E], context [M, L, D].

        The first layer that reads the context makes ``total`` clips of them. Returns h and how many clips it has.
        """
        for layer in block.children():
            if isinstance(layer, ResBlock):
                h = layer(h, emb[:clips], clips)
            elif isinstance(layer, SpatialTransformer):
                h = layer(h, context, clips, total // clips)
                clips = total
            elif isinstance(layer, TemporalTransformer):
                h = layer(h, clips)
            else:
                h = layer(h)
        return h, clips

    def optimise(self) -> "UNet":
        """Join, merge, fold and align weights, convolutions channels-last (once, after loading, for inference)."""
        cast(WrapConv2d, self.out[2]).align()
        for module in self.modules():
            if isinstance(module, Attention):
                module.fuse()
            elif isinstance(module, Transformer):
                module.merge()
            elif isinstance(module, Upsample):
                module.fold()
            elif isinstance(module, TimeConv):
                module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last_3d)
            elif isinstance(module, nn.Conv2d) and module.weight is not None:
                module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
        return self.eval().requires_grad_(False)
