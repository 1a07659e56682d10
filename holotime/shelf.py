"""Models that stay loaded between jobs: a shelf with room for so many bytes; the least recently used leaves first.

One shelf for the process, :data:`MODELS`. Its room is 0 until somebody (the sidecar's worker) gives it some, so code
that runs once frees its models as before.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import RLock
from typing import Any, TypeVar

T = TypeVar("T")


class Shelf:
    """Keeps what is dear to load. Thread-safe; a value is loaded once even if two threads ask."""

    def __init__(self, room: int = 0) -> None:
        """``room``: bytes that the kept values may take together."""
        self._room = room
        self._used = 0
        self._lock = RLock()
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()  # least recently used first
        self.hits = self.misses = 0

    @property
    def room(self) -> int:
        """Bytes that the kept values may take together."""
        return self._room

    @property
    def used(self) -> int:
        """Bytes that the kept values take; never waits for a load."""
        return self._used

    def get(self, key: Hashable, load: Callable[[], T], size: Callable[[T], int]) -> T:
        """The value under ``key``, loaded if it is not here. ``size(value)``: its bytes.

        ``key`` must name all that the value depends on: file and its time, device, dtype. Whoever takes a value may use
        it until the next job and must leave it as it was. A value larger than the room is given but not kept.
        """
        with self._lock:
            if key in self._kept:
                self.hits += 1
                self._kept.move_to_end(key)
                return self._kept[key][0]
            self.misses += 1
            value = load()
            need = size(value)
            if need <= self._room:
                self._shrink(self._room - need)
                self._kept[key] = (value, need)
                self._used += need
            return value

    def resize(self, room: int) -> None:
        """Change the room; what no longer fits leaves at once. 0 empties the shelf."""
        with self._lock:
            self._room = room
            self._shrink(room)

    def _shrink(self, limit: int) -> None:
        while self._kept and self._used > limit:
            _, (_, size) = self._kept.popitem(last=False)
            self._used -= size


def module_bytes(module: Any) -> int:
    """Bytes of a torch module's parameters and buffers."""
    tensors = [*module.parameters(), *module.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


MODELS = Shelf()
