"""The stages in order, from a panorama to a 4D scene; every stage is cached by what it was made from.

A stage is a function of its inputs and its part of the configuration. Its result lives in a :class:`StageCache` under a
key made of both, so a repeated job is read, a changed job redoes only what the change touches, and a job that was cut
off goes on where it was. Bump a stage's version below when its code gives another result.
"""

import dataclasses
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from holotime import __version__, quality, report_pictures
from holotime.animate import Animated, dispatch
from holotime.animate.registry import ANIMATORS, CHECKPOINTS, LOOPS
from holotime.cache import StageCache, digest_of
from holotime.clip import Clip, read_image_with_alpha
from holotime.config import setting
from holotime.enhance import SCALES, EnhanceConfig
from holotime.enhance import stage as enhance
from holotime.errors import InputError
from holotime.files import digest_file
from holotime.job_context import LOW, NO_CONTEXT, JobContext
from holotime.panorama import FITS, Panorama, load_panorama
from holotime.panorama.config import SOURCES
from holotime.perceive import ClipPerception, ImagePerception, perceive_clip, perceive_image
from holotime.perceive.large_motion import flow_backend
from holotime.perceive.predict import check_backend
from holotime.progress import Progress, part
from holotime.reconstruct import coverage, eye_psnr
from holotime.reconstruct.training import RECIPES, ReconstructConfig, backend_of
from holotime.reconstruct.training import reconstruct as make_scene
from holotime.reconstruct.training.live import LiveScene
from holotime.reconstruct.training.trainer import Snapshot
from holotime.report import models_used
from holotime.results import Generated, from_the_eye, preview
from holotime.safe_walk import measure
from holotime.scene4d import Scene4D
from holotime.stage_files import load_animated, load_arrays, save_animated, save_arrays
from holotime.weights.licences import EMBEDDED

if TYPE_CHECKING:
    from holotime.panorama.stage import Order

STAGE_VERSIONS = {"panorama": 1, "perceive": 1, "animate": 4, "enhance": 1, "track": 1, "reconstruct": 5}
T = TypeVar("T")

# (stage, fraction of the stage, note, JPEG thumbnail or None). Raises Cancelled when the user asked to stop.
JobProgress = Callable[[str, float, str, bytes | None], None]


def no_job_progress(stage: str, fraction: float, note: str = "", preview: bytes | None = None) -> None:
    """A JobProgress that goes nowhere."""


