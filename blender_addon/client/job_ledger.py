"""What the artist's side remembers about its jobs, in a small file: the sidecar knows neither their names nor which
.blend they belong to. With it the list comes back after Blender was closed, and a job can be sent again. No bpy here.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

KEPT = 200  # entries; the oldest go first
FILE = "jobs.json"


@dataclass
class Entry:
    """One job as it was sent from here."""

    title: str = ""  # for people
    kind: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)  # name -> path
    scene: str = ""  # name of the Blender scene that gets the result
    blend: str = ""  # path of the .blend it was sent from; empty while that was not saved
    auto_import: bool = False
    output: str = ""  # where a video goes; empty: beside the other results
    imported: bool = False
    seconds: float = 0.0  # how long it took, once it has succeeded


class Ledger:
    """The entries by job id, oldest first, kept in ``folder`` when that can be written."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.problem = ""  # why they are not kept on the disk; empty when they are
        self._path: Path | None = None

    def open(self, folder: Path) -> None:
        """Read what an earlier Blender left in this folder; what cannot be read is left out."""
        self._path = folder / FILE
        known = {f.name for f in fields(Entry)}
        with suppress(OSError, ValueError, TypeError, AttributeError):
            for job, values in json.loads(self._path.read_text(encoding="utf-8")).items():
                entry = Entry(**{k: v for k, v in values.items() if k in known})
                self.entries.setdefault(job, entry)

    def get(self, job: str) -> Entry:
        """The entry of a job; an empty one for a job that was not sent from here."""
        return self.entries.get(job) or Entry()

    def put(self, job: str, entry: Entry) -> None:
        """Add or replace an entry and keep it."""
        self.entries[job] = entry
        self.save()

    def save(self) -> None:
        """Write the file in one step. A disk that refuses is noted, and everything goes on in memory."""
        for job in list(self.entries)[:-KEPT]:
            del self.entries[job]
        if self._path is None:
            return
        partial = self._path.with_suffix(f".{os.getpid()}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            mine = {job: asdict(entry) for job, entry in self.entries.items()}
            partial.write_text(json.dumps({**self._others(), **mine}), encoding="utf-8")
            partial.replace(self._path)
            self.problem = ""
        except OSError as error:
            self.problem = f"The job list cannot be kept: {self._path.parent} ({error.strerror})."

    def _others(self) -> dict[str, Any]:
        """Entries that another Blender has written to the file in the meantime."""
        assert self._path is not None
        with suppress(OSError, ValueError):
            found = json.loads(self._path.read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return dict(list(found.items())[-KEPT:])
        return {}
