"""What the machinery around a job (the sidecar's worker, a cluster, a test) offers to the code that runs it.

All of it is optional: a job that is run by hand gets :data:`NO_CONTEXT` and works without checkpoints.
"""

from dataclasses import dataclass
from pathlib import Path

AUTO, LOW = "auto", "low"  # memory plans: what the device has free; the smallest that the stage knows


@dataclass(frozen=True)
class JobContext:
    """Where a job may leave what lets it go on, and how much memory to use."""

    work_dir: Path | None = None  # kept between attempts at one job, removed at its end; None: nowhere
    memory: str = AUTO  # LOW once the same job has run out of memory

    def checkpoints(self, stage: str, key: str) -> Path | None:
        """A folder in which a stage keeps its checkpoints; ``key`` names what the stage's result depends on.

        What lies there is from an earlier attempt at the same work. A file in it may have been cut off by a crash:
        write it under another name and rename it, and check what is read.
        """
        if self.work_dir is None:
            return None
        folder = self.work_dir / f"{stage}-{key[:32]}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


NO_CONTEXT = JobContext()
