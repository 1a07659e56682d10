"""Animate: from one panorama to a looping panoramic clip.

An animator is anything that has the shape of :class:`Animator`. The embedded default is :mod:`holotime.animate.flow`.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from holotime.clip import Clip
from holotime.perceive import ImagePerception
from holotime.progress import Progress, no_progress


@dataclass(frozen=True)
class Animated:
    """A clip and how it was made."""

    clip: Clip
    moving: NDArray[np.bool_]  # [H, W] False where every frame equals the panorama bit for bit
    notes: list[str] = field(default_factory=list)  # what was found and decided, one sentence each, for the report
    backend: str = "flow"
    models: tuple[str, ...] = ()  # names (see holotime.weights), hub ids or files of the networks that were used


class Animator(Protocol):
    """Turns a panorama and what was perceived in it into a clip of the same size."""

    def __call__(
        self,
        panorama: NDArray[np.uint8],  # [H, W, 3] sRGB
        perception: ImagePerception,
        config: Any,
        *,
        hint: NDArray | None = None,  # [h, w, 4] motion brush, see holotime.animate.hint
        progress: Progress = no_progress,
    ) -> Animated: ...
