"""Scenes that are being trained: which parts make each of them, and their files as long as somebody may need them."""

import logging
from pathlib import Path

from .orders import Grown
from .protocol import Growing, ScenePart
from .store import BlobStore

log = logging.getLogger(__name__)


class GrowingScenes:
    """At most one scene for each running job. Called on the broker's thread only."""

    def __init__(self, store: BlobStore) -> None:
        """``store``: for the parts alone; whoever serves blobs reads it too."""
        self._store = store
        self._scenes: dict[str, Growing] = {}  # by job
        self._kept: set[str] = set()  # sha256 of all parts in the store

    def all(self) -> list[Growing]:
        """The scenes as they are now."""
        return list(self._scenes.values())

    def take(self, item: Grown, run: str, folder: Path) -> Growing | None:
        """Take new parts out of the job's folder and drop those that have served; None when that cannot be."""
        try:
            for part in item.parts:
                path = folder / part.file
                if not self._store.has(part.sha256):
                    if path.is_symlink() or path.stat().st_size != part.size:
                        raise OSError(f"{path.name} is not a file of {part.size} bytes")
                    self._store.take(path, part.sha256, read_only=True)
                self._kept.add(part.sha256)
        except OSError as error:  # the worker has a newer one already, or the disk refuses: a picture less
            log.warning("a part of the growing scene of job %s is left out: %s", item.job, error)
            return None
        parts = [ScenePart(number=p.number, sha256=p.sha256, size=p.size) for p in item.parts]
        self._scenes[item.job] = now = Growing(job=item.job, run=run, step=item.step, splats=item.splats, parts=parts)
        self._sweep()
        return now

    def drop(self, job: str) -> None:
        """The job does not run any more."""
        self._scenes.pop(job, None)
        self._sweep()

    def _sweep(self) -> None:
        """Remove the parts that no scene needs now; two jobs may have made the same."""
        needed = {part.sha256 for scene in self._scenes.values() for part in scene.parts}
        for sha256 in self._kept - needed:
            self._store.drop(sha256)
        self._kept &= needed
        self._store.changes()  # nobody writes these down
