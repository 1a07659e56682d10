"""Learning rates over time."""

import math


def log_linear(step: int, first: float, last: float, steps: int) -> float:
    """A rate that falls from ``first`` to ``last`` in equal ratios over ``steps``, then stays."""
    share = min(max(step / steps, 0.0), 1.0)
    return math.exp((1 - share) * math.log(first) + share * math.log(last))


def cosine(share: float, last: float = 0.03, warm: float = 0.02) -> float:
    """A factor that rises from 0 over the first ``warm`` of the run, then falls from 1 to ``last`` along a cosine."""
    if share < warm:
        return max(share / warm, 0.05)
    u = min((share - warm) / (1 - warm), 1.0)
    return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * u))
