"""The embedded animator: looping Eulerian motion on the sphere, from one panorama and what was perceived in it.

Clouds and water drift, water ripples and sparkles, leaves sway, lights flicker, stars twinkle; everything solid stays
still bit for bit. Needs no GPU and no download.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.animate import Animated
from holotime.animate.class_rules import Matter, judge
from holotime.animate.effects import flicker, sparkle
from holotime.animate.hint import Hint, read_hint
from holotime.animate.motion import Harmonics, Motion, add_harmonic
from holotime.animate.motion_field import drift_field
from holotime.animate.splatting import prepare, render
from holotime.animate.sway import aurora_sway, foliage_sway, grass_waves, ripples
from holotime.clip import Clip
from holotime.errors import InputError
from holotime.panorama.seam import settle_seam
from holotime.perceive import ImagePerception
from holotime.progress import Progress, no_progress, part


@dataclass(frozen=True)
class FlowConfig:
    """What the artist may choose."""

    frames: int = 24  # frames of one loop
    fps: float = 12.0  # frames per second
    strength: float = 1.0  # of all movement; 0 = still, 1 = natural, 2 = twice as far
    direction: float | None = None  # azimuth in degrees that wind blows to: 0 = centre, 90 = right; None = from seed
    seed: int = 0  # of everything random
    prompt: str = ""  # what the picture shows; words such as aurora, fireworks, neon, snow steer the rules

    def __post_init__(self) -> None:
        if not 1 <= self.frames <= 10_000:
            raise InputError(f"The animator cannot make {self.frames} frames. Ask for 1 to 10000.")
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise InputError(f"fps is {self.fps}; it must be above 0.")
        if not (math.isfinite(self.strength) and 0 <= self.strength <= 10):
            raise InputError(f"The motion strength is {self.strength}; it must be between 0 (still) and 10.")
        if self.direction is not None and not math.isfinite(self.direction):
            raise InputError(f"The wind direction is {self.direction}; it must be an angle in degrees.")

    @property
    def duration(self) -> float:
        """Seconds of one loop."""
        return self.frames / self.fps

    @property
    def wind(self) -> float:
        """The azimuth in degrees that wind blows to."""
        if self.direction is not None:
            return self.direction
        return float(np.random.default_rng([self.seed, 1]).uniform(0, 360))


def build_motion(
    panorama: NDArray[np.uint8], matter: Matter, config: FlowConfig, hint: Hint | None, progress: Progress = no_progress
) -> Motion:
    """All movement of ``matter`` in a panorama [H, W, 3] for one loop."""
    wind, strength, duration, frames = config.wind, config.strength, config.duration, config.frames

    def rng(concept: int) -> np.random.Generator:
        # A stream for each concept, so that a change in one does not reshuffle the others.
        return np.random.default_rng([config.seed, concept])

    rgb = panorama.astype(np.float32) / 255
    sway: Harmonics = {}
    glow: Harmonics = {}

    def add(parts: tuple[Harmonics, Harmonics]) -> None:
        for total, some in zip((sway, glow), parts, strict=True):
            for m, amplitude in some.items():
                add_harmonic(total, m, amplitude)

    override = (hint.velocity, hint.weight, hint.free) if hint else None
    drift = drift_field(matter, wind, strength, duration, rng(2), override)
    progress(0.3, "motion field")
    add(ripples(matter, wind, strength, duration, frames, rng(3)))
    progress(0.6, "ripples")
    add(foliage_sway(matter, wind, strength, duration, frames, rng(4)))
    add(grass_waves(matter, wind, strength, duration, frames, rng(8)))
    add(aurora_sway(matter, wind, strength, duration, frames, rng(5)))
    progress(0.85, "sway")
    light, twinkle = flicker(matter, wind, strength, duration, frames, rng(6))
    add(({}, light))
    add(({}, sparkle(rgb, matter, wind, strength, duration, frames, rng(7))))
    if hint:
        # A painted stroke replaces what things would do by themselves; freezing holds light, too.
        keep = (1 - hint.weight) * hint.free
        sway = {m: a * keep[..., None] for m, a in sway.items()}
        glow = {m: a * hint.free for m, a in glow.items()}
        twinkle = {m: a * hint.free for m, a in twinkle.items()}
    progress(1.0, "effects")
    return Motion(drift, sway, glow, twinkle, duration)


@contextmanager
def _numba_threads(count: int | None) -> Iterator[None]:
    """Limit numba's threads inside the block."""
    import numba

    before = numba.get_num_threads()
    if count is not None:
        numba.set_num_threads(max(1, min(count, before)))
    try:
        yield
    finally:
        numba.set_num_threads(before)


def animate(
    panorama: NDArray[np.uint8],
    perception: ImagePerception,
    config: FlowConfig | None = None,
    *,
    hint: NDArray | None = None,
    progress: Progress = no_progress,
    threads: int | None = None,
) -> Animated:
    """Animate a panorama [H, W, 3] sRGB into a seamless loop; frame 0 is the panorama itself.

    ``perception`` is what perceive_image made of the same panorama (any size). ``hint`` [h, w, 4] is a motion brush
    (see :mod:`holotime.animate.hint`). The same inputs give the same clip. ``threads`` limits the processor threads.
    Raises InputError for arrays of another shape, and whatever ``progress`` raises (Cancelled).
    """
    config = config or FlowConfig()
    if panorama.ndim != 3 or panorama.shape[2] != 3 or panorama.dtype != np.uint8 or min(panorama.shape[:2]) < 8:
        raise InputError(
            f"The animator needs a panorama [H, W, 3] of uint8, got {panorama.dtype} {list(panorama.shape)}."
        )
    height, width = panorama.shape[:2]
    progress(0.0, "looking")
    with _numba_threads(threads):
        matter = judge(panorama, perception, config.prompt)
        progress(0.08, "looking")
        painted = read_hint(hint, height, width) if hint is not None else None
        motion = build_motion(panorama, matter, config, painted, part(progress, 0.08, 0.2))
        prepared = prepare(panorama, motion, matter.stars)
        frames = np.empty((config.frames, height, width, 3), np.uint8)
        for i in range(config.frames):
            render(prepared, i / config.frames, frames[i])
            progress(0.22 + 0.78 * (i + 1) / config.frames, f"frame {i + 1} of {config.frames}")
    moving = np.zeros(height * width, bool)
    moving[prepared.pixels] = True
    moving = moving.reshape(height, width)
    settle_seam(frames, moving)
    share = float((moving * sphere.solid_angles(height, width)).sum() / (4 * math.pi))
    notes = list(matter.notes)
    if not moving.any():
        notes = ["Nothing in the picture was found that could move by itself, so the clip is still."]
    else:
        notes.append(f"{100 * share:.0f} % of the sphere changes; the rest equals the panorama bit for bit")
    return Animated(Clip(frames, config.fps, loop=True), moving, notes)
