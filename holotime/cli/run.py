"""``holotime run``: from a panorama, a photo or a sentence to everything; also for a folder of them."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holotime.cli.common import JsonOption, StageBars, cache_dir, emit, output_folder, stage_bars, stopwatch
from holotime.cli.options import (
    AnimatorChoice,
    Backend,
    Budget,
    Direction,
    EnhanceFps,
    EnhanceScale,
    Fit,
    Fps,
    Frames,
    GuidanceScale,
    Hint,
    Interpolator,
    Loop,
    MemoryChoice,
    NegativePrompt,
    Prompt,
    Quality,
    Recipe,
    Seed,
    Steps,
    Strength,
    Sweeps,
    TrainSteps,
    Upscaler,
    VideoModel,
    VideoWidth,
    Width,
)
from holotime.errors import Cancelled, HoloTimeError, InputError

if TYPE_CHECKING:
    from holotime.panorama.folder import Task
    from holotime.pipeline import GenerateConfig

What = Annotated[
    Path | None,
    typer.Argument(help="A panorama, a photo, or a folder of images, of prompts (.txt, one a line), or of both."),
]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(run)


def run(
    source: What = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the results.")] = ...,  # type: ignore[assignment]
    panorama: Annotated[
        str,
        typer.Option(help="image: as it is; text: from the prompt; outpaint: round a photo. By the source if empty."),
    ] = "",
    panorama_model: Annotated[str, typer.Option(help="What draws it: flux, sdxl, sd15, hub id or folder.")] = "flux",
    lora: Annotated[str, typer.Option(help="Panorama LoRA: name, hub id or file; the model's own; or none.")] = "",
    fov: Annotated[float, typer.Option(help="Degrees that a photo sees across; 0: as its file says.")] = 0.0,
    yaw: Annotated[float, typer.Option(help="Where a photo looks, degrees to the right.")] = 0.0,
    pitch: Annotated[float, typer.Option(help="Where a photo looks, degrees up.")] = 0.0,
    width: Width = 1024,
    fit: Fit = "refuse",
    frames: Frames = 24,
    fps: Fps = 12.0,
    strength: Strength = 1.0,
    direction: Direction = None,
    seed: Seed = 0,
    prompt: Prompt = "",
    hint: Hint = None,
    animator: AnimatorChoice = "flow",
    quality: Quality = "exact",
    memory: MemoryChoice = "auto",
    negative_prompt: NegativePrompt = "",
    guidance_scale: GuidanceScale = 0.0,
    steps: Steps = 0,
    model: VideoModel = "",
    model_width: VideoWidth = 0,
    loop: Loop = "none",
    enhance_fps: EnhanceFps = 0.0,
    enhance_scale: EnhanceScale = 1,
    upscaler: Upscaler = "auto",
    interpolator: Interpolator = "auto",
    backend: Backend = "auto",
    budget: Budget = 400_000,
    sweeps: Sweeps = 3,
    recipe: Recipe = "auto",
    train_steps: TrainSteps = 0,
    vr: Annotated[bool, typer.Option(help="Also render a stereo VR video.")] = True,
    json: JsonOption = False,
) -> None:
    """Panorama (or a photo, or only a prompt) to clip, 4D scene, VR video and report, without Blender."""
    from holotime.config import from_params
    from holotime.pipeline import GenerateConfig

    output_folder(output)
    asked = {
        "panorama": panorama or ("text" if source is None else "image"),
        "panorama_model": panorama_model,
        "panorama_lora": lora,
        "fov": fov,
        "yaw": yaw,
        "pitch": pitch,
        "width": width,
        "fit": fit,
        "frames": frames,
        "fps": fps,
        "strength": strength,
        "direction": direction,
        "seed": seed,
        "prompt": prompt,
        "animator": animator,
        "quality": quality,
        "memory": memory,
        "negative_prompt": negative_prompt,
        "guidance_scale": guidance_scale,
        "steps": steps,
        "video_model": model,
        "video_width": model_width,
        "loop": loop,
        "enhance_fps": enhance_fps,
        "enhance_scale": enhance_scale,
        "upscaler": upscaler,
        "interpolator": interpolator,
        "perceive": backend,
        "budget": budget,
        "sweeps": sweeps,
        "recipe": recipe,
        "train_steps": train_steps,
    }
    config = from_params(GenerateConfig, asked)
    if source is not None and source.is_dir():
        _folder(source, output, config, hint, vr, json, given=panorama)
        return
    if source is not None and config.panorama == "text":
        raise InputError(f"A panorama from the text needs no {source.name}: leave it out, or --panorama text.")
    with stage_bars() as bars:
        emit(json, _one(source, config, output, hint, vr, bars))


def _one(
    source: Path | None, config: "GenerateConfig", output: Path, hint: Path | None, vr: bool, bars: StageBars
) -> dict[str, Any]:
    """One world, its results written; what there is to say about it."""
    from holotime.job_context import NO_CONTEXT, JobContext
    from holotime.pipeline import generate
    from holotime.report import write_report
    from holotime.results import write_results
    from holotime.video.config import RenderConfig
    from holotime.video.write import render_to

    # Diffusion and super-resolution take minutes: the same command again goes on where it was stopped.
    quick = config.animator == "flow" and config.panorama == "image" and config.enhance_scale == 1
    context = NO_CONTEXT if quick else JobContext(cache_dir().parent / "unfinished")
    with stopwatch() as time:
        result = generate(source, config, cache_dir(), hint=hint, progress=bars, context=context)
        write_results(result, output)
        if vr:
            with stopwatch() as rendering:
                wide = RenderConfig(projection="ods", width=2048)
                render_to(result.scene, wide, output / "vr_360_TB.mp4", progress=bars.of("render"))
            result.report["stage_seconds"]["render"] = rendering["seconds"]
    result.report["total_seconds"] = time["seconds"]
    write_report(output, result.report)
    return {"output": str(output), **{k: v for k, v in result.report.items() if k not in ("settings", "versions")}}


def _folder(
    folder: Path,
    output: Path,
    config: "GenerateConfig",
    hint: Path | None,
    vr: bool,
    json: bool,
    *,
    given: str,
) -> None:
    """Every world of a folder, each in a folder of its own; all of the input is looked at before the first begins.

    One that fails does not stop the others; the error at the end names it.
    """
    from holotime.panorama.folder import tasks

    if config.prompt or hint:
        raise InputError("A folder has its prompts in a text file: leave out --prompt, and --hint as well.")
    work = [(task, _settings(task, config, given)) for task in tasks(folder)]
    for task, settings in work:
        _check(task, settings)
    made, failed = {}, {}
    for number, (task, settings) in enumerate(work, start=1):
        with stage_bars() as bars:
            bars.bars.print(f"{number} of {len(work)}: {task.name}")
            try:
                made[task.name] = _one(task.image, settings, output / task.name, None, vr, bars)
            except Cancelled:
                raise
            except HoloTimeError as error:
                failed[task.name] = error
                bars.bars.print(f"{task.name}: {error}", markup=False)
    if failed:
        reasons = "; ".join(f"{name}: {error}" for name, error in failed.items())
        raise type(next(iter(failed.values())))(f"{len(failed)} of {len(work)} worlds failed. {reasons}")
    emit(json, {"worlds": made if json else "\n".join(str(output / name) for name in made)})


def _settings(task: "Task", config: "GenerateConfig", given: str) -> "GenerateConfig":
    """The settings of one world of a folder. ``given``: what --panorama says, if anything."""
    if task.image is None and given in ("image", "outpaint"):
        raise InputError(f"The folder holds prompts without images, and --panorama {given} needs images.")
    if task.image is not None and given == "text":
        raise InputError("The folder holds images, and --panorama text takes prompts alone. Leave one of them out.")
    kind = "text" if task.image is None else given or "image"
    return dataclasses.replace(config, panorama=kind, prompt=task.prompt, name=task.image.name if task.image else "")


def _check(task: "Task", config: "GenerateConfig") -> None:
    """Refuse a world that cannot be made."""
    if config.panorama == "image":
        from holotime.panorama import load_panorama

        assert task.image is not None
        load_panorama(task.image, config.width, config.fit)  # type: ignore[arg-type]
        return
    from holotime.job_context import AUTO
    from holotime.panorama.stage import order_of

    order_of(config, task.image, AUTO)