@dataclass(frozen=True)
class GenerateConfig:
    """What an artist may choose when a panorama becomes a 4D scene."""

    name: str = setting("", "what the result is called in the report; the file's name if empty")
    panorama: str = setting("image", "an image as it is, from the text alone, or drawn round a photo", choices=SOURCES)
    panorama_model: str = setting("flux", "what draws it: flux, sdxl, sd15, a hub id, or a pipeline's folder")
    panorama_lora: str = setting("", "panorama LoRA of that model: name, hub id or file; its own if empty; or none")
    fov: float = setting(0.0, "degrees that a photo sees across; 0: as its file says", range=(0, 170))
    yaw: float = setting(0.0, "where a photo looks, degrees to the right", range=(-360, 360))
    pitch: float = setting(0.0, "where a photo looks, degrees up", range=(-90, 90))
    prompt: str = setting("", "what the panorama shows; steers which parts move")
    width: int = setting(1024, "width of the clip in pixels, a multiple of 32", range=(64, 8192))
    fit: str = setting("refuse", "what to do with a picture that is not 2:1", choices=FITS)
    animator: str = setting("flow", "what makes the picture move", choices=ANIMATORS)
    frames: int = setting(24, "frames of the clip", range=(1, 600))
    fps: float = setting(12.0, "frames per second", range=(1, 120))
    strength: float = setting(1.0, "how much moves: 0 is still, 1 natural", range=(0, 4))
    direction: float | None = setting(None, "where wind and water go, degrees from the picture's centre to the right")
    seed: int = setting(0, "another seed, another motion", range=(0, 2**31 - 1))
    perceive: str = setting("auto", "how distance is found: auto, network, prior, or a depth network's name")
    budget: int = setting(400_000, "splats in the scene at most", range=(1_000, 20_000_000))
    quality: str = setting("exact", "of diffusion and video models: exact, or fast", choices=("exact", "fast"))
    memory: str = setting("auto", "of diffusion and video models; low: 8 GB do", choices=("auto", "low", "high"))
    checkpoints: str = setting("holotime", "family of the diffusion animator's weights", choices=CHECKPOINTS)
    negative_prompt: str = setting("", "what diffusion and video models lead away from")
    guidance_scale: float = setting(0.0, "how strongly the prompt is followed; 0: as the model's own", range=(0, 50))
    steps: int = setting(0, "denoising steps; 0: as many as the model's own", range=(0, 1000))
    refine: float = setting(0.8, "share of its steps that the second diffusion stage runs", range=(0.01, 1))
    video_model: str = setting("", "of the video animators: a model's name, hub id or folder; empty: its own")
    video_width: int = setting(0, "pixels at which a video model works; 0: as it was trained", range=(0, 8192))
    loop: str = setting("none", "how a video model's clip repeats: none, fade, or bounce (back again)", choices=LOOPS)
    enhance_fps: float = setting(0.0, "frames per second to which the clip is interpolated; 0: off", range=(0, 240))
    enhance_scale: int = setting(1, "how many times as wide and high the clip is made: 1, 2 or 4", choices=SCALES)
    interpolator: str = setting("auto", "frames in between: auto, rife, dis, a network's name, or its file")
    upscaler: str = setting("auto", "super-resolution: auto, lanczos, a network's name, or its file")
    sweeps: int = setting(3, "colour corrections of the scene against the clip", range=(0, 10))
    recipe: str = setting("auto", "how the scene is made; auto: trained where a GPU allows it", choices=RECIPES)
    train_steps: int = setting(0, "training steps of the scene; 0: by the recipe", range=(0, 1_000_000))
    live: bool = setting(True, "show the scene while it is trained")


class _Stages:
    """Runs stages through the cache and keeps the time of each."""

    def __init__(self, cache: StageCache, progress: JobProgress) -> None:
        self.cache, self.progress = cache, progress
        self.seconds: dict[str, float] = {}
        self.reused: list[str] = []

    def run(
        self,
        stage: str,
        key: str,
        make: Callable[[Progress], T],
        save: Callable[[T, Path], None],
        load: Callable[[Path], T],
    ) -> T:
        """The stage's result, made or read. ``make`` gets a Progress for the stage."""
        start = time.perf_counter()
        made: list[T] = []
        self.progress(stage, 0.0, "", None)

        def report(fraction: float, note: str = "") -> None:
            self.progress(stage, fraction, note, None)

        def fill(folder: Path) -> None:
            made.append(make(report))
            save(made[0], folder)

        folder, was_there = self.cache.get(stage, key, fill)
        result = made[0] if made else load(folder)
        if was_there:
            self.reused.append(stage)
        self.seconds[stage] = time.perf_counter() - start
        self.progress(stage, 1.0, "reused" if was_there else "", None)
        return result


