"""The panorama stage of a job: an image as it is, or an order for a panorama from a sentence or round a photo."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from holotime import sphere
from holotime.clip import read_image
from holotime.errors import InputError
from holotime.files import write_whole
from holotime.job_context import LOW
from holotime.panorama.config import MAX_WIDTH, SOURCES, PanoramaConfig
from holotime.panorama.load import Panorama
from holotime.panorama.loading import Chosen, choose
from holotime.panorama.make import Preview, fingerprint, make
from holotime.panorama.photo import Photo, read_photo
from holotime.progress import Progress, no_progress

if TYPE_CHECKING:  # which imports this module
    from holotime.pipeline import GenerateConfig

LEAST_WIDTH = 1024  # pixels, unless the model draws less: smaller panoramas are drawn so and shrunk


@dataclass(frozen=True)
class Order:
    """A panorama that can be made: its model is here and fits, its photo was read."""

    config: PanoramaConfig
    chosen: Chosen
    photo: Photo | None
    notes: tuple[str, ...] = ()  # on the photo

    @property
    def fingerprint(self) -> str:
        """Digest of all that the panorama depends on."""
        return fingerprint(self.config, self.chosen, self.photo)

    def make(
        self, *, progress: Progress = no_progress, preview: Preview | None = None, state_dir: Path | None = None
    ) -> Panorama:
        """The panorama at the width of the order. See :func:`holotime.panorama.make.make`."""
        image, made = make(
            *(self.config, self.photo), chosen=self.chosen, progress=progress, preview=preview, state_dir=state_dir
        )
        return Panorama(image, [*self.notes, *made.notes], made.backend, made.licences)


def order(config: PanoramaConfig, photo: Path | None = None) -> Order:
    """Look at everything that a panorama needs before any work.

    Raises InputError, BackendUnavailable (with what to fetch) and OutOfMemory (with what would be needed).
    """
    config.check(photo=photo is not None)
    picture, notes = (None, []) if photo is None else read_photo(photo, config.fov)
    chosen = choose(config, photo=photo is not None)
    chosen.plan_for(config)
    return Order(config, chosen, picture, tuple(notes))


def order_of(settings: "GenerateConfig", source: Path | None, memory: str) -> Order:
    """The order that a job's settings mean. ``memory``: of the job's context."""
    if settings.panorama not in SOURCES:
        raise InputError(f"Unknown kind of panorama '{settings.panorama}'. Take one of {', '.join(SOURCES)}.")
    if settings.panorama == "outpaint" and source is None:
        raise InputError("There is no photo. Give one, or take the panorama from the text alone.")
    config = PanoramaConfig(
        prompt=settings.prompt,
        negative_prompt=settings.negative_prompt,
        model=settings.panorama_model,
        lora=settings.panorama_lora,
        seed=settings.seed,
        memory="low" if memory == LOW else settings.memory,
        fov=settings.fov,
        yaw=settings.yaw,
        pitch=settings.pitch,
    )
    photo = source if settings.panorama == "outpaint" else None
    config.check(photo=photo is not None)
    native = choose(config, photo=photo is not None).native
    width = min(max(settings.width, min(native, LEAST_WIDTH)), MAX_WIDTH)
    return order(replace(config, width=-(-width // 32) * 32), photo)


def at_width(panorama: Panorama, width: int) -> Panorama:
    """The panorama [H, 2H, 3] at a job's working width."""
    if panorama.image.shape[1] == width:
        return panorama
    note = f"panorama resized from {panorama.image.shape[1]} to {width}"
    return replace(panorama, image=sphere.resize(panorama.image, width // 2), notes=[*panorama.notes, note])


def save(panorama: Panorama, folder: Path) -> None:
    """Write panorama.png, and beside it how it was made, into a stage's folder."""
    write_whole(folder / "panorama.png", png(panorama.image))
    texts = {"notes": panorama.notes, "models": panorama.models, "backend": panorama.backend}
    write_whole(folder / "made.json", json.dumps(texts, ensure_ascii=False).encode())


def load(folder: Path) -> Panorama:
    """The inverse of :func:`save`."""
    texts = json.loads((folder / "made.json").read_text(encoding="utf-8"))
    return Panorama(read_image(folder / "panorama.png"), **texts)


def png(image: np.ndarray) -> bytes:
    """A picture [H, W, 3] sRGB as PNG."""
    import cv2

    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()
