"""Commands that take a scene: render, export, import; each has a file of its own."""

import typer

from holotime.cli.export import export, import_splats
from holotime.cli.render import render


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(render)
    app.command()(export)
    app.command("import")(import_splats)
