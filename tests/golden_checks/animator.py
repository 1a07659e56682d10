"""Goldens of the panoramic animator: networks, schedule tables, complete sampling runs."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F

from golden_checks import RUN, SINGLE, Case, compare, golden, load, partner
from holotime.animate.diffusion import schedule, towers
from holotime.animate.diffusion.config import ResamplerConfig, UNetConfig, VAEConfig
from holotime.animate.diffusion.resampler import Resampler
from holotime.animate.diffusion.sampler import Conditioning, Sampler, SamplerConfig
from holotime.animate.diffusion.seam import Wrap, blend_edge, close, set_wrap
from holotime.animate.diffusion.unet import UNet
from holotime.animate.diffusion.vae import VAE, build_vae, map_vae_state

CIRCULAR_ABOVE = 100  # the published recipe pads round the seam only in latents wider than this
BASE_SCALE = {"guidance": 0.7, "refinement": 0.3}


@lru_cache(maxsize=2)
def _unet(weights: Path, fused: bool) -> UNet:
    tensors, metadata = load(weights)
    net = UNet(UNetConfig.from_dict(metadata["config"]))
    net.load_state_dict({k.removeprefix("model.diffusion_model."): v.float() for k, v in tensors.items()})
    return net.optimise() if fused else net.eval().requires_grad_(False)


@lru_cache(maxsize=1)
def _vae(weights: Path) -> VAE:
    tensors, metadata = load(weights)
    d = metadata["config"]["ddconfig"]
    config = VAEConfig(d["ch"], tuple(d["ch_mult"]), d["num_res_blocks"], d["z_channels"])
    model = build_vae(config)
    state = {k.removeprefix("first_stage_model."): v.float() for k, v in tensors.items()}
    model.load_state_dict(map_vae_state(state, len(config.ch_mult)))
    return VAE(model, config)


@golden("unet_io")
def unet(path: Path) -> Iterator[Case]:
    """Single passes, with projections as stored and fused."""
    io, _ = load(path)
    for fused in (False, True):
        net = _unet(partner(path, "unet_weights"), fused)
        set_wrap(net, Wrap.OFF)
        for case in sorted({k.rsplit(".", 1)[0] for k in io}):
            x, t, context = (io[f"{case}.{name}"] for name in ("x", "timesteps", "context"))
            out = net(x, t, context, io.get(f"{case}.fs"))
            yield compare(f"{case}{' fused' if fused else ''}", out, io[f"{case}.out"], SINGLE)


@golden("resampler_io")
def resampler(path: Path) -> Iterator[Case]:
    """Image tokens to context tokens."""
    io, _ = load(path)
    tensors, metadata = load(partner(path, "resampler_weights"))
    net = Resampler(ResamplerConfig(**metadata["config"]))
    net.load_state_dict({k.removeprefix("image_proj_model."): v.float() for k, v in tensors.items()})
    yield compare("out", net(io["x"]), io["out"], SINGLE)


@golden("vae_io")
def vae(path: Path) -> Iterator[Case]:
    """Encode, sample, decode."""
    io, _ = load(path)
    model = _vae(partner(path, "vae_weights"))
    yield compare("moments", model.moments(io["image"]), io["moments"], SINGLE)
    yield compare("z_scaled", model.encode(io["image"], io["noise"]), io["z_scaled"], SINGLE)
    yield compare("decoded", model.decode(io["z_scaled"]), io["decoded"], SINGLE)


@golden("clip_preprocess")
def clip_preprocess(path: Path) -> Iterator[Case]:
    """Resizing and normalising for the image tower."""
    io, _ = load(path)
    image = F.interpolate(io["small"], tuple(io["HW"].tolist()), mode="bilinear", align_corners=False)
    yield compare("out_stride4", towers.preprocess(image)[..., ::4, ::4], io["out_stride4"], SINGLE)


@golden("ddim_tables")
def tables(path: Path) -> Iterator[Case]:
    """The schedule over all timesteps and the tables of each stage and step count."""
    io, _ = load(path)
    betas = schedule.zero_snr_betas()
    yield compare("betas", betas, io["betas"], 1e-7)
    stages = sorted({k.split(".")[0] for k in io if "." in k})
    for stage in stages:
        noise = schedule.NoiseSchedule.make(float(io[f"{stage}.scale_arr"][-1]))
        ac = noise.alphas_cumprod
        if stage == stages[0]:
            yield compare("alphas_cumprod", ac, io["alphas_cumprod"], 1e-7)
            yield compare("sqrt_alphas_cumprod", ac.sqrt(), io["sqrt_alphas_cumprod"], 1e-6)
            yield compare("sqrt_one_minus_alphas", (1 - ac).sqrt(), io["sqrt_one_minus_alphas_cumprod"], 1e-6)
        yield compare(f"{stage}.scale_arr", noise.scale, io[f"{stage}.scale_arr"], 1e-6)
        for run in sorted({k.split(".")[1] for k in io if k.startswith(f"{stage}.S")}):
            strength = 0.8 if stage == "refinement" else None
            d = schedule.DDIMSchedule.make(noise, int(run[1:]), 1.0, strength=strength, compat=True)
            named = {
                "ddim_timesteps": d.timesteps,
                "ddim_alphas": d.alphas,
                "ddim_alphas_prev": d.alphas_prev,
                "ddim_sigmas": d.sigmas,
                "ddim_sqrt_one_minus_alphas": (1 - d.alphas).sqrt(),
                "ddim_scale_arr": d.scales,
                "ddim_scale_arr_prev": d.scales_prev,
            }
            for name, table in named.items():
                key = f"{stage}.{run}.{name}"
                if key in io:
                    yield compare(key, table, io[key], 1e-6)


@golden("ddim_guidance", "ddim_refinement")
def ddim(path: Path) -> Iterator[Case]:
    """Complete runs: both guidance passes apart and in one batch, then decoding, blending, cropping."""
    io, metadata = load(path)
    stage = str(metadata.get("which", "refinement" if "z_guidance" in io else "guidance"))
    net = _unet(partner(path, "unet_weights"), True)
    noise = schedule.NoiseSchedule.make(float(metadata.get("base_scale", BASE_SCALE[stage])))
    strength = 0.8 if "z_guidance" in io else None
    eta = float(metadata.get("eta", 1.0 if "noises" in io else 0.0))
    d = schedule.DDIMSchedule.make(noise, int(metadata["S"]), eta, strength=strength, compat=True)
    start = d.start_from(io["z_guidance"], io["eps_init"]) if strength else io["x_init"]
    wrap = Wrap.FLOOR if start.shape[-1] > CIRCULAR_ABOVE else Wrap.OFF
    set_wrap(net, wrap)
    yield from _present("x_in_step0", start, io)

    cond = Conditioning(io["context"], io["uncond_context"], io["c_concat"], fs=int(metadata.get("fs", 10)))
    for batched in (False, True):
        config = SamplerConfig(
            guidance_scale=float(metadata.get("cfg", 7.5)),
            guidance_rescale=float(metadata.get("guidance_rescale", 0.7)),
            batched=batched,
            per_frame_context=None,
            window=max(start.shape[2], 1),
        )
        x = start
        for step in Sampler(net, d, cond, config).run(start, lambda number: io["noises"][number]):
            x, last = step.x, step.number == step.total - 1
            if batched and not last:
                continue
            yield from _present(f"x_in_step{step.number + 1}", x, io)
            if step.number == 0:
                yield from _present("x_prev_step0_preblend", step.before_blend, io)
                yield from _present("pred_x0_step0", step.x0, io)
            if last:
                yield from _present("x_prev_last_preblend", step.before_blend, io)
                yield from _present("pred_x0_last", step.x0, io)
                yield from _present("final", x, io, " batched" if batched else "")
    if "decoded_raw" in io:
        yield from _decoded(path, x, wrap, io)


def _decoded(path: Path, x: torch.Tensor, wrap: Wrap, io: dict[str, torch.Tensor]) -> Iterator[Case]:
    """The frames that were recorded of the final latent x [1, 4, T, H, W], decoded and closed."""
    frames = io["decoded_raw"].shape[2]
    raw = _vae(partner(path, "vae_weights")).decode(x[0, :, :frames].transpose(0, 1), wrap)
    left = blend_edge(raw, 0)
    right = blend_edge(left, 1)
    height = min(raw.shape[-2], 512)
    found = {
        "decoded_raw": raw,
        "decoded_blended_left": left[..., : io["decoded_blended_left"].shape[-1]],
        "decoded_blended_right": right[..., -io["decoded_blended_right"].shape[-1] :],
        "video": close(raw, height, compat=True),
    }
    for name, value in found.items():
        yield from _present(name, value.transpose(0, 1)[None], io)


def _present(name: str, value: torch.Tensor, io: dict[str, torch.Tensor], note: str = "") -> Iterator[Case]:
    """The comparison, if the file has that tensor."""
    if name in io:
        yield compare(name + note, value, io[name], RUN)
