"""Training: a lifted scene learns its picture from the clip (Spacetime Gaussians; Li et al., CVPR 2024).

:func:`refine` does it all. On a CUDA device with gsplat it takes seconds; the same loop runs on a CPU with the numba
rasterizer's own gradients, for small scenes.
"""

from holotime.reconstruct.training.config import Rates, TrainConfig
from holotime.reconstruct.training.model import SpacetimeGaussians
from holotime.reconstruct.training.rasterizers import available
from holotime.reconstruct.training.trainer import Result, Trainer

__all__ = ["Rates", "Result", "SpacetimeGaussians", "TrainConfig", "Trainer", "available"]
