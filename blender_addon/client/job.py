"""A job as far as it is known on this side. No bpy here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

FINISHED = ("succeeded", "failed", "cancelled")


@dataclass
class Job:
    """What the sidecar said about a job, last."""

    id: str
    kind: str = ""
    status: str = "sending"  # sending until the sidecar has it, then a status of the protocol
    stage: str = ""
    fraction: float = 0.0  # of the whole job
    eta: float | None = None  # seconds to go
    note: str = ""
    error: str = ""
    priority: int = 0
    created: float = 0.0  # Unix seconds
    seconds: float = 0.0  # from its start to its end; 0 while it has none
    attempts: int = 0  # how often a worker has begun it
    results: dict[str, Any] = field(default_factory=dict)  # name -> BlobRef
    preview: bytes = b""  # JPEG of what it last showed
    previews: int = 0  # how many it has shown

    @property
    def done(self) -> bool:
        """Whether it has come to an end, well or badly."""
        return self.status in FINISHED

    def take(self, info: Any) -> None:
        """Put in what a JobInfo of the protocol says."""
        self.kind, self.status, self.stage, self.fraction = info.job_kind, info.status, info.stage, info.fraction
        self.eta, self.note, self.error, self.results = info.eta, info.note, info.error, dict(info.results)
        self.priority, self.created, self.attempts = info.priority, info.created, info.attempts
        self.seconds = max(0.0, info.finished - info.started) if info.finished and info.started else 0.0
