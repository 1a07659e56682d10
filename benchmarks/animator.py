"""Speed and memory of the panoramic animator at full size, with random weights: ``python benchmarks/animator.py``.

In one run, on one device: a plain recipe (float32 weights under fp16 autocast, two guidance passes, no fused kernels)
against the animator's own settings, for both published stages. Writes JSON to standard output (and --out).

    python benchmarks/animator.py --out animator.json              # a few steps of each, whole clips by multiplication
    python benchmarks/animator.py --whole --compile --low          # all 50 + 40 steps too, torch.compile, small memory
    python benchmarks/animator.py --tiny --device cpu              # a small network: does the script work?

Needs torch and the holotime package; the autoencoder's part needs diffusers and is left out (and said so) without it.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from holotime.animate.diffusion import kernels
from holotime.animate.diffusion.config import HOLOTIME_GUIDANCE, HOLOTIME_REFINEMENT, ModelConfig, StageConfig
from holotime.animate.diffusion.graphs import GraphedUNet
from holotime.animate.diffusion.memory import make_plan
from holotime.animate.diffusion.random_checkpoint import TINY
from holotime.animate.diffusion.sampler import Conditioning, Sampler, SamplerConfig, SeededNoise
from holotime.animate.diffusion.schedule import DDIMSchedule, NoiseSchedule
from holotime.animate.diffusion.seam import Wrap, set_wrap
from holotime.animate.diffusion.speed import prepare
from holotime.animate.diffusion.stage import FAST_INTERVAL, FAST_STEPS
from holotime.animate.diffusion.unet import DeepFeatures, UNet
from holotime.animate.diffusion.vae import VAE, build_vae
from holotime.errors import BackendUnavailable

SLICE = 65536  # tokens of a feed-forward slice, where slicing is compared with the whole
STEPS = {"guidance": (50, None), "refinement": (50, 0.8)}  # of the schedule, and the share of it that runs


@dataclass(frozen=True)
class Setting:
    """What is measured."""

    device: torch.device
    model: ModelConfig
    frames: int
    repeats: int  # timed forwards or steps
    whole: bool  # all steps of a clip
    compiled: bool
    low: bool


def randomise(network: nn.Module, seed: int) -> nn.Module:
    """Variance-preserving random weights, made where the network lies."""
    device = next(network.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    for name, p in network.named_parameters():
        if p.ndim > 1:
            p.data.normal_(0, 1 / math.sqrt(p[0].numel()), generator=generator)
        else:
            p.data.fill_(1.0 if name.endswith("weight") else 0.0)
    return network.eval().requires_grad_(False)


def random_unet(setting: Setting) -> UNet:
    """The U-Net in float32."""
    with torch.device("meta"):
        network = UNet(setting.model.unet)
    network = randomise(network.to_empty(device=setting.device), 0)
    assert isinstance(network, UNet)
    return network


def sync(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(setting: Setting, work: Callable[[], Any], repeats: int | None = None) -> dict[str, float]:
    """Seconds (median) and peak memory of ``work`` after one untimed call."""
    work()
    sync(setting.device)
    if setting.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(setting.device)
    times = []
    for _ in range(repeats or setting.repeats):
        start = time.perf_counter()
        work()
        sync(setting.device)
        times.append(time.perf_counter() - start)
    result = {"seconds": round(sorted(times)[len(times) // 2], 5)}
    if setting.device.type == "cuda":
        result["peak_gib"] = round(torch.cuda.max_memory_allocated(setting.device) / 2**30, 2)
    return result


def inputs(setting: Setting, stage: StageConfig) -> tuple[Tensor, Conditioning]:
    """Start noise [1, 4, T, h, w] and what the network is told."""
    d, unet, queries = setting.device, setting.model.unet, setting.model.resampler
    shape = (1, 4, setting.frames, stage.height // 8, stage.width // 8)
    generator = torch.Generator().manual_seed(7)
    tokens = 77 + queries.num_queries * queries.video_length
    context = torch.randn(2, tokens, unet.context_dim, generator=generator).to(d)
    image = torch.randn(1, 4, 1, *shape[3:], generator=generator).to(d)
    return SeededNoise(0, "start", shape)(0).to(d), Conditioning(context[:1], context[1:], image)


def renew(net: UNet | GraphedUNet) -> UNet | GraphedUNet:
    """Without what was recorded, so that the memory of recording is measured anew."""
    if isinstance(net, GraphedUNet):
        net.reset()
        torch.cuda.empty_cache()
    return net


def sampler(
    setting: Setting, name: str, stage: StageConfig, net: UNet | GraphedUNet, cond: Conditioning, **options: Any
) -> Sampler:
    """A sampler over the published schedule of a stage."""
    steps, strength = STEPS[name]
    steps = options.pop("steps", steps)
    schedule = DDIMSchedule.make(NoiseSchedule.make(stage.base_scale), steps, 1.0, strength=strength)
    return Sampler(net, schedule, cond, SamplerConfig(window=setting.frames, **options))


def time_steps(setting: Setting, run: Sampler, x: Tensor, autocast: bool = False) -> dict[str, float]:
    """Seconds of one step (mean over whole reuse cycles), and of the clip: multiplied, or measured with --whole."""
    total, cycle = len(run.schedule), run.config.reuse_interval
    count = total if setting.whole else min(total, cycle * (1 + max(1, setting.repeats // cycle)))
    if setting.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(setting.device)
    times, noise = [], SeededNoise(0, "step", tuple(x.shape))
    with torch.autocast(setting.device.type, torch.float16, enabled=autocast):
        clock = time.perf_counter()
        for step in run.run(x, noise):
            sync(setting.device)
            times.append(time.perf_counter() - clock)
            clock = time.perf_counter()
            if step.number + 1 == count:
                break
    timed = times if setting.whole else times[cycle:]  # the first cycle warms up
    mean = sum(timed) / len(timed)
    result = {"step_seconds": round(mean, 4), "steps": total, "clip_seconds": round(mean * total, 2)}
    result["clip_seconds_measured"] = setting.whole
    if setting.device.type == "cuda":
        result["peak_gib"] = round(torch.cuda.max_memory_allocated(setting.device) / 2**30, 2)
    return result


def relative_error(a: Tensor, b: Tensor) -> float:
    """|a - b| / |b|."""
    return round(((a.float() - b.float()).norm() / b.float().norm()).item(), 6)


def bench_stage(setting: Setting, name: str, stage: StageConfig) -> dict[str, Any]:
    """The U-Net of one stage."""
    d, half = setting.device, torch.float16 if setting.device.type == "cuda" else torch.bfloat16
    x, cond = inputs(setting, stage)
    one = torch.cat([x, cond.image_latent.expand(-1, -1, setting.frames, -1, -1)], dim=1)
    t = torch.tensor([500], device=d)
    contexts = torch.cat([cond.context, cond.uncond])
    out: dict[str, Any] = {"latent": list(x.shape)}

    net = random_unet(setting)
    set_wrap(net, Wrap.EXACT)
    kernels.enabled = False
    expected = net(one, t, cond.context)
    with torch.autocast(d.type, half):
        out["plain_forward"] = measure(setting, lambda: net(one, t, cond.context))
        out["plain_forward"]["relative_error"] = relative_error(net(one, t, cond.context), expected)
    plain = sampler(setting, name, stage, net, cond, batched=False)
    out["plain_steps"] = time_steps(setting, plain, x, autocast=True)

    kernels.enabled = True
    net = prepare(net.to(half), 0, compiled=False)
    out["own_forward_no_graph"] = measure(setting, lambda: net(one, t, cond.context))
    out["own_forward_batched_no_graph"] = measure(setting, lambda: net(one, t, contexts))
    prepare(net, SLICE, compiled=False)
    out["own_forward_batched_sliced_no_graph"] = measure(setting, lambda: net(one, t, contexts))
    prepare(net, 0, compiled=False)
    own = GraphedUNet(net) if d.type == "cuda" else net
    out["own_forward"] = measure(setting, lambda: own(one, t, cond.context))
    out["own_forward"]["relative_error"] = relative_error(own(one, t, cond.context), expected)
    out["own_forward_batched"] = measure(setting, lambda: own(one, t, contexts))
    out["own_forward_batched"]["relative_error"] = relative_error(own(one, t, contexts)[:1], expected)
    out["own_steps"] = time_steps(setting, sampler(setting, name, stage, renew(own), cond), x)
    deep = DeepFeatures()
    own(one, t, contexts, deep=deep)
    out["shallow_forward_batched"] = measure(setting, lambda: own(one, t, contexts, deep=deep))
    deep.hidden = None
    fast = sampler(setting, name, stage, renew(own), cond, steps=FAST_STEPS, reuse_interval=FAST_INTERVAL)
    out["fast_steps"] = time_steps(setting, fast, x)
    renew(own)
    deep.hidden = None
    del fast
    if setting.low:
        plan = make_plan(setting.model.unet, d, half, setting.frames, stage.height, stage.width, mode="low")
        prepare(net, plan.ff_chunk, compiled=False)
        out["low_steps"] = time_steps(setting, sampler(setting, name, stage, net, cond, batched=False), x)
        out["low_steps"]["plan"] = plan.reason
    if setting.compiled:
        prepare(net, 0, compiled=True)
        start = time.perf_counter()
        net(one, t, contexts)
        sync(d)
        out["compile_seconds"] = round(time.perf_counter() - start, 1)
        out["compiled_forward_batched"] = measure(setting, lambda: net(one, t, contexts))
        out["compiled_forward_batched"]["relative_error"] = relative_error(net(one, t, contexts)[:1], expected)
        out["compiled_steps"] = time_steps(setting, sampler(setting, name, stage, net, cond), x)
    return out


def bench_vae(setting: Setting, stage: StageConfig) -> dict[str, Any]:
    """Decoding a clip: plain (float32 under autocast, frame by frame) and own."""
    try:
        with torch.device("meta"):
            model = build_vae(setting.model.vae)
    except BackendUnavailable as error:
        return {"left_out": str(error)}
    d, half = setting.device, torch.float16 if setting.device.type == "cuda" else torch.bfloat16
    model = randomise(model.to_empty(device=d), 1)
    shape = (setting.frames, 4, stage.height // 8, stage.width // 8)
    z = torch.randn(shape, generator=torch.Generator().manual_seed(3)).to(d) * 0.18215
    kernels.enabled = False
    plain = VAE(model, setting.model.vae, chunk=1)
    expected = plain.decode(z[:2], Wrap.EXACT)
    out: dict[str, Any] = {"frames": list(shape)}
    with torch.autocast(d.type, half):
        out["plain"] = measure(setting, lambda: plain.decode(z, Wrap.EXACT), 2)
    kernels.enabled = True
    model = model.to(half).to(memory_format=torch.channels_last)
    for chunk in (1, 4, 8):
        own = VAE(model, setting.model.vae, chunk)
        out[f"own_{chunk}_frames"] = measure(setting, lambda own=own: own.decode(z, Wrap.EXACT), 2)
    got = own.decode(z[:2], Wrap.EXACT)
    span = (expected.max() - expected.min()).item()
    out["psnr_db"] = round(20 * math.log10(span / (got - expected).pow(2).mean().sqrt().clamp(min=1e-9).item()), 1)
    return out


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--stages", nargs="+", default=["guidance", "refinement"], choices=list(STEPS))
    parser.add_argument("--whole", action="store_true", help="run every step of a clip instead of multiplying")
    parser.add_argument("--compile", action="store_true", help="also with torch.compile")
    parser.add_argument("--low", action="store_true", help="also with the plan for 8 GB")
    parser.add_argument("--tiny", action="store_true", help="a small network and small pictures")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    model = TINY if arguments.tiny else ModelConfig()
    device = torch.device(arguments.device)
    setting = Setting(
        device, model, arguments.frames, arguments.repeats, arguments.whole, arguments.compile, arguments.low
    )
    stages = {"guidance": HOLOTIME_GUIDANCE, "refinement": HOLOTIME_REFINEMENT}
    if arguments.tiny:
        stages = {k: replace(s, height=s.height // 5 // 64 * 64, width=s.width // 4) for k, s in stages.items()}
    report: dict[str, Any] = {
        "benchmark": "animator",
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "fused_kernels": kernels.available(),
        "frames": arguments.frames,
    }
    with torch.inference_mode():
        for name in arguments.stages:
            report[name] = bench_stage(setting, name, stages[name])
            print(json.dumps({name: report[name]}), flush=True)
            if device.type == "cuda":
                torch.cuda.empty_cache()
        report["vae_decode"] = bench_vae(setting, stages[arguments.stages[-1]])
    done = [report[s] for s in arguments.stages]
    report["unet_seconds_a_clip"] = {
        key: round(sum(stage[f"{key}_steps"]["clip_seconds"] for stage in done), 2)
        for key in ("plain", "own", "fast", "low", "compiled")
        if all(f"{key}_steps" in stage for stage in done)
    }
    text = json.dumps(report, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
