"""Commands that take a scene: render and export."""

from pathlib import Path
from typing import Annotated

import typer

from holotime.cli.common import JsonOption, emit, output_folder, output_path, stage_bars, stopwatch
from holotime.errors import InputError

SceneFile = Annotated[Path, typer.Argument(help="A scene .safetensors.")]
FrameRange = Annotated[str, typer.Option(help="Frames a:b (b left out); all if not given.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(render)
    app.command()(export)


def render(
    scene: SceneFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="A video (.mp4), or a folder for PNG frames.")],
    projection: Annotated[str, typer.Option(help="perspective, equirect or ods (stereo top-bottom).")] = "equirect",
    camera: Annotated[str, typer.Option(help="Preset path for perspective; see presets/cameras.")] = "",
    size: Annotated[int, typer.Option(help="Width of the picture (of one eye) in pixels.")] = 1024,
    ipd: Annotated[float, typer.Option(help="Distance of the eyes in metres, for ods.")] = 0.064,
    seconds: Annotated[float | None, typer.Option(help="Length; the scene's own if not given.")] = None,
    frames: FrameRange = "",
    eyes: Annotated[Path | None, typer.Option(help="JSON of moved eyes: writes VIEW_FRAME.png into a folder.")] = None,
    json: JsonOption = False,
) -> None:
    """Render a scene: frames or a video, flat, panoramic or stereo."""
    from holotime.config import from_params
    from holotime.jobs import RenderConfig, read_eyes, render_eyes, render_to
    from holotime.scene4d import Scene4D

    settings = {"projection": projection, "camera": camera, "width": size, "ipd": ipd, "seconds": seconds}
    config = from_params(RenderConfig, settings)
    views = read_eyes(eyes) if eyes else None
    if output.suffix.lower() == ".mp4" and eyes is None:
        output_path(output, (".mp4",))
    else:
        output_folder(output)
    loaded = Scene4D.load(scene)
    with stopwatch() as time, stage_bars() as bars:
        if views is not None:
            wanted = views[1] if views[1] is not None else list(range(len(loaded.frame_times())))
            made = render_eyes(loaded, views[0], wanted, output, width=size, progress=bars.of("render"))
        else:
            made = render_to(loaded, config, output, frames=_range(frames), progress=bars.of("render"))
    emit(json, {"output": str(output), "pictures": made, **time})


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
            files = write_ply_sequence(output, loaded, _range(frames), progress=bars.of("export"))
    emit(json, {"output": str(output), "files": len(files), "splats": len(loaded), **took})


def _range(text: str) -> range | None:
    """``a:b`` as a range; None for an empty text."""
    if not text:
        return None
    first, colon, last = text.partition(":")
    if not colon or not first.isdigit() or not last.isdigit() or int(first) >= int(last):
        raise InputError(f"The frames '{text}' cannot be read. Write them as 0:24 (the end is left out).")
    return range(int(first), int(last))
