"""A folder of stage results, each named by what it was made from.

The name is a digest of the stage's name and version, its parameters and the digests of its inputs. A result is a folder
that appears under its name in one step, when it is complete: a stage that was cut off leaves nothing behind, a stage
that is asked for again is read instead of made. The digests of its files lie beside them and are compared before it is
read, so a file that a power cut or a failing disk has changed is found out and the stage is done again.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holotime.files import digest_file, file_to_disk, folder_to_disk

log = logging.getLogger(__name__)
MANIFEST = "digests.json"  # in a result: {path below it: sha256}; written last


def digest_of(**what: Any) -> str:
    """sha256 in hex of anything that JSON can hold; independent of the order of keys."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(folder).as_posix(): digest_file(path) for path in files}


def is_whole(folder: Path) -> bool:
    """Whether a result's files are those that were written. Reads all of them (about 1 s a GB)."""
    try:
        return _digests(folder) == json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


class StageCache:
    """Stage results below one folder, which several processes may share."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def get(self, stage: str, key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
        """(folder of the result, whether it was there already). ``make(folder)`` fills an empty folder."""
        place = self.root / f"{stage}-{key[:32]}"
        if place.is_dir():
            os.utime(place)  # pruning removes what was not used for longest
            if is_whole(place):
                return place, True
            self._discard(place)
        # the process's number lets whoever watches over it remove what it leaves when it is killed
        partial = self.root / f".{stage}-{os.getpid()}-{uuid.uuid4().hex}.part"
        partial.mkdir()
        try:
            make(partial)
            (partial / MANIFEST).write_text(json.dumps(_digests(partial)), encoding="utf-8")
            for path in partial.rglob("*"):
                if path.is_file():
                    file_to_disk(path)  # a power cut after the rename must not leave a named but empty result
            folder_to_disk(partial)
            try:
                partial.rename(place)
            except OSError:
                if not place.is_dir():  # another process was faster otherwise: its result is the same
                    raise
            folder_to_disk(self.root)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return place, False

    def _discard(self, place: Path) -> None:
        """Take a damaged result away in one step, so that nobody reads half of it."""
        gone = self.root / f".gone-{os.getpid()}-{uuid.uuid4().hex}.part"
        log.warning("%s is damaged; the stage is done again", place)
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            place.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
