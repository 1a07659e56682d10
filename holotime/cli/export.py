"""Commands that exchange scenes with other programs: export and import."""

from pathlib import Path
from typing import Annotated

import typer

from holotime.cli.common import JsonOption, emit, output_folder, output_path, stage_bars, stopwatch
from holotime.cli.render import SceneFile, frame_range


def export(
    scene: SceneFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="A file, or a folder for one file a frame.")],
    format: Annotated[
        str, typer.Option(help="ply, spz or splat (one time, or a folder of frames); 4dgs or usd (with motion).")
    ] = "ply",
    frames: Annotated[str, typer.Option(help="Frames a:b (b left out); all if not given.")] = "",
    time: Annotated[float, typer.Option(help="Scene time in [0, 1] for a single file.", min=0, max=1)] = 0.0,
    json: JsonOption = False,
) -> None:
    """Write a scene for other programs."""
    from holotime.export.formats import MOVING, endings, export_scene
    from holotime.scene4d import Scene4D

    suffixes = endings(format)
    if format in MOVING or output.suffix.lower() in suffixes:
        output_path(output, suffixes)
    else:
        output_folder(output)
    chosen = frame_range(frames)
    loaded = Scene4D.load(scene)
    with stopwatch() as took, stage_bars() as bars:
        made = export_scene(loaded, format, output, frames=chosen, time=time, progress=bars.of("export"))
    size = sum(path.stat().st_size for path in made.files)
    result = {"output": str(output), "files": len(made.files), "splats": len(loaded), "mb": round(size / 1e6, 3)}
    emit(json, {**result, "notes": made.notes, **took})


def import_splats(
    source: Annotated[Path, typer.Argument(help="Splats of another program: .ply, .spz, .splat or .4dgs.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The scene to write (.safetensors).")],
    json: JsonOption = False,
) -> None:
    """Read splats of another program as a scene; all but .4dgs stand still."""
    from holotime.export.formats import import_scene

    output_path(output, (".safetensors",))
    with stopwatch() as took:
        scene = import_scene(source)
        scene.save(output)
    emit(json, {"scene": str(output), "splats": len(scene), "duration": scene.duration, **took})
