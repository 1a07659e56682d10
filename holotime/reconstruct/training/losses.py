"""Losses: L1 and structural similarity, weighted pixel by pixel, and the published recipe's form of both."""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 11  # pixels of the SSIM window (Wang et al. 2004)
SIGMA = 1.5  # of its Gaussian weights
C1, C2 = 0.01**2, 0.03**2  # for values in [0, 1]


@lru_cache(maxsize=4)
def _window(device: torch.device, dtype: torch.dtype) -> Tensor:
    """[11] normalised Gaussian weights."""
    x = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    g = torch.exp(-0.5 * (x / SIGMA) ** 2)
    return (g / g.sum()).to(device, dtype)


class _Window(torch.autograd.Function):
    """Window means on a CPU: OpenCV's separable filter, a tenth of the time of a convolution and of its gradient."""

    @staticmethod
    def _filter(planes: Tensor) -> Tensor:
        """[N, H, W], zeros around."""
        kernel = _window(planes.device, torch.float32).numpy()
        out = np.empty(planes.shape, np.float32)
        for plane, result in zip(planes.detach().contiguous().numpy(), out, strict=True):
            cv2.sepFilter2D(plane, -1, kernel, kernel, dst=result, borderType=cv2.BORDER_CONSTANT)
        return torch.from_numpy(out)

    @staticmethod
    def forward(ctx: Any, planes: Tensor, crop: int) -> Tensor:
        ctx.crop = crop
        out = _Window._filter(planes)
        return out[:, crop:-crop, crop:-crop] if crop else out

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        c = ctx.crop  # the window is symmetric, so the adjoint is the window again
        return _Window._filter(F.pad(slope, (c, c, c, c))), None


def _smooth(x: Tensor, padding: int) -> Tensor:
    """Separable Gaussian window means of [B, C, H, W]."""
    shape = x.shape
    if x.device.type == "cpu" and x.dtype == torch.float32:
        flat = _Window.apply(x.reshape(-1, *shape[2:]), WINDOW // 2 - padding)
        return flat.reshape(*shape[:2], *flat.shape[1:])
    window = _window(x.device, x.dtype)
    flat = x.reshape(-1, 1, *shape[2:])
    flat = F.conv2d(flat, window.view(1, 1, -1, 1), padding=(padding, 0))
    flat = F.conv2d(flat, window.view(1, 1, 1, -1), padding=(0, padding))
    return flat.reshape(*shape[:2], *flat.shape[2:])


def ssim_map(a: Tensor, b: Tensor, padding: int = 0) -> Tensor:
    """Structural similarity of [B, C, H, W] in [0, 1] at every pixel; without padding ten rows and columns fewer."""
    count = a.shape[1]
    stack = _smooth(torch.cat([a, b, a * a, b * b, a * b], dim=1), padding)
    ma, mb, aa, bb, ab = stack.split(count, dim=1)
    ma2, mb2, mab = ma * ma, mb * mb, ma * mb
    return ((2 * mab + C1) * (2 * (ab - mab) + C2)) / ((ma2 + mb2 + C1) * (aa - ma2 + bb - mb2 + C2))


def photometric(image: Tensor, target: Tensor, weight: Tensor, ssim_share: float, square: float = 0.0) -> Tensor:
    """(1 - s) (L1 + q L2) + s (1 - SSIM) as sums over pixels of ``weight`` times the channels' mean; q is ``square``.

    L1 alone lets go of what shows in fewer than half of the frames of a place; the squares hold it.
    ``image`` and ``target`` [B, 3, H, W]; ``weight`` [B, H, W]: solid angle in units of a pixel, 0 where the target is
    unknown. What is masked counts as right in the SSIM windows of its neighbours.
    """
    away = (image - target).abs()
    loss = (1 - ssim_share) * ((away + square * away * away).mean(1) * weight).sum()
    if ssim_share:
        known = (weight > 0)[:, None]
        similarity = ssim_map(torch.where(known, image, target), target).mean(1)
        crop = WINDOW // 2
        loss = loss + ssim_share * ((1 - similarity) * weight[:, crop:-crop, crop:-crop]).sum()
    return loss


def masked_l1_ssim(image: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(L1, SSIM, 0.8 L1 + 0.2 (1 - SSIM)) of [3, H, W] under ``mask`` [H, W], as the published recipe has them.

    Image and target are multiplied by the mask; masked pixels count as zeros in the means, the window is zero-padded.
    """
    a, b = image * mask, target * mask
    l1 = (a - b).abs().mean()
    ssim = ssim_map(a[None], b[None], padding=WINDOW // 2).mean()
    return l1, ssim, 0.8 * l1 + 0.2 * (1 - ssim)
