"""``holotime animate``: one panorama, or a folder of them with a line of text for each."""

import contextlib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from holotime.cli.common import (
    JsonOption,
    StageBars,
    cache_dir,
    emit,
    output_folder,
    output_path,
    stage_bars,
    stopwatch,
)
from holotime.cli.options import (
    AnimatorChoice,
    Direction,
    Fit,
    Fps,
    Frames,
    GuidanceScale,
    Hint,
    Loop,
    MemoryChoice,
    NegativePrompt,
    Prompt,
    Quality,
    Seed,
    Source,
    Steps,
    Strength,
    VideoModel,
    VideoWidth,
    Width,
)
from holotime.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(animate)


def animate(
    panorama: Source,
    output: Annotated[Path, typer.Option("--output", "-o", help="The clip to write (.mp4); for a folder, a folder.")],
    animator: AnimatorChoice = "flow",
    width: Width = 1024,
    fit: Fit = "refuse",
    frames: Frames = 24,
    fps: Fps = 12.0,
    strength: Strength = 1.0,
    direction: Direction = None,
    seed: Seed = 0,
    prompt: Prompt = "",
    hint: Hint = None,
    quality: Quality = "exact",
    memory: MemoryChoice = "auto",
    negative_prompt: NegativePrompt = "",
    guidance_scale: GuidanceScale = 0.0,
    steps: Steps = 0,
    model: VideoModel = "",
    model_width: VideoWidth = 0,
    loop: Loop = "none",
    refine: Annotated[float, typer.Option(help="holotime: share of its steps that the second stage runs.")] = 0.8,
    checkpoints: Annotated[str, typer.Option(help="holotime: holotime, dynamicrafter-512 or -1024.")] = "holotime",
    guidance_weights: Annotated[str, typer.Option(help="holotime: name or file for the first stage.")] = "",
    refinement_weights: Annotated[str, typer.Option(help="holotime: name or file for the second stage.")] = "",
    device: Annotated[str, typer.Option(help="Diffusion: cuda, mps or cpu; the best there is if not given.")] = "",
    compat: Annotated[bool, typer.Option(help="holotime: the published recipe with its quirks.")] = False,
    preview: Annotated[Path | None, typer.Option(help="Diffusion: a .jpg that is renewed every few steps.")] = None,
    resume: Annotated[bool, typer.Option(help="Diffusion: go on where the same command was stopped.")] = True,
    json: JsonOption = False,
) -> None:
    """Make a panorama move: a panoramic clip. A folder of panoramas needs a .txt file with one prompt a line."""
    from dataclasses import replace

    from holotime.animate import dispatch
    from holotime.animate.registry import VIDEO_MODELS
    from holotime.config import from_params
    from holotime.job_context import NO_CONTEXT, JobContext
    from holotime.pipeline import GenerateConfig

    batch = panorama.is_dir()
    if batch:
        output_folder(output)
    else:
        output_path(output, (".mp4",))
    if preview is not None:
        output_path(preview, (".jpg", ".jpeg"))
    asked = {
        "animator": animator,
        "width": width,
        "fit": fit,
        "frames": frames,
        "fps": fps,
        "strength": strength,
        "direction": direction,
        "seed": seed,
        "prompt": prompt,
        "quality": quality,
        "memory": memory,
        "checkpoints": checkpoints,
        "negative_prompt": negative_prompt,
        "guidance_scale": guidance_scale,
        "steps": steps,
        "video_model": model,
        "video_width": model_width,
        "loop": loop,
        "refine": refine,
    }
    settings = from_params(GenerateConfig, asked)
    motion = dispatch.motion_config(settings)
    if animator in VIDEO_MODELS:
        motion = replace(motion, device=device or None)
    if animator != "holotime":
        others = {"compat": compat, "guidance_weights": guidance_weights, "refinement_weights": refinement_weights}
        _refuse_others(animator, others)
    else:
        motion = replace(
            motion,
            compat=compat,
            device=device or None,
            guidance=_other_weights(motion.guidance, guidance_weights, "guidance"),
            refinement=_other_weights(motion.refinement, refinement_weights, "refinement"),
        )
    dispatch.depends_on(motion)  # weights that are not here are reported before any work
    kept = cache_dir().parent / "unfinished" if resume and animator != "flow" else None
    context = NO_CONTEXT if kept is None else JobContext(kept)
    jobs = _jobs(panorama, output, prompt, hint) if batch else [(panorama, prompt, output)]
    results = {}
    with stopwatch() as time, stage_bars() as bars:
        for source, text, target in jobs:
            mine = replace(motion, prompt=text)
            results[str(target)] = _one(source, mine, settings, target, hint, preview, context, bars)
    if batch:
        emit(json, {"clips": results if json else "\n".join(results), **time})
    else:
        emit(json, {**results[str(output)], **time})


