"""What all commands share: a progress bar with stage and time left, results as text or JSON, one-line errors."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from platformdirs import user_cache_path
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from holotime.errors import HoloTimeError, InputError
from holotime.progress import Progress

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
console = Console(stderr=True)


def cache_dir() -> Path:
    """Where stage results are kept between runs."""
    return user_cache_path("holotime", appauthor=False) / "stages"


def report_error(error: HoloTimeError) -> None:
    """One line on standard error; with --json a JSON object on standard output too."""
    text = " ".join(str(error).split()) or type(error).__name__
    console.print(f"Error: {text}", style="bold red", highlight=False, markup=False, soft_wrap=True)
    if "--json" in sys.argv:
        print(json.dumps({"error": type(error).__name__, "message": text}))


def emit(as_json: bool, result: dict[str, Any]) -> None:
    """Print a command's result."""
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
        return
    width = max(map(len, result), default=0)
    for name, value in result.items():
        print(f"{name:<{width}}  {value}")


class LeftColumn(ProgressColumn):
    """Time left: what the worker forecasts if it does, otherwise extrapolated."""

    def render(self, task: Task) -> Text:
        left = task.fields["eta"] if task.fields.get("eta") is not None else task.time_remaining
        return Text("" if left is None or task.finished else f"{left:.0f} s left", style="progress.remaining")


class StageBars:
    """One progress bar a stage; the callable of :func:`holotime.pipeline.generate`."""

    def __init__(self, bars: RichProgress) -> None:
        self.bars, self.tasks = bars, dict[str, TaskID]()

    def __call__(
        self, stage: str, fraction: float, note: str = "", preview: bytes | None = None, eta: float | None = None
    ) -> None:
        if stage not in self.tasks:
            self.tasks[stage] = self.bars.add_task(stage, total=1.0, note="", eta=None)
        self.bars.update(self.tasks[stage], completed=fraction, note=note, eta=eta)

    def of(self, stage: str) -> Progress:
        """The Progress of one stage."""

        def report(fraction: float, note: str = "") -> None:
            self(stage, fraction, note)

        return report


@contextmanager
def stage_bars() -> Iterator[StageBars]:
    """Show progress bars on standard error while the block runs."""
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TimeElapsedColumn(), LeftColumn())
    with RichProgress(*columns, TextColumn("{task.fields[note]}"), console=console) as bars:
        yield StageBars(bars)


@contextmanager
def stopwatch() -> Iterator[dict[str, float]]:
    """``seconds`` of the block."""
    result: dict[str, float] = {}
    start = time.perf_counter()
    yield result
    result["seconds"] = round(time.perf_counter() - start, 3)


def output_path(path: Path, suffixes: tuple[str, ...]) -> Path:
    """Check an output file before any work: known ending, writable folder."""
    if path.suffix.lower() not in suffixes:
        raise InputError(f"The output {path} must end in {' or '.join(suffixes)}.")
    if path.is_dir():
        raise InputError(f"The output {path} is a folder. Give a file name.")
    return _writable(path, path.parent)


def output_folder(path: Path) -> Path:
    """Check an output folder before any work."""
    if path.is_file():
        raise InputError(f"The output {path} is a file. Give a folder.")
    return _writable(path, path)


def _writable(path: Path, folder: Path) -> Path:
    import os

    existing = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise InputError(f"Cannot write to {path}: {existing} is not a writable folder. Choose another place.")
    return path
