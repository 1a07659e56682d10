"""Densification: more splats where the picture needs them, or unused ones moved there.

``gradient``: clone small and split large splats whose centre is pulled hard (Kerbl et al. 2023; the pull is measured in
radians). ``mcmc``: splats that have become transparent move to others, drawn by opacity (Kheradmand et al. 2024); the
copies share the opacity so that the picture stays. ``none``: the lift's splats are kept.
"""

import math

import torch
from torch import Tensor

from holotime.reconstruct.training.config import TrainConfig
from holotime.reconstruct.training.model import SpacetimeGaussians

EVERY = 100  # steps between two changes
UNTIL = 0.6  # share of the run after which nothing changes any more
FRACTION = 0.03  # of the splats are cloned or split at a time
FAINT = 0.02  # opacity under which a splat is given up
LARGE = 0.008  # radians: larger splats are split, smaller cloned
Plan = tuple[Tensor, Tensor, dict[str, Tensor]]  # rows, which are fresh, changed parameters


class Growth:
    """Watches gradients and says which splats to copy."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.random = torch.Generator().manual_seed(config.seed + 1)
        self.pull = torch.zeros(0)
        self.seen = torch.zeros(0)

    @torch.no_grad()
    def observe(self, model: SpacetimeGaussians) -> None:
        """Take note of the positions' gradients, before the optimiser clears them."""
        if self.config.densify != "gradient" or model.means.grad is None:
            return
        if len(self.pull) != len(model):
            self.pull = torch.zeros(len(model), device=model.means.device)
            self.seen = torch.zeros_like(self.pull)
        pull = (model.means.grad * model.means.detach().norm(dim=-1, keepdim=True)).norm(dim=-1)
        self.pull += pull
        self.seen += pull > 0

    @torch.no_grad()
    def plan(self, model: SpacetimeGaussians, step: int, share: float) -> Plan | None:
        """The change that is due after ``step``, or None."""
        if self.config.densify == "none" or step % EVERY or share > UNTIL:
            return None
        return self._split(model) if self.config.densify == "gradient" else self._relocate(model)

    def _split(self, model: SpacetimeGaussians) -> Plan | None:
        count, device = len(model), model.means.device
        opacity = torch.sigmoid(model.opacity_logits)
        keep = torch.nonzero(opacity > FAINT)[:, 0]
        room = min(int(FRACTION * count), self.config.budget - len(keep))
        pull = self.pull / self.seen.clamp_min(1)
        pull[opacity <= FAINT] = 0
        self.pull, self.seen = torch.zeros(0), torch.zeros(0)
        chosen = torch.topk(pull, max(room, 0)).indices
        if not len(chosen) and len(keep) == count:
            return None
        source = torch.cat([keep, chosen])
        fresh = torch.zeros(len(source), dtype=torch.bool, device=device)
        fresh[len(keep) :] = True
        # Both halves of a split splat lie one standard deviation from its centre along its longest axis.
        means, log_scales = model.means.detach()[source], model.log_scales.detach()[source].clone()
        is_chosen = torch.zeros(count, dtype=torch.bool, device=device)
        is_chosen[chosen] = True
        halves = is_chosen[source]
        longest = log_scales.argmax(-1)
        size = torch.exp(log_scales.gather(1, longest[:, None])[:, 0])
        large = halves & (size > LARGE * means.norm(dim=-1))
        axis = rotations(model.quats.detach()[source])[torch.arange(len(source), device=device), :, longest]
        side = torch.where(fresh, 0.7, -0.7)
        means = means + torch.where(large, side * size, torch.zeros_like(size))[:, None] * axis
        row = torch.nonzero(large)[:, 0]
        log_scales[row, longest[row]] -= math.log(1.6)
        logits = model.opacity_logits.detach()[source].clone()
        shared = halves & ~large
        logits[shared] = _shared(logits[shared], 2)
        return source, fresh, {"means": means, "log_scales": log_scales, "opacity_logits": logits}

    def _relocate(self, model: SpacetimeGaussians) -> Plan | None:
        opacity = torch.sigmoid(model.opacity_logits)
        dead = torch.nonzero(opacity <= FAINT)[:, 0]
        alive = torch.nonzero(opacity > FAINT)[:, 0]
        grown = min(int(FRACTION * len(model)), self.config.budget - len(model))
        wanted = len(dead) + max(grown, 0)
        if not wanted or not len(alive):
            return None
        chance = opacity[alive].double().cpu()
        pick = torch.multinomial(chance / chance.sum(), wanted, replacement=True, generator=self.random)
        chosen = alive[pick.to(alive.device)]
        source = torch.cat([alive, chosen])
        fresh = torch.zeros(len(source), dtype=torch.bool, device=source.device)
        fresh[len(alive) :] = True
        copies = torch.bincount(source, minlength=len(model))[source]
        logits = _shared(model.opacity_logits.detach()[source], copies)
        noise = torch.randn(wanted, 3, generator=self.random).to(model.means.device)
        scales = torch.exp(model.log_scales.detach()[chosen])
        means = model.means.detach()[source].clone()
        means[len(alive) :] += (rotations(model.quats.detach()[chosen]) @ (0.5 * noise * scales)[..., None])[..., 0]
        return source, fresh, {"opacity_logits": logits, "means": means}

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {"random": self.random.get_state(), "pull": self.pull, "seen": self.seen}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on where :meth:`state` was taken."""
        self.random.set_state(state["random"].cpu())
        self.pull, self.seen = state["pull"], state["seen"]


def _shared(logits: Tensor, copies: Tensor | int) -> Tensor:
    """Logits of ``copies`` splats at one place that together are as opaque as one: 1 - (1 - o)^(1/n)."""
    opacity = torch.sigmoid(logits)
    return torch.logit((1 - (1 - opacity) ** (1 / torch.as_tensor(copies, device=logits.device))).clamp(1e-4, 1 - 1e-4))


def rotations(quats: Tensor) -> Tensor:
    """[N, 3, 3] rotation matrices of quaternions [N, 4] wxyz of any length."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, -1).reshape(-1, 3, 3)
