"""How long-running work reports progress and notices a cancel.

A stage receives one callable, ``Progress``, and calls it with a fraction in [0, 1] and an optional short note at least
once a second. The callable raises :class:`holotime.errors.Cancelled` when the user asked to stop, so a stage needs no
other way to be cancelled; it must only be able to unwind at that point without leaving a partial result behind.
"""

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")
Progress = Callable[[float, str], None]


def no_progress(fraction: float, note: str = "") -> None:
    """A Progress that goes nowhere."""


def part(progress: Progress, start: float, end: float) -> Progress:
    """The sub-interval [start, end] of ``progress``, itself seen as a Progress from 0 to 1."""

    def report(fraction: float, note: str = "") -> None:
        progress(start + (end - start) * min(max(fraction, 0.0), 1.0), note)

    return report


def track(items: Iterable[T], progress: Progress, note: str = "", total: int | None = None) -> Iterator[T]:
    """Yield ``items`` and report progress after each. ``total`` is needed only when ``items`` has no length."""
    if total is None:
        total = len(items) if isinstance(items, Sized) else 0
    progress(0.0, note)
    for done, item in enumerate(items, start=1):
        yield item
        progress(done / total if total else 0.0, note)
