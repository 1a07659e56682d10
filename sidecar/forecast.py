"""How long a job and each of its stages will take and how much memory they need, from what earlier jobs took."""

import time
from collections.abc import Callable
from typing import Any

from .orders import StageUse
from .workload import budget_of, codec_of, frame_megapixels, projection_of, workload

# Seconds of each stage on a plain CPU, for the first job on a machine; from then on the journal knows better.
# Only their ratios matter much: the pace of the job itself scales them.
FIRST_GUESS = {
    "panorama": {"starting": 4.0, "panorama": 120.0},
    "generate": {
        "starting": 4.0,
        "panorama": 0.5,
        "perceive": 2.0,
        "animate": 20.0,
        "track": 12.0,
        "reconstruct": 45.0,
        "report": 5.0,
    },
    "render": {"starting": 4.0, "render": 40.0},
    "export": {"starting": 4.0, "export": 10.0},
}
STARTING = "starting"  # the stage in which a worker loads the library; takes the same time whatever the job
BASE_MEMORY = 400e6  # bytes of a worker that has loaded the library and nothing else
LEARN = 12  # last times of a stage that count: a machine changes, and the first time also compiles
PRIOR_SECONDS = 3.0  # of pace as expected, counted in so that the first second of a job does not decide
REUSED = "reused"  # the note of a stage whose result was read from the cache

# Settings that choose another way to do a stage; what it took the other way says little.
CHOICES: tuple[str, ...] = ("panorama", "panorama_model", "model", "upscale", "animator", "quality", "memory")
CHOICES += ("perceive", "recipe", "format", "backend", "effort", "behind", "enhance_fps", "enhance_scale")
# Bytes for a first job: fixed, for each megapixel (of all frames of a clip, of one frame of a render), for each splat.
FIRST_MEMORY = {
    "panorama": (2e9, 0.0, 0.0),
    "generate": (750e6, 10e6, 300.0),
    "render": (350e6, 150e6, 0.0),
    "export": (600e6, 0.0, 0.0),
}

# (job, its parameters, stage, work, what it took), newest first
History = list[tuple[str, dict[str, Any], str, float, StageUse]]


def expect(kind: str, params: dict[str, Any], history: History) -> dict[str, StageUse]:
    """stage -> what it will take in such a job; a first guess when there is no history."""
    work, room = workload(kind, params), _room(kind, params, workload(kind, params))
    points: dict[str, list[tuple[float, float, StageUse]]] = {}
    way = _way(kind, params)
    alike = [entry for entry in history if _way(kind, entry[1]) == way]
    for _, others, stage, done, use in alike or history:
        known = points.setdefault(stage, [])
        if len(known) < LEARN:
            known.append((done, _room(kind, others, done), use))
    if not points:
        return _first(kind, params, work, room)
    return {
        stage: StageUse(
            seconds=_at(work, [(done, use.seconds) for done, _, use in known], float(stage == STARTING) * 1e6),
            memory=round(_at(room, [(size, float(use.memory)) for _, size, use in known], BASE_MEMORY)),
            gpu_memory=round(_at(room, [(size, float(use.gpu_memory)) for _, size, use in known], 0.0)),
        )
        for stage, known in points.items()
    }


def _first(kind: str, params: dict[str, Any], work: float, room: float) -> dict[str, StageUse]:
    """A guess for the first job of a kind on a machine."""
    usual = workload(kind, {})
    fixed, for_megapixel, for_splat = FIRST_MEMORY.get(kind, (BASE_MEMORY, 0.0, 0.0))
    memory = fixed + for_megapixel * room + for_splat * budget_of(params)
    return {
        stage: StageUse(
            seconds=seconds if stage == STARTING else seconds * work / usual,
            memory=round(BASE_MEMORY if stage == STARTING else memory),
        )
        for stage, seconds in FIRST_GUESS.get(kind, {}).items()
    }


def _room(kind: str, params: dict[str, Any], work: float) -> float:
    """What memory grows with: a render keeps few frames at a time, however many there are."""
    return frame_megapixels(params) if kind == "render" else work


def _way(kind: str, params: dict[str, Any]) -> tuple[Any, ...]:
    """The settings that choose how a job's stages are done."""
    chosen = tuple(params.get(name) for name in CHOICES)
    return (*chosen, projection_of(params), codec_of(params)) if kind == "render" else chosen


def _at(work: float, points: list[tuple[float, float]], fixed: float) -> float:
    """Least-squares line through (work, value), read at ``work``; neither its offset nor its slope is negative.

    When all points are of one size, up to ``fixed`` of the value does not grow with the work, and the rest does.
    """
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if spread <= (0.01 * mean_x) ** 2:
        offset = min(fixed, mean_y)
        return offset + (mean_y - offset) * (work / mean_x if mean_x > 0 else 1.0)
    slope = max(0.0, sum((x - mean_x) * (y - mean_y) for x, y in points) / spread)
    if mean_y < slope * mean_x:  # the line would begin below zero: lay it through the origin
        return work * sum(x * y for x, y in points) / sum(x * x for x, _ in points)
    return mean_y + slope * (work - mean_x)


class Forecast:
    """Follows one job."""

    def __init__(self, expected: dict[str, StageUse], clock: Callable[[], float] = time.monotonic) -> None:
        """``expected``: what its stages should take."""
        self._expected = {stage: use.seconds for stage, use in expected.items()}
        self._clock = clock
        self._stage, self._since = "", clock()
        self._done: set[str] = set()
        self._spent = self._worth = 0.0  # seconds that finished stages took, and that they were expected to take
        self._fraction = 0.0

    def update(self, stage: str, stage_fraction: float, note: str = "") -> tuple[float, float | None]:
        """(fraction of the whole job, which never falls; seconds to go, None while nothing can be said)."""
        now = self._clock()
        if stage != self._stage:
            self._close(now)
            self._stage, self._since = stage, now
            self._done.discard(stage)
        if note == REUSED:
            self._since = now
        mean = sum(self._expected.values()) / len(self._expected) if self._expected else 1.0
        here = self._expected.setdefault(stage, mean)
        total = sum(self._expected.values()) or 1.0
        finished = sum(seconds for name, seconds in self._expected.items() if name in self._done)
        self._fraction = max(self._fraction, min((finished + stage_fraction * here) / total, 1.0))
        spent, worth = self._spent + now - self._since, self._worth + stage_fraction * here
        pace = (spent + PRIOR_SECONDS) / (worth + PRIOR_SECONDS)
        return self._fraction, max(0.0, total - finished - stage_fraction * here) * pace

    def _close(self, now: float) -> None:
        """The stage has ended; one that was read from the cache says nothing about the pace."""
        if not self._stage:
            return
        self._done.add(self._stage)
        spent = now - self._since
        if spent > 0.05 * self._expected[self._stage]:
            self._spent += spent
            self._worth += self._expected[self._stage]
