"""Making the U-Net fast for inference: layouts, fused projections, feed-forward slices, optional compilation."""

import os

import torch
from torch import nn

from holotime.animate.diffusion.attention import FeedForward, SpatialTransformer, TemporalTransformer
from holotime.animate.diffusion.blocks import ResBlock
from holotime.animate.diffusion.unet import UNet
from holotime.models.device import pick_device, steady_threads
from holotime.weights.store import cache_dir

__all__ = ["compile_blocks", "pick_device", "prepare", "steady_threads", "widen"]

SHAPES = 64  # different block shapes of one network (torch would give up after eight)


def prepare(unet: UNet, ff_chunk: int, *, compiled: bool) -> UNet:
    """Ready the network for sampling; ``ff_chunk`` tokens of a feed-forward layer at once (0: all)."""
    unet.optimise()
    for module in unet.modules():
        if isinstance(module, FeedForward):
            module.chunk = ff_chunk
    if compiled:
        compile_blocks(unet)
    return unet


def compile_blocks(unet: UNet) -> None:
    """Compile the repeated blocks (not the whole network): each shape once, kept on disk for later runs."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_dir() / "inductor"))
    import torch._dynamo as dynamo

    dynamo.config.recompile_limit = max(dynamo.config.recompile_limit, SHAPES)
    for module in unet.modules():
        if isinstance(module, ResBlock | SpatialTransformer | TemporalTransformer):
            module.compile(dynamic=False)


def widen(unet: nn.Module) -> None:
    """Change a half-precision network to bfloat16, whose range is that of float32."""
    unet.to(torch.bfloat16)
