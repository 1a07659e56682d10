"""Whether the process that started this server still lives, by a handle where the system has one."""

import os
import select
import sys


class Parent:
    """A process to be watched."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._handle: int | None = None  # a pidfd on Linux, a process handle on Windows
        self._gone = False
        if sys.platform == "win32":
            import ctypes

            synchronize = 0x00100000
            self._handle = ctypes.windll.kernel32.OpenProcess(synchronize, False, pid) or None
            self._gone = self._handle is None
        elif hasattr(os, "pidfd_open"):
            try:
                self._handle = os.pidfd_open(pid)
            except ProcessLookupError:
                self._gone = True
            except OSError:  # an old kernel: ask by number
                self._handle = None

    def alive(self) -> bool:
        """False from its end on, also while nobody has collected its exit status."""
        if self._gone:
            return False
        if sys.platform == "win32":
            import ctypes

            still_running = 0x102  # WAIT_TIMEOUT
            self._gone = ctypes.windll.kernel32.WaitForSingleObject(self._handle, 0) != still_running
        elif self._handle is not None:
            self._gone = bool(select.select([self._handle], [], [], 0)[0])
        else:
            try:
                os.kill(self._pid, 0)
            except ProcessLookupError:
                self._gone = True
            except PermissionError:
                self._gone = False
        return not self._gone

    def close(self) -> None:
        """Give the handle back."""
        if self._handle is None:
            return
        if sys.platform == "win32":
            import ctypes

            ctypes.windll.kernel32.CloseHandle(self._handle)
        else:
            os.close(self._handle)
        self._handle = None
