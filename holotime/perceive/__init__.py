"""Perceive: from a panorama or a clip to distance, classes, flow and motion masks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Class indices of the embedded network, in the order of its logits.
CLASSES = ("sky", "water", "ground", "vegetation", "solid", "fire", "mover")
SKY, WATER, GROUND, VEGETATION, SOLID, FIRE, MOVER = range(7)
EYE_HEIGHT = 1.6  # metres; anchors the scale of every distance


@dataclass(frozen=True)
class ImagePerception:
    """What one panorama shows."""

    distance: NDArray[np.float32]  # [H, W] metres along the ray, +inf for sky
    classes: NDArray[np.float32]  # [H, W, 7] probabilities in the order of CLASSES
    log_error: NDArray[np.float32]  # [H, W] expected |error| of log distance; large = uncertain
    backend: str  # what made it: "network", "prior", or a depth network and how well its views agreed


@dataclass(frozen=True)
class ClipPerception:
    """What a clip shows, smooth in time.

    Flow is in pixels of the equirect per frame (x to the right, y down); in a loop the frame after the last is the
    first, otherwise the flow out of the clip is zero.
    """

    distance: NDArray[np.float32]  # [T, H, W] metres along the ray, +inf for sky
    classes: NDArray[np.float32]  # [H, W, 7] probabilities averaged over the clip
    flow_forward: NDArray[np.float16]  # [T, H, W, 2] from frame i to i + 1
    flow_backward: NDArray[np.float16]  # [T, H, W, 2] from frame i to i - 1
    visible_next: NDArray[np.bool_]  # [T, H, W] the pixel is still seen in frame i + 1 (forward-backward check)
    moving: NDArray[np.bool_]  # [H, W] the pixel changes at some time of the clip
    backend: str  # what made it: "network", "prior", or a depth network and how well its views agreed


# The stage's functions need the contract above, so they are imported after it.
from holotime.perceive.clip import perceive_clip  # noqa: E402
from holotime.perceive.predict import perceive_image  # noqa: E402

__all__ = [
    "CLASSES",
    "EYE_HEIGHT",
    "FIRE",
    "GROUND",
    "MOVER",
    "SKY",
    "SOLID",
    "VEGETATION",
    "WATER",
    "ClipPerception",
    "ImagePerception",
    "perceive_clip",
    "perceive_image",
]
