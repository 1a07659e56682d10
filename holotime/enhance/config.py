"""What an artist may choose, and which networks that means on this machine."""

import difflib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from holotime.config import setting
from holotime.enhance.dis import DisEngine
from holotime.enhance.motion import Engine
from holotime.enhance.superres import Enlarger, Lanczos, Network
from holotime.errors import InputError
from holotime.video.encode import frame_rate
from holotime.weights import MODELS, locate, status
from holotime.weights.store import file_stamp

SCALES = (1, 2, 4)
INTERPOLATORS = ("rife-4.6", "rife-4.0")  # the first that is here is taken
UPSCALERS = {  # for each factor, the first that is here is taken; drawn pictures have a network of their own, by name
    2: ("realesrgan-x2plus", "realesr-general-x4v3", "realesrgan-x4plus"),
    4: ("realesrgan-x4plus", "realesr-general-x4v3", "realesrgan-x2plus"),
}
SLOW = ("realesrgan-x4plus",)  # about ten minutes for a frame of 1024 x 512 on one core


@dataclass(frozen=True)
class EnhanceConfig:
    """More frames a second, more pixels."""

    fps: float = setting(0.0, "frames a second; 0: as they are", range=(0, 240))
    scale: int = setting(1, "how many times as wide and high: 1, 2 or 4", choices=SCALES)
    model: str = setting("auto", "super-resolution: auto, lanczos, a network's name, or its file")
    interpolator: str = setting("auto", "frames in between: auto, rife, dis, a network's name, or its file")

    @property
    def rate(self) -> Fraction | None:
        """Frames a second, exactly (29.97 is 30000/1001); None: as they are."""
        return frame_rate(self.fps) if self.fps else None

    @property
    def off(self) -> bool:
        """Nothing is asked for."""
        return self.fps == 0 and self.scale == 1


@dataclass(frozen=True)
class Choice:
    """A network by name, with its file; or a method without weights."""

    name: str
    path: Path | None = None
    note: str = ""  # why nothing better, for the report

    def stamp(self) -> list[Any]:
        """What a result depends on."""
        return [self.name, file_stamp(self.path) if self.path else ""]


def choose_interpolator(config: EnhanceConfig) -> Choice:
    """By name, or the best that is here. InputError or BackendUnavailable before any work."""
    asked = config.interpolator
    if asked == "dis":
        return Choice("dis")
    if asked in ("auto", "rife"):
        found = next((n for n in INTERPOLATORS if status(n).present), None)
        if found is not None:
            return Choice(found, locate(found))
        if asked == "rife":
            locate(INTERPOLATORS[0])  # says what to do
        return Choice("dis", note=_absent("between frames", INTERPOLATORS[:1], "optical flow (DIS)"))
    return _named(asked, ("auto", "rife", "dis"), "rife")


def choose_upscaler(config: EnhanceConfig) -> Choice:
    """By name, or the best that is here. InputError or BackendUnavailable before any work."""
    asked = config.model
    if asked == "lanczos":
        return Choice("lanczos")
    if asked == "auto":
        names = UPSCALERS[config.scale]
        here = [n for n in names if status(n).present]
        quick = [n for n in here if n not in SLOW or _device().type != "cpu"]
        if quick:
            return Choice(quick[0], locate(quick[0]))
        if here:
            note = (
                f"super-resolution: {here[0]} takes minutes a frame without a GPU and was not used unasked; Lanczos was"
            )
            return Choice("lanczos", note=note)
        return Choice("lanczos", note=_absent("super-resolution", names[:1], "Lanczos, which adds no detail"))
    return _named(asked, ("auto", "lanczos"), "realesr")


def _absent(what: str, names: tuple[str, ...], instead: str) -> str:
    return f"{what}: no network is here (`holotime weights get {names[0]}`); {instead} was used"


def _named(asked: str, words: tuple[str, ...], family: str) -> Choice:
    """A registered network of the family, or a file."""
    if asked in MODELS and not asked.startswith(family):
        raise InputError(f"{asked} does something else. Known here: {', '.join(_family(words, family))}.")
    if asked in MODELS or Path(asked).is_file():
        return Choice(asked, locate(asked))
    near = difflib.get_close_matches(asked.casefold(), _family(words, family), 3, 0.4)
    advice = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(_family(words, family))}."
    raise InputError(f"There is no network or file {asked}. {advice}")


def _family(words: tuple[str, ...], family: str) -> list[str]:
    return [*words, *(name for name in MODELS if name.startswith(family))]


def load_engine(choice: Choice) -> Engine:
    """What finds motion, loaded."""
    if choice.path is None:
        return DisEngine()
    from holotime.enhance.rife import RifeEngine

    return RifeEngine.load(choice.path, choice.name if choice.name in MODELS else choice.path.name, _device())


def load_enlarger(choice: Choice, scale: int) -> Enlarger:
    """What enlarges, loaded."""
    if choice.path is None:
        return Lanczos(scale)
    name = choice.name if choice.name in MODELS else choice.path.name
    return Network.load(choice.path, name, scale, _device())


def _device() -> Any:
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("cpu")
