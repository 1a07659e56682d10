"""The image autoencoder: diffusers' AutoencoderKL, the checkpoint's names mapped to it, panoramic convolutions."""

import re
from collections.abc import Callable
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from holotime.animate.diffusion import kernels
from holotime.animate.diffusion.config import VAEConfig
from holotime.animate.diffusion.norm import GroupNorm
from holotime.animate.diffusion.optional import require
from holotime.animate.diffusion.seam import Wrap, WrapConv2d, set_wrap, wrap_pad

_RENAMES = (
    (r"^(encoder|decoder)\.mid\.block_([12])\.", lambda m: f"{m[1]}.mid_block.resnets.{int(m[2]) - 1}."),
    (r"^(encoder|decoder)\.mid\.attn_1\.norm\.", r"\1.mid_block.attentions.0.group_norm."),
    (r"^(encoder|decoder)\.mid\.attn_1\.([qkv])\.", r"\1.mid_block.attentions.0.to_\2."),
    (r"^(encoder|decoder)\.mid\.attn_1\.proj_out\.", r"\1.mid_block.attentions.0.to_out.0."),
    (r"^encoder\.down\.(\d+)\.block\.", r"encoder.down_blocks.\1.resnets."),
    (r"^encoder\.down\.(\d+)\.downsample\.", r"encoder.down_blocks.\1.downsamplers.0."),
    (r"\.nin_shortcut\.", ".conv_shortcut."),
    (r"\.norm_out\.", ".conv_norm_out."),
)


def diffusers_key(key: str, levels: int) -> str:
    """The name in diffusers of a tensor of the checkpoint's autoencoder (without its prefix)."""
    for pattern, replacement in _RENAMES:
        key = re.sub(pattern, replacement, key)

    def up(m: re.Match[str]) -> str:
        kind = {"block": "resnets", "upsample": "upsamplers.0"}[m[2]]
        return f"decoder.up_blocks.{levels - 1 - int(m[1])}.{kind}."

    return re.sub(r"^decoder\.up\.(\d+)\.(block|upsample)\.", up, key)


def map_vae_state(state: dict[str, Tensor], levels: int) -> dict[str, Tensor]:
    """The checkpoint's autoencoder tensors under diffusers' names; 1x1 convolutions of attention become matrices."""
    out = {}
    for key, tensor in state.items():
        name = diffusers_key(key, levels)
        if ".attentions.0.to_" in name and tensor.ndim == 4:
            tensor = tensor[:, :, 0, 0]
        out[name] = tensor
    return out


class WrapDownsample(nn.Module):
    """The encoder's strided convolution, padded by one row below and one column on the right."""

    wrap: Wrap = Wrap.OFF

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor, *_: Any) -> Tensor:
        """x [N, C, H, W] -> [N, C, H/2, W/2]."""
        x = F.pad(x, (0, 1, 0, 0)) if self.wrap is Wrap.OFF else wrap_pad(x, 0, 1, self.wrap)
        return self.conv(F.pad(x, (0, 0, 0, 1)))


class WrapResnet(nn.Module):
    """The autoencoder's residual block: its norms write SiLU and the room for the sides in one go."""

    norm1: GroupNorm
    norm2: GroupNorm
    conv1: WrapConv2d
    conv2: WrapConv2d
    conv_shortcut: nn.Module | None

    def forward(self, x: Tensor, temb: None = None) -> Tensor:
        """x [N, C, H, W] -> [N, C', H, W]."""
        h = self.conv1.of_norm(self.norm1, x, biased=False)
        assert self.conv1.bias is not None
        assert self.conv2.bias is not None
        h = self.conv2.of_norm(self.norm2, h, self.conv1.bias.expand(len(x), -1), biased=False)
        return kernels.add_bias(h, x if self.conv_shortcut is None else self.conv_shortcut(x), self.conv2.bias)


def build_vae(config: VAEConfig) -> nn.Module:
    """The autoencoder on the current default device, with wrapping convolutions. Needs diffusers."""
    widths = tuple(config.ch * m for m in config.ch_mult)
    vae = require("diffusers").AutoencoderKL(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        layers_per_block=config.num_res_blocks,
        latent_channels=config.z_channels,
        norm_num_groups=32,
        act_fn="silu",
        scaling_factor=config.scale_factor,
    )
    for parent in list(vae.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Conv2d:
                child.__class__ = WrapConv2d
            elif type(child) is nn.GroupNorm and name != "group_norm":  # that one gets tokens
                child.__class__ = GroupNorm
            elif type(child).__name__ == "Downsample2D":
                setattr(parent, name, WrapDownsample(child.conv))
            elif type(child).__name__ == "ResnetBlock2D":
                child.__class__ = WrapResnet
    return vae.eval().requires_grad_(False)


class Autoencoder(Protocol):
    """The parts of diffusers' AutoencoderKL that are used."""

    encoder: nn.Module
    decoder: nn.Module
    quant_conv: nn.Module
    post_quant_conv: nn.Module


class VAE:
    """Encodes pictures to scaled latents and back, a few frames at a time."""

    def __init__(self, model: nn.Module, config: VAEConfig, chunk: int = 4) -> None:
        self.model, self.config = model, config
        self.parts = cast(Autoencoder, model)
        self.chunk = chunk  # frames at a time
        cast(WrapConv2d, self.parts.decoder.conv_out).align()

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return next(self.model.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    def moments(self, image: Tensor, wrap: Wrap = Wrap.OFF) -> Tensor:
        """Mean and log-variance [N, 2 z, H/8, W/8] of images [N, 3, H, W] in [-1, 1]."""
        set_wrap(self.model, wrap)
        out = [self.parts.quant_conv(self.parts.encoder(self._in(x))).float() for x in image.split(self.chunk)]
        return torch.cat(out)

    def encode(self, image: Tensor, noise: Tensor, wrap: Wrap = Wrap.OFF) -> Tensor:
        """Scaled latents [N, z, H/8, W/8], float32, sampled from the posterior with standard normal ``noise``."""
        mean, log_variance = self.moments(image, wrap).chunk(2, dim=1)
        std = torch.exp(0.5 * log_variance.clamp(-30.0, 20.0))
        return self.config.scale_factor * (mean + std * noise.to(mean))

    def decode(self, latents: Tensor, wrap: Wrap = Wrap.OFF, each: Callable[[int], None] | None = None) -> Tensor:
        """Images [N, 3, 8H, 8W] around [-1, 1], float32 on the CPU, of scaled latents [N, z, H, W].

        ``each`` is called with the number of frames done.
        """
        set_wrap(self.model, wrap)
        out: list[Tensor] = []
        for z in (latents / self.config.scale_factor).split(self.chunk):
            picture = self.parts.decoder(self.parts.post_quant_conv(self._in(z)))
            out.append(picture.float().cpu())
            if each is not None:
                each(sum(map(len, out)))
        return torch.cat(out)

    def _in(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] where and how the weights are."""
        return x.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)
