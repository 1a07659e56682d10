"""Scales, shifts and smooth corrections of perspective predictions that make all views of all frames agree."""

from dataclasses import dataclass

import torch
from torch import Tensor

from holotime.perceive.ground import (
    FARTHEST,
    NEAREST,
    flatness,
    free_scale,
    plane_shift,
    reference_shift,
    robust,
)
from holotime.perceive.observe import Block, Kind, Points
from holotime.perceive.views import VIEWS, Views
from holotime.progress import Progress, no_progress, track

GRID = 7  # coefficients of a view's smooth correction along each side
LEVEL = 0.03  # weight of the ground's flatness relative to the agreement of views
ROWS = 4096  # groups that are summed up at once


@dataclass(frozen=True)
class AlignConfig:
    """How views are brought together."""

    points: int = 16384  # directions at which views are compared
    moving_points: int = 4096  # of those at most that move
    frames: int = 24  # frames that are solved together at most; the others follow them
    rounds: int = 14  # reweighted solutions
    proximity: float = 1e-3  # pull towards the solution of the round before, relative to the data
    agreement: float = 0.01  # relative error that counts as agreement, however good the rest is
    correction_rounds: int = 6  # of the smooth corrections; 0 leaves them out
    stiffness: float = 1e-4  # of the corrections, relative to the data
    reluctance: float = 3e-5  # against any correction, relative to the data


def spline_basis(x: Tensor) -> Tensor:
    """[N, GRID] uniform cubic B-spline basis at x [N] in [0, 1]; each row sums to 1."""
    u = (x[:, None] * (GRID - 3) + 1 - torch.arange(GRID, device=x.device, dtype=x.dtype)).abs()
    return torch.where(u < 1, 2 / 3 - u**2 + u**3 / 2, (2 - u).clamp_min(0) ** 3 / 6)


