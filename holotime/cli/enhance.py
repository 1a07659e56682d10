"""``holotime enhance``: more frames a second, more pixels."""

from pathlib import Path
from typing import Annotated

import typer

from holotime.cli.common import JsonOption, emit, output_path, stage_bars, stopwatch
from holotime.cli.options import Interpolator, Upscaler


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(enhance)


def enhance(
    clip: Annotated[Path, typer.Argument(help="A panoramic video.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The video to write (.mp4 or .mov).")],
    fps: Annotated[float, typer.Option(help="Frames per second; 0: as many as it has.")] = 0.0,
    scale: Annotated[int, typer.Option(help="How many times as wide and high: 1, 2 or 4.")] = 1,
    model: Upscaler = "auto",
    interpolator: Interpolator = "auto",
    json: JsonOption = False,
) -> None:
    """More frames a second, more pixels; a loop stays closed, the sphere has no seam. Goes on where it was stopped."""
    from holotime.config import from_params
    from holotime.enhance import EnhanceConfig, enhance_video
    from holotime.weights import licence_note

    output_path(output, (".mp4", ".mov"))
    asked = {"fps": fps, "scale": scale, "model": model, "interpolator": interpolator}
    config = from_params(EnhanceConfig, asked)
    with stopwatch() as time, stage_bars() as bars:
        made = enhance_video(clip, output, config, progress=bars.of("enhance"))
    made["models"] = [licence_note(name) for name in made["models"]]
    emit(json, {**made, **time})
