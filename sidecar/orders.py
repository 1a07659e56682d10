"""What the broker and a worker say to each other: the protocol's frames on a socket that clients cannot reach."""

from dataclasses import dataclass
from typing import Annotated

from .protocol import (
    MAX_PART,
    MAX_PARTS,
    MAX_RESULTS,
    AtMost,
    BlobRef,
    Count,
    JobId,
    Long,
    Message,
    Name,
    Params,
    Seconds,
    Sha256,
    Short,
    Span,
    Text,
    message,
)

FilePath = Annotated[str, Text(4096)]


@message("worker_begin")
class Begin(Message):
    """To the worker: run this job."""

    job: JobId
    job_kind: Name
    params: Params
    inputs: dict[Name, FilePath]
    digests: dict[Name, Sha256]  # of the inputs, by the same names
    out_dir: FilePath
    work_dir: FilePath  # for checkpoints; kept between the attempts at a job
    cache_dir: FilePath
    log: FilePath
    memory: Short  # the plan: auto or low
    keep_models: Count  # bytes of models that may stay loaded after the job


@message("worker_halt")
class Halt(Message):
    """To the worker: the job is cancelled."""

    job: JobId


@message("worker_beat")
class Beat(Message):
    """From the worker: I live; ``quiet`` is how long the job has not reported."""

    pid: Count
    quiet: Seconds
    memory: Count = 0  # bytes resident
    gpu_memory: Count = 0  # bytes taken of its GPU
    gpu_total: Count = 0  # bytes that the GPU has
    models: Count = 0  # bytes of models kept loaded


@dataclass(frozen=True, kw_only=True)
class StageUse:
    """What a stage took."""

    seconds: Seconds = 0.0
    memory: Count = 0  # bytes of the process at its peak
    gpu_memory: Count = 0


@dataclass(frozen=True, kw_only=True)
class GrownPart:
    """A piece of the growing scene, a file of the job's folder."""

    number: Count
    sha256: Sha256
    size: Annotated[int, Span(1, MAX_PART)]
    file: Name


@message("worker_grown")
class Grown(Message):
    """From the worker: these parts, a whole one first, make the scene so far; others are not needed any more."""

    job: JobId
    step: Count
    splats: Count
    parts: Annotated[list[GrownPart], AtMost(MAX_PARTS)]


@message("worker_done")
class Done(Message):
    """From the worker: these files of the job's folder, written through to the disk, are its results."""

    job: JobId
    results: Annotated[dict[Name, BlobRef], AtMost(MAX_RESULTS)]
    stages: dict[Short, StageUse]


@message("worker_broke")
class Broke(Message):
    """From the worker: the job ended without a result."""

    job: JobId
    error_class: Annotated[str, Text(100)]
    error: Annotated[str, Text(2000)]
    damaged: Annotated[list[Sha256], AtMost(20)]  # inputs that are not what their name says
    trace: Long  # for the log's tail; empty when the text says all
    smaller: bool = False  # whether a smaller memory plan may help
