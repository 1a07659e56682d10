"""The panoramic animator end to end: guidance, upscaling, refinement (HoloTime, Zhou et al. 2025).

The first stage dreams the motion at 320x512; its clip is doubled, noised to 80 % of the schedule and denoised again at
576x1024 by the second. Both are told the panorama and the prompt.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from holotime.animate.diffusion import speed
from holotime.animate.diffusion.checkpoint import Checkpoint
from holotime.animate.diffusion.config import AnimatorConfig, StageConfig, stage_from_dict
from holotime.animate.diffusion.memory import MemoryPlan, choose_dtype
from holotime.animate.diffusion.stage import Preview, RunContext, Stage
from holotime.animate.diffusion.state import RunState
from holotime.clip import Clip
from holotime.errors import InputError, OutOfMemory
from holotime.progress import Progress, no_progress, part
from holotime.weights.store import file_stamp, locate


@dataclass
class Animation:
    """A clip and how it was made."""

    clip: Clip
    notes: list[str] = field(default_factory=list)  # decisions and fallbacks, one sentence each
    seconds: dict[str, float] = field(default_factory=dict)  # time of each part
    plans: dict[str, MemoryPlan] = field(default_factory=dict)  # of each stage
    backend: str = "holotime"
    models: list[str] = field(default_factory=list)  # names or files of the networks that were used


def animate(
    panorama: NDArray[np.uint8],
    config: AnimatorConfig | None = None,
    *,
    progress: Progress = no_progress,
    preview: Preview | None = None,
) -> Clip:
    """Animate a panorama [H, W, 3] sRGB; the clip is [frames, 512, 1024, 3] with the published stages.

    Raises InputError before any work, BackendUnavailable when weights or packages are not here, OutOfMemory, Cancelled.
    """
    return run(panorama, config, progress=progress, preview=preview).clip


def run(
    panorama: NDArray[np.uint8],
    config: AnimatorConfig | None = None,
    *,
    progress: Progress = no_progress,
    preview: Preview | None = None,
) -> Animation:
    """As :func:`animate`, with a record of how. ``preview`` gets a small picture [h, w, 3] every few steps."""
    config = config or AnimatorConfig()
    stages = check(panorama, config)
    try:
        with torch.inference_mode(), speed.steady_threads():
            return run_stages(prepare(panorama, config, stages, part(progress, 0.0, 0.02), preview), progress)
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(
            f"The animator ran out of memory under the plan '{config.memory}' ({str(error).splitlines()[0][:200]}). "
            "Close other programs, take the memory plan 'low', fewer frames, or a smaller stage."
        ) from error


def fingerprint(config: AnimatorConfig) -> str:
    """Hexadecimal digest of all that a clip depends on but the panorama: settings and state of the weights' files.

    Raises BackendUnavailable when weights are not here, so it is also the cheapest way to find that out.
    """
    asked = asdict(config)
    for name in ("resume_dir", "preview_every", "memory", "compile", "graphs", "device"):  # of no influence on the clip
        del asked[name]
    stages = [stage for stage in (config.guidance, config.refinement) if stage is not None]
    stamps = [file_stamp(locate(stage.weights)) for stage in stages]
    return hashlib.sha256(json.dumps([asked, stamps], default=str, sort_keys=True).encode()).hexdigest()


def check(panorama: NDArray[np.uint8], config: AnimatorConfig) -> dict[str, StageConfig]:
    """Refuse what cannot work. Returns the stages that will run, by name, in order."""
    if panorama.ndim != 3 or panorama.shape[2] != 3 or panorama.dtype != np.uint8:
        raise InputError(f"A panorama is [H, W, 3] of uint8, got {panorama.dtype} {list(panorama.shape)}.")
    height, width = panorama.shape[:2]
    if abs(width - 2 * height) > 2 or height < 16:
        raise InputError(f"The panorama is {width}x{height}; it must be twice as wide as high. Pad or stretch it.")
    named = {"guidance": config.guidance, "refinement": config.refinement}
    stages = {name: stage for name, stage in named.items() if stage is not None}
    if not stages:
        raise InputError("Both stages are switched off. Give a guidance or a refinement stage.")
    check_sizes(stages)
    for name, value, low, high in (
        ("frames", config.frames, 1, 2000),
        ("steps", config.steps, 1, 1000),
        ("fps", config.fps, 0.1, 240),
        ("eta", config.eta, 0, 1),
        ("strength", config.strength, 0.01, 1),
        ("guidance_scale", config.guidance_scale, 1, 50),
        ("guidance_rescale", config.guidance_rescale, 0, 1),
        ("preview_every", config.preview_every, 1, 1000),
    ):
        if not low <= value <= high:
            raise InputError(f"{name} is {value}; it must be between {low} and {high}.")
    if config.compat and config.steps < 10 and config.guidance and config.refinement:
        raise InputError(
            f"The published recipe refines in steps // 10 * 8 steps, which is none of {config.steps}. "
            "Choose 10 steps or more, or leave out compat."
        )
    return stages


def check_sizes(stages: dict[str, StageConfig]) -> None:
    """Refuse stages whose overlap is not whole in the latent."""
    for name, stage in stages.items():
        if stage.width % 128 or stage.height % 64:
            raise InputError(
                f"The {name} stage is {stage.width}x{stage.height}; its width must be a multiple of 128 and its height "
                "one of 64, so that the overlap at the seam is whole in the latent."
            )


def prepare(
    panorama: NDArray[np.uint8],
    config: AnimatorConfig,
    stages: dict[str, StageConfig],
    progress: Progress,
    preview: Preview | None,
) -> RunContext:
    """Find and open the checkpoints of all stages (converting them on first use) and choose where to run."""
    device = speed.pick_device(config.device)
    sources = {name: locate(stage.weights) for name, stage in stages.items()}
    checkpoints = {
        name: Checkpoint.open(source, config.model, part(progress, i / len(sources), (i + 1) / len(sources)))
        for i, (name, source) in enumerate(sources.items())
    }
    stages = {name: stage_from_dict(stage, checkpoints[name].stage) for name, stage in stages.items()}
    check_sizes(stages)
    state = None
    if config.resume_dir is not None:
        digest = hashlib.sha256(panorama.tobytes())
        digest.update(json.dumps([fingerprint(config), device.type]).encode())
        state = RunState(config.resume_dir, digest.hexdigest())
    image = torch.from_numpy(np.ascontiguousarray(panorama)).permute(2, 0, 1)[None].float() / 255
    return RunContext(config, stages, checkpoints, image, device, choose_dtype(device, config.dtype), state, preview)


def run_stages(context: RunContext, progress: Progress) -> Animation:
    """All stages in order; the saved state is cleared when the clip is complete."""
    saved = context.state.load(context.notes.append) if context.state else None
    names = list(context.stages)
    resumed = names.index(saved.stage) if saved is not None else 0
    ends = [0.37, 1.0] if len(names) == 2 else [1.0]  # the second stage takes about twice as long
    guide, begin = None, 0.02
    for i, (name, end) in enumerate(zip(names, ends, strict=True)):
        if i >= resumed:
            mine = saved if saved is not None and saved.stage == name else None
            guide = Stage(context, name, guide, mine, part(progress, begin, end)).run()
        begin = end
    assert guide is not None  # the last stage always runs, at least its decoding
    scaled = guide.clamp(0, 1) * 255
    frames = (scaled if context.config.compat else scaled.round()).to(torch.uint8)
    clip = Clip(frames.permute(0, 2, 3, 1).contiguous().numpy(), context.config.fps)
    if context.state:
        context.state.clear()
    progress(1.0, "")
    used = [stage.weights for stage in context.stages.values()] + context.models
    return Animation(clip, context.notes, context.seconds, context.plans, models=used)
