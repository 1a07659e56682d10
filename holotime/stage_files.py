"""Results of stages as files in the cache."""

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from holotime.animate import Animated
from holotime.clip import Clip

T = TypeVar("T")


def save_arrays(result: Any, folder: Path) -> None:
    """Keep a dataclass of arrays, numbers and texts."""
    values = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    np.savez(folder / "arrays.npz", **values)


def load_arrays(folder: Path, cls: type[T]) -> T:
    """The dataclass ``cls`` that :func:`save_arrays` has kept."""
    with np.load(folder / "arrays.npz", allow_pickle=False) as file:
        values = {name: file[name] for name in file.files}
    return cls(**{name: v.item() if v.ndim == 0 else v for name, v in values.items()})


def save_animated(result: Animated, folder: Path) -> None:
    """Keep a clip and how it was made, without loss."""
    clip = result.clip
    texts = {name: np.array(getattr(result, name), dtype=np.str_) for name in ("notes", "models")}
    arrays = {"moving": result.moving, **texts}
    np.savez(
        folder / "animated.npz", frames=clip.frames, fps=clip.fps, loop=clip.loop, backend=result.backend,
        **arrays,  # type: ignore[arg-type]  # none is named allow_pickle
    )  # fmt: skip


def load_animated(folder: Path) -> Animated:
    """What :func:`save_animated` has kept."""
    with np.load(folder / "animated.npz", allow_pickle=False) as file:
        clip = Clip(file["frames"], float(file["fps"]), bool(file["loop"]))
        notes = [str(note) for note in file["notes"]]
        models = tuple(str(name) for name in file["models"])
        return Animated(clip, file["moving"], notes, str(file["backend"]), models)
