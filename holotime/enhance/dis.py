"""Motion between frames by optical flow (DIS, Kroeger et al. 2016): what needs no weights.

The flow is found in both directions. At a time in between, each pixel's motion is carried there from both frames
(forward warping; Baker et al. 2011, "A Database and Evaluation Methodology for Optical Flow", section 3.3.1). Where
following one flow and then the other does not lead back (Sundaram et al. 2010), the pixel is hidden in the other
frame: its colour is then taken from the frame that shows it. Places that nobody lands on take the motion around them.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime.enhance.splat import splat
from holotime.perceive.flow import STILL_DIFFERENCE, grey

MARGIN = 1 / 16  # of the width, on either side of a circle: more than any motion between two frames
HIDDEN = 0.02  # weight of a pixel that is hidden in the other frame where one that is seen in both lands too
LEAST = 1e-3  # weight below which nobody has landed


@dataclass(frozen=True)
class DisPair:
    """Flow between two flat pictures, in both directions, with what both show."""

    forward: NDArray[np.float32]  # [h, w, 2] pixels
    backward: NDArray[np.float32]  # [h, w, 2]
    in_second: NDArray[np.float32]  # [h, w] 1 where a pixel of the first is seen in the second
    in_first: NDArray[np.float32]  # [h, w] the other way round
    margin: int  # columns on either side that are the other side again


class DisEngine:
    """See :class:`holotime.enhance.motion.Engine`."""

    name = "DIS optical flow"
    models: tuple[str, ...] = ()
    step = 8

    def compare(self, first: NDArray[np.uint8], second: NDArray[np.uint8], wrap: bool) -> DisPair:
        """Flow between two pictures [h, w, 3]."""
        margin = max(8, round(MARGIN * first.shape[1])) if wrap else 0
        a, b = (np.pad(grey(f), ((0, 0), (margin, margin)), mode="wrap") for f in (first, second))
        if int(cv2.absdiff(a, b).max()) <= STILL_DIFFERENCE:
            nothing, seen = np.zeros((*a.shape, 2), np.float32), np.ones(a.shape, np.float32)
            return DisPair(nothing, nothing, seen, seen, margin)
        forward, backward = _flow(a, b), _flow(b, a)
        return DisPair(forward, backward, _seen(forward, backward), _seen(backward, forward), margin)

    def between(self, pair: DisPair, time: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Motion [h, w, 4] in pixels and trust in the first [h, w]."""
        from_first, w0 = _land(pair.forward, pair.in_second, time)
        from_second, w1 = _land(pair.backward, pair.in_first, 1 - time)
        total = w0 + w1
        velocity = from_first[..., :2] - from_second[..., :2]  # what comes from the second runs the other way
        known = total > LEAST
        scale = 1 / np.maximum(total, LEAST)[..., None]
        velocity = np.where(known[..., None], velocity * scale, 0)
        # How much of what landed is seen in the first frame: all that came from it, and some of the other's.
        first = np.where(known, (w0 + from_second[..., 2]) * scale[..., 0], 1)
        second = np.where(known, (w1 + from_first[..., 2]) * scale[..., 0], 1)
        velocity = _fill(velocity.astype(np.float32), known)
        trust = (1 - time) * first / np.maximum((1 - time) * first + time * second, 1e-6)
        motion = np.concatenate([-time * velocity, (1 - time) * velocity], -1).astype(np.float32)
        inside = slice(pair.margin, motion.shape[1] - pair.margin)
        return np.ascontiguousarray(motion[:, inside]), np.ascontiguousarray(trust[:, inside].astype(np.float32))


def _flow(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return dis.calc(a, b, None)


def _positions(flow: NDArray[np.float32], time: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Column and row [h, w] (centres at integers) after following ``flow`` [h, w, 2] for ``time``."""
    height, width = flow.shape[:2]
    x = np.arange(width, dtype=np.float32) + np.float32(time) * flow[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + np.float32(time) * flow[..., 1]
    return x, y


def _seen(forward: NDArray[np.float32], backward: NDArray[np.float32]) -> NDArray[np.float32]:
    """[h, w] 1 where following ``forward`` and then ``backward`` leads back; soft around the limit."""
    back = cv2.remap(backward, *_positions(forward, 1), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    off = ((forward + back) ** 2).sum(-1)
    limit = 0.01 * ((forward**2).sum(-1) + (back**2).sum(-1)) + 0.5
    return np.clip(2 - off / limit, 0, 1).astype(np.float32)


def _land(
    flow: NDArray[np.float32], seen: NDArray[np.float32], time: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Sums [h, w, 3] of motion (x, y) and of what the other frame shows too, and of weights [h, w], at ``time``."""
    return splat(np.concatenate([flow, seen[..., None]], -1), *_positions(flow, time), np.maximum(seen, HIDDEN))


def _fill(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """``values`` [h, w, C] where ``known`` [h, w], elsewhere those around, from ever coarser pictures."""
    if known.all():
        return values
    height, width = known.shape
    if min(height, width) <= 2:
        return np.where(known[..., None], values, values[known].mean(0) if known.any() else 0).astype(np.float32)
    size = ((width + 1) // 2, (height + 1) // 2)
    weight = known.astype(np.float32)
    small_weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(values * weight[..., None], size, interpolation=cv2.INTER_AREA)
    small = small / np.maximum(small_weight, 1e-6)[..., None]
    below = _fill(small.astype(np.float32), small_weight > 0)
    around = cv2.resize(below, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where(known[..., None], values, around)
