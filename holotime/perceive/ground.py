"""The ground as a ruler: what a horizontal plane below the eye says of the scale and the shift of distances."""

import torch
from torch import Tensor

from holotime.perceive import EYE_HEIGHT
from holotime.perceive.observe import Points

NEAREST, FARTHEST = 0.05, 200.0  # metres; errors are relative to the distance between these
PLANE_MIN_DIP = 0.06  # radians below the horizon from which a plane's distance says something about its height
PLANE_SHARE = 0.016  # of all directions that a plane must cover to be trusted (0.2 sr)


def robust(residual: Tensor, width: float) -> Tensor:
    """Weight in (0, 1] of a residual (Geman and McClure 1985)."""
    return 1 / (1 + (residual / width) ** 2) ** 2


def flatness(points: Points) -> Tensor:
    """[M] probability of a horizontal plane (ground or water) well below the horizon, else 0."""
    flat = points.ground + points.water
    return torch.where((flat > 0.6) & (-points.direction[:, 2] > PLANE_MIN_DIP), flat, 0.0)


def _least_shift(x: Tensor) -> float:
    """Smallest shift that keeps nearly all distances x [N] positive."""
    nearest, middle = float(x.quantile(0.01)), float(x.median())
    return 0.05 * (middle - nearest) - nearest


def plane_shift(x: Tensor, flat: Tensor, dip: Tensor) -> float | None:
    """What must be added to distances x [N] so that ground and water are horizontal planes; None without a plane.

    A plane h below the eye has (x + shift) dip = h, with dip [N] the sine of the angle below the horizon. The shift is
    searched that gathers most of what is ``flat`` [N] (its probability) at few heights, then fitted to the most common
    height. The plane must be of some size and seen at different angles.
    """
    used = flat > 0
    if used.sum() < PLANE_SHARE * len(x) or used.sum() < 30:
        return None
    least = _least_shift(x)
    # Weighted by the area on the plane up to its height around: right below the eye a single wave or bump decides.
    v, d = x[used], dip[used]
    w = flat[used] * ((1 - d * d) / (d * d)).clamp(max=1)
    low, high = least, 2 * float(x.median())
    for _ in range(3):
        shifts = torch.linspace(low, high, 41, dtype=x.dtype, device=x.device)
        heights = ((v + shifts[:, None]) * d).clamp_min(1e-6).log()
        gathered, peak = _peak(heights, w)
        best = int(gathered.argmax())
        low, high = float(shifts[max(best - 1, 0)]), float(shifts[min(best + 1, 40)])
    shift, height, width = float(shifts[best]), float(peak[best].exp()), 0.1
    rows = torch.stack([torch.ones_like(d), -d], dim=1)  # v dip = height - shift dip
    for _ in range(10):
        off = ((v + shift) * d - height) / height
        near = off.abs() < 3 * width
        width = min(0.1, max(0.005, 1.5 * float(off[near].abs().median()))) if near.any() else 0.1
        weight = (w * robust(off, 2 * width)).sqrt()
        solution = torch.linalg.lstsq(rows * weight[:, None], v * d * weight).solution
        height, shift = max(float(solution[0]), 1e-3), float(solution[1])
    inlier = off.abs() < 3 * width
    if inlier.sum() < max(PLANE_SHARE * len(x), 0.25 * len(v), 8) or shift <= least:
        return None
    spread = float(d[inlier].quantile(0.95) - d[inlier].quantile(0.05))
    return shift if spread > 0.15 else None


def _peak(heights: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """How strongly log heights [S, N] with weights [N] gather: sum of squares of each histogram, and its peak [S]."""
    bins, low, size = 512, -6.0, 0.02
    index = ((heights - low) / size).long().clamp(0, bins - 1)
    histogram = torch.zeros(len(heights), bins, dtype=weight.dtype, device=weight.device)
    histogram.scatter_add_(1, index, weight.expand_as(heights))
    soft = histogram + 0.5 * (histogram.roll(1, 1) + histogram.roll(-1, 1))
    return (soft**2).sum(1), low + size * (soft.argmax(1) + 0.5)


def reference_shift(x: Tensor, distance: Tensor) -> float:
    """Shift with which distances x [N], scaled, fit the reference [N] best and stay positive."""
    weight = torch.ones_like(x)
    for width in (1.0, 0.5, 0.3, 0.3, 0.3):
        rows = torch.stack([x, torch.ones_like(x)], -1) / distance[:, None]
        normal = rows.T @ (weight[:, None] * rows)
        solution = torch.linalg.solve(normal + 1e-9 * torch.eye(2, dtype=torch.float64).to(rows), rows.T @ weight)
        weight = robust(rows @ solution - 1, width)
    shift = float(solution[1] / solution[0]) if solution[0] > 0 else 0.0
    return max(shift, _least_shift(x))


def free_scale(x: Tensor, distance: Tensor, ground: Tensor, dip: Tensor) -> float:
    """Factor that puts the ground of distances x [N] at eye height, or brings them to the reference ``distance``."""
    use = (ground > 0.6) & (dip > PLANE_MIN_DIP)
    if use.sum() > PLANE_SHARE * len(x):
        return EYE_HEIGHT / float((x * dip)[use].median())
    return float((distance / x).median())
