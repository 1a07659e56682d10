"""How far a whole job is and how long it will take, from how far its stage is and how long stages took before."""

import time
from collections.abc import Callable

# Seconds of each stage on a plain CPU, for the first job on a machine; from then on the journal knows better.
# Only their ratios matter much: the pace of the job itself scales them.
FIRST_GUESS = {
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
}
PRIOR_SECONDS = 3.0  # of pace as expected, counted in so that the first second of a job does not decide
REUSED = "reused"  # the note of a stage whose result was read from the cache


class Forecast:
    """Follows one job."""

    def __init__(self, kind: str, history: dict[str, float], clock: Callable[[], float] = time.monotonic) -> None:
        """``history``: stage -> seconds it took in earlier jobs of this kind."""
        self._expected = {**(history or FIRST_GUESS.get(kind, {}))}
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
