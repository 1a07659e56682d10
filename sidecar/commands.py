"""``holotime serve``: the sidecar's commands inside the library's command line (found through an entry point)."""

import typer

from . import __main__ as program


def register(app: typer.Typer) -> None:
    """Add ``serve`` to ``app``. Its arguments are those of ``python -m sidecar``."""
    raw = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    app.command(context_settings=raw)(serve)


def serve(context: typer.Context) -> None:
    """Start the sidecar; or: serve status, jobs, cancel, pause, resume, prune, metrics, forecast, keys, shutdown."""
    arguments = list(context.args)
    verb = arguments and not arguments[0].startswith("-")
    raise typer.Exit(program.main(arguments if verb else ["serve", *arguments]))
