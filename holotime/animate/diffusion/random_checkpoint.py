"""Write a checkpoint with random weights in the published format, small or at full size (5.5 GB in half precision).

``python -m holotime.animate.diffusion.random_checkpoint OUT.ckpt [--size tiny|full] [--wrap lightning|deepspeed]``.
The weights are scaled so that signals keep their size through the network: what comes out is noise, but finite.
"""

import argparse
import math
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from holotime.animate.diffusion import schedule
from holotime.animate.diffusion.checkpoint import DEEPSPEED, PREFIXES, STATED
from holotime.animate.diffusion.config import ModelConfig, ResamplerConfig, TowerConfig, UNetConfig, VAEConfig
from holotime.animate.diffusion.resampler import Resampler
from holotime.animate.diffusion.unet import UNet

TINY = ModelConfig(
    unet=UNetConfig(
        model_channels=32,
        channel_mult=(1, 1, 2),
        num_res_blocks=1,
        attention_resolutions=(2, 1),
        num_head_channels=16,
        context_dim=32,
    ),
    resampler=ResamplerConfig(
        dim=32, depth=1, dim_head=16, heads=2, num_queries=2, video_length=2, embedding_dim=48, output_dim=32
    ),
    vae=VAEConfig(ch=32, ch_mult=(1, 1, 1, 1), num_res_blocks=1),
    text=TowerConfig(width=32, layers=3, heads=2, mlp=64),
    image=TowerConfig(width=48, layers=2, heads=2, mlp=64, patch=56),
)


def tower_shapes(config: TowerConfig, prefix: str) -> dict[str, tuple[int, ...]]:
    """OpenCLIP's residual blocks: name to shape."""
    w = config.width
    out: dict[str, tuple[int, ...]] = {}
    for i in range(config.layers):
        base = f"{prefix}resblocks.{i}."
        for norm in ("ln_1", "ln_2"):
            out |= {f"{base}{norm}.weight": (w,), f"{base}{norm}.bias": (w,)}
        out |= {f"{base}attn.in_proj_weight": (3 * w, w), f"{base}attn.in_proj_bias": (3 * w,)}
        for name, shape in (("attn.out_proj", (w, w)), ("mlp.c_fc", (config.mlp, w)), ("mlp.c_proj", (w, config.mlp))):
            out |= {f"{base}{name}.weight": shape, f"{base}{name}.bias": shape[:1]}
    return out


def vae_shapes(config: VAEConfig) -> dict[str, tuple[int, ...]]:
    """The autoencoder under the published names: name to shape."""
    out: dict[str, tuple[int, ...]] = {}
    widths = [config.ch * m for m in config.ch_mult]

    def conv(name: str, a: int, b: int, k: int = 3) -> None:
        out.update({f"{name}.weight": (b, a, k, k), f"{name}.bias": (b,)})

    def norm(name: str, a: int) -> None:
        out.update({f"{name}.weight": (a,), f"{name}.bias": (a,)})

    def res(name: str, a: int, b: int) -> None:
        norm(f"{name}.norm1", a)
        conv(f"{name}.conv1", a, b)
        norm(f"{name}.norm2", b)
        conv(f"{name}.conv2", b, b)
        if a != b:
            conv(f"{name}.nin_shortcut", a, b, 1)

    def middle(side: str) -> None:
        res(f"{side}.mid.block_1", widths[-1], widths[-1])
        norm(f"{side}.mid.attn_1.norm", widths[-1])
        for part in ("q", "k", "v", "proj_out"):
            conv(f"{side}.mid.attn_1.{part}", widths[-1], widths[-1], 1)
        res(f"{side}.mid.block_2", widths[-1], widths[-1])

    z, channels = config.z_channels, widths[0]
    conv("encoder.conv_in", 3, channels)
    for i, width in enumerate(widths):
        for j in range(config.num_res_blocks):
            res(f"encoder.down.{i}.block.{j}", channels, width)
            channels = width
        if i < len(widths) - 1:
            conv(f"encoder.down.{i}.downsample.conv", channels, channels)
    middle("encoder")
    norm("encoder.norm_out", channels)
    conv("encoder.conv_out", channels, 2 * z)
    conv("decoder.conv_in", z, channels)
    middle("decoder")
    for i, width in reversed(list(enumerate(widths))):
        for j in range(config.num_res_blocks + 1):
            res(f"decoder.up.{i}.block.{j}", channels, width)
            channels = width
        if i:
            conv(f"decoder.up.{i}.upsample.conv", channels, channels)
    norm("decoder.norm_out", channels)
    conv("decoder.conv_out", channels, 3)
    conv("quant_conv", 2 * z, 2 * z, 1)
    conv("post_quant_conv", z, z, 1)
    return out