def _jobs(folder: Path, output: Path, prompt: str, hint: Path | None) -> list[tuple[Path, str, Path]]:
    """(panorama, prompt, clip to write) of each picture of a folder."""
    from holotime.animate.diffusion.folder import pairs

    if prompt or hint:
        raise InputError("A folder has its prompts in a text file: leave out --prompt, and --hint as well.")
    return [(image, text, output / f"{image.stem}.mp4") for image, text in pairs(folder)]


def _refuse_others(animator: str, given: dict[str, Any]) -> None:
    """Refuse options of the animator holotime that would be without effect."""
    for name, value in given.items():
        if value:
            raise InputError(f"--{name.replace('_', '-')} is of the animator holotime; {animator} does not know it.")


def _other_weights(stage: Any, name: str, which: str) -> Any:
    """The stage with other weights, if any are given."""
    from dataclasses import replace

    if not name:
        return stage
    if stage is None:
        raise InputError(f"These checkpoints have no {which} stage; leave out --{which}-weights.")
    return replace(stage, weights=name)


def _one(
    source: Path,
    motion: Any,
    settings: Any,
    output: Path,
    hint: Path | None,
    preview: Path | None,
    context: Any,
    bars: StageBars,
) -> dict[str, Any]:
    """Animate one panorama and write its clip; what there is to say about it."""
    from holotime import quality
    from holotime.animate import dispatch
    from holotime.cache import digest_of
    from holotime.clip import read_image_with_alpha, write_clip
    from holotime.files import digest_file
    from holotime.panorama import load_panorama
    from holotime.perceive import perceive_image

    loaded = load_panorama(source, settings.width, settings.fit)
    hints = read_image_with_alpha(hint) if hint else None
    key = digest_of(
        source=digest_file(source), width=settings.width, fit=settings.fit, motion=dispatch.depends_on(motion)
    )
    still = None
    if settings.animator == "flow":
        bars("perceive", 0.0)
        still = perceive_image(loaded.image)
        bars("perceive", 1.0)
    made = dispatch.animate(
        settings.animator,
        loaded.image,
        still,
        motion,
        hint=hints,
        progress=bars.of("animate"),
        preview=None if preview is None else lambda fraction, note, picture: _show(preview, picture),
        context=context,
        key=key,
    )
    if context.work_dir is not None:
        with contextlib.suppress(OSError):
            context.checkpoints("animate", key).rmdir()  # empty now
    output.parent.mkdir(parents=True, exist_ok=True)
    write_clip(output, made.clip, progress=bars.of("encode"))
    numbers = {"seam_ratio": quality.seam_ratio(made.clip.frames), "loop_ratio": quality.loop_ratio(made.clip.frames)}
    return {"clip": str(output), "frames": len(made.clip), **numbers, "notes": loaded.notes + made.notes}


def _show(path: Path, picture: NDArray[np.uint8]) -> None:
    """Replace the preview, so that a viewer never sees half of one."""
    from holotime.files import write_whole
    from holotime.report_pictures import jpeg

    write_whole(path, jpeg(picture))
