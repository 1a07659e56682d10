"""Pipelines in the layout of diffusers: finding one by name, hub id or folder, looking into it, loading it."""

import difflib
import importlib
import importlib.util
import json
import math
import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from holotime.errors import BackendUnavailable, InputError
from holotime.weights import repository
from holotime.weights.registry import MODELS
from holotime.weights.store import file_stamp, locate

HEADER_LIMIT = 1 << 27  # bytes of a safetensors header that can be true
HALF = "fp16"  # the only variant that publishers use


@dataclass(frozen=True)
class PipelineFiles:
    """A whole pipeline in a folder."""

    name: str  # as it was asked for: a registered name, a hub id, or a folder
    folder: Path
    cls: str  # the pipeline's class
    parts: dict[str, str]  # part -> its class
    variant: str | None  # "fp16" when there are only files of half precision

    def config(self, part: str) -> dict[str, Any]:
        """The configuration of a part; empty when it has none."""
        for name in ("config.json", "scheduler_config.json", "preprocessor_config.json"):
            if (self.folder / part / name).is_file():
                return _json(self.folder / part / name)
        return {}

    def index(self) -> dict[str, Any]:
        """What model_index.json says besides the parts (``boundary_ratio`` and the like)."""
        index = _json(self.folder / "model_index.json")
        return {k: v for k, v in index.items() if k not in self.parts and not k.startswith("_")}

    def part_bytes(self, dtype: torch.dtype | Mapping[str, torch.dtype]) -> dict[str, int]:
        """part -> bytes of its weights in memory, from the headers of its files. ``dtype``: see load_pipeline."""
        sizes = {}
        for part in self.parts:
            count = sum(_numbers(path) for path in self._weights(part))
            if count:
                sizes[part] = count * _dtype_of(part, dtype).itemsize
        return sizes

    def fingerprint(self) -> list[str]:
        """A stamp of each file of weights and of the index: they change when the model does."""
        files = [self.folder / "model_index.json", *(f for part in self.parts for f in self._weights(part))]
        return [file_stamp(path) for path in files]

    def _weights(self, part: str) -> list[Path]:
        """The files of weights of a part that are loaded."""
        files = sorted((self.folder / part).glob("*.safetensors"))
        half = [f for f in files if f".{HALF}." in f.name]
        return half if self.variant and half else [f for f in files if f not in half]


