"""The panoramic animator in the shape of the animate stage (:class:`holotime.animate.Animator`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.animate import Animated
from holotime.animate.diffusion.animator import run
from holotime.animate.diffusion.config import AnimatorConfig
from holotime.animate.diffusion.stage import Preview
from holotime.clip import Clip
from holotime.perceive import ImagePerception
from holotime.progress import Progress, no_progress


def animate(
    panorama: NDArray[np.uint8],
    perception: ImagePerception | None,
    config: Any,
    *,
    hint: NDArray | None = None,
    progress: Progress = no_progress,
    preview: Preview | None = None,
) -> Animated:
    """Animate a panorama [H, W, 3] by diffusion; the clip has the panorama's size and does not loop.

    ``config`` is an AnimatorConfig, or anything with ``prompt``, ``frames``, ``fps`` and ``seed``. The perception is
    not needed; a motion hint [h, w, 4] is not followed, which the notes say. ``preview``: see :func:`animator.run`.
    """
    if not isinstance(config, AnimatorConfig):
        config = AnimatorConfig(prompt=config.prompt, frames=config.frames, fps=config.fps, seed=config.seed)
    result = run(panorama, config, progress=progress, preview=preview)
    height, width = panorama.shape[:2]
    made = result.clip.frames
    notes = list(result.notes)
    if made.shape[1:3] != (height, width):
        notes.append(f"Animated at {made.shape[2]}x{made.shape[1]}, then resized to {width}x{height}.")
    if hint is not None:
        notes.append("The motion hint was not followed: this animator is steered by the prompt alone.")
    clip = Clip(np.stack([sphere.resize(frame, height, width) for frame in made]), result.clip.fps)
    everywhere = np.ones((height, width), np.bool_)  # every pixel is made anew
    return Animated(clip, everywhere, notes, result.backend, tuple(result.models))
