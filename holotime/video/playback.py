"""Which moment of the scene each frame of a video shows: loop, ping-pong, phase and speed."""

from dataclasses import dataclass
from typing import Literal

from holotime.errors import InputError
from holotime.scene4d import Scene4D

Repeat = Literal["auto", "loop", "ping-pong", "once"]
REPEATS: tuple[Repeat, ...] = ("auto", "loop", "ping-pong", "once")


@dataclass(frozen=True)
class Playback:
    """How the scene's time runs while the video's does."""

    repeat: Repeat = "auto"  # what follows the scene's end; auto: a loop repeats, anything else rests
    phase: float = 0.0  # where to begin, as a share of one round
    speed: float = 1.0  # seconds of the scene in one second of video; below zero runs backwards

    def __post_init__(self) -> None:
        if self.repeat not in REPEATS:
            raise InputError(f"Unknown way to repeat {self.repeat!r}. Use one of: {', '.join(REPEATS)}.")
        if not -16 <= self.speed <= 16:
            raise InputError(f"The speed is {self.speed:g}; it must lie between -16 and 16.")
        if not -1 <= self.phase <= 1:
            raise InputError(f"The phase is {self.phase:g}; it must lie between -1 and 1: a share of one round.")

    def round_of(self, scene: Scene4D) -> float:
        """Seconds of the scene after which it is back where it began.

        There and back again for ping-pong. A clip that does not loop but is made to shows its last frame as long as any
        other, then jumps.
        """
        if self.repeat == "ping-pong":
            return 2 * scene.duration
        if self.repeat == "loop" and not scene.loop:
            return scene.duration + 1 / scene.fps
        return scene.duration

    def seconds(self, scene: Scene4D, moment: float) -> float:
        """Seconds after the scene's beginning, in [0, duration], that a video shows at ``moment`` (seconds)."""
        whole = self.round_of(scene)
        at = self.phase * whole + self.speed * moment
        if self.repeat == "once" or (self.repeat == "auto" and not scene.loop):
            begin = 0.0 if self.speed >= 0 else scene.duration  # backwards from the end
            return min(max(begin + at, 0.0), scene.duration)
        at %= whole
        if self.repeat == "ping-pong":
            return at if at <= scene.duration else whole - at
        return min(at, scene.duration)

    def closes(self, scene: Scene4D, length: float) -> bool:
        """Whether a video of ``length`` seconds can be repeated without a jump."""
        if self.repeat == "once" or (self.repeat == "auto" and not scene.loop):
            return False
        if self.repeat == "loop" and not scene.loop:
            return False
        rounds = abs(self.speed) * length / self.round_of(scene)
        return abs(rounds - round(rounds)) < 1e-6
