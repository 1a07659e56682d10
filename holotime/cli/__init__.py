"""The ``holotime`` command. Each subcommand lives in a file of its own; other packages add theirs by entry points."""

import sys
from importlib.metadata import entry_points

import typer

from holotime.cli import animate, doctor, enhance, panorama, run, scene, stages
from holotime.cli.common import report_error
from holotime.errors import HoloTimeError
from holotime.weights import cli as weights

# Packages that build on this one register commands (the sidecar's ``serve``) here; this package knows none of them.
COMMAND_GROUP = "holotime.commands"


def make_app() -> typer.Typer:
    """The application with every command."""
    app = typer.Typer(
        name="holotime",
        help="From a panorama to an animated 4D world: distance, motion, Gaussians, frames and VR video.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for module in (panorama, animate, enhance, stages, run, scene, weights, doctor):
        module.register(app)
    for point in sorted(entry_points(group=COMMAND_GROUP), key=lambda p: p.name):
        point.load()(app)
    return app


def main() -> None:
    """Entry point of the console script."""
    try:
        make_app()()
    except HoloTimeError as error:
        report_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
