"""A call in a thread of its own. No bpy here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Background:
    """A call in a thread of its own, whose result is asked for later."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function, self._result, self._error = function, None, None
        self._thread = threading.Thread(target=self._run, name="HoloTime reader", daemon=True)
        self._thread.start()

    def done(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    def result(self) -> Any:
        """What it gave; raises what it raised."""
        self._thread.join()
        if self._error:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._function()
        except Exception as error:  # raised again where the result is asked for
            self._error = error
