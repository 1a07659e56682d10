"""One stage of the panoramic animator: tell the network what to make, sample, decode."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from holotime.animate.diffusion import encode, speed
from holotime.animate.diffusion.checkpoint import Checkpoint
from holotime.animate.diffusion.config import AnimatorConfig, StageConfig
from holotime.animate.diffusion.graphs import GraphedUNet
from holotime.animate.diffusion.memory import MemoryPlan, make_plan
from holotime.animate.diffusion.preview import decode_preview
from holotime.animate.diffusion.sampler import Conditioning, Sampler, SamplerConfig, SeededNoise
from holotime.animate.diffusion.schedule import DDIMSchedule
from holotime.animate.diffusion.seam import Wrap, close, extend, set_wrap
from holotime.animate.diffusion.state import RunState, Saved
from holotime.animate.diffusion.unet import UNet
from holotime.animate.diffusion.upscale import double, load_upscaler
from holotime.animate.diffusion.vae import VAE
from holotime.errors import BackendUnavailable
from holotime.progress import Progress, part
from holotime.weights.store import locate

CIRCULAR_ABOVE = 100  # compat: latent columns from which on the published recipe pads round the seam
FAST_STEPS, FAST_INTERVAL = 30, 2  # quality "fast": steps of the full schedule, one full pass among so many

Preview = Callable[[NDArray[np.uint8]], None]


@dataclass
class RunContext:
    """What the stages of one run share."""

    config: AnimatorConfig
    stages: dict[str, StageConfig]  # that run, by name, in order
    checkpoints: dict[str, Checkpoint]  # by stage
    image: Tensor  # [1, 3, h, w] panorama in [0, 1]
    device: torch.device
    dtype: torch.dtype  # of weights and activations
    state: RunState | None  # where every step is saved
    preview: Preview | None
    notes: list[str] = field(default_factory=list)  # decisions and fallbacks
    models: list[str] = field(default_factory=list)  # networks that were used beside the stages' own
    seconds: dict[str, float] = field(default_factory=dict)  # of each part
    plans: dict[str, MemoryPlan] = field(default_factory=dict)  # of each stage


class Stage:
    """One stage of a run: encode, sample, decode."""

    def __init__(
        self, run: RunContext, name: str, guide: Tensor | None, saved: Saved | None, progress: Progress
    ) -> None:
        self.run_, self.name, self.guide, self.saved, self.progress = run, name, guide, saved, progress
        self.config, self.stage = run.config, run.stages[name]
        self.checkpoint = run.checkpoints[name]
        self.where = encode.Where(run.device, run.dtype)
        frames = min(self.config.frames, self.stage.window)
        size = self.stage.height, self.stage.width
        unet = self.checkpoint.config.unet
        graphs = self.config.graphs and not self.config.compile
        self.plan = make_plan(unet, run.device, run.dtype, frames, *size, mode=self.config.memory, graphs=graphs)
        run.plans[name] = self.plan
        run.notes.append(f"{name}: {self.plan.reason}.")
        compat, wide = self.config.compat, self.stage.width // 8 > CIRCULAR_ABOVE
        self.wrap = (Wrap.FLOOR if wide else Wrap.OFF) if compat else Wrap.EXACT
        self.encode_wrap = Wrap.OFF if compat else Wrap.EXACT
        fast = self.config.quality == "fast"
        self.steps = min(self.config.steps, FAST_STEPS) if fast else self.config.steps
        self.interval = FAST_INTERVAL if fast else 1
        if fast:
            run.notes.append(f"{name}: fast, {self.steps} steps, deep features kept for {FAST_INTERVAL} steps.")
        self.vae: VAE | None = None  # kept between encoding and decoding where previews are wanted
        self.step_seconds: list[float] = []

    def run(self) -> Tensor:
        """The decoded frames [T, 3, H, W] in [0, 1] of a full turn, on the CPU."""
        seconds, start = self.run_.seconds, time.perf_counter()
        schedule = self.schedule()
        cond, x = self.encode(schedule, part(self.progress, 0.0, 0.1))
        seconds[f"{self.name} encode"] = time.perf_counter() - start
        start = time.perf_counter()
        x = self.sample(schedule, cond, x, part(self.progress, 0.1, 0.9))
        seconds[f"{self.name} sample"] = time.perf_counter() - start
        start = time.perf_counter()
        frames = self.decode(x, part(self.progress, 0.9, 1.0))
        seconds[f"{self.name} decode"] = time.perf_counter() - start
        return frames

    @property
    def shape(self) -> tuple[int, ...]:
        """[1, 4, T, H, W] of the latent."""
        channels = self.checkpoint.config.unet.out_channels
        return (1, channels, self.config.frames, self.stage.height // 8, self.stage.width // 8)

    def schedule(self) -> DDIMSchedule:
        """Tables of this stage; truncated when it starts from a clip."""
        refines = self.name == "refinement" and self.config.guidance is not None
        return DDIMSchedule.make(
            self.checkpoint.noise_schedule(self.stage.base_scale),
            self.steps,
            self.config.eta,
            strength=self.config.strength if refines else None,
            compat=self.config.compat,
        )

    def encode(self, schedule: DDIMSchedule, progress: Progress) -> tuple[Conditioning, Tensor]:
        """What the network is told, and the latent to begin with."""
        compat, seed = self.config.compat, self.config.seed
        image = encode.stage_image(self.run_.image, self.stage, compat=compat)
        prompts = (self.config.prompt, self.config.negative_prompt)
        context = encode.encode_context(self.checkpoint, prompts, image, self.where, part(progress, 0.0, 0.5))
        vae = encode.load_vae(self.checkpoint, self.where, self.plan.vae_chunk)
        progress(0.5, "encoding the panorama")
        latent = encode.encode_frames(vae, image, seed, f"{self.name}/image", self.encode_wrap)
        self.vae = vae if self.run_.preview else None
        cond = encode.conditioning(context, latent, self.stage, self.run_.device)
        if self.saved is not None:
            x = self.saved.x
            self.run_.notes.append(f"{self.name}: resumed at step {self.saved.next + 1} of {len(schedule)}.")
        else:
            eps = SeededNoise(seed, f"{self.name}/start", self.shape, closed=not compat)(0)
            x = eps if self.guide is None else schedule.start_from(self.encode_guide(vae, progress), eps)
        encode.release(self.run_.device)
        return cond, x.to(self.run_.device)

    def encode_guide(self, vae: VAE, progress: Progress) -> Tensor:
        """Latents [1, 4, T, H, W], float32 on the CPU, of the guidance clip at twice its size, then this stage's."""
        assert self.guide is not None
        compat, guide = self.config.compat, self.guide
        if compat:  # the published recipe goes through an 8-bit file
            guide = (guide * 255).to(torch.uint8).float() / 255
        network, used = None, "Lanczos"
        try:
            network = load_upscaler(locate(self.config.upscaler), self.run_.device, self.run_.dtype)
            used = "Real-ESRGAN x2"
            self.run_.models.append(self.config.upscaler)
            self.run_.notes.append("refinement: the guidance is doubled by Real-ESRGAN x2.")
        except BackendUnavailable:
            self.run_.notes.append(
                f"refinement: {self.config.upscaler} is not here; the guidance is doubled by Lanczos."
            )
        count = len(guide)
        doubled = double(
            guide, network, swap=compat, each=lambda n: progress(0.5 + 0.3 * n / count, f"upscaling ({used})")
        )
        frames = extend(doubled, self.stage.height, self.stage.width, compat=compat).clamp(0, 1) * 2 - 1
        progress(0.8, "encoding the guidance clip")
        return encode.encode_frames(vae, frames, self.config.seed, "refinement/clip", self.encode_wrap).cpu()

    def sample(self, schedule: DDIMSchedule, cond: Conditioning, x: Tensor, progress: Progress) -> Tensor:
        """All remaining steps from latent x [1, 4, T, H, W]; the network is dropped afterwards."""
        first = self.saved.next if self.saved else 0
        if first < len(schedule):
            x = self.sample_from(first, schedule, cond, x, progress)
            encode.release(self.run_.device)
        return x

    def sample_from(
        self, first: int, schedule: DDIMSchedule, cond: Conditioning, x: Tensor, progress: Progress
    ) -> Tensor:
        """Steps ``first`` to the last from latent x [1, 4, T, H, W]."""
        total = len(schedule)
        progress(first / total, "loading the network")
        unet = self.checkpoint.load("unet", self.run_.device, self.run_.dtype)
        assert isinstance(unet, UNet)
        speed.prepare(unet, self.plan.ff_chunk, compiled=self.config.compile)
        set_wrap(unet, self.wrap)
        runner = GraphedUNet(unet) if self.plan.graphs else unet
        done = first
        note = f"{self.name} step {first + 1}/{total}"

        def still_wanted() -> None:
            progress(done / total, note)

        def widen() -> None:
            speed.widen(unet)
            if isinstance(runner, GraphedUNet):
                runner.reset()
            self.run_.notes.append(f"{self.name}: half precision overflowed; went on in bfloat16.")

        config = SamplerConfig(
            guidance_scale=self.config.guidance_scale,
            guidance_rescale=self.config.guidance_rescale,
            batched=self.plan.batched,
            window=self.stage.window,
            overlap=self.stage.overlap,
            per_frame_context=None if self.config.compat or self.stage.window == 16 else False,
            reuse_interval=self.interval,
        )
        sampler = Sampler(runner, schedule, cond, config, still_wanted, widen)
        noise = SeededNoise(self.config.seed, self.name, self.shape, closed=not self.config.compat)
        if self.run_.state and self.saved is None:
            self.run_.state.save(self.name, 0, x)
        clock = time.perf_counter()
        for step in sampler.run(x, noise, first):
            x, done = step.x, step.number + 1
            now = time.perf_counter()
            self.step_seconds.append(now - clock)
            clock = now
            left = statistics.median(self.step_seconds[-5:]) * (total - done)
            note = f"{self.name} step {done}/{total}, {left:.0f} s left in this stage"
            if self.run_.state and (done % self.interval == 0 or done == total):
                self.run_.state.save(self.name, done, x)
            if self.run_.preview and self.vae and (done % self.config.preview_every == 0 or done == total):
                middle = step.x0[0, :, self.config.frames // 2]
                self.run_.preview(decode_preview(self.vae, middle, self.wrap))
            progress(done / total, note)
        return x

    def decode(self, x: Tensor, progress: Progress) -> Tensor:
        """Frames [T, 3, H', W] in [0, 1] on the CPU of the final latent x [1, 4, T, H, W], closed to a full turn."""
        vae = self.vae or encode.load_vae(self.checkpoint, self.where, self.plan.vae_chunk)
        frames = vae.decode(
            x[0].transpose(0, 1), self.wrap, lambda n: progress(n / self.config.frames, f"decoding {self.name}")
        )
        height = min(self.stage.height, 512) if self.config.compat else self.stage.width // 2
        closed = close(frames, height, compat=self.config.compat)
        return (closed.clamp(-1, 1) + 1) / 2
