"""Making the U-Net fast for inference: layouts, fused projections, feed-forward slices, optional compilation."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from holotime.animate.diffusion.attention import FeedForward, SpatialTransformer, TemporalTransformer
from holotime.animate.diffusion.blocks import ResBlock
from holotime.animate.diffusion.unet import UNet
from holotime.weights.store import cache_dir

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


def pick_device(asked: str | None) -> torch.device:
    """The device asked for, or the best there is."""
    if asked is not None:
        return torch.device(asked)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@contextmanager
def steady_threads() -> Iterator[None]:
    """As many threads as at the start of the process.

    Other libraries of the process (numba) share OpenMP's pool with torch and change its size, and sums over another
    number of threads are rounded differently: a run that goes on elsewhere would give another clip.
    """
    before = torch.get_num_threads()
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(int(wanted) if wanted.isdecimal() and int(wanted) else cores)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def widen(unet: nn.Module) -> None:
    """Change a half-precision network to bfloat16, whose range is that of float32."""
    unet.to(torch.bfloat16)
