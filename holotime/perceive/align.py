"""One distance field for a clip from what a perspective network says of its twenty views.

Such a network knows distances only up to a scale and a shift, which differ from view to view and from frame to frame.
Both are found for all views of all frames together: each group of observations (:mod:`holotime.perceive.observe`) has
one unknown value, which is eliminated, so the system has two unknowns a view and frame. It is solved by iteratively
reweighted least squares on errors relative to the value, in proximal steps (Parikh and Boyd 2014) from a rough fit of
each view to the scene's reference distance. What consistency leaves free is fixed by the ground, a plane below the
eye, or by the reference where there is none. What two numbers cannot mend is met by a smooth correction of each view.

The unknowns act where the network is affine: on distance along the ray, on depth along the view's axis, or on its
inverse. The *value* of a direction is its distance; for the last, the inverse of its distance.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from holotime.perceive.ground import FARTHEST, NEAREST
from holotime.perceive.observe import Kind, Predictions, Scene, Standard, gains, make_blocks
from holotime.perceive.solve import GRID, AlignConfig, Solver, spline_basis
from holotime.perceive.views import VIEWS, Views
from holotime.progress import Progress, no_progress, part


@dataclass(frozen=True)
class Alignment:
    """What turns a view's predictions p into values: gain (scale p + shift) exp(correction)."""

    kind: Kind
    scale: Tensor  # [T, 20]
    shift: Tensor  # [T, 20]
    correction: Tensor  # [T, 20, GRID, GRID] B-spline coefficients of the log value
    usable: Tensor  # [T, 20] bool; false for a view without finite predictions
    disagreement: float  # median relative error between observations of one group

    def log_distance(self, predictions: Tensor, views: Views, frame: int) -> Tensor:
        """[20, s, s] natural log of metres along the ray from one frame's predictions [20, s, s].

        +inf where the prediction is infinite; NaN where it is not a number, or the view has too little to go by.
        """
        device = predictions.device
        gain = gains(self.kind, views.rays().norm(dim=-1)).to(device)
        scale, shift = (a[frame].to(device)[:, None, None] for a in (self.scale, self.shift))
        value = gain * (scale * predictions + shift)
        basis = spline_basis((torch.arange(views.size, device=device) + 0.5) / views.size)
        bend = torch.einsum("yi,vij,xj->vyx", basis, self.correction[frame].to(device), basis)
        if self.kind == "disparity":
            out = -(value.clamp_min(0.1 / FARTHEST).log() + bend)
        else:
            out = value.clamp_min(NEAREST).log() + bend
        out = torch.where(self.usable[frame].to(device)[:, None, None], out, torch.nan)
        return torch.where(predictions.isinf(), torch.inf, out)


def align(
    predictions: Predictions,
    kind: Kind,
    views: Views,
    scene: Scene,
    config: AlignConfig | None = None,
    *,
    progress: Progress = no_progress,
) -> Alignment:
    """Scales, shifts and corrections of all views of all frames, in metres.

    Args:
        predictions: [20, s, s] of each frame, affine in distance, depth or inverse depth as ``kind`` says.
        views: the cameras they were made for.
        scene: what is known before; its device is where the work runs.
    """
    config = config or AlignConfig()
    length = len(predictions)
    step = max(1, -(-length // config.frames))
    batches = [list(range(0, length, step))]
    rest = [t for t in range(length) if t % step]
    batches += [rest[i : i + config.frames] for i in range(0, len(rest), config.frames)]

    scale, shift = torch.ones(length, VIEWS), torch.zeros(length, VIEWS)
    correction = torch.zeros(length, VIEWS, GRID, GRID)
    usable = torch.zeros(length, VIEWS, dtype=torch.bool)
    disagreement = 0.0
    settled: Tensor | None = None
    for number, frames in enumerate(batches):
        report = part(progress, number / len(batches), (number + 1) / len(batches))
        standards: dict[int, Standard] = {}
        blocks = make_blocks(predictions, frames, views, kind, scene, config.points, config.moving_points, standards)
        report(0.3, "comparing views")
        if not blocks:
            continue  # nothing but sky
        if settled is not None and blocks[0].still:
            blocks[0].known = settled
        solver = Solver(blocks, frames, kind, config)
        solver.solve(part(report, 0.3, 0.8))
        bends = solver.correct(views, part(report, 0.8, 1.0))
        if number == 0:
            settled, disagreement = solver.settled(), solver.disagreement
        position = torch.arange(len(frames)).repeat_interleave(VIEWS)
        centre = torch.cat([standards[t].centre for t in frames])
        spread = torch.cat([standards[t].spread for t in frames])
        rows, columns = torch.tensor(frames)[position], torch.arange(VIEWS).repeat(len(frames))
        scale[rows, columns] = (solver.theta[0] / spread).float().cpu()
        shift[rows, columns] = (solver.theta[1] - solver.theta[0] * centre / spread).float().cpu()
        correction[rows, columns] = bends.float().cpu()
        usable[rows, columns] = solver.usable.cpu()
    return Alignment(kind, scale, shift, correction, usable, disagreement)
