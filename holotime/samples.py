"""The panoramas that ship, by name."""

from pathlib import Path

from holotime.errors import InputError
from holotime.presets import presets_root

_SUFFIXES = (".jpg", ".png")


def _files() -> dict[str, Path]:
    folder = presets_root() / "samples"
    return {file.stem: file for file in sorted(folder.glob("*")) if file.suffix in _SUFFIXES}


def names() -> list[str]:
    """Names of the samples, in alphabetical order."""
    return list(_files())


def path(name: str) -> Path:
    """The picture file of a sample. Raises InputError that lists the names when there is none of that name."""
    files = _files()
    if name not in files:
        raise InputError(f"There is no sample panorama {name!r}. Choose one of: {', '.join(files)}.")
    return files[name]