class Solver:
    """Scales and shifts of the standardised predictions of some frames. K = 20 frames."""

    def __init__(self, blocks: list[Block], frames: list[int], kind: Kind, config: AlignConfig) -> None:
        self.blocks, self.kind, self.config = blocks, kind, config
        self.position = {t: i for i, t in enumerate(frames)}
        self.count = VIEWS * len(frames)
        self.device = blocks[0].p.device
        self.theta = torch.zeros(2, self.count, dtype=torch.float64, device=self.device)  # scale, shift
        self.usable = torch.zeros(self.count, dtype=torch.bool, device=self.device)
        self.width = 0.3  # relative error that counts as agreement
        self.has_plane = False  # the ground is a plane by which weakly known shifts are set
        self.disagreement = 0.0  # median relative error of the latest round

    # -- pieces ------------------------------------------------------------------------------------------------------

    def reference(self, points: Points) -> Tensor:
        """[M] value that the scene's reference distance gives."""
        distance = points.distance.clamp(NEAREST, FARTHEST)
        return 1 / distance if self.kind == "disparity" else distance

    def unit(self, values: Tensor) -> Tensor:
        """What an error is divided by: the value, where that is a reasonable distance."""
        return values.clamp(1 / FARTHEST, 1 / NEAREST) if self.kind == "disparity" else values.clamp(NEAREST, FARTHEST)

    def values(self, block: Block) -> Tensor:
        """[M, C] values of a block's observations."""
        scale, shift = self.theta[:, block.columns(self.position)].float()
        return block.gain * (scale * block.p + shift)

    def group(self, block: Block) -> tuple[Tensor, Tensor, Tensor]:
        """Values [M, C], robust weights [M, C] and the value of each group [M] (NaN without observations)."""
        values, weight = self.values(block), block.weight
        known = None if block.known is None else torch.where(block.known.isnan(), 0.0, 1.0)
        mean = self.reference(block.points)
        # The first mean is a median: outliers must not choose the side.
        middle = torch.where(weight > 0, values, torch.nan).nanmedian(1).values
        mean = torch.where(middle.isnan(), mean, middle)
        for _ in range(3):
            trust = weight * robust((values - mean[:, None]) / self.unit(mean)[:, None], self.width)
            top, bottom = (trust * values).sum(1), trust.sum(1)
            if known is not None and block.known is not None:
                strength = known * weight.sum(1).clamp_min(1.0)
                top, bottom = top + strength * block.known.nan_to_num(), bottom + strength
            mean = torch.where(bottom > 1e-6, top / bottom.clamp_min(1e-6), mean)
        return values, trust, torch.where(weight.sum(1) > 0, mean, torch.nan)

    # -- steps -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Fit each view to the reference on its own."""
        for width in (None, 0.5, 0.3, 0.3):
            sums = torch.zeros(self.count, 5, dtype=torch.float64, device=self.device)
            for block in self.blocks:
                columns = block.columns(self.position)
                x = self.reference(block.points)[:, None]
                a, b, w = block.gain * block.p / x, block.gain / x, block.weight
                if width is not None:
                    scale, shift = self.theta[:, columns].float()
                    w = w * robust(a * scale + b * shift - 1, width)
                terms = torch.stack([(w * f).sum(0) for f in (a * a, a * b, b * b, a, b)], dim=-1)
                sums.index_add_(0, columns, terms.double())
            aa, ab, bb, a1, b1 = sums.unbind(-1)
            self.usable = bb > 1e-9
            bb = bb.clamp_min(1e-9)
            level = b1 / bb
            # A view that hardly varies does not tell its scale: a little of its level is assumed.
            aa, a1 = aa + 0.01 * bb, a1 + 0.003 * bb * level
            scale = (bb * a1 - ab * b1) / (aa * bb - ab * ab).clamp_min(1e-20)
            scale = torch.maximum(scale, 0.02 * level.abs())
            self.theta = torch.stack([scale, (b1 - ab * scale) / bb])

    def step(self) -> None:
        """One reweighted solution of all scales and shifts."""
        k = self.count
        normal = torch.zeros(2 * k, 2 * k, dtype=torch.float64, device=self.device)
        right = torch.zeros(2 * k, dtype=torch.float64, device=self.device)
        errors = []
        for block in self.blocks:
            columns = block.columns(self.position)
            both = torch.cat([columns, columns + k])
            c = len(columns)
            local = torch.zeros(2 * c, 2 * c, dtype=torch.float64, device=self.device)
            values, trust, mean = self.group(block)
            good = ~mean.isnan()
            unit = self.unit(mean)
            relative = ((values - mean[:, None]) / unit[:, None]).abs()
            errors.append(relative[(block.weight > 0.3) & good[:, None]])
            weight = torch.where(good[:, None], trust / unit[:, None] ** 2, 0.0)
            known, strength = block.known, torch.zeros_like(mean)
            if known is not None:
                strength = torch.where(known.isnan(), 0.0, block.weight.sum(1).clamp_min(1.0) / unit**2)
                strength = torch.where(good, strength, 0.0)
            for i in range(0, len(mean), ROWS):
                rows = slice(i, i + ROWS)
                a, b = (block.gain[rows] * block.p[rows]).double(), block.gain[rows].double()
                w = weight[rows].double()
                wa, wb = w * a, w * b
                j = torch.cat([wa, wb], dim=1)
                total = (w.sum(1) + strength[rows]).clamp_min(1e-12)
                local -= j.T @ (j / total[:, None])
                index = torch.arange(c, device=self.device)
                local[index, index] += (wa * a).sum(0)
                local[index, index + c] += (wa * b).sum(0)
                local[index + c, index] += (wa * b).sum(0)
                local[index + c, index + c] += (wb * b).sum(0)
                if known is not None:
                    pulled = strength[rows] * known[rows].nan_to_num() / total
                    right.index_add_(0, both, (j * pulled[:, None]).sum(0))
            share = 1.0 if block.still else 0.5  # flow may err
            normal.index_put_((both[:, None], both[None]), share * local, accumulate=True)
        if self.has_plane:
            self.level(normal)
        pull = self.config.proximity * normal.diagonal().reshape(2, k) + 1e-12
        # Unusable views keep what they have.
        pull = torch.where(self.usable, pull, pull + 1.0).reshape(-1)
        normal.diagonal().add_(pull)
        theta = torch.linalg.solve(normal, right + pull * self.theta.reshape(-1)).reshape(2, k)
        self.theta = torch.where(theta[0] > 0, theta, self.theta)
        middle = torch.cat(errors).median().item() if sum(map(len, errors)) else 0.0
        self.disagreement = middle
        self.width = max(self.config.agreement, 2.5 * middle)

    def anchor(self) -> None:
        """Fix what consistency leaves free: the scale, and for distances along the ray the shift, of everything.

        The other kinds have their shift by consistency, but weakly; there a plane is only noted for :meth:`step`.
        """
        found = [(self.group(b)[2], b.points) for b in self.blocks]
        x = torch.cat([f[0] for f in found])
        good = x.isfinite()
        x = x[good].double()
        if len(x) < 8:
            return
        flat = torch.cat([flatness(f[1]) for f in found])[good].double()
        distance, ground = (torch.cat([getattr(f[1], n) for f in found])[good].double() for n in ("distance", "ground"))
        dip = torch.cat([-f[1].direction[:, 2] for f in found])[good].double()
        shift = 0.0
        if self.kind == "distance":
            plane = plane_shift(x, flat, dip)
            shift = reference_shift(x, distance) if plane is None else plane
            x = x + shift
        distances = 1 / x.clamp_min(1 / FARTHEST) if self.kind == "disparity" else x.clamp_min(NEAREST)
        if self.kind != "distance":
            self.has_plane = plane_shift(distances, flat, dip) is not None
        factor = free_scale(distances, distance, ground, dip)
        factor = 1 / factor if self.kind == "disparity" else factor
        # Without a gain (kind distance) a shift of all values is a shift of every view.
        self.theta = torch.stack([self.theta[0], self.theta[1] + shift]) * factor

    def level(self, normal: Tensor) -> None:
        """Add to the normal equations [2K, 2K] that what is flat lies at one height, itself unknown.

        Height is distance times the sine of the dip; its inverse is as linear in the inverse distance.
        """
        k = self.count
        parts = []
        for block in self.blocks:
            flat = flatness(block.points)
            rows = flat > 0
            dip = -block.points.direction[rows, 2]
            factor = (1 / dip if self.kind == "disparity" else dip)[:, None]
            own = slice(0, len(block.frames) * VIEWS if block.still else VIEWS)
            gain, p = block.gain[rows, own] * factor, block.p[rows, own]
            seen = block.weight[rows, own] * flat[rows, None]
            columns = block.columns(self.position)[own]
            scale, shift = self.theta[:, columns].float()
            parts.append((columns, gain * p, gain, seen, gain * (scale * p + shift)))
        heights = torch.cat([part[4][part[3] > 0.3] for part in parts])
        if not len(heights):
            return
        height = heights.median()
        width = max(3 * self.config.agreement, 2.5 * float(((heights - height) / height).abs().median()))
        vector = torch.zeros(2 * k, dtype=torch.float64, device=self.device)
        total = 1e-12
        for columns, a, b, seen, value in parts:
            w = (LEVEL * seen * robust((value - height) / height, width) / height**2).double()
            a, b = a.double(), b.double()
            vector.index_add_(0, torch.cat([columns, columns + k]), torch.cat([(w * a).sum(0), (w * b).sum(0)]))
            total += float(w.sum())
            for i, j, sums in ((0, 0, w * a * a), (0, k, w * a * b), (k, 0, w * a * b), (k, k, w * b * b)):
                normal.index_put_((columns + i, columns + j), sums.sum(0), accumulate=True)
        normal -= vector[:, None] * vector[None] / total

    def solve(self, progress: Progress = no_progress) -> None:
        """All rounds."""
        follows = any(b.known is not None for b in self.blocks)
        self.start()
        if not follows:
            self.anchor()
        for _ in track(range(self.config.rounds), progress, "aligning views"):
            self.step()
            if not follows:
                self.anchor()

    def settled(self) -> Tensor | None:
        """[M] values of the still directions."""
        return self.group(self.blocks[0])[2] if self.blocks[0].still else None

    def correct(self, views: Views, progress: Progress = no_progress) -> Tensor:
        """[K, GRID, GRID] smooth corrections of log values: views that overlap meet, each bending a little."""
        bends = torch.zeros(self.count, GRID * GRID, dtype=torch.float64, device=self.device)
        if not self.config.correction_rounds:
            return bends.reshape(-1, GRID, GRID)
        energy = _bending().to(self.device)
        small = torch.eye(GRID * GRID, dtype=torch.float64, device=self.device)
        # Only observations in their own frame's views take part; where a mover went, its view differs by point.
        places = []
        for block in self.blocks:
            pixels, _ = views.project(block.points.direction)
            at = pixels / views.size
            rows = [(block.weight[:, v::VIEWS].amax(1) > 0).nonzero()[:, 0] for v in range(VIEWS)]
            x = [spline_basis(at[v, r, 0]) for v, r in enumerate(rows)]
            y = [spline_basis(at[v, r, 1]) for v, r in enumerate(rows)]
            basis = [(b[:, :, None] * a[:, None]).flatten(1).double() for a, b in zip(x, y, strict=True)]
            places.append((rows, basis))
        logs = [self.values(b).clamp_min(1e-6).log() for b in self.blocks]
        for _ in track(range(self.config.correction_rounds), progress, "smooth corrections"):
            normal = torch.zeros(self.count, GRID * GRID, GRID * GRID, dtype=torch.float64, device=self.device)
            right = torch.zeros(self.count, GRID * GRID, dtype=torch.float64, device=self.device)
            mass = torch.zeros(self.count, dtype=torch.float64, device=self.device)
            for block, log, (rows, basis) in zip(self.blocks, logs, places, strict=True):
                columns = block.columns(self.position)
                own = len(block.frames) if block.still else 1
                bent = log.clone()
                for v in range(VIEWS):
                    for f in range(own):
                        bent[rows[v], f * VIEWS + v] += (basis[v] @ bends[columns[f * VIEWS + v]]).float()
                target, weight = _log_consensus(bent, block, self.width)
                for v in range(VIEWS):
                    mine = torch.arange(own, device=self.device) * VIEWS + v
                    w = weight[rows[v]][:, mine].double()
                    e = (target[rows[v]][:, None] - log[rows[v]][:, mine]).double()
                    k = columns[mine]
                    normal.index_add_(0, k, torch.einsum("lf,li,lj->fij", w, basis[v], basis[v]))
                    right.index_add_(0, k, torch.einsum("lf,li->fi", w * e, basis[v]))
                    mass.index_add_(0, k, w.sum(0))
            stiff = self.config.stiffness * energy + self.config.reluctance * small
            normal = normal + mass.clamp_min(1e-6)[:, None, None] * stiff
            bends = torch.linalg.solve(normal, right)
        return bends.reshape(-1, GRID, GRID)


