"""Noise levels and deterministic steps that all the models share, so that a run is stopped and resumed anywhere.

A latent at a level is x = a x0 + s eps. Models of noise or velocity have a^2 + s^2 = 1 (Ho et al. 2020), flow matching
has a = 1 - s (Lipman et al. 2023). In both, the deterministic first-order step is x' = a' x0 + s' eps: that is DDIM
(Song et al. 2021, eq. 12, eta 0), and it is the Euler step in the coordinates in which diffusers writes it. It keeps
nothing from step to step.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Kind = Literal["epsilon", "v_prediction", "sample", "flow"]


@dataclass(frozen=True)
class Schedule:
    """The levels of a run, from noise to picture."""

    kind: Kind  # what the network predicts
    timesteps: Tensor  # [n] as the network takes them
    signal: Tensor  # [n + 1] a before each step, and after the last
    noise: Tensor  # [n + 1] s
    start: float  # standard deviation of the first latent, in the coordinates of x

    def __len__(self) -> int:
        return len(self.timesteps)

    def first_of(self, strength: float) -> int:
        """The step to begin with when a picture is noised by ``strength`` in (0, 1] and made again."""
        return len(self) - max(1, min(len(self), int(len(self) * strength)))

    def at(self, x0: Tensor, eps: Tensor, index: int) -> Tensor:
        """x0 and eps [1, C, H, W] mixed as before step ``index``; len(self) is the clean end."""
        return float(self.signal[index]) * x0 + float(self.noise[index]) * eps

    def split(self, prediction: Tensor, x: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """(x0, eps) [1, C, H, W] that the network's prediction for x at step ``index`` means."""
        a, s = float(self.signal[index]), float(self.noise[index])
        if self.kind == "flow":
            return x - s * prediction, x + a * prediction
        if self.kind == "epsilon":
            return (x - s * prediction) / max(a, 1e-6), prediction
        if self.kind == "v_prediction":
            return a * x - s * prediction, s * x + a * prediction
        return prediction, (x - a * prediction) / max(s, 1e-6)

    def step(self, prediction: Tensor, x: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """(x after step ``index``, the clean latent that is expected), both [1, C, H, W]."""
        x0, eps = self.split(prediction, x, index)
        return self.at(x0, eps, index + 1), x0


def of_unet(scheduler: Any, steps: int) -> Schedule:
    """The levels that diffusers' Euler scheduler has with the configuration of ``scheduler``."""
    from diffusers import EulerDiscreteScheduler

    euler = EulerDiscreteScheduler.from_config(scheduler.config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of numpy, at how diffusers makes an array of a tensor
        euler.set_timesteps(steps)
    sigmas = euler.sigmas.double()
    root = (sigmas**2 + 1).sqrt()
    start = float(euler.init_noise_sigma) / float(root[0])
    return Schedule(
        euler.config.prediction_type, euler.timesteps.clone(), (1 / root).float(), (sigmas / root).float(), start
    )


def of_flow(scheduler: Any, steps: int, tokens: int) -> Schedule:
    """The levels of a flow-matching scheduler for a picture of so many tokens: larger pictures are noised longer."""
    config = scheduler.config
    shift: dict[str, float] = {}
    if config.get("use_dynamic_shifting"):  # a line through two points (Esser et al. 2024, section 5.3.2)
        few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
        low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
        shift["mu"] = low + (high - low) * (tokens - few) / (many - few)
    sigmas = torch.linspace(1.0, 1 / steps, steps, dtype=torch.float64).numpy()
    scheduler.set_timesteps(sigmas=sigmas, **shift)
    levels = scheduler.sigmas.float().cpu()
    return Schedule("flow", scheduler.timesteps.clone(), 1 - levels, levels, 1.0)
