"""Splats that stand still: the Gaussians of one time as a scene."""

import numpy as np

from holotime.scene4d import ALWAYS, Gaussians, Scene4D


def static_scene(gaussians: Gaussians, source: str) -> Scene4D:
    """A scene of splats that do not move; ``source`` is noted as where they came from."""
    count = len(gaussians)
    opacity = np.clip(gaussians.opacities.astype(np.float64), 1e-6, 1 - 1e-6)
    return Scene4D(
        means=gaussians.means,
        motion=np.zeros((count, 3, 3), np.float32),
        quats=gaussians.quats,
        omegas=np.zeros((count, 4), np.float32),
        log_scales=np.log(np.maximum(gaussians.scales, 1e-9)),
        opacity_logits=np.log(opacity / (1 - opacity)),
        t_centers=np.zeros(count, np.float32),
        t_log_scales=np.full(count, ALWAYS, np.float32),
        colors=gaussians.colors,
        provenance={"source": source},
    )
