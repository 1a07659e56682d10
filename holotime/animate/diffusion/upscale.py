"""Doubling the guidance clip for the refinement: Real-ESRGAN x2 where its weights are here, Lanczos otherwise."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from holotime.enhance.esrgan import load_network
from holotime.errors import InputError

MARGIN = 16  # columns from the other side of the panorama that the upscaler sees


def load_upscaler(path: Path, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The network with the weights of a published file. Raises InputError when it is one that does not double."""
    network = load_network(path, device, dtype)
    if network.scale != 2:
        raise InputError(f"{path} enlarges {network.scale} times, the guidance clip is doubled. Use realesrgan-x2plus.")
    return network


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
