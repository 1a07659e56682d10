"""Pictures to latents and back through a diffusers autoencoder, on the circle, whole or in tiles that wrap."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from holotime.models.circular import CircularColumns, wrap_columns


class Codec:
    """An autoencoder (AutoencoderKL and its like) with the scaling of its latents."""

    def __init__(self, vae: Any, device: torch.device) -> None:
        self.vae, self.device = vae, device
        config = vae.config
        self.channels = int(config.latent_channels)
        self.factor = 2 ** (len(config.block_out_channels) - 1)  # pixels a latent column
        scale = float(config.scaling_factor)
        mean, std = (getattr(config, name, None) for name in ("latents_mean", "latents_std"))
        if mean is not None and std is not None:
            self._shift = torch.tensor(mean).view(1, -1, 1, 1)
            self._scale = scale / torch.tensor(std).view(1, -1, 1, 1)
        else:
            self._shift = torch.tensor(float(getattr(config, "shift_factor", None) or 0.0))
            self._scale = torch.tensor(scale)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(self.vae.parameters()).dtype

    def decode(
        self, z: Tensor, *, wrap: bool = True, tile: int = 0, check: Callable[[], None] = lambda: None
    ) -> Tensor:
        """Picture [1, 3, H, W] in [-1, 1], float32 on the CPU, of the latent z [1, C, h, w].

        ``wrap``: the columns are a circle. ``tile``: latent columns and rows of a tile, 0 for all at once; ``check`` is
        called before every tile.
        """
        z = z.float().cpu() / self._scale + self._shift

        def one(part: Tensor, circle: bool) -> Tensor:
            check()
            with CircularColumns() if circle else nullcontext():
                return self.vae.decode(part.to(self.device, self.dtype), return_dict=False)[0].float().cpu()

        if not tile or max(z.shape[-2:]) <= tile:
            return one(z, wrap)
        return in_tiles(z, lambda part: one(part, False), tile, scale=self.factor, wrap=wrap)

    def encode(
        self, picture: Tensor, *, wrap: bool = True, tile: int = 0, check: Callable[[], None] = lambda: None
    ) -> Tensor:
        """Latent [1, C, h, w], float32 on the CPU, of a picture [1, 3, H, W] in [-1, 1]; the mode, without noise."""

        def one(part: Tensor, circle: bool) -> Tensor:
            check()
            with CircularColumns() if circle else nullcontext():
                found = self.vae.encode(part.to(self.device, self.dtype))
            return found.latent_dist.mode().float().cpu()

        picture = picture.float().cpu()
        size = tile * self.factor
        if not tile or max(picture.shape[-2:]) <= size:
            z = one(picture, wrap)
        else:
            z = in_tiles(picture, lambda part: one(part, False), size, scale=1 / self.factor, wrap=wrap)
        return (z - self._shift) * self._scale


def starts(length: int, tile: int, *, wrap: bool, unit: int = 1) -> list[int]:
    """Where tiles of ``tile`` begin along ``length``: evenly, a quarter or more of a tile shared, whole ``unit``s.

    ``wrap``: on a circle, where the last tile goes on at the start, and no place is without an overlap.
    """
    if not wrap and length <= tile:
        return [0]
    step = max(tile * 3 // 4 // unit * unit, unit)
    if wrap:
        count = -(-length // step)
        return sorted({i * length // count // unit * unit for i in range(count)})
    count = 1 + -(-(length - tile) // step)
    return sorted({i * (length - tile) // (count - 1) // unit * unit for i in range(count - 1)} | {length - tile})


def ramp(size: int) -> Tensor:
    """[size] weights of a tile: up, level, and down again over its outer quarters, never zero."""
    edge = max(size // 4, 1)
    position = torch.arange(size, dtype=torch.float32) + 0.5
    return (torch.minimum(position, size - position) / edge).clamp(max=1.0)


def in_tiles(x: Tensor, work: Callable[[Tensor], Tensor], tile: int, *, scale: float, wrap: bool) -> Tensor:
    """``work`` on tiles of x [N, C, H, W], cross-faded to [N, C', H * scale, W * scale] on the CPU.

    ``scale`` is what work does to the size. Tiles round the circle overlap like all others, so none of them ends at
    the seam.
    """
    height, width = x.shape[-2:]
    high, wide = min(tile, height), min(tile, width)
    unit = max(1, round(1 / scale))
    columns = wrap_columns(x, 0, wide) if wrap else x
    out = total = torch.empty(0)
    for top in starts(height, high, wrap=False, unit=unit):
        for left in starts(width, wide, wrap=wrap, unit=unit):
            made = work(columns[..., top : top + high, left : left + wide])
            if not out.numel():
                size = (round(height * scale), round(width * scale))
                out = torch.zeros(*made.shape[:2], *size)
                total = torch.zeros(size)
            weight = ramp(made.shape[-2])[:, None] * ramp(made.shape[-1])
            first, start = round(top * scale), round(left * scale)
            index = (torch.arange(made.shape[-1]) + start) % out.shape[-1]
            out[..., first : first + made.shape[-2], index] += made * weight
            total[first : first + made.shape[-2], index] += weight
    return out / total
