"""Settings of the training."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from holotime.errors import InputError
from holotime.reconstruct.training.model import Kind

Densify = Literal["none", "gradient", "mcmc"]


@dataclass(frozen=True)
class Rates:
    """Step sizes at the start; ``means`` and ``motion`` are relative to a splat's distance (radians)."""

    means: float = 1.5e-4
    motion: float = 1.5e-3  # per unit t
    quats: float = 2e-3
    omegas: float = 2e-3  # per unit t
    log_scales: float = 6e-3
    opacity_logits: float = 0.03
    t_centers: float = 3e-4
    t_log_scales: float = 3e-3
    colors: float = 4e-3
    features_t: float = 4e-3
    decoder: float = 2e-3


# Gradients (a sum over pixels, per unit of the step) far below these move a splat little. The first is that of a
# colour: a splat that shows in a fiftieth of a pixel keeps most of what the lift gave it.
EPS = {
    "means": 0.5,
    "motion": 0.05,
    "quats": 5e-3,
    "omegas": 5e-3,
    "log_scales": 5e-3,
    "opacity_logits": 5e-3,
    "t_centers": 5e-3,
    "t_log_scales": 5e-3,
    "colors": 0.02,
    "features_t": 0.02,
    "decoder": 1e-3,
}


@dataclass(frozen=True)
class TrainConfig:
    """Settings of the training that follows the lift."""

    model: Kind = "lite"  # lite: RGB; full: features and a decoder, baked to RGB at the end
    steps: int = 2500  # steps at most; the schedule runs over them
    seconds: float | None = None  # stop after this time; the schedule then runs over whichever ends first
    rates: Rates = field(default_factory=Rates)
    ssim: float = 0.2  # share of structural similarity in the picture loss
    square: float = 4.0  # weight of squared differences beside absolute ones
    displaced: float = 0.5  # share of steps that look from beside the clip's eye
    reach: float = 0.35  # metres from the clip's eye, at most
    between: float = 0.1  # share of steps at times between two frames, where these agree
    unseen: float = 0.3  # weight of the lift's picture where a displaced view shows what the clip does not
    opacity: float = 0.05  # weight of what shows through, per pixel
    distance: float = 0.01  # weight of a pixel of wrong parallax
    motion: float = 0.01  # weight of motion that the lift did not see, in radians squared per splat
    densify: Densify = "none"  # how splats are added or moved
    budget: int = 600_000  # splats at most after densification
    seed: int = 0  # of the order of frames, eyes and rotations
    device: str = "auto"  # auto, cuda (gsplat) or cpu
    checkpoint: Path | None = None  # file that is written every ``checkpoint_seconds`` and continued from
    checkpoint_seconds: float = 10.0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"Training needs at least one step, got {self.steps}.")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise InputError(f"The training time must be a positive number of seconds, got {self.seconds}.")
        if not 0 <= self.displaced + self.between <= 1:
            raise InputError("The shares of displaced and in-between steps must be in [0, 1] together.")
        if self.reach < 0 or not math.isfinite(self.reach):
            raise InputError(f"The reach of displaced eyes is a length in metres, got {self.reach}.")
        if self.device not in ("auto", "cuda", "cpu"):
            raise InputError(f"Unknown device '{self.device}'. Known are auto, cuda and cpu.")
        if self.densify not in ("none", "gradient", "mcmc"):
            raise InputError(f"Unknown densification '{self.densify}'. Known are none, gradient and mcmc.")
        if self.model not in ("lite", "full"):
            raise InputError(f"Unknown model '{self.model}'. Known are lite and full.")
