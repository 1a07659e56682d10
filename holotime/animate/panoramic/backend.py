"""Video models in the shape of the animate stage (:class:`holotime.animate.Animator`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotime.animate import Animated
from holotime.animate.panoramic.animator import Preview, run
from holotime.animate.panoramic.config import PanoramicConfig
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
    """Animate a panorama [H, W, 3] by the video model that ``config`` (a PanoramicConfig) names; see animator.run.

    The perception is not needed; a motion hint [h, w, 4] is not followed, which the notes say.
    """
    assert isinstance(config, PanoramicConfig)
    result = run(panorama, config, progress=progress, preview=preview)
    notes = list(result.notes)
    if hint is not None:
        notes.append("The motion hint was not followed: a video model cannot be told where to move.")
    everywhere = np.ones(panorama.shape[:2], np.bool_)  # every pixel is made anew
    return Animated(result.clip, everywhere, notes, result.backend, (result.model,))
