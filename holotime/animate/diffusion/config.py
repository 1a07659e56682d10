"""What the animator's networks and stages look like: dataclasses, and the presets of the published checkpoints."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from holotime.errors import InputError

MAX_SIZE = 65536  # of anything that a checkpoint states about its networks


@dataclass(frozen=True)
class UNetConfig:
    """The video U-Net. The defaults are the published 1.44 B parameter network."""

    in_channels: int = 8  # noisy latent (4) and image latent (4)
    out_channels: int = 4  # predicted velocity
    model_channels: int = 320  # width of the first level
    channel_mult: tuple[int, ...] = (1, 2, 4, 4)  # width of each level in units of model_channels
    num_res_blocks: int = 2  # residual blocks a level on the way down (one more on the way up)
    attention_resolutions: tuple[int, ...] = (4, 2, 1)  # down-sampling factors that have transformers
    num_head_channels: int = 64  # width of one attention head
    context_dim: int = 1024  # width of a text or image token
    default_fs: int = 10  # frames per second (or stride) assumed when none is given

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "UNetConfig":
        """From a configuration that may hold more keys than this network needs."""
        known: dict[str, Any] = {k: values[k] for k in cls.__dataclass_fields__ if k in values}
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in known.items()}
        return cls(**plain)


@dataclass(frozen=True)
class ResamplerConfig:
    """The Perceiver that turns the image encoder's tokens into context tokens."""

    dim: int = 1024  # inner width
    depth: int = 4  # layers
    dim_head: int = 64  # width of one head
    heads: int = 12  # heads
    num_queries: int = 16  # tokens a frame
    video_length: int = 16  # frames the queries were laid out for: num_queries * video_length tokens leave
    embedding_dim: int = 1280  # width of an incoming token
    output_dim: int = 1024  # width of an outgoing token
    ff_mult: int = 4  # width of the feed-forward layer in units of dim


@dataclass(frozen=True)
class VAEConfig:
    """The Stable Diffusion KL autoencoder."""

    ch: int = 128  # width of the first level
    ch_mult: tuple[int, ...] = (1, 2, 4, 4)  # width of each level in units of ch
    num_res_blocks: int = 2  # residual blocks a level
    z_channels: int = 4  # latent channels
    scale_factor: float = 0.18215  # latents are multiplied by this


@dataclass(frozen=True)
class TowerConfig:
    """A CLIP tower (text or image). Defaults: the text side of OpenCLIP ViT-H/14."""

    width: int = 1024  # token width
    layers: int = 24  # transformer blocks in the checkpoint
    heads: int = 16  # attention heads
    mlp: int = 4096  # width of the feed-forward layer
    vocabulary: int = 49408  # text only
    patch: int = 14  # image only: pixels of a patch side
    image_size: int = 224  # image only: pixels of the input side


VIT_H_IMAGE = TowerConfig(width=1280, layers=32, heads=16, mlp=5120)


@dataclass(frozen=True)
class ModelConfig:
    """All networks of one checkpoint."""

    unet: UNetConfig = UNetConfig()
    resampler: ResamplerConfig = ResamplerConfig()
    vae: VAEConfig = VAEConfig()
    text: TowerConfig = TowerConfig()
    image: TowerConfig = VIT_H_IMAGE


def model_from_dict(values: Any) -> ModelConfig:
    """The sizes that a checkpoint states of itself; InputError for anything but whole numbers in a sensible range."""

    def read(cls: type, given: Any, where: str) -> Any:
        hints = {f.name: f for f in fields(cls)}
        if not isinstance(given, dict) or set(given) - set(hints):
            raise InputError(f"The sizes that the checkpoint states ({where}) have unknown names.")
        return cls(**{k: number(v, f"{where}.{k}") for k, v in given.items()})

    def number(value: Any, where: str) -> Any:
        if isinstance(value, list | tuple) and 0 < len(value) <= 8:
            return tuple(number(v, where) for v in value)
        if type(value) not in (int, float) or not 0 < value <= MAX_SIZE:
            raise InputError(f"The checkpoint states {where} = {value!r:.50}, which is no sensible size.")
        return value

    parts = {f.name: type(f.default) for f in fields(ModelConfig)}
    if not isinstance(values, dict) or set(values) != set(parts):
        raise InputError(f"The sizes that the checkpoint states must be of {', '.join(parts)}.")
    return ModelConfig(**{name: read(cls, values[name], name) for name, cls in parts.items()})


