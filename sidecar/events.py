"""Who follows which jobs, and what each has still to be told. The newest of a kind wins; credit bounds the rest."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .limits import Limits
from .protocol import FINISHED, Credit, Growing, JobState, Log, Message, ProtocolError, Subscribe

SILENCE_SECONDS = 30.0  # a subscriber that gives no credit for so long, not even 0, is forgotten
Send = Callable[[bytes, Message], bool]  # (connection, message) -> whether that connection is still there


@dataclass
class _Subscriber:
    client: str
    rid: int
    jobs: frozenset[str]  # empty: all
    credit: int
    heard: float
    log: bool  # whether it wants what jobs print
    growing: bool  # and the scenes that they train
    waiting: dict[tuple[str, str], Message] = field(default_factory=dict)  # in the order of their coming


class Subscriptions:
    """All subscribers. Memory is bounded by subscribers x jobs x kinds of event, however slow they read."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._subscribers: dict[bytes, _Subscriber] = {}
        self.sent = self.replaced = 0

    def __len__(self) -> int:
        return len(self._subscribers)

    def subscribe(self, connection: bytes, client: str, request: Subscribe) -> None:
        """Begin, or replace, the subscription of a connection."""
        same_client = sum(s.client == client for s in self._subscribers.values())
        if connection not in self._subscribers and same_client >= self._limits.subscriptions:
            raise ProtocolError("limit", f"already {same_client} subscriptions")
        self._subscribers[connection] = _Subscriber(
            client,
            request.rid,
            frozenset(request.jobs),
            request.credit,
            self._clock(),
            request.log,
            request.growing,
        )

    def credit(self, connection: bytes, request: Credit) -> None:
        """A subscriber has read so many events."""
        subscriber = self._subscribers.get(connection)
        if subscriber is None or subscriber.rid != request.rid:
            raise ProtocolError("no_subscription", "there is no such subscription (any more)")
        subscriber.credit = min(subscriber.credit + request.count, 1000)
        subscriber.heard = self._clock()

    def publish(self, job: str, event: Message) -> None:
        """Line an event up for everybody who follows the job, in place of an older one of its kind."""
        key = event.redundancy_key()
        assert key is not None
        ends = isinstance(event, JobState) and event.info.status in FINISHED
        for subscriber in self._subscribers.values():
            if subscriber.jobs and job not in subscriber.jobs:
                continue
            if (isinstance(event, Log) and not subscriber.log) or (
                isinstance(event, Growing) and not subscriber.growing
            ):
                continue
            if ends:  # what was still to be told about its way has no interest now
                for kind in ("progress", "preview", "growing"):  # the log's end may say why
                    subscriber.waiting.pop((job, kind), None)
            if subscriber.waiting.pop(key, None):
                self.replaced += 1
            subscriber.waiting[key] = event

    def pump(self, send: Send) -> None:
        """Send what credit allows; forget connections that are gone or silent."""
        now = self._clock()
        for connection, subscriber in list(self._subscribers.items()):
            alive = now - subscriber.heard < SILENCE_SECONDS
            while alive and subscriber.credit > 0 and subscriber.waiting:
                event = subscriber.waiting.pop(next(iter(subscriber.waiting)))
                alive = send(connection, dataclasses.replace(event, rid=subscriber.rid))
                subscriber.credit -= 1
                self.sent += 1
            if not alive:
                del self._subscribers[connection]
