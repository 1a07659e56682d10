"""Long work on the main thread, in small steps that the pump runs while it has time. No bpy here.

A task is a generator. It yields a Step after each piece of work that takes about a millisecond; what it must wait for
(a thread that reads a file) it asks about and yields again. An exception ends it and goes to ``failed``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """How far a task is."""

    fraction: float  # of the whole task
    text: str  # what it does now, for people
    idle: bool = False  # it waits for something: nothing to do until the next pump


Work = Generator[Step, None, None]


@dataclass
class Task:
    """A running task."""

    work: Work
    title: str
    failed: Callable[[Exception], None]
    step: Step = Step(0.0, "")
    cancelled: bool = False


running: list[Task] = []


def start(title: str, work: Work, failed: Callable[[Exception], None]) -> Task:
    """Run ``work`` in the pumps from now on."""
    task = Task(work, title, failed)
    running.append(task)
    return task


def run(end: float) -> bool:
    """Run steps of the oldest task until ``end`` (of perf_counter), at least one. Whether anything was done."""
    if not running:
        return False
    task = running[0]
    try:
        while True:
            if task.cancelled:
                task.work.close()
                running.remove(task)
                return True
            task.step = next(task.work)
            if task.step.idle or time.perf_counter() >= end:
                return True
    except StopIteration:
        running.remove(task)
    except Exception as error:  # whatever a step raises has to reach the artist, and must not end the pump
        running.remove(task)
        task.failed(error)
    return True


def finish(task: Task) -> None:
    """Run a task to its end now: for operators that are called from scripts."""
    while task in running:
        running.remove(task)
        running.insert(0, task)
        run(time.perf_counter() + 1.0)
        if task in running and task.step.idle:
            time.sleep(0.001)  # it waits for a thread, which needs the interpreter


def cancel_all() -> None:
    """Drop everything that is under way."""
    while running:
        running.pop().work.close()
