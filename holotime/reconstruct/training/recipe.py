"""The published recipe."""

from holotime.reconstruct.training.schedule import log_linear


def position_rate(step: int, extent: float) -> float:
    return log_linear(step, 1.6e-4 * extent, 1.6e-6 * extent, 35_000)
