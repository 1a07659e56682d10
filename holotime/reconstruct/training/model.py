"""Spacetime Gaussians (Li et al., CVPR 2024): parameters, their evaluation at a time, and the feature decoder.

With dt = t - t_center:

    opacity(t) = sigmoid(o) exp(-(dt / exp(s))^2)          mean(t) = x + m1 dt + m2 dt^2 + m3 dt^3
    quat(t)    = normalize(q + dt omega)                   scale   = exp(.)

``lite`` has raw RGB for a colour. ``full`` has nine features, [f_dc (6), dt f_t (3)], that a tiny network turns into
RGB after rasterization. In mean, rotation and features dt is detached: a window learns its centre from opacity alone.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from holotime.render.torch_twin import Splats
from holotime.scene4d import ALWAYS, Scene4D

Kind = Literal["lite", "full"]
SHAPES: dict[str, tuple[int, ...]] = {**Scene4D.TENSORS, "features_t": (3,)}


@dataclass
class SpacetimeGaussians:
    """The parameters of a model. ``colors`` has 3 channels (lite) or 6 (full, with ``features_t`` and ``decoder``)."""

    means: Tensor  # [N, 3] metres, at the splat's own time centre
    motion: Tensor  # [N, 3, 3] linear, quadratic, cubic coefficients, metres per unit t
    quats: Tensor  # [N, 4] wxyz, need not be unit
    omegas: Tensor  # [N, 4] per unit t
    log_scales: Tensor  # [N, 3] log metres
    opacity_logits: Tensor  # [N]
    t_centers: Tensor  # [N] scene time
    t_log_scales: Tensor  # [N] log width of the window
    colors: Tensor  # [N, 3] sRGB, or [N, 6] base colour and view features
    features_t: Tensor | None = None  # [N, 3] full only: features per unit t
    decoder: "Sandwich | None" = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.means)

    @property
    def kind(self) -> Kind:
        """``lite`` or ``full``."""
        return "lite" if self.decoder is None else "full"

    def tensors(self) -> dict[str, Tensor]:
        """Parameters with one row a splat, by name."""
        return {n: getattr(self, n) for n in SHAPES if getattr(self, n) is not None}

    def parameters(self) -> dict[str, Tensor]:
        """All parameters by name, the decoder's with the prefix ``decoder.``."""
        weights = {} if self.decoder is None else {f"decoder.{n}": p for n, p in self.decoder.named_parameters()}
        return self.tensors() | weights

    def at(self, t: Tensor | float) -> Splats:
        """The Gaussians at scene time ``t``; unlike :meth:`Scene4D.at` nothing is left out and t is not wrapped."""
        dt = t - self.t_centers
        opacities = torch.sigmoid(self.opacity_logits) * torch.exp(-((dt * torch.exp(-self.t_log_scales)) ** 2))
        d = dt.detach()[:, None]
        m = self.motion
        means = self.means + d * (m[:, 0] + d * (m[:, 1] + d * m[:, 2]))
        colors = self.colors
        if self.features_t is not None:
            colors = torch.cat([colors, d * self.features_t], dim=-1)
        quats = F.normalize(self.quats + d * self.omegas, dim=-1)
        return Splats(means, quats, torch.exp(self.log_scales), opacities, colors)

    def requires_grad_(self, on: bool = True) -> "SpacetimeGaussians":
        """The same model with leaf tensors that do or do not take gradients."""
        for name, tensor in self.tensors().items():
            setattr(self, name, tensor.detach().requires_grad_(on))
        return self

    @classmethod
    def of(cls, scene: Scene4D, kind: Kind = "lite", device: torch.device | str = "cpu") -> "SpacetimeGaussians":
        """The scene as parameters. ``full`` begins as the same picture: the decoder's answer is the base colour."""
        values: dict[str, Any] = {n: torch.tensor(getattr(scene, n), device=device) for n in Scene4D.TENSORS}
        model = cls(**values)
        if kind == "full":
            # The output passes a sigmoid, so the base colour is stored as its logit.
            base = torch.logit(model.colors.clamp(0.002, 0.998))
            model.colors = torch.cat([base, torch.zeros_like(base)], dim=-1)
            model.features_t = torch.zeros_like(base)
            model.decoder = Sandwich().to(device)
            nn.init.zeros_(model.decoder.mlp2.weight)
        return model

    @torch.no_grad()
    def scene(self, like: Scene4D) -> Scene4D:
        """A Scene4D with the time, loop and provenance of ``like``.

        A full model is baked: every splat gets the colour that the decoder gives for it alone, seen from the eye at
        its own time centre.
        """
        values = {n: getattr(self, n).detach().float().cpu().numpy() for n in Scene4D.TENSORS if n != "colors"}
        colors = self.colors
        if self.decoder is not None and self.features_t is not None:
            rays = torch.cat([torch.zeros_like(self.means), F.normalize(self.means, dim=-1)], dim=-1)
            features = torch.cat([colors, torch.zeros_like(self.features_t)], dim=-1)
            colors = self.decoder(features.T[None, :, :, None], rays.T[None, :, :, None])[0, :, :, 0].T
        values["colors"] = np.clip(colors.detach().float().cpu().numpy(), 0, 1)
        return Scene4D(**values, duration=like.duration, fps=like.fps, loop=like.loop, provenance=dict(like.provenance))


class Sandwich(nn.Module):
    """The decoder of the full model: nine rasterized features and the pixel's ray to RGB.

    out = sigmoid(a + W2 relu(W1 [s, f, r])), a = channels 0-2, s = 3-5, f = 6-8, r = ray origin and unit direction.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mlp1 = nn.Conv2d(12, 6, 1, bias=False)
        self.mlp2 = nn.Conv2d(6, 3, 1, bias=False)

    def forward(self, features: Tensor, rays: Tensor) -> Tensor:
        """Features [B, 9, H, W] and rays [B, 6, H, W] (origin in metres, unit direction) to RGB [B, 3, H, W]."""
        base, rest = features[:, :3], features[:, 3:]
        return torch.sigmoid(base + self.mlp2(torch.relu(self.mlp1(torch.cat([rest, rays], dim=1)))))


def is_static(model: SpacetimeGaussians) -> Tensor:
    """[N] bool: splats that are there all the time; they have no window and do not move."""
    return model.t_log_scales > 0.5 * ALWAYS
