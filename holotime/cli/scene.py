"""Commands that take a scene: render (see render.py) and export."""

from pathlib import Path
from typing import Annotated

import typer

from holotime.cli.common import JsonOption, emit, output_folder, output_path, stage_bars, stopwatch
from holotime.cli.render import SceneFile, frame_range, render
from holotime.errors import InputError

FrameRange = Annotated[str, typer.Option(help="Frames a:b (b left out); all if not given.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(render)
    app.command()(export)


def export(
    scene: SceneFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="A .ply, or a folder for one .ply a frame.")],
    format: Annotated[str, typer.Option(help="ply: 3D Gaussian splats.")] = "ply",
    frames: FrameRange = "",
    time: Annotated[float, typer.Option(help="Scene time in [0, 1] for a single file.")] = 0.0,
    json: JsonOption = False,
) -> None:
    """Write a scene for other programs."""
    from holotime.export import write_ply, write_ply_sequence
    from holotime.scene4d import Scene4D

    if format != "ply":
        raise InputError(f"Unknown format '{format}'. Known is ply.")
    single = output.suffix.lower() == ".ply"
    (output_path(output, (".ply",)) if single else output_folder(output))
    loaded = Scene4D.load(scene)
    with stopwatch() as took, stage_bars() as bars:
        if single:
            files = [write_ply(output, loaded.at(time))]
        else:
            files = write_ply_sequence(output, loaded, frame_range(frames), progress=bars.of("export"))
    emit(json, {"output": str(output), "files": len(files), "splats": len(loaded), **took})
