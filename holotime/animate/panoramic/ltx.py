"""LTX-Video image-to-video (HaCohen et al. 2024): quick, with 32 pixels and 8 frames in a token."""

from typing import Any

import torch
from torch import Tensor

from holotime.animate.panoramic.config import PanoramicConfig
from holotime.animate.panoramic.family import (
    Family,
    Forward,
    Rules,
    Size,
    argument,
    rows_only,
    transformer_bytes,
)
from holotime.animate.panoramic.window import Window
from holotime.models import PipelineFiles

# Versions from 0.9.1 on leave the last bit of denoising to the autoencoder (their model cards' values).
DECODE_TIME, DECODE_NOISE = 0.05, 0.025


class LTX(Family):
    """Latent packed to tokens [1, T h w, C]; rotary positions from the sizes that the denoiser is told."""

    animator = "ltx"
    classes = ("LTXImageToVideoPipeline", "LTXPipeline", "LTXConditionPipeline")
    load_as = "LTXImageToVideoPipeline"
    default = "ltx-video"
    least_steps = 2  # its schedule is stretched between the first and the last

    def __init__(self, files: PipelineFiles) -> None:
        super().__init__(files)
        self.network, self.vae = files.config("transformer"), files.config("vae")
        scaling = self.vae.get("spatio_temporal_scaling", (True, True, True, False))
        patch, patch_t = int(self.vae.get("patch_size", 4)), int(self.vae.get("patch_size_t", 1))
        self.stride = int(self.vae.get("spatial_compression_ratio") or patch * 2 ** sum(scaling))
        every = int(self.vae.get("temporal_compression_ratio") or patch_t * 2 ** sum(scaling))
        self.unit = int(self.network.get("patch_size", 1))
        self.rules = Rules(704 * 512, frames=15 * every + 1, every=every, fps=25, steps=50, guidance=3.0)

    def working(self, size: Size, frames: int, itemsize: int) -> tuple[int, int]:
        """Both guidance passes are one batch; the autoencoder decodes all frames at once, or tiles of rows."""
        columns = size.window.width + size.window.margin
        tokens = ((frames - 1) // self.rules.every + 1) * columns * (size.height // self.stride) // self.unit**2
        wide = int(self.network.get("num_attention_heads", 32)) * int(self.network.get("attention_head_dim", 64))
        step = transformer_bytes(tokens, wide, 2, itemsize)
        base = int((self.vae.get("decoder_block_out_channels") or self.vae.get("block_out_channels") or (128,))[0])
        patch = int(self.vae.get("patch_size", 4))
        decode = frames * (size.width // patch) * (size.height // patch) * base * itemsize * 6
        return max(step, decode), max(step, int(decode * min(1.0, 192 / size.height)))

    def prompt_tokens(self, pipeline: Any) -> int:
        """The pipeline's own default."""
        return 128

    def arguments(self, config: PanoramicConfig, frames: int) -> dict[str, Any]:
        """The frame rate is one of the model's positions in time, so movements get the right speed."""
        given = {
            "prompt": config.prompt,
            "negative_prompt": config.negative_prompt,
            "guidance_scale": config.guidance_scale or self.rules.guidance,
            "num_frames": frames,
            "frame_rate": max(1, round(config.fps)),
        }
        if self.vae.get("timestep_conditioning"):
            given |= {"decode_timestep": DECODE_TIME, "decode_noise_scale": DECODE_NOISE}
        return given

    def denoise(self, pipeline: Any, forward: Forward, window: Window, args: tuple, kwargs: dict[str, Any]) -> Any:
        """hidden_states [B, S, C] and timestep [B, S] of T h w tokens."""
        hidden, times = kwargs["hidden_states"], kwargs["timestep"]
        tokens = window.per_token(self.unit)
        rows = hidden.shape[1] // tokens.width  # of all frames
        grid = hidden.unflatten(1, (rows, tokens.width)).transpose(2, 3)  # [B, rows, C, columns]
        told = {
            "hidden_states": tokens.open(grid).transpose(2, 3).flatten(1, 2),
            "timestep": tokens.open(times.unflatten(1, (rows, tokens.width))).flatten(1),
            "width": window.width + window.margin,
        }
        made = forward(*args, **(kwargs | told))[0]
        answer = made.unflatten(1, (rows, tokens.width + tokens.margin)).transpose(2, 3)
        return (tokens.close(answer).transpose(2, 3).flatten(1, 2),)

    def blank(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """[B, S, C]."""
        return (torch.zeros_like(argument("hidden_states", args, kwargs)),)

    def picture(self, pipeline: Any, clean: Tensor) -> Tensor:
        """clean [1, C, T - 1, h, w]; one latent frame alone is decoded as a picture."""
        vae = pipeline.vae
        middle = clean.shape[2] // 2
        scale = vae.config.scaling_factor
        z = pipeline._denormalize_latents(clean[:, :, middle : middle + 1], vae.latents_mean, vae.latents_std, scale)
        z = z.to(vae.dtype)
        time = torch.tensor([DECODE_TIME], device=z.device, dtype=z.dtype) if vae.config.timestep_conditioning else None
        return vae.decode(z, time, return_dict=False)[0][0, :, 0]

    def in_pieces(self, pipeline: Any) -> None:
        """Tiles of whole rows."""
        rows_only(pipeline.vae)