def generate(
    source: Path | None,
    config: GenerateConfig,
    cache_dir: Path,
    *,
    hint: Path | None = None,
    progress: JobProgress = no_job_progress,
    context: JobContext = NO_CONTEXT,
) -> Generated:
    """Panorama file to clip, distance, motion and Scene4D, with the numbers of the report (files are not written).

    ``source`` is a panorama, a photo, or None where the panorama comes from the prompt alone (``config.panorama``).
    ``hint`` is an optional motion-hint image (see holotime.animate). ``context`` says where stages may keep checkpoints
    and how much memory to use. Raises InputError before any work starts.
    """
    start = time.perf_counter()
    # All of the input is looked at before the first stage, so that bad input costs nothing.
    if source is None and config.panorama != "text":
        raise InputError("There is no image. Give one, or take the panorama from the text (panorama: text).")
    source_digest = digest_file(source) if source is not None and source.is_file() else ""
    check_backend(config.perceive)
    more = EnhanceConfig(config.enhance_fps, config.enhance_scale, config.upscaler, config.interpolator)
    enhanced_by = enhance.check(more, config.width, config.frames, config.fps)
    rebuild = ReconstructConfig(config.recipe, config.train_steps, config.budget, config.sweeps, config.seed)
    reconstruct_backend = backend_of(rebuild)
    hint_image = read_image_with_alpha(hint) if hint else None
    hint_digest = digest_file(hint) if hint else ""
    order = None
    if config.panorama == "image":
        assert source is not None
        panorama = load_panorama(source, config.width, config.fit)  # type: ignore[arg-type]
    else:
        from holotime.panorama.stage import order_of  # takes the libraries for diffusion along

        order = order_of(config, source, context.memory)
    motion = dispatch.motion_config(config)
    moves = dispatch.depends_on(motion)
    stages = _Stages(StageCache(cache_dir), progress)
    key = digest_of(source=source_digest, width=config.width, fit=config.fit)
    if order is not None:
        key = digest_of(stage="panorama", version=STAGE_VERSIONS["panorama"], order=order.fingerprint)
        panorama = _panorama_of(order, config.width, key, stages, context)
        key = digest_of(up=key, width=config.width)
    else:
        stages.seconds["panorama"] = time.perf_counter() - start
    progress("panorama", 1.0, "", preview(panorama.image))

    look_key = _stage_key("perceive", key, backend=config.perceive)
    still: ImagePerception = stages.run(
        "perceive",
        look_key,
        lambda report: perceive_image(panorama.image, backend=config.perceive, cache=cache_dir),
        save_arrays,
        lambda folder: load_arrays(folder, ImagePerception),
    )
    progress("perceive", 1.0, "", preview(report_pictures.distance_map(still.distance)))

    clip_key = _stage_key("animate", look_key, config=moves, hint=hint_digest, animator=config.animator)
    animated: Animated = stages.run(
        "animate",
        clip_key,
        lambda report: dispatch.animate(
            config.animator,
            panorama.image,
            still,
            motion,
            hint=hint_image,
            progress=report,
            preview=lambda fraction, note, picture: progress("animate", fraction, note, preview(picture)),
            context=context,
            key=clip_key,
        ),
        save_animated,
        load_animated,
    )
    clip = animated.clip
    progress("animate", 1.0, "", preview(clip.frames[len(clip) // 2]))

    enhanced: Animated | None = None
    if not more.off:
        clip_key = _stage_key("enhance", clip_key, how=enhanced_by)
        enhanced = stages.run(
            "enhance",
            clip_key,
            lambda report: enhance.run(animated, more, config.budget, report, context.checkpoints("enhance", clip_key)),
            save_animated,
            load_animated,
        )
        clip = enhanced.clip
        progress("enhance", 1.0, "", preview(clip.frames[len(clip) // 2]))

    def world() -> ImagePerception:
        """The static world at the clip's size."""
        if still.distance.shape == clip.frames.shape[1:3]:
            return still
        large = enhance.enlarged(panorama.image, more.scale)
        return perceive_image(large, backend=config.perceive, cache=cache_dir)

    track_key = _stage_key("track", clip_key, backend=config.perceive, flow=flow_backend())
    perception: ClipPerception = stages.run(
        "track",
        track_key,
        lambda report: perceive_clip(clip, backend=config.perceive, still=world(), progress=report),
        save_arrays,
        lambda folder: load_arrays(folder, ClipPerception),
    )

    backends = {
        "panorama": panorama.backend,
        "perceive": still.backend,
        "animate": animated.backend,
        **({"enhance": enhanced.backend} if enhanced else {}),
        "track": perception.backend,
        "reconstruct": reconstruct_backend,
        "render": "cpu",
    }

    scene_key = _stage_key(
        "reconstruct",
        track_key,
        config=dataclasses.asdict(rebuild),
        prompt=config.prompt,
        backend=reconstruct_backend,
    )

    def reconstruct(report: Progress) -> Scene4D:
        folder = context.checkpoints("reconstruct", scene_key) or cache_dir
        kept = folder / f"reconstruct-{scene_key[:32]}.checkpoint"
        _drop_if_damaged(kept)
        with _live(clip, config, context) as snapshot:
            scene = make_scene(
                clip, perception, rebuild, progress=part(report, 0.0, 0.8), checkpoint=kept, snapshot=snapshot
            )
        kept.unlink(missing_ok=True)
        scene.safe_walk = measure(scene, progress=part(report, 0.8, 1.0)).as_dict()
        scene.provenance |= {
            "source_sha256": source_digest,
            "prompt": config.prompt,
            "size": [clip.width, clip.height],
            "backends": backends,
            "seed": config.seed,
            "holotime": __version__,
        }
        return scene

    scene: Scene4D = stages.run(
        "reconstruct",
        scene_key,
        reconstruct,
        lambda result, folder: _ignore(result.save(folder / "scene.safetensors")),
        lambda folder: Scene4D.load(folder / "scene.safetensors"),
    )
    progress("reconstruct", 1.0, "", preview(from_the_eye(scene, 0.5, 512, 256)[0]))

    progress("report", 0.0, "", None)
    stage_start = time.perf_counter()
    psnr = eye_psnr(scene, clip)
    _alpha, covered = coverage(scene)
    stages.seconds["report"] = time.perf_counter() - stage_start
    progress("report", 1.0, "", None)
    numbers: dict[str, Any] = {
        "source": config.name or (source.name if source is not None else config.prompt),
        "prompt": config.prompt,
        "seam_ratio": quality.seam_ratio(clip.frames),
        "loop_ratio": quality.loop_ratio(clip.frames),
        "eye_psnr_db": psnr,
        "coverage": covered,
        "splats": len(scene),
        "safe_walk_m": min(scene.safe_walk["metres"]) if scene.safe_walk else None,
        "frames": len(clip),
        "fps": clip.fps,
        "loop": clip.loop,
        "size": [clip.width, clip.height],
        "backends": backends,
        "models": models_used(
            {
                "panorama": panorama.models,
                "perceive": _perceivers(config.perceive, still.backend),
                "animate": animated.models,
                "enhance": enhanced.models if enhanced else (),
            }
        ),
        "notes": [
            *panorama.notes,
            *animated.notes,
            *(enhanced.notes if enhanced else []),
            *scene.provenance.get("notes", []),
            *(f"{s}: reused from an earlier job" for s in stages.reused),
            *(["memory: the job ran out of it and was done again under the smallest plan"] * (context.memory == LOW)),
        ],
        "stage_seconds": stages.seconds,
        "total_seconds": time.perf_counter() - start,
        "settings": dataclasses.asdict(config),
        "versions": {"holotime": __version__, "numpy": np.__version__},
    }
    return Generated(clip, perception, scene, numbers)


def _panorama_of(order: "Order", width: int, key: str, stages: _Stages, context: JobContext) -> Panorama:
    """The ordered panorama at the working width, through the cache."""
    from holotime.panorama import stage
    from holotime.panorama.job import Told

    told = Told(stages.progress)

    def make(report: Progress) -> Panorama:
        return order.make(progress=told, preview=told.show, state_dir=context.checkpoints("panorama", key))

    return stage.at_width(stages.run("panorama", key, make, stage.save, stage.load), width)


def _stage_key(stage: str, up: str, **settings: Any) -> str:
    """The key of a stage's result: how it is made, and from what. A new version of a stage renews all that follow."""
    return digest_of(stage=stage, version=STAGE_VERSIONS[stage], up=up, **settings)


def _live(clip: Clip, config: GenerateConfig, context: JobContext) -> AbstractContextManager[Snapshot | None]:
    """What sees the scene while it is trained: somebody who wants to, or nobody."""
    if not config.live or context.publish is None:
        return nullcontext()
    return LiveScene(context.publish, duration=clip.duration, fps=clip.fps, loop=clip.loop)


def _drop_if_damaged(checkpoint: Path) -> None:
    """A training checkpoint that a power cut has cut off is removed: nobody is there to do that by hand."""
    if not checkpoint.is_file():
        return
    from holotime.reconstruct.training.checkpoint import read

    try:
        read(checkpoint)
    except InputError:
        checkpoint.unlink()


def _perceivers(asked: str, used: str) -> list[str]:
    """The networks that found the distance: what was asked for by id or file, and the embedded one where it ran."""
    chosen = [asked.split(":", 1)[1]] if ":" in asked else []
    return chosen + [EMBEDDED] * ("network" in used)


def _ignore(_: object) -> None:
    """For savers that return a path."""
