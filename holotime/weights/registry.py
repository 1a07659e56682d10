"""The models that can be fetched by name. Data only; nothing here touches the network or the disk."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelFile:
    """One file of a model."""

    name: str  # its name on disk
    url: str  # where it comes from
    sha256: str | None = None  # when the publisher states it; otherwise the first download's is recorded
    bytes: int | None = None  # exact size, when known


@dataclass(frozen=True)
class Model:
    """A model by name."""

    name: str  # what configurations call it
    about: str  # one line: what it is for
    source: str  # who published it
    licence: str  # as its publisher states it
    files: tuple[ModelFile, ...]  # all that is needed
    approximate_gb: float  # for the disk check when sizes are not known


def _hub(repository: str, file: str, name: str | None = None) -> ModelFile:
    """A file of a Hugging Face repository. ``hub:`` is resolved by the store (HF_ENDPOINT is honoured)."""
    return ModelFile(name or file, f"hub:{repository}/{file}")


MODELS = {
    model.name: model
    for model in (
        Model(
            "holotime-guidance",
            "Panoramic Animator, first stage (320x512)",
            "Marblueocean/HoloTime",
            "see the model card",
            (_hub("Marblueocean/HoloTime", "holotime_guidance.ckpt"),),
            10.5,
        ),
        Model(
            "holotime-refinement",
            "Panoramic Animator, second stage (576x1024)",
            "Marblueocean/HoloTime",
            "see the model card",
            (_hub("Marblueocean/HoloTime", "holotime_refinement.ckpt"),),
            10.5,
        ),
        Model(
            "dynamicrafter-512",
            "image-to-video, 320x512, 16 frames",
            "Doubiiu/DynamiCrafter_512",
            "see the model card",
            (_hub("Doubiiu/DynamiCrafter_512", "model.ckpt", "dynamicrafter_512.ckpt"),),
            10.5,
        ),
        Model(
            "dynamicrafter-1024",
            "image-to-video, 576x1024, 16 frames",
            "Doubiiu/DynamiCrafter_1024",
            "see the model card",
            (_hub("Doubiiu/DynamiCrafter_1024", "model.ckpt", "dynamicrafter_1024.ckpt"),),
            10.5,
        ),
        Model(
            "realesrgan-x2plus",
            "doubles the guidance clip before the refinement",
            "xinntao/Real-ESRGAN",
            "BSD-3-Clause",
            (
                ModelFile(
                    "RealESRGAN_x2plus.pth",
                    "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.1/RealESRGAN_x2plus.pth",
                ),
            ),
            0.07,
        ),
    )
}
