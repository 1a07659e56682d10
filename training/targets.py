"""From rendered labels to what the network is trained for."""

import math
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from holotime.perceive.sharpnet import SPEED_UNIT
from training.generator import FAR_AWAY, Panoramas

NEAREST, FARTHEST = 0.05, 1e4  # metres between which distances are learned
LOWEST_EYE = 0.3  # metres; a lower eye counts as this high
MOVES = 0.004  # radians per second from which a direction is learned


@dataclass
class Targets:
    """Labels of B panoramas; half precision where that is enough."""

    rgb: Tensor  # [B, 3, H, W] float16 linear
    log_distance: Tensor  # [B, H, W] float16 log(distance / eye height); 0 where there is none
    label: Tensor  # [B, H, W] uint8
    light: Tensor  # [B, H, W] uint8
    motion: Tensor  # [B, 2, H, W] float16 radians per second to the east (right) and to the north (up)

    def map(self, change) -> "Targets":  # type: ignore[no-untyped-def]
        """With every tensor changed by a function."""
        return Targets(**{f.name: change(getattr(self, f.name)) for f in fields(self)})

    def turned(self, columns: int) -> "Targets":
        """Turned to the right by some columns."""
        return self.map(lambda t: torch.roll(t, columns, -1))

    def mirrored(self) -> "Targets":
        """Left and right exchanged; motion to the east becomes motion to the west."""
        out = self.map(lambda t: t.flip(-1))
        out.motion = out.motion * out.motion.new_tensor([-1.0, 1.0])[:, None, None]
        return out


def tangent_frame(height: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """East and north [H, 2H, 3]: unit vectors to the right and up at every pixel's direction."""
    width = 2 * height
    phi = math.pi * (0.5 - (torch.arange(height, device=device) + 0.5) / height)[:, None]
    lam = 2 * math.pi * ((torch.arange(width, device=device) + 0.5) / width - 0.5)[None]
    phi, lam = torch.broadcast_tensors(phi, lam)
    east = torch.stack([lam.cos(), -lam.sin(), torch.zeros_like(lam)], -1)
    north = torch.stack([-phi.sin() * lam.sin(), -phi.sin() * lam.cos(), phi.cos()], -1)
    return east, north


def targets_of(made: Panoramas) -> Targets:
    """What the network learns from rendered panoramas, at their size."""
    east, north = tangent_frame(made.distance.shape[1], made.distance.device)
    motion = torch.stack([(made.motion * east).sum(-1), (made.motion * north).sum(-1)], 1)
    near = made.distance < FAR_AWAY
    eye = made.eye.clamp_min(LOWEST_EYE)[:, None, None]
    log_distance = torch.where(near, torch.log(made.distance.clamp(NEAREST, FARTHEST) / eye), 0.0)
    return Targets(
        made.rgb.permute(0, 3, 1, 2).half(), log_distance.half(), made.label, made.light, motion.clamp(-60, 60).half()
    )


def enlarged(small: Targets) -> Targets:
    """Twice as large: the picture interpolated, labels repeated; what a small input looks like to the network."""

    def repeat(t: Tensor) -> Tensor:
        return t.repeat_interleave(2, -1).repeat_interleave(2, -2)

    out = small.map(repeat)
    ends = [small.rgb[..., -1:], small.rgb, small.rgb[..., :1]]
    out.rgb = F.interpolate(torch.cat(ends, -1).float(), scale_factor=2, mode="bilinear")[..., 2:-2].half()
    return out


def motion_targets(motion: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Unit direction [B, 2, H, W], its doubled angle [B, 2, H, W], log speed [B, H, W], and where it moves [B, H, W].

    motion: [B, 2, H, W] radians per second.
    """
    speed = motion.norm(dim=1)
    direction = motion / speed.clamp_min(1e-6)[:, None]
    e, n = direction.unbind(1)
    axis = torch.stack([e * e - n * n, 2 * e * n], 1)
    return direction, axis, torch.log1p(speed / SPEED_UNIT), speed > MOVES
