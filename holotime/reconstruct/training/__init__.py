"""Training: a lifted scene learns its picture from the clip (Spacetime Gaussians; Li et al., CVPR 2024).

:func:`reconstruct` does it all. On a CUDA device with gsplat it takes seconds; the same loop runs on a CPU with the
numba rasterizer's own gradients, for small scenes.
"""

from holotime.reconstruct.training.config import Rates, TrainConfig
from holotime.reconstruct.training.growing import Delta, Sender, apply
from holotime.reconstruct.training.model import SpacetimeGaussians
from holotime.reconstruct.training.rasterizers import available
from holotime.reconstruct.training.run import RECIPES, ReconstructConfig, backend_of, reconstruct
from holotime.reconstruct.training.trainer import Result, Trainer

__all__ = [
    "RECIPES",
    "Delta",
    "Rates",
    "ReconstructConfig",
    "Result",
    "Sender",
    "SpacetimeGaussians",
    "TrainConfig",
    "Trainer",
    "apply",
    "available",
    "backend_of",
    "reconstruct",
]
