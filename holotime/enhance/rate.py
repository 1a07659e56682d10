"""Which moments of a clip the frames of another rate show; exact fractions, counted in frames of the clip."""

from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True)
class Moments:
    """Positions in a clip, in its frames: 2.25 is a quarter of the way from frame 2 to frame 3."""

    positions: list[Fraction]
    count: int  # frames of the clip
    loop: bool
    notes: list[str] = field(default_factory=list)  # what is other than asked

    def around(self, index: int) -> tuple[int, int, float]:
        """(frame before, frame after, time between them) of a position; the time is 0 exactly on a frame."""
        position = self.positions[index]
        before = position.numerator // position.denominator
        return before, (before + 1) % self.count, float(position - before)

    @property
    def originals(self) -> int:
        """How many of the positions are frames of the clip."""
        return sum(p.denominator == 1 for p in self.positions)


def moments(count: int, rate: Fraction, wanted: Fraction | None, loop: bool) -> Moments:
    """What ``wanted`` frames a second show of a clip of ``count`` frames at ``rate``; None: the clip's own rate.

    A loop keeps its closing: a whole number of frames is spread evenly over one turn. Otherwise the frames lie at exact
    times up to the clip's last frame. A single frame stays one.
    """
    if wanted is None or wanted == rate or count == 1:
        notes = ["The clip is a single frame: there is nothing between frames."] if wanted and count == 1 else []
        return Moments([Fraction(i) for i in range(count)], count, loop, notes)
    notes = []
    if wanted < rate:
        notes.append(
            f"{float(wanted):g} frames a second are fewer than the clip's {float(rate):g}: frames are left out."
        )
    if loop:
        exact = count * wanted / rate
        frames = max(1, round(exact))
        if frames != exact:
            faster = float(exact / frames - 1)
            notes.append(
                f"The loop takes {frames} frames instead of {float(exact):.2f}, so that it closes: it runs "
                f"{abs(faster):.2%} {'faster' if faster > 0 else 'slower'}."
            )
        return Moments([Fraction(k * count, frames) for k in range(frames)], count, loop, notes)
    step = rate / wanted
    frames = int((count - 1) / step) + 1
    return Moments([k * step for k in range(frames)], count, loop, notes)
