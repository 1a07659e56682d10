"""Motion: everything that happens to a panorama over one loop, as data.

Three kinds of movement add up. *Drift* carries the picture along a steady velocity field and is made to loop by
cross-fading. *Sway* and *glow* are sums of whole harmonics of the loop, so they close by themselves: a harmonic m with
the complex amplitude c contributes Re(c (exp(-2 pi i m t) - 1)) at the loop time t in [0, 1). Subtracting its value at
t = 0 makes frame 0 the panorama itself.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Harmonics = dict[int, NDArray[np.complex64]]  # m -> [H, W] (glow) or [H, W, 2] (sway: east, north)


@dataclass(frozen=True)
class Drift:
    """A steady velocity field and how often it cross-fades."""

    velocity: NDArray[np.float32]  # [H, W, 3] tangent vectors in radians per second, world axes; 0 where still
    # Cross-fades per loop -> [H, W] weight. The weights sum to 1: fast matter fades more often, so that the two
    # pictures which are blended never lie too far apart.
    cycles: dict[int, NDArray[np.float32]]


@dataclass(frozen=True)
class Motion:
    """All movement of one loop."""

    drift: Drift
    sway: Harmonics  # displacement of what is seen, in radians
    glow: Harmonics  # change of brightness, as a fraction
    twinkle: Harmonics  # the same for stars, which stay in place in front of what drifts
    duration: float  # seconds of one loop


def add_harmonic(harmonics: Harmonics, m: int, amplitude: NDArray[np.complex64]) -> None:
    """Add ``amplitude`` [...] to harmonic ``m`` in place."""
    harmonics[m] = harmonics[m] + amplitude if m in harmonics else amplitude.astype(np.complex64)


def whole(frequency: float, duration: float, frames: int) -> int:
    """The whole number of periods per loop nearest to ``frequency`` in Hz: at least 1, below the frame rate's limit."""
    return int(np.clip(round(frequency * duration), 1, max(1, (frames - 1) // 3)))
