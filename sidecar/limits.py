"""How much one client may ask for."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from .protocol import ProtocolError


@dataclass(frozen=True)
class Limits:
    """What one client key may have at a time."""

    unfinished_jobs: int = 20_000  # queued and running
    uploads: int = 16  # under way at the same time
    requests_per_second: float = 2000.0  # on control and work, without chunks
    burst: float = 4000.0  # requests that may come at once after a pause
    upload_bytes: int = 64 << 30  # announced by uploads that are not complete
    subscriptions: int = 256  # connections that follow events


class RateLimit:
    """A token bucket per client."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._buckets: dict[str, tuple[float, float]] = {}  # client -> tokens, when

    def charge(self, client: str) -> None:
        """Count a request; ProtocolError when there were too many."""
        now = self._clock()
        tokens, since = self._buckets.get(client, (self._limits.burst, now))
        tokens = min(self._limits.burst, tokens + (now - since) * self._limits.requests_per_second)
        if tokens < 1.0:
            self._buckets[client] = (tokens, now)
            raise ProtocolError(
                "limit", f"more than {self._limits.requests_per_second:.0f} requests a second: slow down"
            )
        self._buckets[client] = (tokens - 1.0, now)
