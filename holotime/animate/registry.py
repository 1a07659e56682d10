"""Animators by name. Their modules are imported only when they are asked for."""

from importlib import import_module
from typing import cast

from holotime.animate import Animator
from holotime.errors import InputError

VIDEO_MODELS = ("wan", "ltx", "cogvideox", "svd")  # image-to-video pipelines of diffusers, made panoramic
_MODULES = {
    "flow": "holotime.animate.flow",
    "holotime": "holotime.animate.diffusion.backend",
    **dict.fromkeys(VIDEO_MODELS, "holotime.animate.panoramic.backend"),
}
ANIMATORS = tuple(_MODULES)
LOOPS = ("none", "fade", "bounce")  # how a video model's clip is made to repeat
CHECKPOINTS = ("holotime", "dynamicrafter-512", "dynamicrafter-1024")  # families that the diffusion animator knows


def animator(name: str) -> Animator:
    """The animator called ``name``; InputError lists the known ones."""
    if name not in _MODULES:
        raise InputError(f"Unknown animator '{name}'. Take one of {', '.join(ANIMATORS)}.")
    return cast(Animator, import_module(_MODULES[name]).animate)
