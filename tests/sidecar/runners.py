"""Real small jobs for the tests, plugged into a real worker with ``--runner runners:run_job``.

``params["do"]`` chooses: the files that they touch below ``params["marks"]`` tell a test what has happened.
"""

import hashlib
import inspect
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from holotime.errors import InputError
from holotime.job_context import JobContext

Files = dict[str, Path]
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")


def run_job(
    kind: str, params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable, context: JobContext
) -> Files:
    """The contract of holotime.jobs.run_job."""
    do = globals()[params.get("do", "digest")]
    given = (params, inputs, out_dir, cache_dir, progress)
    return do(*given, context) if "context" in inspect.signature(do).parameters else do(*given)


def digest(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable) -> Files:
    """A text that depends on parameters and inputs only."""
    progress("reading", 0.1, "inputs", None)
    text = repr(sorted((k, v) for k, v in params.items() if k != "marks"))
    for name in sorted(inputs):
        text += f"\n{name} {hashlib.sha256(inputs[name].read_bytes()).hexdigest()}"
    progress("writing", 0.9, "", JPEG)
    (out_dir / "digest.txt").write_text(text, encoding="utf-8")
    if params.get("marks"):
        with open(Path(params["marks"]) / "completed", "a", encoding="utf-8") as file:
            file.write("x")
    return {"digest": out_dir / "digest.txt"}


def slow(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable) -> Files:
    """Goes on until it is cancelled, or until the file ``go`` appears."""
    marks = Path(params["marks"])
    (out_dir / "half.bin").write_bytes(b"half made")
    (marks / "begun").write_text(str(os.getpid()), encoding="utf-8")
    step = 0
    while not (marks / "go").exists():
        step += 1
        progress("waiting", min(0.9, step / 1000), f"step {step}", JPEG)
        time.sleep(0.01)  # the work itself: there is nothing to wait for
    return digest({}, inputs, out_dir, cache_dir, progress)


def deaf(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable) -> Files:
    """Never reports, so a cancel cannot reach it."""
    progress("deaf", 0.5, "", None)
    (Path(params["marks"]) / "begun").write_text(str(os.getpid()), encoding="utf-8")
    while True:
        time.sleep(60)


def crash(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable) -> Files:
    """Kills its own process, the first ``params["times"]`` times."""
    progress("crashing", 0.2, "", None)
    print("about to crash, said the job", flush=True)
    counter = Path(params["marks"]) / "crashes"
    done = len(counter.read_bytes()) if counter.exists() else 0
    if done < params["times"]:
        with open(counter, "ab") as file:
            file.write(b"x")
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    return digest({}, inputs, out_dir, cache_dir, progress)


def big(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable) -> Files:
    """A large result."""
    (out_dir / "big.bin").write_bytes(os.urandom(1 << 20) * params["megabytes"])
    return {"big": out_dir / "big.bin"}


def wrong(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable) -> Files:
    """Finds fault with its input."""
    raise InputError("The panorama is 3:1, not 2:1. Use --fit pad.")


def bug(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable) -> Files:
    """Has a bug."""
    print("a line in the log", flush=True)
    return {"x": Path([][1])}


def outside(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable) -> Files:
    """Names a file that is not its own."""
    (out_dir / "link.txt").symlink_to(cache_dir.parent / "journal.sqlite3")
    return {"x": out_dir / params["name"]}
