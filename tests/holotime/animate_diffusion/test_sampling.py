"""Schedules, windows, noise and the sampler."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from holotime.animate.diffusion.sampler import (
    Conditioning,
    Sampler,
    SamplerConfig,
    SeededNoise,
    window_weights,
    windows,
)
from holotime.animate.diffusion.schedule import DDIMSchedule, NoiseSchedule, uniform_trailing
from holotime.errors import HoloTimeError

NOISE = NoiseSchedule.make(0.7)


class Linear(torch.nn.Module):
    """Stands in for the network: a fixed velocity that sees the latent, the time and the context."""

    dtype = torch.float32

    def forward(self, x, timesteps, context, fs, *, frame_context=None, deep=None):
        told = context.mean((1, 2)).view(-1, 1, 1, 1, 1)  # one clip is predicted under several contexts
        return 0.3 * x[:, :4] + 0.1 * x[:, 4:] + told + timesteps.view(-1, 1, 1, 1, 1) / 5000


def conditioning(width: int = 32) -> Conditioning:
    generator = torch.Generator().manual_seed(3)
    context = torch.randn(2, 81, 8, generator=generator)
    return Conditioning(context[:1], context[1:], torch.randn(1, 4, 1, 4, width, generator=generator))


@given(steps=st.integers(1, 200), eta=st.floats(0, 1), compat=st.booleans())
@settings(max_examples=60, deadline=None)
def test_no_step_count_gives_nan(steps: int, eta: float, compat: bool) -> None:
    schedule = DDIMSchedule.make(NOISE, steps, eta, compat=compat)
    sampler = Sampler(Linear(), schedule, conditioning())
    x = torch.randn(1, 4, 2, 4, 32)
    noise = SeededNoise(0, "test", x.shape)
    for index in {0, steps // 2, steps - 1}:
        out, _ = sampler.advance(x, torch.randn_like(x), index, noise, 0)
        assert torch.isfinite(out).all()


@given(steps=st.integers(2, 1000))
def test_timesteps_end_at_the_last(steps: int) -> None:
    t = uniform_trailing(steps)
    assert len(t) == steps
    assert t[-1] == 999
    assert t[0] >= 0
    assert (t[1:] > t[:-1]).all()


def test_default_lands_on_the_clean_latent_and_compat_does_not() -> None:
    fixed = DDIMSchedule.make(NOISE, 50, 1.0)
    recipe = DDIMSchedule.make(NOISE, 50, 1.0, compat=True)
    assert fixed.alphas_prev[0] == 1
    assert fixed.sigmas[0] == 0
    assert fixed.scales_prev[0] == 1
    assert recipe.alphas_prev[0] < 1
    assert recipe.sigmas[0] > 0
    assert torch.equal(fixed.alphas_prev[1:], recipe.alphas_prev[1:])


def test_a_perfect_network_recovers_the_latent() -> None:
    """With v of a known clean latent at its dynamic scale, the default run ends on exactly that latent."""
    clean = torch.randn(1, 4, 2, 4, 32)
    schedule = DDIMSchedule.make(NOISE, 20, 1.0)
    scale = {int(t): float(s) for t, s in zip(schedule.timesteps, schedule.scales, strict=True)}
    alpha = {int(t): a for t, a in zip(schedule.timesteps, schedule.alphas, strict=True)}

    class Perfect(Linear):
        def forward(self, x, timesteps, context, fs, *, frame_context=None, deep=None):
            t = int(timesteps[0])
            a, x0 = alpha[t], clean * scale[t]
            eps = (x[:, :4] - a.sqrt() * x0) / (1 - a).sqrt()
            return a.sqrt() * eps - (1 - a).sqrt() * x0

    config = SamplerConfig(guidance_scale=1.0, guidance_rescale=0.0)
    sampler = Sampler(Perfect(), schedule, conditioning(), config)
    *_, last = sampler.run(torch.randn_like(clean), SeededNoise(0, "t", clean.shape))
    middle = slice(2, 30)  # the edges are blended with each other
    torch.testing.assert_close(last.x[..., middle], clean[..., middle], atol=2e-3, rtol=0)


@given(frames=st.integers(1, 120), size=st.integers(2, 25), share=st.floats(0.1, 0.9))
@settings(max_examples=80, deadline=None)
def test_windows_cover_every_frame(frames: int, size: int, share: float) -> None:
    overlap = min(size - 1, max(1, int(size * share)))
    spans = windows(frames, size, overlap)
    assert spans[0][0] == 0
    assert spans[-1][1] == frames
    for (a, b), (c, _) in pairwise(spans):
        assert b - c >= overlap
        assert b - a == min(size, frames)
    total = torch.zeros(frames)
    for (a, b), weight in zip(spans, window_weights(frames, spans), strict=True):
        total[a:b] += weight
    torch.testing.assert_close(total, torch.ones(frames))


def test_noise_depends_on_seed_stage_and_step_only() -> None:
    shape = (1, 4, 2, 4, 32)
    noise = SeededNoise(5, "guidance", shape)
    first = noise(3)
    noise(4)
    assert torch.equal(noise(3), first)
    assert torch.equal(first[..., 30:], first[..., :2])
    for other in (SeededNoise(6, "guidance", shape), SeededNoise(5, "refinement", shape)):
        assert not torch.equal(other(3), first)
    assert not torch.equal(noise(4), first)
    assert abs(float(SeededNoise(1, "x", (1, 4, 9, 32, 64))(0).std()) - 1) < 0.02


def _final(config: SamplerConfig, frames: int, first: int = 0, x: torch.Tensor | None = None) -> torch.Tensor:
    schedule = DDIMSchedule.make(NOISE, 6, 1.0)
    start = SeededNoise(0, "start", (1, 4, frames, 4, 32))(0) if x is None else x
    steps = Sampler(Linear(), schedule, conditioning(), config).run(start, SeededNoise(0, "s", start.shape), first)
    return [step.x for step in steps][-1]


def test_batched_and_windowed_runs_agree_with_plain_ones() -> None:
    plain = _final(SamplerConfig(batched=False, window=9), 9)
    torch.testing.assert_close(
        _final(SamplerConfig(window=4, overlap=2, batched=False), 9), plain, atol=1e-5, rtol=1e-5
    )


def test_damaged_weights_are_reported() -> None:
    class Broken(Linear):
        def forward(self, x, *args, **kwargs):
            return x[:, :4].expand(2, -1, -1, -1, -1) * float("nan")

    sampler = Sampler(Broken(), DDIMSchedule.make(NOISE, 3, 1.0), conditioning())
    with pytest.raises(HoloTimeError, match="not finite at timestep 999"):
        next(sampler.run(torch.randn(1, 4, 2, 4, 32), SeededNoise(0, "s", (1, 4, 2, 4, 32))))


def test_an_overflow_in_half_precision_goes_on_in_a_wider_one() -> None:
    class Overflowing(Linear):
        dtype = torch.float16

        def forward(self, x, timesteps, context, fs, **kwargs):
            out = super().forward(x, timesteps, context, fs, **kwargs)
            return out * float("inf") if self.dtype is torch.float16 else out

    net = Overflowing()

    def widen() -> None:
        net.dtype = torch.bfloat16

    sampler = Sampler(net, DDIMSchedule.make(NOISE, 3, 1.0), conditioning(), widen=widen)
    step = next(sampler.run(torch.randn(1, 4, 2, 4, 32), SeededNoise(0, "s", (1, 4, 2, 4, 32))))
    assert net.dtype is torch.bfloat16
    assert torch.isfinite(step.x).all()
