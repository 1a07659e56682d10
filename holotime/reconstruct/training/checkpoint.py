"""Checkpoints of a training: one safetensors file, complete or not there; a resumed run goes on exactly."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from holotime.errors import HoloTimeError, InputError
from holotime.files import write_whole

FORMAT = "holotime-training"


def write(path: Path, tensors: dict[str, Tensor], meta: dict[str, str]) -> None:
    """Write ``tensors`` and ``meta``; the file appears under its name when it is complete.

    A full disk ends the run with what was written last still in place.
    """
    try:
        data = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
        write_whole(path, save(data, {"format": FORMAT, **meta}))
    except OSError as error:
        raise HoloTimeError(
            f"The checkpoint {path} cannot be written ({error.strerror}). The last one is kept; make room, run again."
        ) from error


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """(tensors, meta) of a checkpoint. InputError for anything that is not one."""
    try:
        with safe_open(str(path), "pt") as file:
            meta = dict(file.metadata() or {})
            if meta.get("format") != FORMAT:
                raise InputError(f"{path} is not a training checkpoint. Give another file or remove it.")
            return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118 - safe_open is no mapping
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a readable checkpoint ({error}). Remove it to start anew.") from error


def describe(config: dict, splats: int, source: str) -> str:
    """A text that two runs share only if one may go on with the other's checkpoint."""
    return json.dumps({"config": config, "splats": splats, "source": source}, sort_keys=True, default=str)
