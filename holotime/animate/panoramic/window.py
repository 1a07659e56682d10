"""A full turn seen by a network that knows edges: turned, opened with a margin, and closed again with a cross-fade.

The sampler's latent is one full turn, W columns on a circle, and stays where it is. Only the denoiser looks at it
through a window: it is cut open at another longitude in every step, and its first columns are repeated at the end, so
that both sides of the cut are seen with their neighbours. What the denoiser says of the columns that it saw twice is
cross-faded, from the copy behind the cut to the one before it. Since conditions go through the same window and
predictions come back in place, the schedule's state (history of multistep solvers, noise) needs no turning, and the
position ids inside the window are the plain 0..W + margin that the network was trained with. (Joined predictions are
those of MultiDiffusion, Bar-Tal et al. 2023, with one window round the circle.)
"""

from dataclasses import dataclass

import torch
from torch import Tensor

GOLDEN = 0.6180339887498949  # multiples of it modulo 1 fall evenly, and never twice on the same place
OFFSET = 0.5  # the first cut lies behind: the middle of a panorama is its front


@dataclass(frozen=True)
class Window:
    """A full turn of ``width`` columns, ``margin`` of which are repeated, cut at column ``start``."""

    width: int
    margin: int
    start: int = 0

    def at_step(self, step: int, unit: int) -> "Window":
        """The window of a step of sampling, cut at a whole token of ``unit`` columns."""
        tokens = self.width // unit
        return Window(self.width, self.margin, int((OFFSET + step * GOLDEN) % 1 * tokens) % tokens * unit)

    def per_token(self, unit: int) -> "Window":
        """The same window over tokens of ``unit`` columns."""
        return Window(self.width // unit, self.margin // unit, self.start // unit)

    def open(self, x: Tensor) -> Tensor:
        """x [..., width] -> [..., width + margin], ``start`` first."""
        turned = x.roll(-self.start, dims=-1) if self.start else x
        return torch.cat([turned, turned[..., : self.margin]], dim=-1) if self.margin else turned

    def close(self, y: Tensor) -> Tensor:
        """y [..., width + margin] -> [..., width], in place again; the margin is cross-faded."""
        if self.margin:
            fade = (torch.arange(self.margin, device=y.device, dtype=y.dtype) + 0.5) / self.margin
            joined = torch.lerp(y[..., self.width :], y[..., : self.margin], fade)
            y = torch.cat([joined, y[..., self.margin : self.width]], dim=-1)
        return y.roll(self.start, dims=-1) if self.start else y
