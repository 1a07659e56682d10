"""``holotime panorama``: a panorama from a sentence, or round a photo."""

from pathlib import Path
from typing import Annotated

import typer

from holotime.cli.common import JsonOption, cache_dir, emit, output_path, stage_bars, stopwatch


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(panorama)


def panorama(
    prompt: Annotated[str, typer.Argument(help="What the panorama shows, in quotes.")] = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture to write (.png or .jpg).")] = Path(
        "panorama.png"
    ),
    photo: Annotated[Path | None, typer.Option("--from", help="A photo round which the panorama is drawn.")] = None,
    model: Annotated[str, typer.Option(help="flux, sdxl, sd15, a hub id, or the folder of a pipeline.")] = "flux",
    lora: Annotated[str, typer.Option(help="Panorama LoRA: name, hub id or file; the model's own; or none.")] = "",
    width: Annotated[int, typer.Option(help="Pixels, up to 4096; half as high.")] = 2048,
    seed: Annotated[int, typer.Option(help="Another seed, another panorama.")] = 0,
    steps: Annotated[int, typer.Option(help="Denoising steps; 0: the model's own number.")] = 0,
    guidance: Annotated[float, typer.Option(help="How strongly the prompt is followed; 0: the model's own.")] = 0.0,
    negative: Annotated[str, typer.Option(help="What to lead away from.")] = "",
    memory: Annotated[str, typer.Option(help="auto, low (at most 8 GB) or high.")] = "auto",
    upscale: Annotated[str, typer.Option(help="Beyond the model's size: diffusion, or lanczos (quick).")] = "diffusion",
    poles: Annotated[bool, typer.Option(help="Draw straight up and down again in perspective.")] = True,
    fov: Annotated[float, typer.Option(help="Degrees that the photo sees across; 0: as its file says.")] = 0.0,
    yaw: Annotated[float, typer.Option(help="Where the photo looks, degrees to the right.")] = 0.0,
    pitch: Annotated[float, typer.Option(help="Where the photo looks, degrees up.")] = 0.0,
    device: Annotated[str, typer.Option(help="cuda, mps or cpu; the best there is if not given.")] = "",
    preview: Annotated[Path | None, typer.Option(help="A .jpg that is renewed every few steps.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on where the same command was stopped.")] = True,
    json: JsonOption = False,
) -> None:
    """Make a panorama from a sentence, or draw one round a photo whose pixels stay as they are."""
    from holotime.config import from_params
    from holotime.files import write_whole
    from holotime.job_context import NO_CONTEXT, JobContext
    from holotime.panorama.config import PanoramaConfig
    from holotime.panorama.job import make_panorama

    output_path(output, (".png", ".jpg", ".jpeg"))
    if preview is not None:
        output_path(preview, (".jpg", ".jpeg"))
    asked = {
        "prompt": prompt,
        "negative_prompt": negative,
        "model": model,
        "lora": lora,
        "width": width,
        "seed": seed,
        "steps": steps,
        "guidance": guidance,
        "memory": memory,
        "upscale": upscale,
        "poles": poles,
        "fov": fov,
        "yaw": yaw,
        "pitch": pitch,
        "device": device,
    }
    config = from_params(PanoramaConfig, asked)
    context = JobContext(cache_dir().parent / "unfinished") if resume else NO_CONTEXT
    with stopwatch() as time, stage_bars() as bars:

        def tell(stage: str, fraction: float, note: str = "", picture: bytes | None = None) -> None:
            bars(stage, fraction, note)
            if preview is not None and picture:
                write_whole(preview, picture)

        numbers = make_panorama(config, photo, output, cache_dir(), progress=tell, context=context)
    left_out = ("settings", "versions", "total_seconds")
    emit(json, {"output": str(output), **{k: v for k, v in numbers.items() if k not in left_out}, **time})
