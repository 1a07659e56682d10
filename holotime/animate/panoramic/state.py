"""The saved state of a run: after every step all that the next one needs is written, and a later run goes on there.

Besides the latent that is what the scheduler remembers (the history of a multistep solver, its place in the schedule),
the state of the random numbers, and the frames of windows that are finished.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from holotime.files import whole_file

Plain = dict[str, Any]  # what JSON can hold


@dataclass(frozen=True)
class Saved:
    """Where a window's sampling stopped."""

    window: int
    next: int  # number of the step to run next
    tensors: dict[str, Tensor]
    plain: Plain = field(default_factory=dict)


@dataclass(frozen=True)
class RunState:
    """Files of one run in a folder; a run with other inputs does not read them."""

    folder: Path
    fingerprint: str  # of everything that the result depends on

    def _path(self, what: str) -> Path:
        return self.folder / f"video-{self.fingerprint[:16]}-{what}.safetensors"

    def save(self, saved: Saved) -> None:
        """Replace the state of the window in work."""
        metadata = {
            "fingerprint": self.fingerprint,
            "window": str(saved.window),
            "next": str(saved.next),
            "plain": json.dumps(saved.plain),
        }
        tensors = {name: t.detach().to("cpu", copy=True).contiguous() for name, t in saved.tensors.items()}
        with whole_file(self._path("step")) as partial:
            save_file(tensors, partial, metadata)

    def load(self, note: Callable[[str], None]) -> Saved | None:
        """Where this run stopped, or None to begin. A damaged file is reported through ``note`` and not used."""
        found = self._read("step", note)
        if found is None:
            return None
        tensors, metadata = found
        try:
            return Saved(int(metadata["window"]), int(metadata["next"]), tensors, json.loads(metadata["plain"]))
        except (KeyError, ValueError) as error:
            note(f"The saved state {self._path('step')} could not be used ({error}); began anew.")
            return None

    def save_frames(self, window: int, frames: NDArray[np.uint8]) -> None:
        """Keep the frames [T, h, w, 3] of a finished window."""
        with whole_file(self._path(f"window{window}")) as partial:
            save_file({"frames": torch.from_numpy(frames)}, partial, {"fingerprint": self.fingerprint})

    def load_frames(self, window: int, note: Callable[[str], None]) -> NDArray[np.uint8] | None:
        """The frames of a finished window, None when there are none."""
        found = self._read(f"window{window}", note)
        return None if found is None else found[0]["frames"].numpy()

    def clear(self) -> None:
        """Forget everything (when the clip is complete)."""
        for path in self.folder.glob(f"video-{self.fingerprint[:16]}-*.safetensors"):
            path.unlink(missing_ok=True)

    def _read(self, what: str, note: Callable[[str], None]) -> tuple[dict[str, Tensor], dict[str, str]] | None:
        path = self._path(what)
        if not path.is_file():
            return None
        try:
            with safe_open(str(path), "pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
            if metadata["fingerprint"] != self.fingerprint:
                raise ValueError("it belongs to another run")
            return tensors, metadata
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            note(f"The saved state {path} could not be used ({error}); began anew.")
            return None


def pack(owner: object) -> tuple[dict[str, Tensor], Plain]:
    """What a scheduler remembers: its attributes that are tensors, numbers, words, or lists of them."""
    tensors: dict[str, Tensor] = {}
    plain: Plain = {}
    for name, value in vars(owner).items():
        if isinstance(value, Tensor):
            tensors[name] = value
        elif isinstance(value, list) and all(isinstance(v, Tensor | int | float | None) for v in value):
            held = {i: v for i, v in enumerate(value) if isinstance(v, Tensor)}
            tensors |= {f"{name}.{i}": v for i, v in held.items()}
            plain[name] = {"list": [None if i in held else v for i, v in enumerate(value)]}
        elif value is None or isinstance(value, bool | int | float | str):
            plain[name] = value
    return tensors, plain


def unpack(owner: object, tensors: dict[str, Tensor], plain: Plain, device: torch.device) -> None:
    """Give a scheduler back what it remembered; tensors that it does not hold now go to ``device``."""
    for name, value in plain.items():
        if isinstance(value, dict):
            items: list[Any] = list(value["list"])
            for i in range(len(items)):
                if f"{name}.{i}" in tensors:
                    items[i] = tensors[f"{name}.{i}"].to(device)
            setattr(owner, name, items)
        else:
            setattr(owner, name, value)
    for name, tensor in tensors.items():
        if "." not in name:
            now = getattr(owner, name, None)
            setattr(owner, name, tensor.to(now.device if isinstance(now, Tensor) else device))
