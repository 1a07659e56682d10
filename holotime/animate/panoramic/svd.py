"""Stable Video Diffusion (Blattmann et al. 2023): a U-Net of convolutions, told the panorama alone."""

from typing import Any

import torch
from torch import Tensor

from holotime.animate.panoramic.config import PanoramicConfig
from holotime.animate.panoramic.family import Family, Forward, Rules, Size, argument
from holotime.animate.panoramic.window import Window
from holotime.models import PipelineFiles
from holotime.models.circular import CircularColumns

CHUNK = 8  # frames decoded at once; the decoder looks along time, so more of them are steadier


class SVD(Family):
    """Latent [1, T, C, h, w]. Its attention knows no positions and its convolutions are made circular, so the network
    commutes with a turn of the panorama and needs no margin; the latent is turned all the same, for the strides."""

    animator = "svd"
    classes = ("StableVideoDiffusionPipeline",)
    load_as = "StableVideoDiffusionPipeline"
    default = "svd"
    denoisers = ("unet",)
    reads_prompt = False
    says = "its convolutions are circular"

    def __init__(self, files: PipelineFiles) -> None:
        super().__init__(files)
        self.network, self.vae = files.config("unet"), files.config("vae")
        self.stride = 2 ** (len(self.vae.get("block_out_channels", (1, 1, 1, 1))) - 1)
        self.unit = 2 ** (len(self.network.get("block_out_channels", (1, 1, 1, 1))) - 1)  # the coarsest level's columns
        self.chunk = CHUNK
        side = int(self.network.get("sample_size") or 96) * self.stride
        frames = int(self.network.get("num_frames") or 25)
        self.rules = Rules(side * side, frames=frames, every=0, fps=7, steps=25, guidance=3.0)

    def size(self, width: int) -> Size:
        """No margin."""
        size = super().size(width)
        return Size(size.width, size.height, Window(size.window.width, 0))

    def working(self, size: Size, frames: int, itemsize: int) -> tuple[int, int]:
        """Both guidance passes are one batch; frames are decoded by eight, or by two."""
        latent = (size.width // self.stride) * (size.height // self.stride)
        step = 2 * frames * latent * int(self.network.get("block_out_channels", (320,))[0]) * itemsize * 24
        base = int(self.vae.get("block_out_channels", (128,))[0])
        one = size.width * size.height * base * itemsize * 6
        return max(step, CHUNK * one), max(step, 2 * one)

    def arguments(self, config: PanoramicConfig, frames: int) -> dict[str, Any]:
        """The frame rate is a condition of the network (5 to 30); guidance rises from 1 along the clip."""
        return {
            "num_frames": frames,
            "fps": min(max(round(config.fps), 5), 30),
            "max_guidance_scale": config.guidance_scale or self.rules.guidance,
            "decode_chunk_size": self.chunk,
        }

    def denoise(self, pipeline: Any, forward: Forward, window: Window, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The first argument is [B, T, C, h, w]."""
        with CircularColumns():
            made = forward(window.open(args[0]), *args[1:], **kwargs)
        return (window.close(made[0]),)

    def blank(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """[B, T, C', h, w]."""
        hidden = argument("sample", args, kwargs)
        return (torch.zeros_like(hidden[:, :, : int(self.network["out_channels"])]),)

    def picture(self, pipeline: Any, clean: Tensor) -> Tensor:
        """clean [1, T, C, h, w]."""
        middle = clean.shape[1] // 2
        z = clean[:, middle : middle + 1].to(pipeline.vae.dtype)
        return pipeline.decode_latents(z, 1, 1)[0, :, 0]

    def in_pieces(self, pipeline: Any) -> None:
        """Frames are decoded two at a time."""
        self.chunk = 2
