"""Training views: which frame, time, eye and rotation a step looks at, and what it should see."""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from holotime import sphere
from holotime.clip import Clip
from holotime.perceive import ClipPerception
from holotime.reconstruct.surface import invert, snap_edges
from holotime.reconstruct.training.config import TrainConfig
from holotime.reconstruct.training.rasterizers import Lens, look, sample
from holotime.reconstruct.training.warp import displaced, edges, unmix

NEAREST_SHARE = 0.3  # a displaced eye goes at most this share of the way to the nearest thing
AGREE = 0.04  # colour difference up to which two frames count as showing the same


@dataclass(frozen=True)
class Step:
    """One view to learn from."""

    frame: int
    other: int | None  # the next frame, for a time between two
    time: float  # scene time
    eye: Tensor  # [3] metres from the clip's eye
    turn: Tensor  # [3, 3] rotation of the whole view


@dataclass(frozen=True)
class Target:
    """What a view should show. Pixels outside ``seen`` are not in the clip."""

    color: Tensor  # [V, 3, h, w]
    seen: Tensor  # [V, h, w] bool
    inverse: Tensor  # [V, h, w] 1/m
    sharp: Tensor  # [V, h, w] bool: the inverse distance is that of one surface


class Frames:
    """A clip with its distance on a device, as targets."""

    def __init__(self, clip: Clip, perception: ClipPerception, sky: float, device: torch.device) -> None:
        self.count, self.loop = len(clip), clip.loop
        self.times = [float(t) for t in clip.times]
        self.frames = torch.from_numpy(clip.frames.transpose(0, 3, 1, 2).copy()).to(device)  # [T, 3, H, W] uint8
        inverse = [snap_edges(invert(d, sky)) for d in perception.distance]
        self.inverse = torch.from_numpy(np.stack(inverse)).to(device, torch.float16)  # [T or 1, H, W] 1/m
        self.edge = torch.stack([edges(i.float()[None])[0] for i in self.inverse])
        self.directions = torch.from_numpy(sphere.directions(clip.height, clip.width).copy()).to(device)
        self._clean: dict[int, tuple[Tensor, Tensor]] = {}
        solid = perception.distance[np.isfinite(perception.distance)]
        self.nearest = float(np.percentile(solid, 0.5)) if solid.size else sky

    def image(self, frame: int) -> Tensor:
        """[3, H, W] float."""
        return self.frames[frame].float() / 255

    def cleaned(self, frame: int) -> tuple[Tensor, Tensor]:
        """(image [3, H, W], known [H, W]) of a frame without mixed pixels, made when it is first wanted."""
        if frame not in self._clean:
            known = frame % len(self.inverse)
            clean, sure = unmix(self.image(frame), self.inverse[known].float(), self.edge[known])
            self._clean[frame] = (clean.mul(255).round().to(torch.uint8), sure)
        clean, sure = self._clean[frame]
        return clean.float() / 255, sure

    def target(self, step: Step, lens: Lens) -> Target:
        """What the view of ``step`` should show through ``lens``."""
        known = step.frame % len(self.inverse)
        inverse, edge = self.inverse[known].float(), self.edge[known]
        image = self.image(step.frame)
        if float(step.eye.abs().max()) > 0:
            clean, sure = self.cleaned(step.frame)
            eye = step.eye.to(image.device)
            color, seen, near = displaced(clean, sure, inverse, edge, self.directions, eye, lens)
            return Target(color, seen, near, seen)
        maps = torch.stack([inverse, edge.to(inverse)])
        maps = look(maps, lens) if lens.turn is None else sample(maps, lens.directions, "nearest")
        near, mixed = maps.split(1, dim=1)
        color = look(image, lens).clamp(0, 1)
        seen = torch.ones_like(near[:, 0], dtype=torch.bool)
        if step.other is not None:
            next_color = look(self.image(step.other), lens).clamp(0, 1)
            apart = F.max_pool2d((color - next_color).abs().amax(1, keepdim=True), 5, 1, 2)[:, 0]
            color, seen = 0.5 * (color + next_color), apart < AGREE
        return Target(color, seen, near[:, 0], (mixed[:, 0] == 0) & seen)


class Sampler:
    """Draws the steps of a run. All randomness of the training comes from its generator."""

    def __init__(self, frames: Frames, config: TrainConfig) -> None:
        self.frames, self.config = frames, config
        self.random = torch.Generator().manual_seed(config.seed)
        self.order: list[int] = []
        self.reach = min(config.reach, NEAREST_SHARE * frames.nearest)

    def draw(self) -> Step:
        """The next step."""
        if not self.order:
            self.order = torch.randperm(self.frames.count, generator=self.random).tolist()
        frame = self.order.pop()
        kind = float(torch.rand((), generator=self.random))
        turn, eye = self._rotation(), torch.zeros(3)
        time, other = self.frames.times[frame], None
        share = self.config.displaced if self.reach > 0 else 0.0
        if kind < share:
            direction = F.normalize(torch.randn(3, generator=self.random), dim=0)
            eye = direction * self.reach * float(torch.rand((), generator=self.random)) ** 0.5
        elif kind < share + self.config.between and self.frames.count > 1:
            if frame + 1 < self.frames.count or self.frames.loop:
                other = (frame + 1) % self.frames.count
                gap = (self.frames.times[frame + 1] if frame + 1 < self.frames.count else 1.0) - time
                time += gap * float(torch.rand((), generator=self.random))
        elif self.frames.loop and frame == 0 and kind > 0.5 * (1 + share + self.config.between):
            time = 1.0  # the end of a loop shows its beginning
        return Step(frame, other, time, eye, turn)

    def _rotation(self) -> Tensor:
        """[3, 3] uniformly random rotation (Shoemake 1992)."""
        q = F.normalize(torch.randn(4, generator=self.random), dim=0)
        w, x, y, z = q.tolist()
        return torch.tensor(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {"random": self.random.get_state(), "order": torch.tensor(self.order, dtype=torch.int64)}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on where :meth:`state` was taken."""
        self.random.set_state(state["random"].cpu())
        self.order = state["order"].tolist()


def parallax(inverse: Tensor, height: int) -> Tensor:
    """Inverse distances in 1/m to pixels of parallax under a step of 30 cm, for a panorama of ``height`` rows."""
    return inverse * (0.3 * height / math.pi)
