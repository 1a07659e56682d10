"""Small previews of a running clip: one frame of the predicted clean latent, decoded."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from holotime.animate.diffusion.seam import Wrap, close
from holotime.animate.diffusion.vae import VAE

WIDTH = 512  # pixels at most


def decode_preview(vae: VAE, x0: Tensor, wrap: Wrap) -> NDArray[np.uint8]:
    """[h, 2 h, 3] sRGB picture of a clean latent x0 [4, H, W], closed to a full turn."""
    frame = vae.decode(x0[None], wrap)
    width = min(WIDTH, frame.shape[-1])
    turn = close(frame, frame.shape[-1] // 2, compat=False)
    small = F.interpolate(turn, (width // 2, width), mode="area")[0]
    return ((small.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
