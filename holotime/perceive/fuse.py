"""Aligned views to one panorama a frame, without blur at edges and without flicker.

Every pixel is seen by two to five views. Their log distances are joined by mean shift (Comaniciu and Meer 2002)
from the most central view: what agrees is averaged, what lies on another surface is left out, so nothing floats between
two surfaces. Where no view sees an edge nearby there is only one surface, and views that differ are blended over. Over
time the same: a pixel that never changes has one distance in all frames; one that does is averaged with the frames
around as far as they agree with it.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from holotime.perceive.align import Alignment
from holotime.perceive.observe import Predictions
from holotime.perceive.views import Views
from holotime.progress import Progress, no_progress, track

SLOTS = 4  # views at a pixel that are used at most
NARROW, WIDE = 0.005, 0.1  # width of the mean-shift kernel in log distance, by how well the views agree
APART = 1.0  # the kernel's width on a surface without edges, where views that differ are both a little wrong
EDGE = 0.15  # log distance; a neighbourhood that spans more holds an edge
REACH = 9  # pixels of a view that are a neighbourhood
SMOOTH = 0.05  # log distance; between neighbours that differ by more there is an edge: the nearest one is taken
WINDOW = 3.0  # frames; standard deviation of the average over time where something moves
STILL_FRAMES = 32  # frames that decide about what stands still at most


@dataclass(frozen=True)
class Slots:
    """Which views see each pixel of a panorama, the most central first. S slots."""

    index: Tensor  # [S, H, W, 4] flat indices into predictions [20, s, s] of the four pixels around
    share: Tensor  # [S, H, W, 4] their bilinear weights
    weight: Tensor  # [S, H, W] falls from 1 at a view's centre to 0 at its border; 0 where there is no such view


def make_slots(directions: Tensor, views: Views) -> Slots:
    """Slots for a panorama's unit ``directions`` [H, W, 3]; the views must cover the sphere."""
    pixels, depth = views.project(directions)
    size = views.size
    border = torch.where(depth > 0, 1 - (2 * pixels / size - 1).abs().amax(-1), -1.0)
    best, view = border.topk(SLOTS, dim=0)  # [S, H, W]
    x, y = (pixels.gather(0, view[..., None].expand(*view.shape, 2)) - 0.5).clamp(0, size - 1.001).unbind(-1)
    x0, y0 = x.long(), y.long()
    fx, fy = x - x0, y - y0
    corner = view * size * size + y0 * size + x0
    index = torch.stack([corner, corner + 1, corner + size, corner + size + 1], dim=-1)
    share = torch.stack([(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx], dim=-1)
    t = best.clamp(0, 1)
    weight = t * t * (3 - 2 * t)
    # At ratio 1 a view's own corners lie on the border of every view there: the best one always counts.
    weight[0] = weight[0].clamp_min(1e-3)
    return Slots(index, share, weight)


def _mode(values: Tensor, weight: Tensor, start: Tensor, width: float | Tensor) -> Tensor:
    """Mean shift of values [S, ...] with weights [S, ...] from ``start`` [...]; values must be finite."""
    centre = start
    for _ in range(3):
        kernel = weight / (1 + ((values - centre) / width) ** 2) ** 2
        centre = (kernel * values).sum(0) / kernel.sum(0).clamp_min(1e-12)
    return torch.where(weight.sum(0) > 0, centre, start)


def kernel_width(alignment: Alignment) -> float:
    """Difference in log distance up to which values count as one surface."""
    return min(max(5 * alignment.disagreement, NARROW), WIDE)


def _edges(log_distance: Tensor) -> Tensor:
    """[20, s, s] whether there is an edge, or the sky's border, within reach of a pixel of the views."""
    far = log_distance.nan_to_num(posinf=20.0)[:, None]
    high = F.max_pool2d(far, REACH, 1, REACH // 2)
    low = -F.max_pool2d(-far, REACH, 1, REACH // 2)
    return (high - low > EDGE)[:, 0]


def fuse_views(log_distance: Tensor, slots: Slots, width: float = WIDE) -> Tensor:
    """[H, W] log distance from aligned views [20, s, s]; +inf is sky, NaN where no view knows anything.

    ``width``: difference in log distance up to which values count as one surface.
    """
    four = log_distance.reshape(-1)[slots.index]
    finite = torch.isfinite(four).all(-1)
    clean = torch.where(torch.isfinite(four), four, 0.0)
    bilinear = (clean * slots.share).sum(-1)
    # On an edge, and beside the sky, the nearest pixel: no value between two surfaces.
    nearest = four.gather(-1, slots.share.argmax(-1, keepdim=True))[..., 0]
    value = torch.where(finite & (clean.amax(-1) - clean.amin(-1) < SMOOTH), bilinear, nearest)
    solid, sky = torch.isfinite(value), torch.isposinf(value)
    weight, weight_sky = slots.weight * solid, (slots.weight * sky).sum(0)
    first = solid.int().argmax(0, keepdim=True)  # the most central view that knows
    value = torch.where(solid, value, 0.0)
    edge = (_edges(log_distance).reshape(-1)[slots.index[..., 0]] & (slots.weight > 0)).any(0)
    out = _mode(value, weight, value.gather(0, first)[0], torch.where(edge, width, max(width, APART)))
    known = weight.sum(0) + weight_sky
    out = torch.where(weight_sky > 0.5 * known, torch.inf, out)
    return torch.where(known > 0, out, torch.nan)


def fuse(
    predictions: Predictions,
    alignment: Alignment,
    views: Views,
    directions: Tensor,
    moving: Tensor,
    *,
    loop: bool = False,
    progress: Progress = no_progress,
) -> Tensor:
    """[T, H, W] log distance of a clip on the CPU; +inf is sky, NaN where nothing is known.

    Args:
        directions: [H, W, 3] of the panorama's pixels, on the device where the work runs.
        moving: [H, W] bool; everything else gets one distance for all frames.
    """
    slots, width = make_slots(directions, views), kernel_width(alignment)
    device = directions.device
    out = torch.empty(len(predictions), *moving.shape)
    for t in track(range(len(predictions)), progress, "joining views"):
        frame = predictions[t].to(device)
        out[t] = fuse_views(alignment.log_distance(frame, views, t), slots, width).cpu()
    return steady(out, moving.cpu(), width, loop=loop)


def steady(log_distance: Tensor, moving: Tensor, width: float = WIDE, *, loop: bool = False) -> Tensor:
    """Log distances [T, H, W] without flicker: one value where nothing ever moves [H, W], averaged in time elsewhere.

    ``width``: difference in log distance up to which values count as one surface.
    """
    length = len(log_distance)
    if length == 1:
        return log_distance
    out = torch.empty_like(log_distance)
    still = ~moving
    if still.any():
        few = torch.linspace(0, length - 1, min(length, STILL_FRAMES)).round().long()
        out[:, still] = _one_value(log_distance[few][:, still], width)
    if moving.any():
        values = log_distance[:, moving]  # [T, n]
        reach = min(round(2 * WINDOW), length - 1)
        solid = torch.isfinite(values)
        clean = torch.where(solid, values, 0.0)
        for t in range(length):
            around = range(t - reach, t + reach + 1)
            if loop and length > 2 * reach:
                frames = [s % length for s in around]
                far = torch.tensor([float(s - t) for s in around])
            else:
                frames = [s for s in around if 0 <= s < length]
                far = torch.tensor([float(s - t) for s in frames])
            weight = torch.exp(-0.5 * (far / WINDOW) ** 2)[:, None] * solid[frames]
            smooth = _mode(clean[frames], weight, clean[t], width)
            out[t, moving] = torch.where(solid[t], smooth, values[t])
    return out


def _one_value(values: Tensor, width: float) -> Tensor:
    """[n] the value that most of [T, n] agree with; +inf where most are sky, NaN where none is known."""
    solid, sky = torch.isfinite(values), torch.isposinf(values)
    middle = torch.where(solid, values, torch.nan).nanmedian(0).values
    out = _mode(torch.where(solid, values, 0.0), solid.float(), middle.nan_to_num(), width)
    out = torch.where(sky.sum(0) > solid.sum(0), torch.inf, out)
    return torch.where((solid | sky).any(0), out, torch.nan)
