"""Depth networks that read perspective pictures: found by a hub id, a folder or a file.

``transformers:ID`` is any depth-estimation model of the transformers library, ``marigold:ID`` a Marigold pipeline of
diffusers (ID is a hub id or a folder), ``onnx:FILE`` an ONNX file. A trailing ``#depth``, ``#disparity`` or
``#distance`` overrides what the model says of its output: depth along the view's axis, its inverse, or distance along
the ray.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, get_args

from torch import Tensor

from holotime.errors import InputError
from holotime.perceive.observe import Kind


class Predictor(Protocol):
    """A depth network for perspective pictures."""

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def digest(self) -> str:
        """sha256 in hex of the weights and of all that changes the output: the key of cached predictions."""

    @property
    def kind(self) -> Kind:
        """Where its output is affine."""

    def __call__(self, pictures: Tensor, frame: int) -> Tensor:
        """[V, s, s] float32 for sRGB pictures [V, 3, s, s] in [0, 1] of one frame; +inf is sky, NaN unknown."""


@dataclass(frozen=True)
class Spec:
    """A backend by name."""

    library: str  # transformers, marigold or onnx
    model: str  # hub id, folder or file
    kind: Kind | None  # what the output is affine in, if the caller knows better than the model

    def __str__(self) -> str:
        return f"{self.library}:{self.model}" + (f"#{self.kind}" if self.kind else "")


LIBRARIES = ("transformers", "marigold", "onnx")


def parse_spec(text: str) -> Spec | None:
    """The backend that ``text`` names; None if it names none of a library. InputError for half a name."""
    library, colon, rest = text.partition(":")
    if not colon or library not in LIBRARIES:
        return None
    model, mark, kind = rest.partition("#")
    if not model:
        raise InputError(f"The backend '{text}' names no model. Write it as {library}:MODEL.")
    if mark and kind not in get_args(Kind):
        raise InputError(f"The backend '{text}' ends in '#{kind}'; known are {', '.join(get_args(Kind))}.")
    return Spec(library, model, kind if mark else None)  # type: ignore[arg-type]


def open_predictor(spec: Spec, device: str = "cpu") -> Predictor:
    """Load the model. BackendUnavailable says which package or file is missing, or why it does not load."""
    # Imported when asked for: each library takes seconds and gigabytes.
    from holotime.perceive.backends import hub, onnx_file

    openers: dict[str, Callable[..., Predictor]] = {
        "transformers": hub.TransformersDepth,
        "marigold": hub.MarigoldDepth,
        "onnx": onnx_file.OnnxDepth,
    }
    return openers[spec.library](spec.model, kind=spec.kind, device=device)


__all__ = ["LIBRARIES", "Predictor", "Spec", "open_predictor", "parse_spec"]
