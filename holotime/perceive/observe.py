"""Observations of single directions in the perspective views of a clip, in groups that must agree.

A group is a direction that is seen by overlapping views, in every frame where it stands still, or in two consecutive
frames where it moves (followed along the optical flow).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from holotime.perceive.views import VIEWS, Views, to_panorama

Kind = Literal["distance", "depth", "disparity"]
EDGE = 0.05  # of a view's range; a pixel whose neighbours differ by this much tells little
FEATHER = 0.3  # of half a view's side; observations fade over this border


class Predictions(Protocol):
    """Predictions of a clip's frames; may be read from disk one at a time."""

    def __len__(self) -> int: ...

    def __getitem__(self, frame: int) -> Tensor: ...  # [20, s, s] float32; +-inf is sky, NaN unknown


def gains(kind: Kind, ray_length: Tensor) -> Tensor:
    """What a prediction after scale and shift is multiplied with to be the value, from distance over depth."""
    return {"distance": torch.ones_like(ray_length), "depth": ray_length, "disparity": 1 / ray_length}[kind]


def sphere_points(count: int) -> Tensor:
    """[count, 3] unit directions, evenly spread (Fibonacci lattice)."""
    i = torch.arange(count, dtype=torch.float64) + 0.5
    z = 1 - 2 * i / count
    angle = math.pi * (1 + math.sqrt(5)) * i
    r = (1 - z * z).sqrt()
    return torch.stack([r * angle.sin(), r * angle.cos(), z], dim=-1).float()


@dataclass(frozen=True)
class Scene:
    """What is known of a clip before: rough distances, where the ground is, what moves and where to. H x W = H x 2H."""

    distance: Tensor  # [H, W] metres, finite everywhere
    sky: Tensor  # [H, W] bool
    ground: Tensor  # [H, W] probability of ground
    water: Tensor  # [H, W] probability of water
    moving: Tensor  # [H, W] bool; the direction changes at some time
    flow: Tensor | None = None  # [T, H, W, 2] pixels to the next frame; None for a single frame
    visible_next: Tensor | None = None  # [T, H, W] bool; still seen there
    loop: bool = False

    def at(self, directions: Tensor) -> "Points":
        """What is known at unit directions [M, 3]."""
        height, width = self.distance.shape
        x, y = to_panorama(directions, height, width)
        i, j = y.long().clamp(0, height - 1), x.long() % width
        fields = (self.distance, self.sky, self.ground, self.water)
        return Points(directions, i, j, *(f[i, j] for f in fields))

    def followed(self, points: "Points", frame: int) -> tuple[Tensor, Tensor]:
        """Unit directions [M, 3] of points in the frame after ``frame``, and whether they are seen there [M]."""
        assert self.flow is not None
        assert self.visible_next is not None
        height, width = self.distance.shape
        i, j = points.row, points.column
        step = self.flow[frame, i, j].float()
        longitude = 2 * math.pi * ((j + 0.5 + step[:, 0]) / width - 0.5)
        latitude = math.pi * (0.5 - (i + 0.5 + step[:, 1]) / height)
        c = latitude.cos()
        moved = torch.stack([c * longitude.sin(), c * longitude.cos(), latitude.sin()], dim=-1)
        return moved, self.visible_next[frame, i, j]