def checkpoint_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every network tensor of a published checkpoint: name to shape."""
    with torch.device("meta"):
        own = {"unet": UNet(config.unet).state_dict(), "resampler": Resampler(config.resampler).state_dict()}
    shapes = {PREFIXES[m] + k: tuple(v.shape) for m, state in own.items() for k, v in state.items()}
    shapes |= {PREFIXES["vae"] + k: s for k, s in vae_shapes(config.vae).items()}
    t, i = config.text, config.image
    text = {
        "positional_embedding": (77, t.width),
        "text_projection": (t.width, t.width),
        "logit_scale": (),
        "token_embedding.weight": (t.vocabulary, t.width),
        "ln_final.weight": (t.width,),
        "ln_final.bias": (t.width,),
    }
    image = {
        "visual.class_embedding": (i.width,),
        "visual.positional_embedding": (1 + (i.image_size // i.patch) ** 2, i.width),
        "visual.proj": (i.width, t.width),
        "visual.conv1.weight": (i.width, 3, i.patch, i.patch),
        **{f"visual.{n}.{k}": (i.width,) for n in ("ln_pre", "ln_post") for k in ("weight", "bias")},
    }
    shapes |= {PREFIXES["text"] + k: s for k, s in (text | tower_shapes(t, "transformer.")).items()}
    # The image tower's module kept the text side's small tensors.
    shapes |= {PREFIXES["image"] + k: s for k, s in (text | image | tower_shapes(i, "visual.transformer.")).items()}
    return shapes


def random_tensor(key: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """float16 weights: norms about 1, biases small, matrices and convolutions of variance 1 / fan-in."""
    noise = torch.randn(shape, generator=generator)
    norm = any(part in key for part in ("norm", "ln_", "in_layers.0", "out_layers.0", ".out.0.", "temopral_conv"))
    if (len(shape) == 1 and key.endswith("weight") and norm) or (len(shape) == 1 and key.endswith(".1.0.weight")):
        noise = 1 + 0.1 * noise
    elif len(shape) <= 1:
        noise = 0.05 * noise
    elif "embedding" in key and "embed." not in key:
        noise = 0.5 * noise
    else:
        noise = noise / math.sqrt(math.prod(shape[1:]))
    return noise.half()


def make(config: ModelConfig, base_scale: float, seed: int = 0) -> dict[str, Tensor]:
    """All tensors of a random checkpoint under the published names, tables included."""
    generator = torch.Generator().manual_seed(seed)
    state = {k: random_tensor(k, s, generator) for k, s in checkpoint_shapes(config).items()}
    noise = schedule.NoiseSchedule.make(base_scale)
    bar = noise.alphas_cumprod
    previous = torch.cat([torch.ones(1), bar[:-1]])
    betas = torch.from_numpy(schedule.zero_snr_betas()).float()
    variance = betas * (1 - previous) / (1 - bar)
    zeros = torch.zeros_like(bar)
    return state | {
        "betas": betas,
        "alphas_cumprod": bar,
        "alphas_cumprod_prev": previous,
        "sqrt_alphas_cumprod": bar.sqrt(),
        "sqrt_one_minus_alphas_cumprod": (1 - bar).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - bar).log(),
        "sqrt_recip_alphas_cumprod": zeros,
        "sqrt_recipm1_alphas_cumprod": zeros.clone(),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
        "posterior_mean_coef1": betas * previous.sqrt() / (1 - bar),
        "posterior_mean_coef2": (1 - previous) * (1 - betas).sqrt() / (1 - bar),
        "scale_arr": noise.scale,
    }


def write(
    path: Path,
    config: ModelConfig,
    base_scale: float,
    *,
    wrap: str = "lightning",
    seed: int = 0,
    stage: dict[str, int] | None = None,
) -> Path:
    """Write a random checkpoint; ``wrap`` is how its dictionary is packed (lightning or deepspeed).

    ``stage``: sizes that the file states of its stage (see config.stage_from_dict).
    """
    state = make(config, base_scale, seed)
    stated = {} if config == ModelConfig() and not stage else {STATED: {"model": asdict(config), "stage": stage or {}}}
    if wrap == "deepspeed":
        torch.save({DEEPSPEED + k: v for k, v in state.items()} | stated, path)
    else:
        torch.save({"state_dict": state, "epoch": 0, "global_step": 0} | stated, path)
    return path


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", choices=("tiny", "small", "full"), default="full")
    parser.add_argument("--wrap", choices=("lightning", "deepspeed"), default="lightning")
    parser.add_argument("--base-scale", type=float, default=0.7, help="0.7 guidance, 0.3 refinement")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    small = replace(TINY, unet=replace(TINY.unet, model_channels=64, num_res_blocks=2))
    config = {"tiny": TINY, "small": small, "full": ModelConfig()}[arguments.size]
    stage = {"height": 64, "width": 128, "window": 4, "overlap": 1} if arguments.size == "tiny" else None
    write(arguments.out, config, arguments.base_scale, wrap=arguments.wrap, seed=arguments.seed, stage=stage)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
