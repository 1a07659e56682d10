"""Shows a scene while it is trained: parts for a receiver, made and given away on a thread of their own.

The training only waits while its parameters are copied. Everything else (what has changed, half precision, files) is
done beside it, and as seldom as is needed to keep to a small share of the time.
"""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np

from holotime.job_context import ScenePart
from holotime.reconstruct.training.growing import Delta, Sender, encode
from holotime.reconstruct.training.model import SpacetimeGaussians
from holotime.scene4d import Scene4D

log = logging.getLogger(__name__)
LEAST_SECONDS = 1.0  # between two parts
SHARE = 0.03  # of the time: how much processor time may go into parts where the training needs the processor
SHARE_BESIDE = 0.3  # the same where a GPU trains
MAX_PARTS = 32  # after a whole one, until there is a new whole one


class LiveScene:
    """A trainer's ``snapshot`` that gives parts of the scene to ``publish``; a context manager."""

    def __init__(self, publish: Callable[[ScenePart], None], *, duration: float, fps: float, loop: bool) -> None:
        """``publish`` is called on another thread. An OSError from it (a full disk) ends the showing, nothing else."""
        empty: dict[str, Any] = {name: np.zeros((0, *tail), np.float32) for name, tail in Scene4D.TENSORS.items()}
        self._like = Scene4D(**empty, duration=duration, fps=fps, loop=loop)
        self._publish, self._sender = publish, Sender()
        self._thread: threading.Thread | None = None
        self._due = 0.0  # monotonic
        self._whole = self._since = 0  # bytes of the last whole part, and of those that followed
        self._count = 0  # of those that followed
        self._broken = False
        self.paused = 0.0  # seconds that the training has waited for us
        self.busy = 0.0  # processor seconds on our own thread

    def __enter__(self) -> "LiveScene":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread:
            self._thread.join()

    def __call__(self, model: SpacetimeGaussians, step: int) -> None:
        """Show the model as it is now, unless it is too early."""
        start = time.perf_counter()
        if self._broken or time.monotonic() < self._due or (self._thread and self._thread.is_alive()):
            return
        scene = model.scene(self._like)
        # on a CPU these are the parameters themselves, which the next step changes
        scene = dataclasses.replace(scene, **{name: getattr(scene, name).copy() for name in Scene4D.TENSORS})
        self._thread = threading.Thread(target=self._show, args=(scene, step), name="growing scene", daemon=True)
        pause = time.perf_counter() - start
        self.paused += pause
        self._share = SHARE_BESIDE if model.means.is_cuda else SHARE
        self._thread.start()

    def _show(self, scene: Scene4D, step: int) -> None:
        start, begun = time.thread_time(), time.perf_counter()
        try:
            for delta in self._deltas(scene, step):
                data = encode(delta, self._like)
                self._whole, self._since = (len(data), 0) if delta.whole else (self._whole, self._since + len(data))
                self._count = 0 if delta.whole else self._count + 1
                self._publish(ScenePart(delta.number, delta.whole, delta.step, delta.count, data))
        except OSError as error:
            self._broken = True
            log.warning("the growing scene is not shown any more: %s", error)
        except Exception:
            self._broken = True
            log.exception("the growing scene is not shown any more")
        used = time.thread_time() - start
        self.busy += used
        # the time that is left over for the training counts from the beginning of this part
        self._due = time.monotonic() + max(LEAST_SECONDS, used / self._share - (time.perf_counter() - begun))

    def _deltas(self, scene: Scene4D, step: int) -> list[Delta]:
        """What to send: the difference, and before it what was there until now once there are too many parts."""
        full = self._count >= MAX_PARTS or self._since > self._whole
        anew = [self._sender.whole()] if full and self._sender.sent else []
        return [*anew, self._sender.update(scene, step)]
