"""Tiny pipelines of every family with random weights, in the published layout: to try everything out in seconds.

python -m holotime.animate.panoramic.random_model OUT --family wan
holotime animate pano.png -o clip.mp4 --animator wan --model OUT --model-width 128 --steps 4
"""

import argparse
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from holotime.models import require

TEXT = 32  # width of the text's embedding
LATENT = 4  # channels of a latent, where they are free
SPREAD = 1.5  # of the kernels of convolutions, over their usual size
SOFT = {
    "ltx": 0.5,
    "cogvideox": 0.5,
    "svd": 0.5,
}  # share of a blur in them, lest columns show as tiles
TOLD = 0.1  # of CogVideoX's norms: how much they are told of the latent, which they see as tiles


def write(folder: Path, family: str, *, seed: int = 0, **changes: Any) -> Path:
    """Save a tiny pipeline of ``family`` (a key of BUILDERS) into ``folder``.

    ``changes`` go to the denoiser's configuration.
    """
    require("diffusers")
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        pipeline = BUILDERS[family](changes)
        for name in ("vae", "unet"):
            part = getattr(pipeline, name, None)
            if part is not None:
                _tame(part, SOFT.get(family.split("-")[0], 0.0))
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def _tame(network: nn.Module, soft: float) -> None:
    """Let random kernels answer to their surroundings, edges included, as smoothly as trained ones."""
    blur = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Conv3d) and tuple(layer.kernel_size[-2:]) == (3, 3):
                w = layer.weight
                layer.weight.copy_(SPREAD * ((1 - soft) * w + soft * w.sum((-2, -1), keepdim=True) * blur))
            elif type(layer).__name__ == "CogVideoXSpatialNorm3D":
                for told in layer.children():
                    if hasattr(told, "conv"):  # not the norm itself
                        told.get_parameter("conv.weight").mul_(TOLD)


def _text(kind: str = "T5") -> tuple[Any, Any]:
    """(tokenizer of single letters, encoder of ``kind``: T5 or UMT5)."""
    import transformers
    from transformers import T5Tokenizer

    words = ["<pad>", "</s>", "<unk>", *string.printable[:95], "▁"]
    tokenizer = T5Tokenizer(vocab=[(word, -float(i)) for i, word in enumerate(words)], extra_ids=0)
    sizes = {"d_model": TEXT, "d_ff": 32, "d_kv": 8, "num_heads": 4, "num_layers": 1, "dropout_rate": 0.0}
    config = getattr(transformers, f"{kind}Config")(vocab_size=len(words), **sizes)
    return tokenizer, getattr(transformers, f"{kind}EncoderModel")(config)


def _eye(size: int, *, projected: bool) -> tuple[Any, Any]:
    """(image processor, CLIP vision tower) for pictures of ``size``."""
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=TEXT,
        projection_dim=TEXT,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=size,
        intermediate_size=32,
        patch_size=size // 4,
    )
    processor = CLIPImageProcessor(crop_size=size, size=size)
    return processor, (CLIPVisionModelWithProjection if projected else CLIPVisionModel)(config)


def _wan(changes: dict[str, Any]) -> Any:
    import diffusers as d

    tokenizer, text_encoder = _text("UMT5")
    processor, eye = _eye(32, projected=False)
    return d.WanImageToVideoPipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        image_processor=processor,
        image_encoder=eye,
        vae=_wan_vae(),
        transformer=_wan_network({"in_channels": 16 + 16 + 4, "image_dim": TEXT} | changes),
        scheduler=d.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=3.0
        ),
    )


def _wan_dense(changes: dict[str, Any]) -> Any:
    import diffusers as d

    tokenizer, text_encoder = _text("UMT5")
    return d.WanPipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        vae=_wan_vae(),
        transformer=_wan_network({"in_channels": 16} | changes),
        scheduler=d.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=5.0
        ),
        expand_timesteps=True,
    )


