"""The text and image encoders: OpenCLIP ViT-H/14 run by transformers with the checkpoint's own weights."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from holotime.animate.diffusion.config import TowerConfig
from holotime.animate.diffusion.optional import require
from holotime.animate.diffusion.tokenizer import CONTEXT_LENGTH

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def build_text_tower(config: TowerConfig) -> nn.Module:
    """The text tower without its last block, which is never read. Needs transformers."""
    transformers = require("transformers")
    settings = transformers.CLIPTextConfig(
        hidden_size=config.width,
        intermediate_size=config.mlp,
        num_hidden_layers=config.layers - 1,
        num_attention_heads=config.heads,
        vocab_size=config.vocabulary,
        max_position_embeddings=CONTEXT_LENGTH,
        hidden_act="gelu",
        bos_token_id=0,  # only the pooled output, which is not used, would look at these
        eos_token_id=config.vocabulary - 1,
        pad_token_id=0,
    )
    return transformers.CLIPTextModel(settings).eval().requires_grad_(False)


def build_image_tower(config: TowerConfig) -> nn.Module:
    """The image tower. Needs transformers."""
    transformers = require("transformers")
    settings = transformers.CLIPVisionConfig(
        hidden_size=config.width,
        intermediate_size=config.mlp,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        image_size=config.image_size,
        patch_size=config.patch,
        hidden_act="gelu",
    )
    return transformers.CLIPVisionModel(settings).eval().requires_grad_(False)


_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_TEXT = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
_IMAGE = {
    "visual.class_embedding": "embeddings.class_embedding",
    "visual.positional_embedding": "embeddings.position_embedding.weight",
    "visual.conv1.weight": "embeddings.patch_embedding.weight",
    "visual.ln_pre.weight": "pre_layrnorm.weight",  # the misspelling is transformers'
    "visual.ln_pre.bias": "pre_layrnorm.bias",
    "visual.ln_post.weight": "post_layernorm.weight",
    "visual.ln_post.bias": "post_layernorm.bias",
}
# In the checkpoint, but without a part in what the animator reads.
TEXT_UNUSED = {"text_projection", "logit_scale"}
IMAGE_UNUSED = {*TEXT_UNUSED, *_TEXT, "visual.proj"}


def _map_blocks(state: dict[str, Tensor], prefix: str, layers: int) -> dict[str, Tensor]:
    """OpenCLIP's residual blocks under transformers' names; the joint q, k, v projection is split."""
    out: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if not key.startswith(prefix):
            continue
        number, _, name = key.removeprefix(prefix).partition(".")
        if int(number) >= layers:
            continue
        base = f"encoder.layers.{number}."
        if name.startswith("attn.in_proj_"):
            kind = name.removeprefix("attn.in_proj_")
            for part, piece in zip("qkv", tensor.chunk(3), strict=True):
                out[f"{base}self_attn.{part}_proj.{kind}"] = piece
        else:
            module, _, kind = name.rpartition(".")
            out[f"{base}{_BLOCK[module]}.{kind}"] = tensor
    return out


def map_text_state(state: dict[str, Tensor], config: TowerConfig) -> dict[str, Tensor]:
    """The checkpoint's text tensors (without prefix) under transformers' names."""
    out = {name: state[key] for key, name in _TEXT.items() if key in state}
    return out | _map_blocks(state, "transformer.resblocks.", config.layers - 1)


def map_image_state(state: dict[str, Tensor], config: TowerConfig) -> dict[str, Tensor]:
    """The checkpoint's image tensors (without prefix) under transformers' names."""
    out = {name: state[key] for key, name in _IMAGE.items() if key in state}
    return out | _map_blocks(state, "visual.transformer.resblocks.", config.layers)


def fit_names(module: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add the one prefix (``text_model.`` or ``vision_model.``) that older transformers put before every name."""
    first = next(iter(module.state_dict()))
    for prefix in ("text_model.", "vision_model."):
        if first.startswith(prefix):
            return {prefix + k: v for k, v in state.items()}
    return state


def preprocess(image: Tensor, size: int = 224) -> Tensor:
    """Images [N, 3, H, W] in [-1, 1] to the image tower's input [N, 3, size, size]; the aspect ratio is squashed.

    A Gaussian of sigma (f - 1) / 2 per axis for a down-scaling factor f, then bicubic with aligned corners.
    """
    x = image.float()
    factors = [n / size for n in x.shape[-2:]]
    if max(factors) > 1:
        sigmas = [max((f - 1) / 2, 0.001) for f in factors]
        kernels = [_gaussian(s, int(max(4 * s, 3)) | 1).to(x) for s in sigmas]
        pads = [len(k) // 2 for k in kernels]
        x = F.pad(x, (pads[1], pads[1], pads[0], pads[0]), mode="reflect")
        channels = x.shape[1]
        x = F.conv2d(x, kernels[0].view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
        x = F.conv2d(x, kernels[1].view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    x = F.interpolate(x, (size, size), mode="bicubic", align_corners=True)
    mean, std = (torch.tensor(v, device=x.device).view(1, 3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    return ((x + 1) / 2 - mean) / std


def _gaussian(sigma: float, size: int) -> Tensor:
    """[size] normalised Gaussian window, size odd."""
    x = torch.arange(size) - size // 2
    window = torch.exp(-0.5 * (x / sigma) ** 2)
    return window / window.sum()


class TextEncoder:
    """Prompts to context tokens."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __call__(self, tokens: Tensor) -> Tensor:
        """tokens [B, 77] -> [B, 77, C]: the last but one block's output through the final norm."""
        device = next(self.model.parameters()).device
        output: Any = self.model(input_ids=tokens.to(device))
        return output.last_hidden_state


class ImageEncoder:
    """Pictures to image tokens."""

    def __init__(self, model: nn.Module, size: int = 224) -> None:
        self.model, self.size = model, size

    def __call__(self, image: Tensor) -> Tensor:
        """image [B, 3, H, W] in [-1, 1] -> [B, 1 + (size / patch)^2, C], before the final norm."""
        weight = next(self.model.parameters())
        output: Any = self.model(pixel_values=preprocess(image, self.size).to(weight))
        return output.last_hidden_state


def image_tokens(config: TowerConfig) -> int:
    """Tokens that leave the image tower: the class token and one a patch."""
    return 1 + math.prod([config.image_size // config.patch] * 2)
