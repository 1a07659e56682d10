"""``holotime weights list|get|verify|remove``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import Progress as RichProgress

from holotime import weights
from holotime.cli.common import JsonOption, console, emit
from holotime.progress import Progress

NameArgument = Annotated[
    str, typer.Argument(help="A model's name, as `holotime weights list` shows it, or a hub id OWNER/REPOSITORY.")
]


def register(app: typer.Typer) -> None:
    """Add the group of commands to ``app``."""
    group = typer.Typer(help="Model files: what there is, fetching, checking, removing.", no_args_is_help=True)
    group.command("list")(list_models)
    group.command("get")(get)
    group.command("verify")(verify)
    group.command("remove")(remove)
    app.add_typer(group, name="weights")


def list_models(json: JsonOption = False) -> None:
    """Every known model: what for, its licence, whether commercial use is allowed, and whether its files are here."""
    rows, details = {}, {}
    for name, model in weights.MODELS.items():
        found = weights.status(name)
        licence = weights.licence_entry(name)
        where = ", ".join(map(str, found.paths)) if found.present else f"not here (about {model.approximate_gb:g} GB)"
        allowed = weights.commercial_words(model.commercial_use)
        terms = f" ({model.terms})" if model.terms else ""
        rows[name] = f"{model.about}; {model.source}; {model.licence}: {allowed}{terms}; {where}"
        details[name] = {
            **{key: licence[key] for key in ("licence", "commercial_use", "terms")},
            "about": model.about,
            "source": model.source,
            "gated": model.gated,
            "approximate_gb": model.approximate_gb,
            "here": found.present,
            "files": [f.name for f in model.files] or [str(weights.folder_of(model))],
            "paths": [str(p) for p in found.paths if p is not None],
        }
    emit(json, details if json else rows)


def get(name: NameArgument, json: JsonOption = False) -> None:
    """Fetch a model; goes on where an earlier try stopped."""
    with _bar(name) as progress:
        paths = weights.get(name, progress)
    emit(json, {path.name: str(path) for path in paths})


def verify(name: NameArgument, json: JsonOption = False) -> None:
    """Read a model's files without running code in them and compare their checksums."""
    with _bar(name) as progress:
        results = weights.verify(name, progress)
    emit(json, dict(results))


def remove(name: NameArgument, json: JsonOption = False) -> None:
    """Delete a model's files from the cache, with what was converted from them."""
    emit(json, {"freed_bytes": weights.remove(name)})


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    """A progress bar on standard error."""
    with RichProgress(console=console, transient=True) as bars:
        task = bars.add_task(title, total=1.0)

        def report(fraction: float, note: str = "") -> None:
            bars.update(task, completed=fraction, description=note or title)

        yield report
