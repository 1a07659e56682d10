"""The saved state of a run: after every step the latent is written, and a later run goes on from there."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from holotime.files import whole_file


@dataclass(frozen=True)
class Saved:
    """Where a run stopped."""

    stage: str  # guidance or refinement
    next: int  # number of the step to run next
    x: Tensor  # latent before that step, [1, 4, T, H, W] of a clip


@dataclass(frozen=True)
class RunState:
    """One file in a folder, replaced after every step. A run with other inputs does not read it."""

    folder: Path  # made when the first step is saved
    fingerprint: str  # of everything the result depends on
    what: str = "animator"  # whose state it is, for the file's name

    @property
    def path(self) -> Path:
        """The file of this run."""
        return self.folder / f"{self.what}-{self.fingerprint[:16]}.safetensors"

    def save(self, stage: str, next_step: int, x: Tensor) -> None:
        """Keep the latent x [1, 4, T, H, W] before step ``next_step`` of ``stage``."""
        metadata = {"stage": stage, "next": str(next_step), "fingerprint": self.fingerprint}
        with whole_file(self.path) as partial:
            save_file({"x": x.detach().float().cpu().contiguous()}, partial, metadata)

    def load(self, note: Callable[[str], None]) -> Saved | None:
        """Where this run stopped, or None to begin. A damaged file is reported through ``note`` and not used."""
        if not self.path.is_file():
            return None
        try:
            with safe_open(str(self.path), "pt") as f:
                metadata = f.metadata() or {}
                x = f.get_tensor("x")
            if metadata["fingerprint"] != self.fingerprint or not torch.isfinite(x).all():
                raise ValueError("it belongs to another run")
            return Saved(metadata["stage"], int(metadata["next"]), x)
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            note(f"The saved state {self.path} could not be used ({error}); began anew.")
            return None

    def clear(self) -> None:
        """Forget the state (when the clip is complete)."""
        self.path.unlink(missing_ok=True)
