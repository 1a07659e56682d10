"""Where model files lie, fetching them, checking them, removing them."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from holotime.errors import BackendUnavailable, InputError
from holotime.progress import Progress, no_progress, part
from holotime.weights.download import download
from holotime.weights.registry import MODELS, Model, ModelFile
from holotime.weights.safe import read_tensors


def cache_dir() -> Path:
    """The folder for everything that can be made or fetched again: HOLOTIME_CACHE, else the user's cache folder."""
    chosen = os.environ.get("HOLOTIME_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("holotime", appauthor=False))


def models_dir() -> Path:
    """The folder of fetched model files; a user may put files there by hand."""
    return cache_dir() / "models"


def search_dirs() -> list[Path]:
    """Folders that are looked through: those in HOLOTIME_WEIGHTS, then the cache."""
    own = [Path(p) for p in os.environ.get("HOLOTIME_WEIGHTS", "").split(os.pathsep) if p]
    return [*own, models_dir()]


@dataclass(frozen=True)
class Status:
    """What is here of a model."""

    model: Model
    paths: tuple[Path | None, ...]  # one a file; None when it is not here

    @property
    def present(self) -> bool:
        """Whether every file is here."""
        return all(self.paths)


def _model(name: str) -> Model:
    if name not in MODELS:
        raise InputError(f"There is no model called {name}. Known: {', '.join(MODELS)}.")
    return MODELS[name]


def status(name: str) -> Status:
    """Which files of a registered model are here."""
    model = _model(name)

    def find(file: ModelFile) -> Path | None:
        return next((d / file.name for d in search_dirs() if (d / file.name).is_file()), None)

    return Status(model, tuple(find(f) for f in model.files))


def locate(name: str) -> Path:
    """The (first) file of a registered model, or ``name`` itself when it is a path.

    Raises BackendUnavailable that says which file to put where, InputError for a name that is neither.
    """
    if name in MODELS:
        found = status(name)
        if not found.present:
            file = found.model.files[found.paths.index(None)]
            raise BackendUnavailable(
                f"The weights of {name} are not here. Fetch them with `holotime weights get {name}` (about "
                f"{found.model.approximate_gb:g} GB), or put the file {file.name} from {found.model.source} into "
                f"{models_dir()} or a folder named in HOLOTIME_WEIGHTS."
            )
        assert found.paths[0] is not None
        return found.paths[0]
    path = Path(name)
    if not path.is_file():
        raise InputError(f"{name} is neither a file nor a known model ({', '.join(MODELS)}).")
    return path


def get(name: str, progress: Progress = no_progress, fetch: Callable[..., str] = download) -> list[Path]:
    """Fetch what is missing of a model; goes on where an earlier try stopped. Returns its files.

    Raises InputError when the disk is too small or a checksum is wrong, BackendUnavailable when the source cannot be
    reached.
    """
    found = status(name)
    folder = models_dir()
    folder.mkdir(parents=True, exist_ok=True)
    missing = [f for f, p in zip(found.model.files, found.paths, strict=True) if p is None]
    if missing:
        known = [f.bytes for f in missing if f.bytes is not None]
        needed = sum(known) if len(known) == len(missing) else found.model.approximate_gb * 1e9
        partial = sum(
            (folder / f"{f.name}.part").stat().st_size for f in missing if (folder / f"{f.name}.part").exists()
        )
        free = shutil.disk_usage(folder).free
        if free < needed - partial:
            raise InputError(
                f"{name} needs {(needed - partial) / 1e9:.1f} GB on the disk of {folder}, which has "
                f"{free / 1e9:.1f} GB free. Make room, or set HOLOTIME_CACHE to a folder on another disk."
            )
    for i, file in enumerate(missing):
        target = folder / file.name
        sha256 = fetch(file.url, target, file.sha256, part(progress, i / len(missing), (i + 1) / len(missing)))
        _record(target).write_text(json.dumps({"sha256": sha256, "url": file.url}), encoding="utf-8")
    return [p for p in status(name).paths if p is not None]


def verify(name: str, progress: Progress = no_progress) -> dict[str, str]:
    """Check a model's files: readable without running code, and the checksum where one is known.

    Returns a sentence a file. Raises InputError for a damaged file, BackendUnavailable when a file is not here.
    """
    locate(name)
    found = status(name)
    results = {}
    for file, path in zip(found.model.files, found.paths, strict=True):
        assert path is not None
        actual = sha256_of(path, progress)
        record = _record(path)
        recorded = json.loads(record.read_text(encoding="utf-8"))["sha256"] if record.is_file() else None
        expected = file.sha256 or recorded
        if expected and actual != expected:
            raise InputError(f"{path} is damaged: its sha256 is {actual}, not {expected}. Remove and fetch it again.")
        count = _tensors(read_tensors(path))
        basis = "as published" if file.sha256 else "as downloaded" if recorded else "no checksum known"
        results[file.name] = f"{count} tensors, sha256 {actual} ({basis})"
    return results


def remove(name: str) -> int:
    """Delete a model's files from the cache, with what was converted from them. Returns the bytes freed."""
    freed = 0
    for file in _model(name).files:
        path = models_dir() / file.name
        for victim in (path, path.with_name(f"{path.name}.part"), _record(path)):
            if victim.is_file():
                freed += victim.stat().st_size
                victim.unlink()
        for folder in (cache_dir() / "converted").glob(f"{path.stem}-*"):
            freed += sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
            shutil.rmtree(folder)
    return freed


def sha256_of(path: Path, progress: Progress = no_progress) -> str:
    """Hexadecimal sha256 of a file."""
    digest, done, size = hashlib.sha256(), 0, max(path.stat().st_size, 1)
    with path.open("rb") as f:
        while block := f.read(1 << 24):
            digest.update(block)
            done += len(block)
            progress(done / size, f"checking {path.name}")
    return digest.hexdigest()


def file_stamp(path: Path, *more: Any) -> str:
    """A short name for this state of a file (place, size, time of change) and whatever else is given."""
    info = path.stat()
    parts = [str(path.resolve()), info.st_size, info.st_mtime_ns, *more]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def _tensors(content: Any) -> int:
    """How many tensors a file's dictionary holds, in dictionaries inside it too."""
    if isinstance(content, dict):
        return sum(map(_tensors, content.values()))
    return int(hasattr(content, "shape"))


def _record(path: Path) -> Path:
    """Where the checksum of a downloaded file is kept."""
    return path.with_name(f"{path.name}.json")
