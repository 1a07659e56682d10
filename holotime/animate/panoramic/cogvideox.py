"""CogVideoX 1.0 and 1.5 image-to-video (Yang et al. 2024)."""

from typing import Any

import torch
from torch import Tensor

from holotime.animate.panoramic.config import PanoramicConfig
from holotime.animate.panoramic.family import (
    MARGIN,
    MARGIN_LEAST,
    Family,
    Forward,
    Rules,
    Size,
    argument,
    transformer_bytes,
)
from holotime.animate.panoramic.window import Window
from holotime.models import PipelineFiles


class CogVideoX(Family):
    """Latent [1, T, C, h, w]; rotary positions told from outside, in 1.0 absolute ones as well.

    Its positions reach as far as the pictures that it was trained with, so the window with its margin is just as wide.
    """

    animator = "cogvideox"
    classes = ("CogVideoXImageToVideoPipeline",)
    load_as = "CogVideoXImageToVideoPipeline"
    default = "cogvideox-5b-i2v"

    def __init__(self, files: PipelineFiles) -> None:
        super().__init__(files)
        self.network, self.vae = files.config("transformer"), files.config("vae")
        self.stride = 2 ** (len(self.vae.get("block_out_channels", (1, 1, 1, 1))) - 1)
        self.unit = int(self.network.get("patch_size", 2))
        self.wide, self.high = int(self.network.get("sample_width", 90)), int(self.network.get("sample_height", 60))
        self.learned = bool(self.network.get("use_learned_positional_embeddings"))
        every = int(self.vae.get("temporal_compression_ratio", 4))
        self.in_time = self.network.get("patch_size_t")
        frames = (int(self.network.get("sample_frames", 49)) - 1) // every * every + 1
        fps = 16 if self.in_time else 8
        pixels = self.wide * self.high * self.stride**2
        self.rules = Rules(pixels, frames=frames, every=every, fps=fps, steps=50, guidance=6.0)

    def check(self) -> None:
        """A model that makes videos of words alone has no room for a picture."""
        if int(self.network.get("in_channels", 0)) != 2 * int(self.network.get("out_channels", 0)):
            raise self.refuse("makes videos of words alone: it has no channels for a picture. Take one with I2V in it.")

    def size(self, width: int) -> Size:
        """As wide as its positions reach; learned ones fix the height too, which stretches the picture."""
        token = self.stride * self.unit
        reach = self.wide // self.unit
        margin = max(MARGIN_LEAST, round(reach / (MARGIN + 1)))
        tokens = reach - margin
        if self.learned:
            if width and width != tokens * token:
                raise self.refuse(f"works at a width of {tokens * token} pixels and at no other; leave the width out.")
            high = self.high // self.unit
        else:
            asked = round(width / token) if width else tokens
            if not 2 <= asked <= tokens:
                raise self.refuse(f"works at a width of {2 * token} to {tokens * token} pixels, not of {width}.")
            tokens = asked - asked % 2
            margin = min(margin, tokens)
            high = min(tokens // 2, self.high // self.unit)
        return Size(tokens * token, high * token, Window(tokens * self.unit, margin * self.unit))

    def working(self, size: Size, frames: int, itemsize: int) -> tuple[int, int]:
        """Both guidance passes are one batch; the autoencoder decodes eight frames at a time, or tiles of rows."""
        columns = size.window.width + size.window.margin
        latents = (frames - 1) // self.rules.every + 1
        tokens = latents * columns * (size.height // self.stride) // self.unit**2
        wide = int(self.network.get("num_attention_heads", 48)) * int(self.network.get("attention_head_dim", 64))
        step = transformer_bytes(tokens, wide, 2, itemsize)
        base = int(self.vae.get("block_out_channels", (128,))[0])
        decode = 8 * size.width * size.height * base * itemsize * 8
        return max(step, decode), max(step, int(decode * min(1.0, 240 / size.height)))

    def prompt_tokens(self, pipeline: Any) -> int:
        """As many as it was trained with."""
        return int(self.network.get("max_text_seq_length", 226))

    def arguments(self, config: PanoramicConfig, frames: int) -> dict[str, Any]:
        """Published settings; dynamic guidance only where the published scheduler wants it."""
        return {
            "prompt": config.prompt,
            "negative_prompt": config.negative_prompt,
            "guidance_scale": config.guidance_scale or self.rules.guidance,
            "num_frames": frames,
            "max_sequence_length": self.prompt_tokens(None),
            "use_dynamic_cfg": "DPM" in self.files.parts.get("scheduler", ""),
        }

    def denoise(self, pipeline: Any, forward: Forward, window: Window, args: tuple, kwargs: dict[str, Any]) -> Any:
        """hidden_states [B, T, C, h, w]."""
        hidden = kwargs["hidden_states"]
        told: dict[str, Any] = {"hidden_states": window.open(hidden)}
        if kwargs.get("image_rotary_emb") is not None:
            high, wide = hidden.shape[-2] * self.stride, (window.width + window.margin) * self.stride
            told["image_rotary_emb"] = pipeline._prepare_rotary_positional_embeddings(
                high, wide, hidden.shape[1], hidden.device
            )
        made = forward(*args, **(kwargs | told))
        return (window.close(made[0]),)

    def blank(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """[B, T, C', h, w]."""
        hidden = argument("hidden_states", args, kwargs)
        return (torch.zeros_like(hidden[:, :, : int(self.network["out_channels"])]),)

    def picture(self, pipeline: Any, clean: Tensor) -> Tensor:
        """clean [1, T, C, h, w]; one latent frame alone is decoded as a picture."""
        middle = clean.shape[1] // 2
        z = clean[:, middle : middle + 1].to(pipeline.vae.dtype)
        return pipeline.decode_latents(z)[0, :, 0]

    def in_pieces(self, pipeline: Any) -> None:
        """Tiles of whole rows: a tile may be as wide as it likes."""
        pipeline.vae.enable_tiling(tile_sample_min_height=240, tile_sample_min_width=1 << 20)
