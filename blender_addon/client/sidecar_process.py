"""A sidecar of our own: started with the Python that the artist has set up, ended with Blender."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
from pathlib import Path
from typing import Any

ENVIRONMENT_LIMITS = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP")  # Blender's own, wrong for another Python


class ClientError(Exception):
    """The sidecar cannot be used that way now. The text says why and what to do."""


class SidecarProcess:
    """One running sidecar. Make it with :func:`start`; it is ready when :meth:`ready` gives its connection file."""

    def __init__(self, process: subprocess.Popen, log: Path) -> None:
        self._process, self._log = process, log
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._connection = ""
        threading.Thread(target=self._read, name="HoloTime sidecar output", daemon=True).start()

    def ready(self, block: float = 0.0) -> str:
        """Its connection file, or "" while it is starting. ClientError with the log's end when it has ended."""
        while not self._connection:
            try:
                line = self._lines.get(timeout=block) if block else self._lines.get_nowait()
            except queue.Empty:
                break
            if not line:  # the end of its output
                raise ClientError(f"The sidecar ended while it started.\n{self.log_tail()}")
            with contextlib.suppress(ValueError):
                self._connection = _connection_of(json.loads(line))
        return self._connection

    def running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def end(self, seconds: float = 5.0) -> threading.Thread:
        """Ask it to end; the thread makes it end after some seconds, and is over when it has."""
        self._process.terminate()
        thread = threading.Thread(target=self._reap, args=(seconds,), name="HoloTime sidecar's end", daemon=True)
        thread.start()
        return thread

    def _reap(self, seconds: float) -> None:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def log_tail(self, lines: int = 12) -> str:
        """The last lines that it wrote to its log."""
        with contextlib.suppress(OSError):
            return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        return ""

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._lines.put(line)
        self._lines.put("")


def start(python: str | Path, root: str | Path, *, gpu: bool = True) -> SidecarProcess:
    """Start ``python -m sidecar serve`` with its files under ``root``. ClientError when that Python cannot do it.

    ``gpu`` False hides every CUDA device from it.
    """
    if not python:
        raise ClientError(
            "No Python is set for the sidecar. In the extension's preferences, choose the Python of an environment in "
            "which the holotime package is installed."
        )
    if not Path(python).is_file():
        raise ClientError(f"{python} does not exist. Choose the sidecar's Python in the extension's preferences.")
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    log = root / "blender_started.log"
    environment = {k: v for k, v in os.environ.items() if k not in ENVIRONMENT_LIMITS}
    if not gpu:
        environment["CUDA_VISIBLE_DEVICES"] = ""
    command = [str(python), "-m", "sidecar", "serve", "--root", str(root), "--parent-pid", str(os.getpid())]
    options: dict[str, Any] = {"creationflags": subprocess.CREATE_NO_WINDOW} if os.name == "nt" else {}
    try:
        with log.open("w", encoding="utf-8") as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
                cwd=root,
                **options,
            )
    except OSError as error:
        raise ClientError(f"{python} cannot be started ({error.strerror}). Choose another Python.") from error
    return SidecarProcess(process, log)


def _connection_of(ready: Any) -> str:
    """The connection file named by the server's ready line."""
    return str(ready.get("connection_file", "")) if isinstance(ready, dict) else ""
