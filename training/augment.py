"""From rendered light to something like a picture: exposure, grading, lenses, stitching, noise and compression.

Every panorama of a batch gets its own. Nothing here moves a thing by more than about a pixel and a half.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def _uniform(x: Tensor, low: float, high: float) -> Tensor:
    """[B, 1, 1, 1] random numbers."""
    return low + (high - low) * torch.rand(len(x), 1, 1, 1, device=x.device)


def _chance(x: Tensor, p: float) -> Tensor:
    """[B, 1, 1, 1] true with probability p."""
    return torch.rand(len(x), 1, 1, 1, device=x.device) < p


def blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur in pixels of [B, C, H, W], wrapped in longitude."""
    reach = max(1, math.ceil(2.5 * sigma))
    t = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-t * t / (2 * sigma * sigma))
    kernel = kernel / kernel.sum()
    channels = x.shape[1]
    across = kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    along = kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    x = F.conv2d(F.pad(x, (reach, reach, 0, 0), mode="circular"), across, groups=channels)
    return F.conv2d(F.pad(x, (0, 0, reach, reach), mode="replicate"), along, groups=channels)


def expose(x: Tensor) -> Tensor:
    """Linear light to [0, 1] for the screen: exposure, bloom, white balance, a tone curve."""
    luminance = (x * x.new_tensor([0.2126, 0.7152, 0.0722]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    mean = torch.exp(torch.log(luminance + 1e-3).mean((2, 3), keepdim=True))
    bright = torch.quantile(luminance.flatten(1)[:, ::37], 0.9, dim=1).view(-1, 1, 1, 1)
    gain = torch.exp(_uniform(x, math.log(0.07), math.log(0.42))) / (mean + 1e-4)
    x = x * torch.minimum(gain, 1.6 / (bright + 1e-3)).clamp(max=12)
    bloom = F.interpolate(blur(F.avg_pool2d((x - 1).clamp(0, 6), 4), 3.0), size=x.shape[2:], mode="bilinear")
    x = x + bloom * _uniform(x, 0, 0.5) * _chance(x, 0.6)
    x = x * torch.exp(torch.randn(len(x), 3, 1, 1, device=x.device) * 0.10 * _chance(x, 0.7))
    kind = _uniform(x, 0, 1)
    soft = x * (1 + x / 9) / (1 + x)  # Reinhard et al. 2002
    film = (x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14)  # Narkowicz 2015
    x = torch.where(kind < 0.4, x.clamp(0, 1), torch.where(kind < 0.75, soft, film)).clamp(1e-5, 1)
    return x ** (1 / _uniform(x, 1.9, 2.6))


def grade(x: Tensor) -> Tensor:
    """Saturation, contrast, brightness, and now and then mixed channels, as painted pictures have them."""
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * _uniform(x, 0.45, 1.7) * ~_chance(x, 0.03)
    middle = x.mean((2, 3), keepdim=True)
    x = middle + (x - middle) * _uniform(x, 0.75, 1.35) + _uniform(x, -0.06, 0.06)
    mixing = torch.randn(len(x), 3, 3, device=x.device) * 0.18 * _chance(x, 0.2)[..., 0]
    mixing = torch.eye(3, device=x.device) + mixing
    return torch.einsum("bij,bjhw->bihw", mixing / mixing.sum(2, keepdim=True).clamp(0.5, 2), x).clamp(0, 1)


def wobble(x: Tensor) -> Tensor:
    """Generated panoramas are never exactly straight: shifts by up to a pixel and a half."""
    batch, _, height, width = x.shape
    shift = torch.randn(batch, 2, height // 16, width // 16, device=x.device)
    shift = F.pad(shift, (1, 1, 0, 0), mode="circular")
    shift = F.interpolate(shift, size=(height, width + 32), mode="bicubic", align_corners=False)[..., 16:-16]
    shift = shift * _uniform(x, 0, 1.3) * _chance(x, 0.4)
    padded = F.pad(x, (2, 2, 0, 0), mode="circular")
    rows = torch.arange(height, device=x.device).view(1, -1, 1) + 0.5 + shift[:, 1]
    columns = torch.arange(width, device=x.device).view(1, 1, -1) + 2.5 + shift[:, 0].clamp(-1.5, 1.5)
    grid = torch.stack([columns / (width + 4) * 2 - 1, rows / height * 2 - 1], -1)
    return F.grid_sample(padded, grid, mode="bilinear", padding_mode="border", align_corners=False)


def poles(x: Tensor) -> Tensor:
    """Blurred, faded or painted caps, as stitched and generated panoramas have them."""
    height = x.shape[2]
    v = torch.linspace(0, 1, height, device=x.device).view(1, 1, height, 1)
    for position in (v, 1 - v):
        size, soft = _uniform(x, 0.03, 0.22), _uniform(x, 0.02, 0.12)
        cover = torch.sigmoid((size - position) / soft * 4) * _chance(x, 0.22)
        blurred = F.interpolate(F.avg_pool2d(x, 16), size=x.shape[2:], mode="bilinear")
        plain = torch.where(_chance(x, 0.5), x.mean((2, 3), keepdim=True), torch.rand(len(x), 3, 1, 1, device=x.device))
        x = x + (torch.where(_chance(x, 0.5), blurred, plain) - x) * cover
    return x


def sharpness(x: Tensor) -> Tensor:
    """Soft lenses, sharpened pictures, and enlarged ones."""
    fine, coarse, kind = blur(x, 0.7), blur(x, 1.4), _uniform(x, 0, 1)
    x = torch.where(kind < 0.45, x, torch.where(kind < 0.65, fine, torch.where(kind < 0.75, coarse,
        torch.where(kind < 0.9, x + (x - fine) * 0.8, x + (x - coarse) * 0.9)))).clamp(0, 1)  # fmt: skip
    enlarged = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear")
    return torch.where(_chance(x, 0.12), enlarged, x)


def compress(x: Tensor, step: Tensor) -> Tensor:
    """Rounds 8x8 blocks as JPEG does; ``step`` [B, 1, 1, 1] of brightness, twice that of colour."""
    n = torch.arange(8.0, device=x.device)
    basis = torch.cos((2 * n[None] + 1) * n[:, None] * math.pi / 16) * math.sqrt(2 / 8)
    basis[0] /= math.sqrt(2)
    table = (1 + n[:, None] + n[None]) / 4
    batch, _, height, width = x.shape
    light = (x * x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)

    def rounded(z: Tensor, step: Tensor) -> Tensor:
        blocks = z.reshape(batch, -1, height // 8, 8, width // 8, 8).permute(0, 1, 2, 4, 3, 5)
        unit = step.view(batch, 1, 1, 1, 1, 1) * table
        kept = torch.round(basis @ blocks @ basis.T / unit) * unit
        return (basis.T @ kept @ basis).permute(0, 1, 2, 4, 3, 5).reshape(batch, -1, height, width)

    return (rounded(light, step) + rounded(x - light, step * 2)).clamp(0, 1)


def augment(rgb: Tensor) -> Tensor:
    """Linear [B, 3, H, W], H a multiple of 16 -> pictures [B, 3, H, W] in [0, 1]."""
    x = poles(wobble(grade(expose(rgb.float()))))
    x = sharpness(x)
    noise = torch.randn_like(x) * 0.6 + torch.randn_like(x[:, :1])
    x = x + noise * _uniform(x, 0, 0.035) * _chance(x, 0.5)
    step = torch.exp(_uniform(x, math.log(0.01), math.log(0.12)))
    return torch.where(_chance(x, 0.4), compress(x.clamp(0, 1), step), x).clamp(0, 1)
