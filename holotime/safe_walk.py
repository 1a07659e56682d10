"""The safe-walk volume: how far the eye may leave its place before the scene shows what the panorama never saw.

From a moved eye, three things look wrong: holes, where no splat is; splats that stand behind what the panorama saw,
with which a reconstruction closes such holes by guessing; and splats that are stretched, seen much larger than they
were made for. Their share of the sphere (weighted by solid angle, less what it is at the eye's own place) is measured
in small panoramas from eyes that step outwards in a few directions; the distance where it passes a limit is stored with
the scene. Between directions the distance is interpolated.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.progress import Progress, no_progress
from holotime.render.cameras import EquirectCamera, upright
from holotime.render.raster import Footprints, prepare
from holotime.scene4d import Gaussians, Scene4D

VERSION = 1
SHARE = 0.02  # of the sphere that may look wrong
FARTHEST = 2.0  # metres; farther is not asked
NEAREST = 0.02  # metres; nearer is not told apart
STRETCH = 2.5  # a splat seen this many times larger than from the eye's own place is stretched
BEHIND = 1.15  # a splat this many times farther than what hides it was never seen
SIZE = 256  # columns of the small panoramas; a pixel's centre stands for all of it
FINE = 1024  # columns of the pictures that are meant: splats below its pixels are as good as its pixels
STEP = 1.6  # ratio of two distances in the search
REFINE = 2  # steps at most inside a bracket
CLOSE = 0.2  # of a distance: nearer to the limit is near enough
BEGIN = 0.5  # metres; a search never begins farther out, where it could have passed through something
TIMES = (0.0, 0.5)  # scene times; the search uses the first, the rest check it

Array = NDArray[np.float64]


def walk_directions() -> Array:
    """[14, 3] unit directions: along the axes and along the diagonals of a cube."""
    axes = [s * np.eye(3)[k] for k in range(3) for s in (1, -1)]
    corners = [np.array([x, y, z]) / math.sqrt(3) for x in (1, -1) for y in (1, -1) for z in (1, -1)]
    return np.array(axes + corners)


@dataclass(frozen=True)
class SafeWalk:
    """How far the eye may move in some directions, and in all others by interpolation."""

    directions: Array  # [D, 3] unit
    metres: Array  # [D] at most FARTHEST
    share: float = SHARE  # of the sphere that looks wrong at those distances

    @classmethod
    def of(cls, scene: Scene4D) -> "SafeWalk | None":
        """What is stored with a scene; None if nothing is, or another version of this module measured it."""
        data = scene.safe_walk or {}
        if data.get("version") != VERSION:
            return None
        return cls(np.array(data["directions"], float), np.array(data["metres"], float), float(data["share"]))

    def as_dict(self) -> dict[str, Any]:
        """For the scene's metadata."""
        return {
            "version": VERSION,
            "share": self.share,
            "directions": np.round(self.directions, 6).tolist(),
            "metres": np.round(self.metres, 4).tolist(),
        }

    def reach(self, directions: NDArray) -> Array:
        """[N] metres that the eye may go along ``directions`` [N, 3] (any length > 0).

        Inverse-distance weighting (Shepard 1968) of 1 / metres, so that a near limit counts more than a far one; at a
        measured direction it is what was measured.
        """
        unit = np.asarray(directions, float)
        unit = unit / np.maximum(np.linalg.norm(unit, axis=-1, keepdims=True), 1e-12)
        apart = np.maximum(1 - unit @ self.directions.T, 1e-9)  # [N, D]
        weight = apart**-2
        return weight.sum(-1) / (weight / np.maximum(self.metres, 1e-6)).sum(-1)

    def factor(self, places: NDArray) -> float:
        """The largest scale up to 1 that brings all ``places`` [N, 3] (metres from the eye) inside."""
        far = np.linalg.norm(places, axis=-1)
        moved = far > 1e-9
        if not moved.any():
            return 1.0
        return float(min(1.0, (self.reach(places[moved]) / far[moved]).min()))

    def clamp(self, places: NDArray) -> Array:
        """``places`` [N, 3] with those outside pulled straight in to the limit."""
        far = np.linalg.norm(places, axis=-1)
        scale = np.minimum(1.0, self.reach(places) / np.maximum(far, 1e-9))
        return np.where(far > 1e-9, scale, 1.0)[:, None] * places