def require(name: str) -> ModuleType:
    """Import an optional package. Raises BackendUnavailable with the command that installs it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BackendUnavailable(
            f"This needs the package {name} ({error}). Install it with: pip install 'holotime[diffusion]'"
        ) from error


def find_pipeline(name: str, classes: Collection[str], job: str) -> PipelineFiles:
    """The pipeline ``name`` (registered, a hub id OWNER/REPOSITORY, or a folder) whose class is one of ``classes``.

    ``job`` says in errors what it is for ("image to video"). Raises InputError for a name that cannot be meant (with
    the closest ones), for a folder that is no whole pipeline and for a pipeline of another kind; BackendUnavailable,
    with the exact hub id and the folder to fill, when the model is not here.
    """
    folder = _folder(name)
    if lacking := repository.lacking(folder):
        raise InputError(
            f"{folder} is not a whole pipeline: it lacks {', '.join(lacking[:4])}. It must hold model_index.json and a "
            "folder for each part, as diffusers saves them."
        )
    index = _json(folder / "model_index.json")
    cls = index.get("_class_name")
    if cls not in classes:
        raise InputError(
            f"The model {name} is a {cls if isinstance(cls, str) else 'pipeline with code of its own'}, which cannot "
            f"be used for {job}. Take one of these classes: {', '.join(sorted(classes))}."
        )
    parts = {k: str(v[1]) for k, v in index.items() if isinstance(v, list) and len(v) == 2 and v[0] and v[1]}
    own = [k for k, v in index.items() if k in parts and "." in str(v[0])]
    if own:
        raise InputError(f"The model {name} brings code of its own for {', '.join(own)}, which is not run.")
    half = False
    for part in parts:
        files = {f.name for f in (folder / part).glob("*.safetensors")}
        if not files and (
            pickles := [f.name for f in (folder / part).iterdir() if f.suffix in (".bin", ".pt", ".pth")]
        ):
            raise InputError(
                f"The model {name} has {part} only as {pickles[0]}, a file that may run code when it is read. Take a "
                "model that is published in safetensors, or convert it."
            )
        if not files and (folder / part / "config.json").is_file():
            raise InputError(f"The model {name} lacks the weights of its {part}: no safetensors in {folder / part}.")
        half = half or (bool(files) and all(f".{HALF}." in f for f in files))
    return PipelineFiles(name, folder, str(cls), parts, HALF if half else None)


def load_pipeline(files: PipelineFiles, cls: str, dtype: torch.dtype | Mapping[str, torch.dtype], **parts: Any) -> Any:
    """The pipeline as class ``cls`` of diffusers, on the CPU, from its folder alone; no code of a repository is run.

    ``dtype``: of every part, or a mapping from part to its own with "default" for the others. ``parts`` replaces parts
    by objects that exist, or leaves one out with None. Raises InputError when a file is damaged or does not fit.
    """
    diffusers = require("diffusers")
    require("transformers")
    from safetensors import SafetensorError

    made: Callable[..., Any] = getattr(diffusers, cls).from_pretrained
    kind = dict(dtype) if isinstance(dtype, Mapping) else dtype
    try:
        with _no_bars():
            pipeline = made(
                files.folder,
                dtype=kind,
                variant=files.variant,
                local_files_only=True,
                use_safetensors=True,
                low_cpu_mem_usage=_has("accelerate"),
                **parts,
            )
    except ImportError as error:
        raise BackendUnavailable(f"{files.name} needs a package that is not here: {error}") from error
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, AttributeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(
            f"The model {files.name} in {files.folder} could not be loaded as {cls} ({reason}). If a file is damaged, "
            "remove it and fetch the model again."
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    return pipeline


@contextmanager
def _no_bars() -> Iterator[None]:
    """Keep the libraries from drawing progress bars across ours."""
    logs = [importlib.import_module(f"{name}.utils.logging") for name in ("diffusers", "transformers")]
    shown = [log for log in logs if log.is_progress_bar_enabled()]
    for log in shown:
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log in shown:
            log.enable_progress_bar()


def _folder(name: str) -> Path:
    """The folder that ``name`` stands for."""
    path = Path(name)
    if not name.strip():
        raise InputError("No model is named. Give a name of `holotime weights list`, a hub id, or a folder.")
    if path.is_dir() and name not in MODELS:
        return path
    try:
        found = locate(name)
    except BackendUnavailable as error:
        near = _near(name)
        raise BackendUnavailable(f"{error}{f' Or did you mean {near}?' * bool(near)}") from error
    if not found.is_dir():
        raise InputError(f"{name} is a single file, not a pipeline. Give a hub id, or a folder saved by diffusers.")
    return found


def _near(name: str) -> str:
    """Registered hub ids that resemble one that is not registered."""
    known = [m.repository for m in MODELS.values() if m.repository]
    if name in MODELS or name.casefold() in (k.casefold() for k in known):
        return ""
    return " or ".join(difflib.get_close_matches(name, known, 2, 0.7))


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}). Fetch the model again.") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} is not what it should be. Fetch the model again.")
    return value


def _numbers(path: Path) -> int:
    """How many numbers a safetensors file holds, from its header."""
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > HEADER_LIMIT:
                raise ValueError("no header")
            header = json.loads(file.read(size))
        return sum(math.prod(v["shape"]) for k, v in header.items() if k != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise InputError(f"{path} is damaged ({error}). Remove it and fetch the model again.") from error


def _dtype_of(part: str, dtype: torch.dtype | Mapping[str, torch.dtype]) -> torch.dtype:
    return dtype if isinstance(dtype, torch.dtype) else dtype.get(part, dtype["default"])


def _has(name: str) -> bool:
    """Whether an optional package is here."""
    return importlib.util.find_spec(name) is not None
