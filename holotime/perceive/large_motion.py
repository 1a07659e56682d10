"""Flow of motions that dense inverse search loses: GMFlow finds them at half the resolution, DIS refines them.

DIS looks at the first picture and at the second one seen along GMFlow's answer; what it finds there is added. Each
pixel then keeps the flow, with or without GMFlow, along which the second picture looks more like the first. Used when
the weights are on this machine, and only for pairs of frames that need it: DIS alone is as good where its own check
forward and backward holds.
"""

from functools import lru_cache
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.perceive.flow import flow_between, grey, sample_along, visible
from holotime.weights import status

NAME = "gmflow"  # in the registry of weights
LOST = 0.02  # share of the sphere without a partner in the other frame from which a pair needs more than DIS
ROWS = 256  # of the pictures that GMFlow sees
WINDOW = 7  # pixels over which two pictures are compared
BETTER = 0.8  # the flow with GMFlow must be this much better than the one without


class LargeMotion:
    """GMFlow over DIS for the pairs of one clip."""

    def __init__(self, path: Path) -> None:
        from holotime.perceive.gmflow import load_gmflow

        self.network = load_gmflow(path)
        self.pairs = 0  # pairs of frames that were matched

    def describe(self, pairs: int) -> str:
        """For the report: what made the flow of ``pairs`` pairs of frames."""
        return f"GMFlow and DIS ({self.pairs} of {pairs} pairs needed GMFlow)" if pairs else "DIS"

    def improve(
        self, first: NDArray[np.uint8], second: NDArray[np.uint8], there: NDArray, back: NDArray
    ) -> tuple[NDArray, NDArray]:
        """Flow there and back [H, W, 2] of RGB panoramas [H, W, 3]: as given (by DIS) where that is good enough."""
        if lost_share(there, back) <= LOST:
            return there, back
        self.pairs += 1
        guesses = self.match(first, second)
        a, b = grey(first), grey(second)
        return better(a, b, there, refined(a, b, guesses[0])), better(b, a, back, refined(b, a, guesses[1]))

    def match(self, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> tuple[NDArray, NDArray]:
        """GMFlow's own answer, there and back [H, W, 2] in pixels of the full size."""
        from holotime.perceive.gmflow import MULTIPLE, match_panoramas

        height, width = first.shape[:2]
        rows = max(MULTIPLE, min(ROWS, height) // MULTIPLE * MULTIPLE)
        small = (cv2.resize(a, (2 * rows, rows), interpolation=cv2.INTER_AREA) for a in (first, second))
        pair = [cast(NDArray[np.uint8], a) for a in small]
        ratio = np.array([width / (2 * rows), height / rows], np.float32)
        there, back = (sphere.resize(flow, height, width) * ratio for flow in match_panoramas(self.network, *pair))
        return there, back


def lost_share(there: NDArray, back: NDArray) -> float:
    """Share of the sphere whose flow there [H, W, 2] and back disagree."""
    height, width = there.shape[:2]
    seen = visible(there, back)
    return float(1 - np.average(seen, weights=np.broadcast_to(sphere.solid_angles(height), (height, width))))


def refined(first: NDArray[np.uint8], second: NDArray[np.uint8], guess: NDArray) -> NDArray[np.float32]:
    """A guessed flow [H, W, 2] from grey ``first`` [H, W] to ``second``, made exact by DIS."""
    seen = np.clip(np.round(sample_along(second, guess)), 0, 255).astype(np.uint8)
    rest = flow_between(first, seen)
    return rest + sample_along(guess.astype(np.float32), rest)


def better(first: NDArray[np.uint8], second: NDArray[np.uint8], plain: NDArray, matched: NDArray) -> NDArray:
    """Pixel by pixel the flow [H, W, 2] along which grey ``second`` [H, W] looks like ``first``; in doubt ``plain``."""

    def unlike(flow: NDArray) -> NDArray[np.float32]:
        error = np.abs(first.astype(np.float32) - sample_along(second.astype(np.float32), flow))
        pad = WINDOW // 2
        mean = cast(NDArray[np.float32], cv2.blur(sphere.pad(error, pad, pad), (WINDOW, WINDOW)))
        return mean[pad:-pad, pad:-pad]

    return np.where((unlike(matched) < BETTER * unlike(plain))[..., None], matched, plain)


@lru_cache(maxsize=1)
def _loaded(path: Path, stamp: int) -> LargeMotion:
    return LargeMotion(path)


def flow_backend() -> str:
    """What finds the flow of clips on this machine."""
    return "DIS" if status(NAME).paths[0] is None else "GMFlow and DIS"


def find_large_motion() -> LargeMotion | None:
    """GMFlow over DIS where its weights are on this machine, else None."""
    path = status(NAME).paths[0]
    if path is None:
        return None
    found = _loaded(path, path.stat().st_mtime_ns)
    found.pairs = 0
    return found
