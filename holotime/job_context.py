"""What the machinery around a job (the sidecar's worker, a cluster, a test) offers to the code that runs it.

All of it is optional: a job that is run by hand gets :data:`NO_CONTEXT` and works without checkpoints.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

AUTO, LOW = "auto", "low"  # memory plans: what the device has free; the smallest that the stage knows


@dataclass(frozen=True)
class ScenePart:
    """A piece of a scene that is still being trained (docs/formats.md)."""

    number: int  # grows by one from part to part; a whole one may repeat the number of the part before it
    whole: bool  # needs nothing before it
    step: int  # of the training
    splats: int  # in the scene with this part
    data: bytes  # the file


@dataclass(frozen=True)
class JobContext:
    """Where a job may leave what lets it go on, how much memory to use, and who wants to see what is being made."""

    work_dir: Path | None = None  # kept between attempts at one job, removed at its end; None: nowhere
    memory: str = AUTO  # LOW once the same job has run out of memory
    publish: Callable[[ScenePart], None] | None = None  # takes parts of the growing scene, on any thread; None: nobody

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
