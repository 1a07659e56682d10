"""A panorama by itself: ordered, made through the stage cache, written, and told about."""

import contextlib
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from holotime import __version__
from holotime.cache import StageCache, digest_of
from holotime.files import write_whole
from holotime.job_context import LOW, JobContext
from holotime.panorama import stage
from holotime.panorama.config import PanoramaConfig
from holotime.panorama.load import Panorama
from holotime.panorama.poles import pole_ratio
from holotime.quality import seam_ratio
from holotime.report import models_used
from holotime.report_pictures import jpeg, thumbnail

if TYPE_CHECKING:  # which imports this package
    from holotime.pipeline import JobProgress


def make_panorama(
    config: PanoramaConfig,
    photo: Path | None,
    target: Path,
    cache_dir: Path,
    *,
    progress: "JobProgress",
    context: JobContext,
) -> dict[str, Any]:
    """Make a panorama, write it to ``target`` (.png or .jpg), and return the numbers of its report.

    Raises InputError, BackendUnavailable and OutOfMemory before any work starts.
    """
    from holotime.pipeline import STAGE_VERSIONS

    start = time.perf_counter()
    if context.memory == LOW:
        config = PanoramaConfig(**{**asdict(config), "memory": LOW})
    order = stage.order(config, photo)
    key = digest_of(stage="panorama", version=STAGE_VERSIONS["panorama"], order=order.fingerprint)
    made: list[Panorama] = []
    fill = Told(progress)

    def fill_folder(folder: Path) -> None:
        made.append(order.make(progress=fill, preview=fill.show, state_dir=context.checkpoints("panorama", key)))
        stage.save(made[0], folder)

    folder, reused = StageCache(cache_dir).get("panorama", key, fill_folder)
    if context.work_dir is not None:
        with contextlib.suppress(OSError):
            context.checkpoints("panorama", key).rmdir()  # type: ignore[union-attr]  # empty now
    panorama = made[0] if made else stage.load(folder)
    write_whole(target, stage.png(panorama.image) if target.suffix.lower() == ".png" else jpeg(panorama.image, 95))
    progress("panorama", 1.0, "reused" if reused else "", jpeg(thumbnail(panorama.image), 80))
    up, down = pole_ratio(panorama.image)
    return {
        "source": photo.name if photo is not None else config.prompt,
        "prompt": config.prompt,
        "seam_ratio": seam_ratio(panorama.image[None]),
        "pole_ratio": max(up, down),
        "size": [panorama.image.shape[1], panorama.image.shape[0]],
        "backends": {"panorama": panorama.backend},
        "models": models_used({"panorama": panorama.models}),
        "notes": [*panorama.notes, *(["panorama: reused from an earlier job"] * reused)],
        "total_seconds": time.perf_counter() - start,
        "settings": asdict(config),
        "versions": {"holotime": __version__, "numpy": np.__version__},
    }


class Told:
    """A stage's Progress that also passes previews on, with the fraction and note that were told last."""

    def __init__(self, progress: "JobProgress") -> None:
        self._progress, self._last = progress, (0.0, "")

    def __call__(self, fraction: float, note: str = "") -> None:
        self._last = (fraction, note)
        self._progress("panorama", fraction, note, None)

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Pass a small picture [h, w, 3] on."""
        self._progress("panorama", *self._last, jpeg(picture, 80))