@dataclass(frozen=True)
class Points:
    """Directions and what the scene says of them. M points."""

    direction: Tensor  # [M, 3] unit
    row: Tensor  # [M] pixel of the scene's panorama
    column: Tensor  # [M]
    distance: Tensor  # [M] metres
    sky: Tensor  # [M] bool
    ground: Tensor  # [M] probability
    water: Tensor  # [M] probability

    def select(self, index: Tensor) -> "Points":
        """The points of ``index``."""
        return Points(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


@dataclass
class Block:
    """M groups of observations over the same F frames; observation columns run over (frame, view)."""

    frames: list[int]
    points: Points  # where the groups are in the first of the frames (in all of them if they stand still)
    p: Tensor  # [M, 20 F] standardised predictions
    gain: Tensor  # [M, 20 F]
    weight: Tensor  # [M, 20 F]; 0 where a view does not see the direction
    still: bool
    known: Tensor | None = None  # [M] value that other frames have settled; NaN where they have not

    def columns(self, position: Mapping[int, int]) -> Tensor:
        """[20 F] place of every observation column among the unknowns, whose frames are at ``position``."""
        return torch.cat([position[t] * VIEWS + torch.arange(VIEWS) for t in self.frames]).to(self.p.device)


@dataclass(frozen=True)
class Standard:
    """Centre and spread of each view of a frame; predictions are compared as (p - centre) / spread."""

    centre: Tensor  # [20]
    spread: Tensor  # [20] positive

    @classmethod
    def of(cls, predictions: Tensor) -> "Standard":
        """Median, and half the distance of the 10th from the 90th percentile, of views [20, s, s]."""
        step = max(1, predictions.shape[-1] // 64)
        sample = predictions[:, ::step, ::step].reshape(len(predictions), -1)
        sample = torch.where(torch.isfinite(sample), sample, torch.nan)
        low, centre, high = (torch.nanquantile(sample, q, dim=1).nan_to_num() for q in (0.1, 0.5, 0.9))
        return cls(centre, torch.maximum(0.5 * (high - low), 1e-6 * centre.abs() + 1e-9))


def observe(
    predictions: Tensor, standard: Standard, directions: Tensor, views: Views, kind: Kind
) -> tuple[Tensor, Tensor, Tensor]:
    """Predictions [20, s, s] of one frame at unit ``directions`` [M, 3].

    Returns standardised value p [M, 20] (bilinear), gain [M, 20] and weight [M, 20]: 0 outside a view and where the
    prediction is not finite, small at a view's border and on edges.
    """
    pixels, depth = views.project(directions)
    size = views.size
    border = 1 - (2 * pixels / size - 1).abs().amax(-1)
    inside = (depth > 0) & (border > 0)
    x, y = (pixels - 0.5).clamp(0, size - 1.001).unbind(-1)
    x0, y0 = x.long(), y.long()
    fx, fy = x - x0, y - y0
    flat = ((predictions - standard.centre[:, None, None]) / standard.spread[:, None, None]).reshape(VIEWS, -1)
    four = torch.stack([flat.gather(1, (y0 + j) * size + x0 + i) for j in (0, 1) for i in (0, 1)])
    finite = torch.isfinite(four).all(0) & inside
    four = torch.where(torch.isfinite(four), four, 0.0)
    p = (1 - fy) * ((1 - fx) * four[0] + fx * four[1]) + fy * ((1 - fx) * four[2] + fx * four[3])
    smooth = torch.exp(-((four.amax(0) - four.amin(0)) / (2 * EDGE)))
    weight = torch.where(finite, smooth * border.clamp(0, FEATHER) / FEATHER, 0.0)
    gain = gains(kind, 1 / depth.clamp_min(1e-3))
    return p.T, gain.T, weight.T


def make_blocks(
    predictions: Predictions,
    frames: Sequence[int],
    views: Views,
    kind: Kind,
    scene: Scene,
    count: int,
    moving_count: int,
    standards: dict[int, Standard],
) -> list[Block]:
    """The groups of some frames (ascending): one block of still directions, and one a frame of moving ones.

    ``count`` directions are spread over the sphere; of those that move, ``moving_count`` are kept. Directions in the
    sky are left out. ``standards`` receives what the predictions of each frame were standardised with.
    """
    device = scene.distance.device
    everywhere = scene.at(sphere_points(count).to(device))
    solid = ~everywhere.sky
    moves = scene.moving[everywhere.row, everywhere.column]
    still = everywhere.select((solid & ~moves).nonzero()[:, 0])
    moving = (solid & moves).nonzero()[:, 0]
    moving = moving[:: max(1, math.ceil(len(moving) / moving_count))]
    movers = everywhere.select(moving)

    blocks: list[Block] = []
    fixed: list[tuple[Tensor, Tensor, Tensor]] = []
    waiting: Block | None = None  # movers of the frame before, to be found again in this one
    first: tuple[Tensor, Standard] | None = None
    length = len(predictions)
    for t in frames:
        frame = predictions[t].to(device)
        standards[t] = Standard.of(frame)
        first = first or (frame, standards[t])
        if len(still.row):
            fixed.append(observe(frame, standards[t], still.direction, views, kind))
        if waiting is not None:
            _find_again(waiting, t, frame, standards[t], views, kind, scene)
            waiting = None
        if len(movers.row):
            p, gain, weight = observe(frame, standards[t], movers.direction, views, kind)
            waiting = Block([t], movers, p, gain, weight, still=False)
            blocks.append(waiting)
            if scene.flow is None or (t + 1) % length not in frames or (t + 1 == length and not scene.loop):
                waiting = None
    if waiting is not None and first is not None and frames[0] == 0 and len(frames) > 1:
        _find_again(waiting, 0, *first, views, kind, scene)
    if fixed:
        p, gain, weight = (torch.cat(parts, dim=1) for parts in zip(*fixed, strict=True))
        blocks.insert(0, Block(list(frames), still, p, gain, weight, still=True))
    return blocks


def _find_again(
    block: Block, t: int, frame: Tensor, standard: Standard, views: Views, kind: Kind, scene: Scene
) -> None:
    """Add the observations of a block of movers in the next frame ``t``."""
    moved, seen = scene.followed(block.points, block.frames[0])
    p, gain, weight = observe(frame, standard, moved, views, kind)
    block.frames = [*block.frames, t]
    block.p = torch.cat([block.p, p], dim=1)
    block.gain = torch.cat([block.gain, gain], dim=1)
    block.weight = torch.cat([block.weight, weight * seen[:, None]], dim=1)
