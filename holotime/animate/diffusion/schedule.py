"""The noise schedule: zero-terminal-SNR betas, the dynamic rescale, and the tables of a DDIM run.

v-prediction (Salimans and Ho 2022): x0 = sqrt(a) x - sqrt(1-a) v, eps = sqrt(a) v + sqrt(1-a) x. Betas are rescaled to
zero terminal SNR (Lin et al. 2023). Training multiplied x0 by ``scale_arr[t]``, which falls from 1 to ``base_scale``
over the first 400 steps (dynamic rescale, Xing et al. 2024); sampling divides it out step by step.

Where ``compat`` and the default differ: the last step of the default lands on x0 itself at scale 1, the published
recipe stops at the noise level and scale of the first timesteps (about 3 % of residual noise, and up to 3 % less
contrast); and the truncated schedule takes the asked share of the steps, not len // 10 * 8 of them. Both clamp the
variance that is left for the direction at zero; the published recipe takes the root of a negative rounding error for
some step counts, which makes every pixel NaN.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

TIMESTEPS = 1000
TURNING_STEP = 400


def zero_snr_betas() -> np.ndarray:
    """[1000] float64 betas of the square-root-linear schedule, rescaled to zero terminal SNR."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, TIMESTEPS) ** 2
    root = np.sqrt(np.cumprod(1.0 - betas))
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    bar = root**2
    alphas = np.concatenate([bar[:1], bar[1:] / bar[:-1]])
    return 1.0 - alphas


def dynamic_scale(base_scale: float) -> np.ndarray:
    """[1400] float64 scale of x0 at each timestep (only the first 1000 are reached)."""
    falling = np.linspace(1.0, base_scale, TURNING_STEP)
    return np.concatenate([falling, np.full(TIMESTEPS, base_scale)])


@dataclass(frozen=True)
class NoiseSchedule:
    """Tables over all training timesteps, float32."""

    alphas_cumprod: Tensor  # [1000]
    scale: Tensor  # [>= 1000]

    @classmethod
    def make(cls, base_scale: float) -> "NoiseSchedule":
        """The schedule the checkpoints were trained with."""
        bar = np.cumprod(1.0 - zero_snr_betas())
        return cls(torch.from_numpy(bar).float(), torch.from_numpy(dynamic_scale(base_scale)).float())


def uniform_trailing(steps: int) -> np.ndarray:
    """[steps] int64 timesteps, ascending, the last always 999 (Lin et al. 2023)."""
    falling = np.arange(TIMESTEPS, 0, -TIMESTEPS / steps)[:steps]  # rounding can add one (227 steps) that would be -1
    return np.flip(np.round(falling)).astype(np.int64) - 1


@dataclass(frozen=True)
class DDIMSchedule:
    """Tables of one DDIM run, [S] ascending in time; sampling walks them from the last to the first."""

    timesteps: np.ndarray  # int64
    alphas: Tensor  # float32: noise level at each step
    alphas_prev: Tensor  # float32: the level each step lands on
    sigmas: Tensor  # float32: fresh noise of each step
    scales: Tensor  # float32: dynamic rescale at each step
    scales_prev: Tensor  # float32: and at the level it lands on

    def __len__(self) -> int:
        return len(self.timesteps)

    @classmethod
    def make(
        cls, noise: NoiseSchedule, steps: int, eta: float, *, strength: float | None = None, compat: bool = False
    ) -> "DDIMSchedule":
        """Tables for ``steps`` steps. ``strength`` keeps only that first share of them (SDEdit, Meng et al. 2022)."""
        t = uniform_trailing(steps)
        if strength is not None:
            kept = len(t) // 10 * 8 if compat else max(1, round(len(t) * strength))
            t = t[:kept]
        table = noise.alphas_cumprod.double().numpy()
        a = table[t]
        if compat:
            a_prev = np.concatenate([table[:1], table[t[:-1]]])
        else:
            a_prev = np.concatenate([[1.0], table[t[:-1]]])
        sigmas = eta * np.sqrt((1 - a_prev) / (1 - a) * (1 - a / a_prev))
        scales = noise.scale[torch.from_numpy(t)]
        first = scales[:1] if compat else noise.scale[:1]
        scales_prev = torch.cat([first, scales[:-1]])
        a32, prev32, sigma32 = (torch.from_numpy(x).float() for x in (a, a_prev, sigmas))
        return cls(t, a32, prev32, sigma32, scales, scales_prev)

    def start_from(self, z: Tensor, eps: Tensor) -> Tensor:
        """Noise a clean latent z [B, 4, T, H, W] with eps to the level of the run's first step.

        z is not multiplied by the dynamic scale, as in the published recipe: the guidance clip would be three times
        fainter in the noise and the refinement would lose its motion.
        """
        a = self.alphas[-1].to(z)
        return a.sqrt() * z + (1 - a).sqrt() * eps