def _wan_vae() -> Any:
    import diffusers as d

    return d.AutoencoderKLWan(
        base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )


def _wan_network(changes: dict[str, Any]) -> Any:
    import diffusers as d

    given = {
        "patch_size": (1, 2, 2),
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "out_channels": 16,
        "text_dim": TEXT,
        "freq_dim": 16,
        "ffn_dim": 32,
        "num_layers": 2,
        "cross_attn_norm": True,
        "qk_norm": "rms_norm_across_heads",
    }
    return d.WanTransformer3DModel(**(given | changes))


def _ltx(changes: dict[str, Any]) -> Any:
    import diffusers as d

    tokenizer, text_encoder = _text()
    given = {
        "in_channels": 8,
        "out_channels": 8,
        "num_attention_heads": 4,
        "attention_head_dim": 8,
        "cross_attention_dim": 32,
        "num_layers": 2,
        "caption_channels": TEXT,
    }
    wide = (8, 8, 8, 8)
    vae = d.AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=wide,
        decoder_block_out_channels=wide,
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
        patch_size=4,
    )
    return d.LTXImageToVideoPipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        vae=vae,
        transformer=d.LTXVideoTransformer3DModel(**(given | changes)),
        scheduler=d.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=0.1),
    )


def _cogvideox(changes: dict[str, Any]) -> Any:
    import diffusers as d

    tokenizer, text_encoder = _text()
    given = {
        "num_attention_heads": 2,
        "attention_head_dim": 16,
        "in_channels": 2 * LATENT,
        "out_channels": LATENT,
        "time_embed_dim": 8,
        "text_embed_dim": TEXT,
        "num_layers": 2,
        "sample_width": 20,
        "sample_height": 8,
        "sample_frames": 9,
        "max_text_seq_length": 16,
        "use_rotary_positional_embeddings": True,
        "use_learned_positional_embeddings": True,
    }
    vae = d.AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=LATENT,
        layers_per_block=1,
        norm_num_groups=2,
    )
    return d.CogVideoXImageToVideoPipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        vae=vae,
        transformer=d.CogVideoXTransformer3DModel(**(given | changes)),
        scheduler=d.CogVideoXDPMScheduler(
            prediction_type="v_prediction",
            rescale_betas_zero_snr=True,
            snr_shift_scale=1.0,
            timestep_spacing="trailing",
        ),
    )


def _cogvideox_later(changes: dict[str, Any]) -> Any:
    later = {"patch_size_t": 2, "use_learned_positional_embeddings": False, "ofs_embed_dim": 8, "patch_bias": False}
    return _cogvideox(later | changes)


def _svd(changes: dict[str, Any]) -> Any:
    import diffusers as d

    processor, eye = _eye(224, projected=True)
    given = {
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "sample_size": 24,
        "num_frames": 3,
        "down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        "up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        "cross_attention_dim": TEXT,
        "num_attention_heads": (2, 4),
        "projection_class_embeddings_input_dim": 96,
        "addition_time_embed_dim": 32,
    }
    vae = d.AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 64), down_block_types=("DownEncoderBlock2D",) * 2, latent_channels=LATENT
    )
    return d.StableVideoDiffusionPipeline(
        image_encoder=eye,
        feature_extractor=processor,
        vae=vae,
        unet=d.UNetSpatioTemporalConditionModel(**(given | changes)),
        scheduler=d.EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            prediction_type="v_prediction",
            sigma_max=700.0,
            sigma_min=0.002,
            steps_offset=1,
            timestep_spacing="leading",
            timestep_type="continuous",
            use_karras_sigmas=True,
        ),
    )


BUILDERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "wan": _wan,
    "wan-dense": _wan_dense,
    "ltx": _ltx,
    "cogvideox": _cogvideox,
    "cogvideox-1.5": _cogvideox_later,
    "svd": _svd,
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--family", choices=tuple(BUILDERS), default="wan")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(write(given.folder, given.family, seed=given.seed))


if __name__ == "__main__":
    main()