@dataclass(frozen=True)
class StageConfig:
    """One sampling stage: which checkpoint, at which size, with which schedule."""

    weights: str  # registered model name, or a path of a .ckpt or .safetensors file
    height: int  # pixels the network works at
    width: int  # pixels; a multiple of 128 so that the overlap is whole at every level
    base_scale: float  # end value of the dynamic rescale (used when the checkpoint has no scale_arr)
    fs: int = 10  # frame-rate condition the network was trained with
    window: int = 25  # frames the network sees at once
    overlap: int = 8  # frames that neighbouring windows share in longer clips


HOLOTIME_GUIDANCE = StageConfig("holotime-guidance", 320, 512, 0.7)
HOLOTIME_REFINEMENT = StageConfig("holotime-refinement", 576, 1024, 0.3)
DYNAMICRAFTER_512 = StageConfig("dynamicrafter-512", 320, 512, 0.7, fs=24, window=16, overlap=6)
DYNAMICRAFTER_1024 = StageConfig("dynamicrafter-1024", 576, 1024, 0.3, fs=10, window=16, overlap=6)
STAGES = {s.weights: s for s in (HOLOTIME_GUIDANCE, HOLOTIME_REFINEMENT, DYNAMICRAFTER_512, DYNAMICRAFTER_1024)}

# What is run of each family of checkpoints: (guidance, refinement).
FAMILIES: dict[str, tuple[StageConfig | None, StageConfig | None]] = {
    "holotime": (HOLOTIME_GUIDANCE, HOLOTIME_REFINEMENT),
    "dynamicrafter-512": (DYNAMICRAFTER_512, None),
    "dynamicrafter-1024": (None, DYNAMICRAFTER_1024),
}
STAGE_SIZES = ("height", "width", "window", "overlap")  # what a checkpoint may state about its stage


def stage_from_dict(stage: StageConfig, values: Any) -> StageConfig:
    """``stage`` with the sizes that its checkpoint states; InputError for anything but whole numbers."""
    if not isinstance(values, dict) or set(values) - set(STAGE_SIZES):
        raise InputError(f"A checkpoint may state {', '.join(STAGE_SIZES)} of its stage and nothing else.")
    for name, value in values.items():
        if type(value) is not int or not 0 <= value <= MAX_SIZE:
            raise InputError(f"The checkpoint states {name} = {value!r:.50} of its stage, which is no sensible size.")
    return replace(stage, **values)


Quality = Literal["exact", "fast"]
Memory = Literal["auto", "high", "low"]


@dataclass(frozen=True)
class AnimatorConfig:
    """How a panorama is animated by the two-stage diffusion."""

    prompt: str = ""  # what should move, in words
    negative_prompt: str = ""  # what the guidance should lead away from
    frames: int = 25  # frames of the clip; beyond a stage's window the clip is made in overlapping windows
    fps: float = 10.0  # playback rate of the clip; does not change the motion
    seed: int = 1024  # the same seed, panorama and settings give the same clip
    steps: int = 50  # denoising steps of the full schedule
    eta: float = 1.0  # 0: deterministic sampling, 1: fresh noise at every step
    guidance_scale: float = 7.5  # how strongly the prompt and picture are followed
    guidance_rescale: float = 0.7  # how far the guided prediction is brought back to its own contrast
    strength: float = 0.8  # share of the schedule that refinement runs (1: ignores the guidance clip)
    quality: Quality = "exact"  # fast: fewer steps, deep features reused between neighbouring steps
    memory: Memory = "auto"  # auto: from the free memory; low: at most 8 GB; high: fastest
    compat: bool = False  # reproduce the published recipe's quirks (see seam.py and schedule.py)
    compile: bool = False  # torch.compile the repeated blocks, in place of the fused kernels (faster on CUDA)
    graphs: bool = True  # CUDA graphs where the memory plan has room for them; False: start every kernel by itself
    device: str | None = None  # cuda, mps or cpu; by default the best there is
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"  # precision of the weights
    guidance: StageConfig | None = HOLOTIME_GUIDANCE  # None: animate directly with `refinement` from noise
    refinement: StageConfig | None = HOLOTIME_REFINEMENT  # None: the guidance clip is the result
    model: ModelConfig | None = None  # sizes of the networks; None: what the checkpoint states, else the published ones
    upscaler: str = "realesrgan-x2plus"  # registered name or path; Lanczos when its weights are not here
    resume_dir: Path | None = None  # folder where every step is saved; a later call goes on from there
    preview_every: int = 5  # steps between two previews
