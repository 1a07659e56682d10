"""What a video model made panoramic is told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from holotime.models.plan import Mode

Loop = Literal["none", "fade", "bounce"]
LOOPS: tuple[Loop, ...] = ("none", "fade", "bounce")


@dataclass(frozen=True)
class PanoramicConfig:
    """Settings of one clip. 0 and "" stand for what the model was published with."""

    animator: str = "wan"  # family: wan, ltx, cogvideox or svd
    model: str = ""  # registered name, hub id or folder of a pipeline
    prompt: str = ""  # what should move; not every family reads one
    negative_prompt: str = ""  # what to lead away from
    frames: int = 24  # of the clip
    fps: float = 12.0  # frames per second of the clip
    seed: int = 0
    guidance_scale: float = 0.0  # how strongly the prompt is followed
    steps: int = 0  # denoising steps
    width: int = 0  # pixels of a full turn at which the model works
    loop: Loop = "none"  # fade: the end passes into the start; bounce: back the same way
    quality: Literal["exact", "fast"] = "exact"  # fast: 3 steps of 5
    memory: Mode = "auto"
    device: str | None = None  # cuda, mps or cpu; the best there is if None
    preview_every: int = 5  # steps between decoded pictures
    resume_dir: Path | None = None  # where every step is kept
