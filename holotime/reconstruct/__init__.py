"""Reconstruct: from a clip with distance and flow to a Scene4D.

A reconstruction is a callable ``(clip, perception, config, *, progress) -> Scene4D``. The embedded one is
:func:`lift`: analytic, deterministic, on a plain CPU.
"""

from typing import Any, Protocol

from holotime.clip import Clip
from holotime.perceive import ClipPerception
from holotime.progress import Progress
from holotime.reconstruct.lift import LiftConfig, lift
from holotime.reconstruct.sweeps import coverage, eye_psnr
from holotime.scene4d import Scene4D


class Reconstruction(Protocol):
    """The stage's contract. Raises InputError for input that does not fit together, Cancelled through progress."""

    def __call__(
        self, clip: Clip, perception: ClipPerception, config: Any = None, *, progress: Progress = ...
    ) -> Scene4D: ...


__all__ = ["LiftConfig", "Reconstruction", "coverage", "eye_psnr", "lift"]
