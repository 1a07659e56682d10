"""Doubling the guidance clip for the refinement: Real-ESRGAN x2 where its weights are here, Lanczos otherwise.

Real-ESRGAN (Wang et al. 2021) is the RRDB network of ESRGAN (Wang et al. 2018) behind a 2x2 pixel unshuffle.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from holotime.animate.diffusion.norm import to_channels_last
from holotime.errors import InputError
from holotime.weights.safe import read_tensors

MARGIN = 16  # columns from the other side of the panorama that the upscaler sees


class DenseBlock(nn.Module):
    """Five convolutions that each see all before them."""

    conv5: nn.Conv2d

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        for i in range(5):
            last = i == 4
            setattr(self, f"conv{i + 1}", nn.Conv2d(features + i * growth, features if last else growth, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] -> the same shape."""
        seen = [x]
        for i in range(4):
            seen.append(F.leaky_relu(getattr(self, f"conv{i + 1}")(torch.cat(seen, 1)), 0.2))
        return self.conv5(torch.cat(seen, 1)) * 0.2 + x


class RRDB(nn.Module):
    """Three dense blocks in a residual."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(features, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] -> the same shape."""
        return self.rdb3(self.rdb2(self.rdb1(x))) * 0.2 + x


class RRDBNet(nn.Module):
    """The x2 network; module names are the published file's."""

    conv_body: nn.Conv2d
    conv_up1: nn.Conv2d
    conv_up2: nn.Conv2d
    conv_hr: nn.Conv2d

    def __init__(self, features: int = 64, blocks: int = 23, growth: int = 32) -> None:
        super().__init__()
        self.conv_first = nn.Conv2d(12, features, 3, padding=1)
        self.body = nn.Sequential(*(RRDB(features, growth) for _ in range(blocks)))
        for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
            setattr(self, name, nn.Conv2d(features, features, 3, padding=1))
        self.conv_last = nn.Conv2d(features, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """x [N, 3, H, W] in [0, 1], H and W even -> [N, 3, 2H, 2W]."""
        h = self.conv_first(F.pixel_unshuffle(x, 2))
        h = h + self.conv_body(self.body(h))
        for conv in (self.conv_up1, self.conv_up2):
            h = F.leaky_relu(conv(F.interpolate(h, scale_factor=2, mode="nearest")), 0.2)
        return self.conv_last(F.leaky_relu(self.conv_hr(h), 0.2))


def load_upscaler(path: Path, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The network with the weights of a published file. Raises InputError when they are of another network."""
    raw = read_tensors(path)
    state = raw.get("params_ema", raw.get("params", raw))
    try:
        blocks = 1 + max(int(k.split(".")[1]) for k in state if k.startswith("body."))
        features, growth = state["conv_first.weight"].shape[0], state["body.0.rdb1.conv1.weight"].shape[0]
        network = RRDBNet(features, blocks, growth)
        network.load_state_dict(state)
    except (KeyError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is not a Real-ESRGAN x2 network ({reason}). Use RealESRGAN_x2plus.pth.") from error
    return to_channels_last(network.to(device=device, dtype=dtype)).eval().requires_grad_(False)


def double(
    frames: Tensor, network: nn.Module | None, *, swap: bool, each: Callable[[int], None] = lambda done: None
) -> Tensor:
    """Frames [T, 3, H, W] in [0, 1] of a full turn at twice the size, [T, 3, 2H, 2W], round the seam.

    Without a network, Lanczos. ``swap`` hands the network BGR, as the published recipe does by mistake.
    """
    width = frames.shape[-1]
    index = torch.arange(-MARGIN, width + MARGIN) % width
    out = []
    for i, frame in enumerate(frames):
        wide = frame[:, :, index]
        if network is None:
            picture = np.ascontiguousarray(wide.permute(1, 2, 0).cpu().numpy())
            size = (2 * wide.shape[-1], 2 * wide.shape[-2])
            big = torch.from_numpy(cv2.resize(picture, size, interpolation=cv2.INTER_LANCZOS4)).permute(2, 0, 1)
        else:
            weight = next(network.parameters())
            big = network((wide.flip(0) if swap else wide)[None].to(weight))[0].float().cpu()
            big = big.flip(0) if swap else big
        out.append(big[:, :, 2 * MARGIN : 2 * (MARGIN + width)].clamp(0, 1))
        each(i + 1)
    return torch.stack(out)
