"""Changes to the queue beyond sending and cancelling: again, first, last. No bpy here.

The protocol keeps a job as it was sent, so a queued job that changes its turn is cancelled and sent anew under another
id with another priority.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from . import ClientError, Entry, Job, cancel, forget, jobs, ledger, submit

PRIORITIES = (-10, 10)  # of the protocol


def waiting() -> list[Job]:
    """Queued jobs in the order in which they will run."""
    queued = [job for job in jobs.values() if job.status == "queued"]
    return sorted(queued, key=lambda job: (-job.priority, job.created))


def send_again(job: Job, then: Callable[[Entry], Callable[[Job], None] | None], priority: int | None = None) -> Job:
    """Send a job that was sent from here once more, under a new id. ``then(entry)`` makes its on_success callback."""
    entry = ledger.entries.get(job.id)
    if entry is None or not entry.kind:
        raise ClientError("This job was not sent from this computer's Blender, so it cannot be sent again from here.")
    missing = [path for path in entry.inputs.values() if not Path(path).is_file()]
    if missing:
        raise ClientError(f"{missing[0]} is gone. Put it back, or set up the job anew.")
    entry = replace(entry, imported=False, seconds=0.0)
    turn = job.priority if priority is None else priority
    return submit(uuid.uuid4().hex, entry.kind, entry.params, entry.inputs, then(entry), entry=entry, priority=turn)


def move(job: Job, first: bool, then: Callable[[Entry], Callable[[Job], None] | None]) -> Job:
    """Let a queued job run before all others that wait, or after them. ClientError when it cannot."""
    order = waiting()
    if job not in order:
        raise ClientError("Only a job that waits can change its turn.")
    if job is order[0 if first else -1]:
        raise ClientError("It is first already." if first else "It is last already.")
    priority = order[0].priority + 1 if first else order[-1].priority - 1
    if not PRIORITIES[0] <= priority <= PRIORITIES[1]:
        raise ClientError("The queue cannot be sorted any further. Wait until some of its jobs are done.")
    moved = send_again(job, then, priority)
    cancel(job.id)
    forget(job.id)
    return moved