def _log_consensus(logs: Tensor, block: Block, width: float) -> tuple[Tensor, Tensor]:
    """Agreed log value [M] of observations [M, C], and their robust weights [M, C]."""
    weight = block.weight
    middle = torch.where(weight > 0, logs, torch.nan).nanmedian(1).values.nan_to_num()
    for _ in range(2):
        trust = weight * robust(logs - middle[:, None], width)
        top, bottom = (trust * logs).sum(1), trust.sum(1)
        if block.known is not None:
            strength = torch.where(block.known.isnan(), 0.0, weight.sum(1).clamp_min(1.0))
            top = top + strength * block.known.nan_to_num(1.0).clamp_min(1e-6).log()
            bottom = bottom + strength
        middle = torch.where(bottom > 1e-6, top / bottom.clamp_min(1e-6), middle)
    return middle, trust


def _bending() -> Tensor:
    """[GRID^2, GRID^2] quadratic form of the second differences of a grid of spline coefficients."""
    second = torch.zeros(GRID - 2, GRID, dtype=torch.float64)
    for i in range(GRID - 2):
        second[i, i : i + 3] = torch.tensor([1.0, -2.0, 1.0])
    first = torch.diff(torch.eye(GRID, dtype=torch.float64), dim=0)
    eye = torch.eye(GRID, dtype=torch.float64)
    bend, slope = second.T @ second, first.T @ first
    return torch.kron(bend, eye) + torch.kron(eye, bend) + 2 * torch.kron(slope, slope)
