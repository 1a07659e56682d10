"""Small previews of a running clip without the autoencoder: a linear map from latent to colour.

The map is fitted to the panorama itself, whose latent and colours are both known, so it fits any checkpoint.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from holotime.animate.diffusion.seam import OVERLAP


class LatentPreview:
    """Least-squares map from a latent's channels to RGB."""

    def __init__(self, latent: Tensor, image: Tensor) -> None:
        """Fit to latent [4, h, w] of image [3, H, W] in [-1, 1]."""
        small = F.interpolate(image[None].float().cpu(), latent.shape[-2:], mode="area")[0]
        self.matrix = torch.linalg.lstsq(_features(latent), small.flatten(1).T, driver="gelsd").solution  # [5, 3]

    def __call__(self, x0: Tensor) -> NDArray[np.uint8]:
        """[h, w, 3] sRGB picture of a clean latent x0 [4, h, w], the overlap cut off."""
        width = x0.shape[-1] - x0.shape[-1] // OVERLAP
        rgb = (_features(x0) @ self.matrix).reshape(*x0.shape[-2:], 3)[:, :width]
        return ((rgb.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()


def _features(latent: Tensor) -> Tensor:
    """latent [4, h, w] -> [h * w, 5] float32 on the CPU, the last column one."""
    flat = latent.detach().float().cpu().flatten(1).T
    return torch.cat([flat, torch.ones(len(flat), 1)], dim=1)