class _Meter:
    """Measures the wrong share of a scene at one time."""

    def __init__(self, gaussians: Gaussians) -> None:
        self.gaussians = gaussians
        camera = EquirectCamera(2 * SIZE, SIZE)
        from_eye = prepare(gaussians, camera)
        pixel = math.pi / (FINE // 2)
        self.size = np.maximum(_widths(from_eye), 0.5 * pixel)  # [N] radians, of a splat as it was made
        self.hidden = self._hidden(from_eye.draw(gaussians.colors).distance)
        self.usual = self._wrong(np.zeros(3))

    def _hidden(self, distance: NDArray[np.float32]) -> NDArray[np.bool_]:
        """[N] whether a splat stands behind everything that is seen around its direction, [H, W] metres."""
        farthest = np.nan_to_num(distance, posinf=1e6)
        around = cv2.dilate(sphere.pad(farthest, 1, 1), np.ones((3, 3), np.uint8))[1:-1, 1:-1]
        height, width = around.shape
        x, y = sphere.to_pixels(self.gaussians.means, height, width)
        seen = around[np.minimum(y.astype(int), height - 1), x.astype(int) % width]
        return np.linalg.norm(self.gaussians.means, axis=1) > BEHIND * seen

    def _wrong(self, place: Array) -> float:
        # low-pass of the fine picture: splats are sampled at few pixels, not blurred into large ones
        camera = EquirectCamera(SIZE, SIZE // 2, upright(tuple(place)))
        seen = prepare(self.gaussians, camera, low_pass=0.3 * (SIZE / FINE) ** 2)
        wrong = self.hidden | (_widths(seen) > STRETCH * self.size)
        picture = seen.draw(np.repeat(wrong[:, None].astype(np.float32), 3, axis=1))
        latitude = math.pi * ((np.arange(SIZE // 2) + 0.5) / (SIZE // 2) - 0.5)
        rows = (1 - picture.alpha + picture.color[..., 0]).mean(1, dtype=np.float64)
        return float(np.average(rows, weights=np.cos(latitude)))

    def share(self, place: Array) -> float:
        """The wrong share of the sphere at ``place`` (metres), beyond that at the eye's own place."""
        return max(0.0, self._wrong(place) - self.usual)


def _widths(prepared: Footprints) -> NDArray[np.float32]:
    """[N] radians: standard deviation of each splat along its longer side, 0 where it is not seen.

    A footprint's forms a and b are its tangent plane, whitened: the smaller eigenvalue of their Gram matrix is one
    over the larger variance.
    """
    a, b = prepared.footprints[:, 0:3], prepared.footprints[:, 3:6]
    aa, bb, ab = (a * a).sum(1), (b * b).sum(1), (a * b).sum(1)
    root = np.sqrt(0.25 * (aa - bb) ** 2 + ab * ab)
    # product over sum instead of the difference, which would cancel for long thin splats
    smaller = np.maximum(aa * bb - ab * ab, 0) / np.maximum(0.5 * (aa + bb) + root, 1e-30)
    return np.where(smaller > 0, 1 / np.sqrt(np.maximum(smaller, 1e-12)), 0).astype(np.float32)


def measure(scene: Scene4D, *, share: float = SHARE, progress: Progress = no_progress) -> SafeWalk:
    """Find the safe-walk volume of a scene: some seventy small renders, about 10 s for 400 000 splats on two cores.

    ``share``: of the sphere that may look wrong.
    """
    moves = bool(np.any(scene.motion)) or bool(np.any(scene.t_log_scales < 3))
    meters = [_Meter(scene.at(t)) for t in (TIMES if moves else TIMES[:1])]
    directions = walk_directions()
    metres: list[float] = []
    for k, direction in enumerate(directions):
        progress(k / len(directions), "measuring the safe volume")
        guess = min(float(np.median(metres)), BEGIN) if metres else BEGIN
        found = _limit(meters[0], direction, share, guess)
        for meter in meters[1:]:
            if meter.share(found * direction) > share:
                found = min(found, _limit(meter, direction, share, found))
        metres.append(found)
    progress(1.0, "measuring the safe volume")
    return SafeWalk(directions, np.array(metres), share)


def _limit(meter: _Meter, direction: Array, share: float, guess: float) -> float:
    """Metres along ``direction`` up to which the wrong share stays below ``share``, found outwards from a guess.

    A bracket first, then a few steps of regula falsi inside it. The nearer end is returned.
    """
    good, bad = None, None  # (metres, share) on both sides
    at = min(max(guess, NEAREST), FARTHEST)
    while good is None or bad is None:
        wrong = meter.share(at * direction)
        if wrong <= share:
            good = at, wrong
            if at >= FARTHEST:
                return FARTHEST
            at = min(at * STEP, FARTHEST)
        else:
            bad = at, wrong
            if at <= NEAREST:
                return 0.0
            at = max(at / STEP, NEAREST)
    for _ in range(REFINE):
        width = bad[0] - good[0]
        if width < CLOSE * good[0]:
            break
        at = good[0] + width * min(max((share - good[1]) / (bad[1] - good[1]), 0.25), 0.75)
        wrong = meter.share(at * direction)
        good, bad = ((at, wrong), bad) if wrong <= share else (good, (at, wrong))
    return good[0]
