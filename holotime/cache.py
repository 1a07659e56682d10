"""A folder of stage results, each named by what it was made from.

The name is a digest of the stage's name and version, its parameters and the digests of its inputs. A result is a folder
that appears under its name in one step, when it is complete: a stage that was cut off leaves nothing behind, a stage
that is asked for again is read instead of made.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any


def digest_file(path: Path) -> str:
    """sha256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(**what: Any) -> str:
    """sha256 in hex of anything that JSON can hold; independent of the order of keys."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _to_disk(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


class StageCache:
    """Stage results below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def get(self, stage: str, key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
        """(folder of the result, whether it was there already). ``make(folder)`` fills an empty folder."""
        place = self.root / f"{stage}-{key[:32]}"
        if place.is_dir():
            os.utime(place)  # pruning removes what was not used for longest
            return place, True
        partial = self.root / f".{stage}-{uuid.uuid4().hex}.part"
        partial.mkdir()
        try:
            make(partial)
            for path in partial.rglob("*"):
                if path.is_file():
                    _to_disk(path)  # a power cut after the rename must not leave a named but empty result
            try:
                partial.rename(place)
            except OSError:
                if not place.is_dir():  # another process was faster otherwise: its result is the same
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return place, False
