"""What is particular to a family of video models: sizes, frames, arguments, and how its denoiser sees a window."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from holotime.animate.panoramic.config import PanoramicConfig
from holotime.animate.panoramic.window import Window
from holotime.errors import InputError
from holotime.models import PipelineFiles
from holotime.weights.registry import MODELS, by_repository

MARGIN = 10  # one token in so many is repeated, at least MARGIN_LEAST
MARGIN_LEAST = 2
Forward = Callable[..., Any]


@dataclass(frozen=True)
class Size:
    """What a model works on."""

    width: int  # pixels of a full turn
    height: int
    window: Window  # over the latent's columns


@dataclass(frozen=True)
class Rules:
    """Published figures of a model."""

    pixels: int  # of a frame that it was trained with
    frames: int  # of a clip that it was trained with, the most that it makes at once
    every: int  # frames of a clip are a multiple of it and one; 0: always ``frames``
    fps: float  # of the clips that it was trained with
    steps: int
    guidance: float


class Family(ABC):
    """One pipeline of a family, known from its files before it is loaded."""

    animator: ClassVar[str]
    classes: ClassVar[tuple[str, ...]]  # pipelines in whose layout its models are published
    load_as: ClassVar[str]  # the class that makes videos of pictures
    default: ClassVar[str]  # registered name of the model that is taken when none is named
    denoisers: ClassVar[tuple[str, ...]] = ("transformer",)
    reads_prompt: ClassVar[bool] = True
    least_steps: ClassVar[int] = 1
    says: ClassVar[str] = "the width is opened by a margin that wraps round and is cross-faded"

    rules: Rules
    stride: int  # pixels of a latent column
    unit: int  # latent columns of a token, or of the coarsest level

    def __init__(self, files: PipelineFiles) -> None:
        self.files = files

    @property
    def name(self) -> str:
        """The model as a person would look it up: its registered name, its hub id, or its folder."""
        hub_id = "/".join(self.files.folder.parts[-2:])
        known = by_repository(hub_id)
        return known.name if known is not None and self.files.name not in MODELS else self.files.name

    # Sizes ------------------------------------------------------------------------------------------------------

    def size(self, width: int) -> Size:
        """The size to work at; ``width`` in pixels of a full turn, 0: the one that the model was trained with."""
        token = self.stride * self.unit
        asked = width or math.sqrt(2 * self.rules.pixels / (1 + 1 / MARGIN))
        tokens = max(2, 2 * round(asked / token / 2))  # even: the height is half of it
        margin = max(MARGIN_LEAST, round(tokens / MARGIN))
        return Size(tokens * token, tokens * token // 2, Window(tokens * self.unit, min(margin, tokens) * self.unit))

    def clip_frames(self, wanted: int) -> int:
        """Frames that the model makes when ``wanted`` are needed, at most ``rules.frames``."""
        every = self.rules.every
        if not every:
            return self.rules.frames
        return min(every * math.ceil(max(wanted - 1, 1) / every) + 1, self.rules.frames)

    @abstractmethod
    def working(self, size: Size, frames: int, itemsize: int) -> tuple[int, int]:
        """Bytes that are needed besides the weights, done whole and in pieces. Counted, not measured."""

    def dtypes(self, half: torch.dtype) -> torch.dtype | dict[str, torch.dtype]:
        """Precision of the parts, where the device's own is ``half``."""
        return half

    def parts(self) -> dict[str, Any]:
        """Parts of the pipeline that its files do not name."""
        return {}

    def around(self) -> AbstractContextManager[None]:
        """What has to hold while the pipeline runs."""
        return nullcontext()

    def prompt_tokens(self, pipeline: Any) -> int:
        """Tokens of a prompt that are read."""
        return 512

    # Running ----------------------------------------------------------------------------------------------------

    def check(self) -> None:  # noqa: B027 - most families have nothing to refuse
        """Refuse a model of the family that does not make videos of pictures."""

    @abstractmethod
    def arguments(self, config: PanoramicConfig, frames: int) -> dict[str, Any]:
        """What the pipeline is called with, besides picture, size, steps, seed and callback."""

    @abstractmethod
    def denoise(self, pipeline: Any, forward: Forward, window: Window, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The denoiser's answer to (args, kwargs) about a full turn, seen through ``window``."""

    @abstractmethod
    def blank(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Zeros in the shape of the denoiser's answer, for steps that were done in an earlier run."""

    @abstractmethod
    def picture(self, pipeline: Any, clean: Tensor) -> Tensor:
        """[3, H, W] in [-1, 1]: the middle frame of what the scheduler takes for the clean latent."""

    @abstractmethod
    def in_pieces(self, pipeline: Any) -> None:
        """Arrange that the autoencoder works in pieces: by rows, never by columns, which are a circle."""

    # Help -------------------------------------------------------------------------------------------------------

    def refuse(self, what: str) -> InputError:
        """An error about this model."""
        return InputError(f"The model {self.files.name} {what}")


def argument(name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
    """The denoiser's argument ``name``, which is its first one when it has no name."""
    return kwargs[name] if name in kwargs else args[0]


def transformer_bytes(tokens: int, wide: int, batch: int, itemsize: int) -> int:
    """Peak of a transformer's forward beside its weights: residual stream, norm, q, k, v, their rotation, attention,
    and the four times wider feed-forward layer with its activation; attention itself works in pieces."""
    return tokens * wide * batch * itemsize * 16


def rows_only(vae: Any, rows: int = 192, overlap: int = 48) -> None:
    """Tiles of ``rows`` pixels with ``overlap``, as wide as the picture, in autoencoders that take a stride."""
    whole = 1 << 20
    vae.enable_tiling(
        tile_sample_min_height=rows,
        tile_sample_min_width=whole,
        tile_sample_stride_height=rows - overlap,
        tile_sample_stride_width=whole,
    )
