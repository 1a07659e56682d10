"""Commands of the stages up to a scene: perceive, reconstruct, report."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from holotime.cli.common import JsonOption, cache_dir, emit, output_path, stage_bars, stopwatch
from holotime.cli.options import (
    Backend,
    Budget,
    Recipe,
    Seed,
    Sweeps,
    TrainSteps,
)
from holotime.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    for command in (perceive, reconstruct, report):
        app.command()(command)


def perceive(
    source: Annotated[Path, typer.Argument(help="A video, a folder of frames, or one image.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The arrays to write (.npz); key distance [T,H,W].")],
    backend: Backend = "auto",
    loop: Annotated[bool, typer.Option(help="The clip repeats.")] = False,
    json: JsonOption = False,
) -> None:
    """Find distance in metres (inf is sky), classes and what moves in a panorama or a clip."""
    from holotime.clip import read_clip
    from holotime.perceive import perceive_clip

    output_path(output, (".npz",))
    clip = read_clip(source, loop=loop)
    _check_equirect(source, clip.width, clip.height)
    with stopwatch() as time, stage_bars() as bars:
        found = perceive_clip(clip, backend=backend, progress=bars.of("perceive"), cache=cache_dir())
        output.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(output, distance=found.distance, classes=found.classes, moving=found.moving)
    sky = float((~np.isfinite(found.distance)).mean())
    emit(json, {"output": str(output), "backend": found.backend, "frames": len(clip), "sky_share": sky, **time})


def reconstruct(
    source: Annotated[Path, typer.Argument(help="A video, a folder of frames, or one image.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The scene to write (.safetensors).")],
    distance: Annotated[Path | None, typer.Option(help="Distance: .npz [T,H,W], .exr, or a depth picture.")] = None,
    backend: Backend = "auto",
    loop: Annotated[bool, typer.Option(help="The clip repeats.")] = False,
    recipe: Recipe = "auto",
    refine: TrainSteps = 0,
    checkpoint: Annotated[Path | None, typer.Option(help="File to go on from if the training is cut off.")] = None,
    budget: Budget = 400_000,
    sweeps: Sweeps = 3,
    seed: Seed = 0,
    json: JsonOption = False,
) -> None:
    """Turn a panoramic clip (or one panorama) into a 4D scene of Gaussians."""
    from dataclasses import replace

    from holotime.clip import read_clip
    from holotime.config import from_params
    from holotime.perceive import perceive_clip
    from holotime.perceive.given import read_given
    from holotime.reconstruct import eye_psnr
    from holotime.reconstruct.training import ReconstructConfig, backend_of
    from holotime.reconstruct.training import reconstruct as make_scene
    from holotime.safe_walk import measure

    output_path(output, (".safetensors",))
    settings = {"recipe": recipe, "refine": refine, "budget": budget, "sweeps": sweeps, "seed": seed}
    config = from_params(ReconstructConfig, settings)
    chosen = backend_of(config)
    clip = read_clip(source, loop=loop)
    _check_equirect(source, clip.width, clip.height)
    given = read_given(distance, clip) if distance else None
    with stopwatch() as time, stage_bars() as bars:
        found = perceive_clip(clip, backend=backend, progress=bars.of("perceive"), cache=cache_dir())
        if given is not None:
            found = replace(found, distance=given.metres(found), backend=given.source)
        scene = make_scene(clip, found, config, progress=bars.of("reconstruct"), checkpoint=checkpoint)
        walk = measure(scene, progress=bars.of("safe walk"))
        scene.safe_walk = walk.as_dict()
        scene.save(output)
    result: dict[str, Any] = {"scene": str(output), "splats": len(scene), "eye_psnr_db": eye_psnr(scene, clip)}
    result["safe_walk_m"] = round(float(walk.metres.min()), 3)
    backends = {"distance": found.backend, "reconstruct": chosen}
    emit(json, {**result, **backends, "notes": scene.provenance.get("notes", []), **time})


def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a finished job.")],
    json: JsonOption = False,
) -> None:
    """Show a job's numbers, and write its report.html anew with the pictures that the folder has."""
    from holotime.report import read_report, write_report

    numbers = read_report(folder)
    write_report(folder, numbers)
    emit(json, {**numbers, "page": str(folder / "report.html")})


def _check_equirect(source: Path, width: int, height: int) -> None:
    if width != 2 * height:
        raise InputError(f"{source} is {width} x {height}; a 360-degree panorama is twice as wide as high. Resize it.")
