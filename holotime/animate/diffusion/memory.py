"""Choosing precision, batching, slicing and offload from the memory that is free."""

from dataclasses import dataclass

import torch

from holotime.animate.diffusion.config import Memory, UNetConfig
from holotime.errors import OutOfMemory
from holotime.models.device import GIB, free_memory

LOW_BUDGET = 8 * GIB  # what ``memory="low"`` may use
RESERVE = GIB // 2  # for the library's own workspaces
LOW_FF_CHUNK = 32768  # tokens of a feed-forward slice under a small plan

# Peak of one forward pass in units of one first-level feature map (T * H * W * model_channels values), counted in the
# network: the widest place is the feed-forward layer of the first temporal transformer (512 wide; 12.8 maps into GEGLU,
# 6.4 out of it), whole or in slices, beside the residual stream, its norm and the input. Measured (H200, 576x1024,
# float16): 25.0 maps (25.8 with reused features) and at most 17 maps. Where products are gated in one kernel the layer
# is never whole, and both are 17.
WHOLE_MAPS = 26.0
SLICED_MAPS = 18.0
# Peak of decoding one frame, in units of its pixels times the width of the autoencoder's second level (256); measured:
# 3.8. More than a few frames at once save no time (0.54 s a clip one by one, 0.53 s by four, 0.52 s by eight).
DECODE_MAPS = 4.0
MAX_VAE_CHUNK = 4


@dataclass(frozen=True)
class MemoryPlan:
    """How a stage is run."""

    dtype: torch.dtype  # of the weights and activations
    batched: bool  # both guidance passes at once
    ff_chunk: int  # tokens of a feed-forward slice; 0: all at once
    vae_chunk: int  # frames the autoencoder takes at once
    graphs: bool  # passes are recorded as CUDA graphs, whose memory stays taken between passes
    estimate: int  # bytes expected at the peak of a step, weights included
    reason: str  # one sentence for the report


def unet_bytes(config: UNetConfig, dtype: torch.dtype) -> int:
    """Bytes of the U-Net's weights: counted once on the meta device."""
    from holotime.animate.diffusion.unet import UNet

    with torch.device("meta"):
        return sum(p.numel() for p in UNet(config).parameters()) * dtype.itemsize


def choose_dtype(device: torch.device, asked: str) -> torch.dtype:
    """The precision asked for; ``auto`` is half precision on a GPU and float32 on the CPU."""
    if asked != "auto":
        return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[asked]
    return torch.float32 if device.type == "cpu" else torch.float16


def make_plan(
    config: UNetConfig,
    device: torch.device,
    dtype: torch.dtype,
    frames: int,
    height: int,
    width: int,
    *,
    mode: Memory = "auto",
    graphs: bool = True,
    free: int | None = None,
) -> MemoryPlan:
    """The fastest plan that fits for a window of ``frames`` frames of height x width pixels.

    ``graphs`` allows CUDA graphs; ``free`` replaces the measured free memory (bytes). Raises OutOfMemory when not even
    the smallest plan fits.
    """
    free = free_memory(device) if free is None else free
    budget = min(free, LOW_BUDGET) if mode == "low" else free
    weights = unet_bytes(config, dtype)
    one_map = frames * (height // 8) * (width // 8) * config.model_channels * dtype.itemsize
    frame = height * width * 256 * dtype.itemsize * DECODE_MAPS
    vae_chunk = int(min(MAX_VAE_CHUNK, max(1, (budget - RESERVE) * 0.6 // frame)))
    options = [
        (True, 0, WHOLE_MAPS * 2, "both guidance passes in one batch"),
        (True, LOW_FF_CHUNK, SLICED_MAPS * 2, "both guidance passes in one batch, feed-forward in slices"),
        (False, 0, WHOLE_MAPS, "guidance passes one after the other"),
        (False, LOW_FF_CHUNK, SLICED_MAPS, "guidance passes one after the other, feed-forward in slices"),
    ]
    if mode == "low":
        options = options[-1:]
        vae_chunk = 1
    for batched, chunk, maps, words in options:
        need = int(weights + maps * one_map + RESERVE)
        if mode == "high" or need <= budget:
            room = mode == "high" or (mode == "auto" and need + maps * one_map <= budget)
            recorded = graphs and room and device.type == "cuda"
            more = ", recorded as CUDA graphs" if recorded else ""
            reason = f"{words}{more}; about {need / GIB:.1f} GiB of {budget / GIB:.1f} GiB ({mode})"
            return MemoryPlan(dtype, batched, chunk, vae_chunk, recorded, need, reason)
    raise OutOfMemory(
        f"{frames} frames of {width}x{height} need about {need / GIB:.1f} GiB even in the smallest plan, and "
        f"{budget / GIB:.1f} GiB are free on {device}. Close other programs, or choose fewer frames or a smaller stage."
    )
