"""One server per root folder. The system frees the lock when the process ends, however it ends."""

import sys
from pathlib import Path
from types import TracebackType

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class RootLocked(Exception):
    """Another server works in this folder."""


class RootLock:
    """Holds the lock from its making until the end of the ``with`` block."""

    def __init__(self, root: Path) -> None:
        self._file = open(root / "lock", "a+b")  # noqa: SIM115 held as long as the lock
        try:
            if sys.platform == "win32":
                self._file.seek(0)
                msvcrt.locking(self._file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise RootLocked(
                f"Another server works in {root}. Connect to it with {root / 'connection.json'}, or use another --root."
            ) from None

    def __enter__(self) -> "RootLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
