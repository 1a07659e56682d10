"""From the settings of a job to an animator, what its clip depends on, and its clip.

Diffusion and video models are imported only when they are asked for.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from holotime.animate import Animated
from holotime.animate.flow import FlowConfig
from holotime.animate.registry import VIDEO_MODELS, animator
from holotime.errors import InputError
from holotime.job_context import LOW, JobContext
from holotime.perceive import ImagePerception
from holotime.progress import Progress

if TYPE_CHECKING:  # which imports this module
    from holotime.pipeline import GenerateConfig

# (fraction of the stage, note, picture [h, w, 3] sRGB)
Preview = Callable[[float, str, NDArray[np.uint8]], None]


def motion_config(settings: "GenerateConfig") -> Any:
    """What the animator is told: a FlowConfig, or the configuration of a diffusion or video model."""
    shared: dict[str, Any] = {name: getattr(settings, name) for name in ("frames", "fps", "seed", "prompt")}
    if settings.animator in VIDEO_MODELS:
        return _video_config(settings, shared)
    if settings.video_model or settings.video_width:
        raise InputError(
            f"A video model was named for the animator {settings.animator}, which uses none. Leave it out, or choose "
            f"one of the animators {', '.join(VIDEO_MODELS)}."
        )
    if settings.loop != "none":
        own = "always loops" if settings.animator == "flow" else "makes no loops"
        raise InputError(f"The animator {settings.animator} {own}: leave out the loop.")
    if settings.animator == "flow":
        return FlowConfig(strength=settings.strength, direction=settings.direction, **shared)
    from holotime.animate.diffusion.config import FAMILIES, AnimatorConfig

    guidance, refinement = FAMILIES[settings.checkpoints]
    return AnimatorConfig(
        negative_prompt=settings.negative_prompt,
        guidance_scale=settings.guidance_scale or AnimatorConfig.guidance_scale,
        steps=settings.steps or AnimatorConfig.steps,
        strength=settings.refine,
        quality=settings.quality,  # type: ignore[arg-type]  # one of its choices
        memory=settings.memory,  # type: ignore[arg-type]
        guidance=guidance,
        refinement=refinement,
        **shared,
    )


def _video_config(settings: "GenerateConfig", shared: dict[str, Any]) -> Any:
    from holotime.animate.panoramic import PanoramicConfig

    return PanoramicConfig(
        animator=settings.animator,
        model=settings.video_model,
        width=settings.video_width,
        loop=settings.loop,  # type: ignore[arg-type]  # one of its choices
        negative_prompt=settings.negative_prompt,
        guidance_scale=settings.guidance_scale,
        steps=settings.steps,
        quality=settings.quality,  # type: ignore[arg-type]
        memory=settings.memory,  # type: ignore[arg-type]
        **shared,
    )


def depends_on(motion: Any) -> Any:
    """What the clip depends on besides the panorama, for a digest. BackendUnavailable when weights are not here."""
    if isinstance(motion, FlowConfig):
        return dataclasses.asdict(motion)
    from holotime.animate.diffusion.config import AnimatorConfig

    if isinstance(motion, AnimatorConfig):
        from holotime.animate.diffusion import fingerprint

        return fingerprint(motion)
    from holotime.animate.panoramic import fingerprint as of_video_model

    return of_video_model(motion)


def animate(
    name: str,
    panorama: NDArray[np.uint8],
    perception: ImagePerception | None,
    motion: Any,
    *,
    hint: NDArray | None,
    progress: Progress,
    preview: Preview | None = None,
    context: JobContext,
    key: str,
) -> Animated:
    """The clip of panorama [H, W, 3] by the animator ``name`` under ``motion`` (see :func:`motion_config`).

    ``key`` names what the clip depends on; under it a long run keeps its state where ``context`` allows. Only the flow
    looks at the perception. ``preview`` gets a picture now and then from an animator that takes long.
    """
    if isinstance(motion, FlowConfig):
        assert perception is not None
        return animator(name)(panorama, perception, motion, hint=hint, progress=progress)
    last: tuple[float, str] = (0.0, "")

    def tell(fraction: float, note: str = "") -> None:
        nonlocal last
        last = fraction, note
        progress(fraction, note)

    equipped = dataclasses.replace(
        motion,
        memory="low" if context.memory == LOW else motion.memory,
        resume_dir=context.checkpoints("animate", key),
    )
    show = None if preview is None else lambda picture: preview(*last, picture)
    return animator(name)(panorama, perception, equipped, hint=hint, progress=tell, preview=show)  # type: ignore[call-arg, arg-type]
