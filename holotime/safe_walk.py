"""The safe-walk volume: how far the eye may leave its place before the scene shows what the panorama never saw.

From a moved eye, three things look wrong: holes, where no splat is; splats that stand behind what the panorama saw,
with which a reconstruction closes such holes by guessing; and splats that are stretched, seen much larger than they
were made for. Their share of the sphere (weighted by solid angle, less what it is at the eye's own place) is measured
in small panoramas from eyes that step outwards in a few directions; the distance where it passes a limit is stored with
the scene. Between directions the distance is interpolated.
"""

import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.cache import StageCache, digest_of
from holotime.progress import Progress, no_progress
from holotime.render.cameras import EquirectCamera, upright
from holotime.render.jit import compiled, spread, threads
from holotime.render.raster import prepare
from holotime.scene4d import Gaussians, Scene4D

VERSION = 1
SHARE = 0.02  # of the sphere that may look wrong
FARTHEST = 2.0  # metres; farther is not asked
NEAREST = 0.02  # metres; nearer is not told apart
STRETCH = 2.5  # a splat seen this many times larger than from the eye's own place is stretched
BEHIND = 1.15  # a splat this many times farther than what hides it was never seen
SIZE = 256  # columns of the small panoramas; a pixel's centre stands for all of it
FINE = 1024  # columns of the pictures that are meant: splats below its pixels are as good as its pixels
STEP = 2.0  # largest ratio of two distances in the search
OVER = 0.1  # of a distance that a step goes beyond where the limit should be
REFINE = 2  # steps at most inside a bracket
CLOSE = 0.2  # of a distance: nearer to the limit is near enough
BEGIN = 0.5  # metres; where the search along the axes begins
AXES = 6  # of the directions, the first
TIMES = (0.0, 0.5)  # scene times; the search uses the first, the rest check it
BESIDE = 4  # small renders at once at most; each takes about 100 bytes a splat
CHUNK = 16384  # splats that a thread takes at a time
KEPT = "safe_walk.json"  # in a cache's folder

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
        return cls.from_dict(data) if data.get("version") == VERSION else None

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "SafeWalk":
        """The inverse of :meth:`as_dict`."""
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
        from_eye = prepare(gaussians, EquirectCamera(2 * SIZE, SIZE))
        sizes = np.empty(len(gaussians), np.float32)
        spread(_widths, len(gaussians), from_eye.footprints, sizes, chunk=CHUNK)
        # [N] radians along the longer side from which a splat is too wide: a multiple of what it was made for
        self.widest = STRETCH * np.maximum(sizes, 0.5 * math.pi / (FINE // 2))
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
        wrong = np.zeros((len(self.gaussians), 3), np.float32)
        spread(_mark, len(wrong), seen.footprints, self.hidden, self.widest, wrong, chunk=CHUNK)
        picture = seen.draw(wrong)
        latitude = math.pi * ((np.arange(SIZE // 2) + 0.5) / (SIZE // 2) - 0.5)
        rows = (1 - picture.alpha + picture.color[..., 0]).mean(1, dtype=np.float64)
        return float(np.average(rows, weights=np.cos(latitude)))

    def share(self, place: Array) -> float:
        """The wrong share of the sphere at ``place`` (metres), beyond that at the eye's own place."""
        return max(0.0, self._wrong(place) - self.usual)


@compiled()
def _width(f):
    """Radians: standard deviation along the longer side of a footprint [12], 0 where it is not seen.

    A footprint's forms a and b are its tangent plane, whitened: the smaller eigenvalue of their Gram matrix is one
    over the larger variance.
    """
    aa = f[0] * f[0] + f[1] * f[1] + f[2] * f[2]
    bb = f[3] * f[3] + f[4] * f[4] + f[5] * f[5]
    ab = f[0] * f[3] + f[1] * f[4] + f[2] * f[5]
    if not aa * bb > ab * ab:
        return 0.0
    # product over sum instead of the difference, which would cancel for long thin splats
    return math.sqrt((0.5 * (aa + bb) + math.sqrt(0.25 * (aa - bb) ** 2 + ab * ab)) / (aa * bb - ab * ab))


@compiled()
def _widths(start, stop, footprints, sizes):
    """Sizes [N] in radians of footprints [N, 12] in [start, stop)."""
    for i in range(start, stop):
        sizes[i] = _width(footprints[i])


@compiled()
def _mark(start, stop, footprints, hidden, widest, wrong):
    """Set the first channel of ``wrong`` [N, 3] where a splat was hidden or is wider than ``widest`` [N] radians."""
    for i in range(start, stop):
        if hidden[i] or _width(footprints[i]) > widest[i]:
            wrong[i, 0] = 1.0


def recall(scene: Scene4D, cache: Path | None, *, progress: Progress = no_progress) -> tuple[SafeWalk, bool]:
    """(the volume of a scene that does not know its own, whether an earlier measurement was kept).

    ``cache``: the folder of a :class:`StageCache` that keeps it by the scene's digest; None: it is only measured.
    """
    if cache is None:
        return measure(scene, progress=progress), False
    key = digest_of(scene=scene.digest(), version=VERSION, share=SHARE)

    def make(folder: Path) -> None:
        walk = measure(scene, progress=progress)
        (folder / KEPT).write_text(json.dumps(walk.as_dict()), encoding="utf-8")

    folder, was_kept = StageCache(cache).get("safe_walk", key, make)
    return SafeWalk.from_dict(json.loads((folder / KEPT).read_text(encoding="utf-8"))), was_kept


def measure(scene: Scene4D, *, share: float = SHARE, progress: Progress = no_progress) -> SafeWalk:
    """Find the safe-walk volume of a scene: some sixty small renders, about 4 s for 400 000 splats on two cores.

    ``share``: of the sphere that may look wrong.
    """
    moves = bool(np.any(scene.motion)) or bool(np.any(scene.t_log_scales < 3))
    times = TIMES if moves else TIMES[:1]
    directions = walk_directions()
    metres: list[float] = []
    # Much of a small render is done by one core (sorting, averaging), so several are made at once.
    with ThreadPoolExecutor(min(threads(), BESIDE), thread_name_prefix="safe-walk") as pool:
        try:
            meters = list(pool.map(lambda t: _Meter(scene.at(t)), times))
            for wave in (directions[:AXES], directions[AXES:]):  # the diagonals begin at what the axes make likely
                so_far = SafeWalk(directions[: len(metres)], np.array(metres))
                guesses = np.minimum(so_far.reach(wave), FARTHEST / 2) if metres else np.full(len(wave), BEGIN)
                found = [pool.submit(_reach, meters, d, share, float(g)) for d, g in zip(wave, guesses, strict=True)]
                for one in found:
                    progress(len(metres) / len(directions), "measuring the safe volume")
                    metres.append(one.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    progress(1.0, "measuring the safe volume")
    return SafeWalk(directions, np.array(metres), share)


def _reach(meters: Sequence[_Meter], direction: Array, share: float, guess: float) -> float:
    """Metres along ``direction`` that look right at the times of all ``meters``."""
    found = _limit(meters[0], direction, share, guess)
    for meter in meters[1:]:
        if meter.share(found * direction) > share:
            found = min(found, _limit(meter, direction, share, found))
    return found


def _limit(meter: _Meter, direction: Array, share: float, guess: float) -> float:
    """Metres along ``direction`` up to which the wrong share stays below ``share``, found outwards from a guess.

    The share grows about in proportion to the distance, until a wall is met. So every step goes a little beyond where
    that puts the limit, until one place on each side of it is known; then a few steps of regula falsi between them. The
    nearer place is returned.
    """
    good, bad = None, None  # (metres, share) on both sides
    at = min(max(guess, NEAREST), FARTHEST)
    while good is None or bad is None:
        wrong = meter.share(at * direction)
        aim = share / max(wrong, 1e-6)
        if wrong <= share:
            good = at, wrong
            if at >= FARTHEST:
                return FARTHEST
            at = min(at * min(max(aim * (1 + OVER), 1 + OVER), STEP), FARTHEST)
        else:
            bad = at, wrong
            if at <= NEAREST:
                return 0.0
            at = max(at * min(max(aim * (1 - OVER), 1 / STEP**2), 1 - OVER), NEAREST)
    for _ in range(REFINE):
        width = bad[0] - good[0]
        if width < CLOSE * good[0]:
            break
        at = good[0] + width * min(max((share - good[1]) / (bad[1] - good[1]), 0.25), 0.75)
        wrong = meter.share(at * direction)
        good, bad = ((at, wrong), bad) if wrong <= share else (good, (at, wrong))
    return good[0]
