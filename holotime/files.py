"""Files that last: a name never stands for half a file nor, after a power cut, for an empty one."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def digest_file(path: Path) -> str:
    """sha256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_to_disk(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def folder_to_disk(folder: Path) -> None:
    """Wait until the names in a folder are on the disk; Windows has no such call."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write a file that appears under its name only when it is complete and on the disk.

    ``with whole_file(path) as partial`` gives a hidden name beside it, with its ending; the file gets its own name when
    the block ends, and is removed when the block fails. The folder is made if need be.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".part-{path.name}")
    partial.unlink(missing_ok=True)  # of a run that was killed
    try:
        yield partial
        file_to_disk(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path | str, data: bytes) -> Path:
    """Write a file that appears under its name only when it is complete and on the disk."""
    path = Path(path)
    with whole_file(path) as partial:
        partial.write_bytes(data)
    return path
