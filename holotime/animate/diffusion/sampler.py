"""DDIM sampling of a panoramic latent clip: guidance, rescale, dynamic rescale, seam blending, windows over time."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from holotime.animate.diffusion.graphs import GraphedUNet
from holotime.animate.diffusion.schedule import DDIMSchedule
from holotime.animate.diffusion.seam import blend_edge, repeat_overlap
from holotime.animate.diffusion.unet import DeepFeatures, UNet
from holotime.errors import HoloTimeError


@dataclass(frozen=True)
class Conditioning:
    """What the network is told about the clip."""

    context: Tensor  # [1, L, D] prompt and image tokens
    uncond: Tensor  # [1, L, D] negative prompt and grey-image tokens
    image_latent: Tensor  # [1, 4, T or 1, H, W] latent of the panorama, for every frame
    fs: int = 10  # frame-rate condition


@dataclass(frozen=True)
class SamplerConfig:
    """How one stage is sampled."""

    guidance_scale: float = 7.5  # classifier-free guidance
    guidance_rescale: float = 0.7  # share of the guided prediction brought to the conditional one's deviation
    batched: bool = True  # both guidance passes in one batch
    window: int = 25  # frames in one forward pass
    overlap: int = 8  # frames that neighbouring windows share
    per_frame_context: bool | None = False  # see UNet.forward; None is the published rule
    reuse_interval: int = 1  # a full pass every so many steps, shallow ones between (1: always full)
    reuse_depth: int = 1  # output blocks of a shallow pass


@dataclass(frozen=True)
class Step:
    """What a step saw and made; handed to the observer after each step."""

    number: int  # 0 for the first step that runs
    total: int  # steps of the run
    x: Tensor  # [1, 4, T, H, W] the latent after the step and its blend
    x0: Tensor  # [1, 4, T, H, W] the clean latent predicted in this step, at the next level's scale
    before_blend: Tensor  # [1, 4, T, H, W] the latent after the step, before its blend


# Standard normal noise [1, 4, T, H, W] of a step; the same for the same step, whatever ran before.
Noise = Callable[[int], Tensor]


@dataclass(frozen=True)
class SeededNoise:
    """Noise that depends only on (seed, stage, step, shape): resuming and reordering do not change it."""

    seed: int  # of the clip
    stage: str  # name of the stage or use
    shape: tuple[int, ...]  # [1, 4, T, H, W]
    closed: bool = True  # the overlap repeats the picture's start, as the picture does

    def __call__(self, step: int) -> Tensor:
        digest = hashlib.sha256(f"{self.seed}/{self.stage}/{step}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
        noise = torch.randn(self.shape, generator=generator)
        return repeat_overlap(noise) if self.closed else noise


def windows(frames: int, size: int, overlap: int) -> list[tuple[int, int]]:
    """Half-open frame ranges of at most ``size`` frames that cover the clip, evenly spread, sharing >= ``overlap``."""
    if frames <= size:
        return [(0, frames)]
    count = 1 + -(-(frames - size) // (size - overlap))
    starts = [round(i * (frames - size) / (count - 1)) for i in range(count)]
    return [(s, s + size) for s in starts]


def window_weights(frames: int, spans: list[tuple[int, int]]) -> list[Tensor]:
    """For each span, [length] weights that rise and fall linearly and sum to one at every frame."""
    raw = []
    for start, end in spans:
        n = end - start
        ramp = torch.minimum(torch.arange(1, n + 1), torch.arange(n, 0, -1)).float()
        raw.append(ramp)
    total = torch.zeros(frames)
    for (start, end), ramp in zip(spans, raw, strict=True):
        total[start:end] += ramp
    return [ramp / total[s:e] for (s, e), ramp in zip(spans, raw, strict=True)]


@dataclass
class Sampler:
    """Runs a network over a DDIM schedule. One instance serves one clip."""

    unet: UNet | GraphedUNet
    schedule: DDIMSchedule
    cond: Conditioning
    config: SamplerConfig = SamplerConfig()
    check: Callable[[], None] = lambda: None  # called before every forward pass; raises to cancel
    widen: Callable[[], None] | None = None  # called once when half precision overflows; gives the network more range
    _deep: dict[tuple[int, str], DeepFeatures] = field(default_factory=dict)

    def run(self, x: Tensor, noise: Noise, first: int = 0) -> Iterator[Step]:
        """Yield every step from number ``first`` on, starting at x [1, 4, T, H, W] (float32, on the network's device).

        ``noise(number)`` is asked for only when the schedule adds noise. Step arithmetic is float32.
        """
        total = len(self.schedule)
        for number in range(first, total):
            index = total - 1 - number
            v = self.velocity(x, int(self.schedule.timesteps[index]), number)
            before, x0 = self.advance(x, v, index, noise, number)
            x = blend_edge(before, number)
            yield Step(number, total, x, x0, before)

    def advance(self, x: Tensor, v: Tensor, index: int, noise: Noise, number: int) -> tuple[Tensor, Tensor]:
        """One DDIM step (Song et al. 2021, eq. 12) from x and velocity v [1, 4, T, H, W]: (next x, x0)."""
        s = self.schedule
        a, a_prev, sigma = (float(t[index]) for t in (s.alphas, s.alphas_prev, s.sigmas))
        root_a, root_b = _root(a), _root(_f32(1.0 - a))
        eps = root_a * v + root_b * x
        x0 = root_a * x - root_b * v
        x0 = x0 * (s.scales_prev[index] / s.scales[index]).item()
        # Rounding can leave a tiny negative variance for the direction (always when a is 0 and eta 1).
        direction = _root(max(_f32(_f32(1.0 - a_prev) - _f32(sigma * sigma)), 0.0))
        out = _root(a_prev) * x0 + direction * eps
        if sigma:
            out = out + sigma * noise(number).to(x)
        return out, x0

    def velocity(self, x: Tensor, t: int, number: int) -> Tensor:
        """Guided velocity [1, 4, T, H, W], float32, at timestep t of step ``number``."""
        frames = x.shape[2]
        spans = windows(frames, self.config.window, self.config.overlap)
        if number % self.config.reuse_interval == 0:  # a resumed run must begin at such a step
            self._deep.clear()
        guided = self.config.guidance_scale != 1.0
        cond, uncond = torch.zeros_like(x), torch.zeros_like(x) if guided else None
        for i, (span, weight) in enumerate(zip(spans, window_weights(frames, spans), strict=True)):
            part = slice(*span)
            image = self.cond.image_latent.expand(-1, -1, frames, -1, -1)[:, :, part]
            inputs = torch.cat([x[:, :, part], image.to(x)], dim=1)
            weight = weight.to(x)[:, None, None]
            v_cond, v_uncond = self.predict(inputs, t, i, guided)
            cond[:, :, part] += weight * v_cond
            if uncond is not None and v_uncond is not None:
                uncond[:, :, part] += weight * v_uncond
        if uncond is None:
            return cond
        v = uncond + self.config.guidance_scale * (cond - uncond)
        phi = self.config.guidance_rescale
        if phi:  # Lin et al. 2023, section 3.4
            axes = tuple(range(1, v.ndim))
            rescaled = v * (cond.std(axes, keepdim=True) / v.std(axes, keepdim=True))
            v = phi * rescaled + (1 - phi) * v
        return v

    def predict(self, inputs: Tensor, t: int, window: int, guided: bool) -> tuple[Tensor, Tensor | None]:
        """Velocities [1, 4, T, H, W] of inputs [1, 8, T, H, W] with and (if guided) without the prompt, float32."""
        cond, uncond = self.cond.context, self.cond.uncond
        if not guided:
            return self._forward(inputs, t, cond, window, "cond"), None
        if self.config.batched and cond.shape == uncond.shape:
            both = self._forward(inputs, t, torch.cat([cond, uncond]), window, "both")
            return both[:1], both[1:]
        v_cond = self._forward(inputs, t, cond, window, "cond")
        return v_cond, self._forward(inputs, t, uncond, window, "uncond")

    def _forward(self, inputs: Tensor, t: int, context: Tensor, window: int, which: str) -> Tensor:
        """One pass of the network: inputs [B, 8, T, H, W], context [G*B, L, D] -> [G*B, 4, T, H, W] float32."""
        self.check()
        deep = None
        if self.config.reuse_interval > 1:
            deep = self._deep.setdefault((window, which), DeepFeatures(self.config.reuse_depth))
        ones = torch.ones(len(inputs), dtype=torch.long, device=inputs.device)
        frame_context = self.config.per_frame_context
        for retry in (False, True):
            out = self.unet(inputs, ones * t, context, ones * self.cond.fs, frame_context=frame_context, deep=deep)
            if torch.isfinite(out).all():
                return out.float()
            if retry or self.widen is None or self.unet.dtype is not torch.float16:
                break
            self.widen()
            self._deep.clear()
            deep = None if deep is None else self._deep.setdefault((window, which), DeepFeatures(deep.depth))
        raise HoloTimeError(
            f"The network gave values that are not finite at timestep {t} ({self.unet.dtype}). The weights are "
            "damaged: run `holotime weights verify`, or remove and fetch them again."
        )


def _f32(value: float) -> float:
    """Rounded to float32, in which the tables are defined."""
    return torch.tensor(value, dtype=torch.float32).item()


def _root(value: float) -> float:
    """Square root in float32."""
    return torch.tensor(value, dtype=torch.float32).sqrt().item()
