"""Wan 2.1 and 2.2 image-to-video (Wan Team 2025): 14 B with picture channels, 2.2's pair of experts, and 2.2 5 B."""

import importlib
import importlib.util
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
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
from holotime.animate.panoramic.patch import replaced
from holotime.animate.panoramic.window import Window
from holotime.models import PipelineFiles

SMALL, LARGE = 832 * 480, 1280 * 704


class Wan(Family):
    """Latent [1, C, T, h, w]; rotary positions, counted by the denoiser itself from the window's size."""

    animator = "wan"
    classes = ("WanImageToVideoPipeline", "WanPipeline")
    load_as = "WanImageToVideoPipeline"
    default = "wan2.1-i2v"
    denoisers = ("transformer", "transformer_2")

    def __init__(self, files: PipelineFiles) -> None:
        super().__init__(files)
        self.network = files.config("transformer") or files.config("transformer_2")
        vae, index = files.config("vae"), files.index()
        self.dense = bool(index.get("expand_timesteps"))  # 2.2 5 B: the picture takes the first frame's place
        large = self.dense or "720p" in str(files.folder).casefold()
        experts = index.get("boundary_ratio") is not None
        self.rules = Rules(
            LARGE if large else SMALL,
            frames=121 if self.dense else 81,
            every=int(vae.get("scale_factor_temporal", 4)),
            fps=24 if self.dense else 16,
            steps=50,
            guidance=3.5 if experts else 5.0,
        )
        self.stride = int(vae.get("scale_factor_spatial", 8))
        self.unit = int(self.network.get("patch_size", (1, 2, 2))[2])

    def check(self) -> None:
        """A model that makes videos of words alone has no room for a picture."""
        own, latent = int(self.network.get("in_channels", 0)), int(self.files.config("vae").get("z_dim", 16))
        if not self.dense and own == latent:
            raise self.refuse("makes videos of words alone: it has no channels for a picture. Take one with I2V in it.")

    def dtypes(self, half: torch.dtype) -> dict[str, torch.dtype]:
        """The autoencoder and the picture's encoder run in full precision, as published."""
        return {"default": half, "vae": torch.float32, "image_encoder": torch.float32}

    def working(self, size: Size, frames: int, itemsize: int) -> tuple[int, int]:
        """The autoencoder decodes four frames at a time."""
        columns = size.window.width + size.window.margin
        latents = (frames - 1) // self.rules.every + 1
        tokens = latents * (columns // self.unit) * (size.height // self.stride // self.unit)
        wide = int(self.network.get("num_attention_heads", 40)) * int(self.network.get("attention_head_dim", 128))
        step = transformer_bytes(tokens, wide, 1, itemsize)
        base = int(self.files.config("vae").get("base_dim", 96))
        decode = 4 * size.width * size.height * base * 4 * 6 + 3 * frames * size.width * size.height * 4
        rows = min(1.0, 192 / size.height)
        return max(step, decode), max(step, int(decode * rows))

    def around(self) -> AbstractContextManager[None]:
        """The pipeline repairs wrongly decoded prompts with a package that a well-formed text does not need."""
        if importlib.util.find_spec("ftfy") is not None:
            return nullcontext()
        module = importlib.import_module("diffusers.pipelines.wan.pipeline_wan_i2v")
        return replaced(module, "ftfy", SimpleNamespace(fix_text=lambda text: text))

    def arguments(self, config: PanoramicConfig, frames: int) -> dict[str, Any]:
        """Both experts get the same guidance."""
        return {
            "prompt": config.prompt,
            "negative_prompt": config.negative_prompt,
            "guidance_scale": config.guidance_scale or self.rules.guidance,
            "num_frames": frames,
        }

    def denoise(self, pipeline: Any, forward: Forward, window: Window, args: tuple, kwargs: dict[str, Any]) -> Any:
        """hidden_states [B, C, T, h, w]; timestep [B] or, one a token, [B, T h w]."""
        hidden, times = kwargs["hidden_states"], kwargs["timestep"]
        if times.ndim == 2:
            tokens = window.per_token(self.unit)
            grid = times.reshape(len(times), -1, tokens.width)  # rows of all frames
            times = tokens.open(grid).flatten(1)
        made = forward(*args, **(kwargs | {"hidden_states": window.open(hidden), "timestep": times}))
        return (window.close(made[0]),)

    def blank(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """[B, out, T, h, w]."""
        hidden = argument("hidden_states", args, kwargs)
        return (torch.zeros_like(hidden[:, : int(self.network["out_channels"])]),)

    def picture(self, pipeline: Any, clean: Tensor) -> Tensor:
        """clean [1, C, T, h, w]; one latent frame alone is decoded as a picture."""
        vae = pipeline.vae
        middle = clean.shape[2] // 2
        z = clean[:, :, middle : middle + 1].to(dtype=vae.dtype)
        mean, std = (torch.tensor(v, device=z.device, dtype=z.dtype).view(1, -1, 1, 1, 1) for v in _latents(vae))
        return vae.decode(z * std + mean, return_dict=False)[0][0, :, 0]

    def in_pieces(self, pipeline: Any) -> None:
        """Tiles of whole rows."""
        rows_only(pipeline.vae)


def _latents(vae: Any) -> tuple[Any, Any]:
    """Mean and spread of the latent's channels."""
    return vae.config.latents_mean, vae.config.latents_std
