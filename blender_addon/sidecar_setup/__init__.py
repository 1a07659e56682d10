"""Sets up the sidecar's private environment: finds a Python, runs install.py with it, keeps its log.

No bpy here. One set-up runs at a time; :func:`steps` follows it as a task.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..client.sidecar_process import ENVIRONMENT_LIMITS
from ..client.tasks import Step, Work

SCRIPT = Path(__file__).with_name("install.py")
MARKER = "holotime-environment.json"
NAMES = ("python3.13", "python3.12", "python3.11", "python3", "python")
OLDEST = (3, 11)
LOG_LINES = 200
SHARES = {"environment": 0.05, "install": 0.15, "check": 0.9, "remove": 0.5}  # where each step begins


@dataclass
class State:
    """What the preferences show."""

    text: str = ""  # what it does, or how it ended
    problem: str = ""  # why it failed
    log: list[str] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)  # what the check found
    running: bool = False


state = State()


def find_python(hint: str = "") -> str:
    """A Python that fits: the hint, then those on the PATH; empty when there is none."""
    candidates = [hint] if hint else [found for name in NAMES if (found := shutil.which(name))]
    for candidate in candidates:
        with suppress(OSError, ValueError, subprocess.SubprocessError):
            code = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
            said = subprocess.run([candidate, "-c", code], capture_output=True, text=True, timeout=20, env=_clean())
            if said.returncode == 0 and tuple(map(int, said.stdout.split())) >= OLDEST:
                return candidate
    return ""


def python_of(folder: Path) -> Path:
    """The environment's interpreter."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def look(folder: Path) -> dict[str, Any]:
    """What is known about an environment; empty when there is none that was made here."""
    with suppress(OSError, ValueError):
        return json.loads((folder / MARKER).read_text(encoding="utf-8"))
    return {}


def steps(python: str, action: str, folder: Path, package: str = "", device: str = "cpu") -> Work:
    """Run install.py as a task. Its end is in ``state``."""
    global state
    state = State("Starting", running=True)
    command = [python, str(SCRIPT), action, "--folder", str(folder), "--package", package, "--device", device]
    options: dict[str, Any] = {"creationflags": subprocess.CREATE_NO_WINDOW} if os.name == "nt" else {}
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", env=_clean(), **options,
    )  # fmt: skip

    def read() -> None:
        with process.stdout as output:
            for line in output:
                lines.put(line)
        lines.put(None)

    threading.Thread(target=read, name="HoloTime set-up output", daemon=True).start()
    fraction, ended = 0.0, False
    try:
        while not ended:
            try:
                line = lines.get_nowait()
            except queue.Empty:
                yield Step(fraction, state.text, idle=True)
                continue
            ended = line is None
            fraction = max(fraction, _take(line)) if line else fraction
            yield Step(fraction, state.text)
        process.wait()
        if not state.found and not state.problem and process.returncode:
            state.problem = "\n".join(state.log[-4:]) or f"The set-up ended with code {process.returncode}."
    finally:
        if process.poll() is None:
            process.terminate()
        state.running = False


def _take(line: str) -> float:
    """Digest one line; how far the set-up is."""
    try:
        said = json.loads(line)
    except ValueError:
        said = {"step": "log", "text": line.rstrip()}
    if "error" in said:
        state.problem, state.text = said["error"], "Failed"
    elif "done" in said:
        state.found, state.text = said["done"], "Ready"
        return 1.0
    elif said.get("step") == "log":
        state.log = [*state.log, said["text"]][-LOG_LINES:]
    else:
        state.text = said["text"]
        return SHARES.get(said["step"], 0.0)
    return 0.0


def _clean() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in ENVIRONMENT_LIMITS}
