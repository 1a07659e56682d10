"""Adam (Kingma and Ba 2015) for splats: a step size for each row, an epsilon that means something."""

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Group:
    """One parameter and how it moves."""

    tensor: Tensor  # [N, ...] the leaf
    rate: float  # step size in the units of ``unit``
    eps: float  # gradients (per unit) well below this move little: splats that hardly show keep what they have
    unit: Tensor | None = None  # [N, 1...] size of one unit for each row; None: 1
    mean: Tensor = field(init=False)
    square: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.mean, self.square = torch.zeros_like(self.tensor), torch.zeros_like(self.tensor)


class Adam:
    """Groups by name. State has one row a splat, like the parameters."""

    def __init__(self, groups: dict[str, Group], betas: tuple[float, float] = (0.9, 0.99)) -> None:
        self.groups, self.betas, self.steps = groups, betas, 0

    @torch.no_grad()
    def step(self, factor: float = 1.0) -> None:
        """One step with all rates times ``factor``; gradients are taken and cleared."""
        self.steps += 1
        b1, b2 = self.betas
        c1, c2 = 1 - b1**self.steps, (1 - b2**self.steps) ** 0.5
        for group in self.groups.values():
            gradient = group.tensor.grad
            if gradient is None or group.rate == 0:
                group.tensor.grad = None
                continue
            if group.unit is not None:
                gradient = gradient * group.unit
            group.mean.lerp_(gradient, 1 - b1)
            group.square.mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
            change = group.mean / (group.square.sqrt().div_(c2).add_(group.eps))
            if group.unit is not None:
                change = change * group.unit
            group.tensor.add_(change, alpha=-group.rate * factor / c1)
            group.tensor.grad = None

    def state(self) -> dict[str, Tensor]:
        """Moments by name, for a checkpoint."""
        out = {}
        for name, group in self.groups.items():
            out[f"{name}.mean"], out[f"{name}.square"] = group.mean, group.square
        return out

    def load(self, state: dict[str, Tensor], steps: int) -> None:
        """Take the moments of :meth:`state` back."""
        self.steps = steps
        for name, group in self.groups.items():
            group.mean, group.square = (state[f"{name}.{k}"].to(group.tensor).clone() for k in ("mean", "square"))
