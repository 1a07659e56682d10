"""Tiny pipelines with random weights, made from their own configurations and saved as published ones are."""

from pathlib import Path
from typing import Any

import torch

SYMBOLS = "abcdefghijklmnopqrstuvwxyz0123456789,.-'"


def make(kind: str, folder: Path, *, seed: int = 0, size: int = 32, levels: int = 2) -> Path:
    """Save a tiny pipeline (sd, sdxl, sd-inpaint, flux, flux-fill) to ``folder``.

    ``size``: the ``sample_size`` of its denoiser, latent pixels of the square that it was "trained" with. ``levels``:
    of its autoencoder. One has no strides: random weights draw the grid of those, on which a seam would lie.
    """
    torch.manual_seed(seed)
    pipe = (_flux if kind.startswith("flux") else _stable)(kind, size, levels)
    pipe.save_pretrained(folder)
    return folder


def _stable(kind: str, size: int, levels: int) -> Any:
    from diffusers import (
        EulerDiscreteScheduler,
        StableDiffusionInpaintPipeline,
        StableDiffusionPipeline,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )

    large = kind == "sdxl"
    more: dict[str, Any] = {}
    if large:
        more = {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 6 * 8 + 32,
        }
    unet = UNet2DConditionModel(
        block_out_channels=(16, 32),
        layers_per_block=1,
        sample_size=size,
        in_channels=9 if kind == "sd-inpaint" else 4,
        out_channels=4,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=2,
        cross_attention_dim=64 if large else 32,
        **more,
    )
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    )
    parts: dict[str, Any] = {
        "unet": unet,
        "vae": _vae(levels),
        "scheduler": scheduler,
        "text_encoder": _clip(projected=False),
        "tokenizer": clip_tokenizer(),
    }
    if large:
        second = {"text_encoder_2": _clip(projected=True), "tokenizer_2": clip_tokenizer()}
        return StableDiffusionXLPipeline(**parts, **second, add_watermarker=False)
    cls: Any = StableDiffusionInpaintPipeline if kind == "sd-inpaint" else StableDiffusionPipeline
    return cls(**parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False)


def _flux(kind: str, size: int, levels: int) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxFillPipeline, FluxPipeline, FluxTransformer2DModel

    fill = kind == "flux-fill"
    vae = _vae(levels, scaling_factor=0.36, shift_factor=0.1)
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    transformer = FluxTransformer2DModel(
        in_channels=16 + (16 + 4 * factor * factor) * fill,
        out_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    )
    parts = {
        "transformer": transformer,
        "vae": vae,
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        "text_encoder": _clip(projected=False),
        "tokenizer": clip_tokenizer(),
        "text_encoder_2": _t5(),
        "tokenizer_2": t5_tokenizer(),
    }
    return (FluxFillPipeline if fill else FluxPipeline)(**parts)


def _vae(levels: int, **scaling: float) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        **scaling,
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(8, 16)[-levels:],
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        norm_num_groups=4,
        mid_block_add_attention=False,  # over all pixels of a picture it takes longer than everything else
        sample_size=64,
    )


def _clip(*, projected: bool) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        hidden_size=32,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=2,
        vocab_size=1000,
        projection_dim=32,
        hidden_act="gelu",
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def _t5() -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=200, d_model=32, d_kv=8, d_ff=37, num_layers=1, num_heads=4, decoder_start_token_id=0)
    return T5EncoderModel(config)


def clip_tokenizer() -> Any:
    """Single characters, 77 tokens."""
    from transformers import CLIPTokenizer

    pieces = [s for c in SYMBOLS for s in (c, f"{c}</w>")]
    vocabulary = {token: i for i, token in enumerate(["<|startoftext|>", "<|endoftext|>", *pieces])}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def t5_tokenizer() -> Any:
    """Single characters."""
    from transformers import T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((c, -3.0) for c in SYMBOLS)]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)
