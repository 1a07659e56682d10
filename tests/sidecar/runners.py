"""Real small jobs for the tests, plugged into a real worker with ``--runner runners:run_job``.

``params["do"]`` chooses: the files that they touch below ``params["marks"]`` tell a test what has happened.
"""

import hashlib
import inspect
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from holotime.errors import InputError, OutOfMemory
from holotime.job_context import JobContext, ScenePart

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


def meet(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable) -> Files:
    """Ends only when as many jobs as ``params["together"]`` run at the same time."""
    marks = Path(params["marks"])
    (marks / f"met-{params['n']}").write_text(
        f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')} {os.environ.get('OMP_NUM_THREADS')}", encoding="utf-8"
    )
    while len(list(marks.glob("met-*"))) < params["together"]:
        progress("meeting", 0.5, "", None)
        time.sleep(0.01)  # the work itself
    return digest(params, inputs, out_dir, cache_dir, progress)


def hungry(
    params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable, context: JobContext
) -> Files:
    """Needs more memory than there is, unless it is told to be modest and ``params["modest"]``."""
    progress("eating", 0.5, "", None)
    with open(Path(params["marks"]) / "plans", "a", encoding="utf-8") as file:
        file.write(f"{context.memory} {os.getpid()}\n")
    if context.memory != "low" or not params["modest"]:
        kind = params["kind"]
        if kind == "python":
            raise MemoryError
        if kind == "torch":
            raise type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory. Tried to allocate 20 GiB.")
        if kind == "cpu allocator":
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        raise OutOfMemory("Not even the smallest plan fits. Choose fewer frames.")
    return digest({}, inputs, out_dir, cache_dir, progress)


def steps(
    params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable, context: JobContext
) -> Files:
    """A stage of ten steps that keeps a checkpoint and dies, for the first time, in its seventh."""
    folder = context.checkpoints("training", "k" * 64)
    saved = folder / "step"
    first = int(saved.read_text(encoding="utf-8")) if saved.exists() else 0
    for step in range(first, 10):
        progress("training", step / 10, f"step {step}", None)
        with open(Path(params["marks"]) / "steps", "a", encoding="utf-8") as file:
            file.write(f"{step} ")
        partial = folder / "step.part"
        partial.write_text(str(step + 1), encoding="utf-8")
        partial.replace(saved)
        if step == 6 and first == 0:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    return digest({}, inputs, out_dir, cache_dir, progress)


def kernel(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable) -> Files:
    """A compiled loop that never ends and lets no other Python thread run."""
    import numba

    @numba.njit
    def spin(x: float) -> float:
        while x > 0:
            x = x * 0.5 + 1.0
        return x

    progress("deaf", 0.5, "", None)
    (Path(params["marks"]) / "begun").write_text(str(os.getpid()), encoding="utf-8")
    spin(1.0)
    raise AssertionError("it never ends")


def encode(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable) -> Files:
    """An endless video."""
    import numpy as np

    from holotime.clip import write_frames

    def frames() -> Iterator:
        frame = np.zeros((256, 512, 3), np.uint8)
        while True:
            frame += 1
            yield frame

    (Path(params["marks"]) / "begun").write_text(str(os.getpid()), encoding="utf-8")
    write_frames(out_dir / "x.mp4", frames(), 24, progress=lambda fraction, note: progress("deaf", 0.5, note, None))
    raise AssertionError("it never ends")


def train(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable) -> Files:
    """A training loop in torch."""
    import torch

    torch.set_num_threads(1)
    model = torch.nn.Linear(64, 64)
    optimizer = torch.optim.Adam(model.parameters())
    (Path(params["marks"]) / "begun").write_text(str(os.getpid()), encoding="utf-8")
    while True:
        optimizer.zero_grad()
        model(torch.ones(8, 64)).square().mean().backward()
        optimizer.step()
        progress("deaf", 0.5, "", None)


def family(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable) -> Files:
    """Starts a process of its own, as an encoder or a compiler might be, and waits."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (Path(params["marks"]) / "child").write_text(str(child.pid), encoding="utf-8")
    return (deaf if params.get("deaf") else slow)(params, inputs, out_dir, cache_dir, progress)


def chatter(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable) -> Files:
    """Prints ``params["megabytes"]``, then waits."""
    line = "x" * 1023
    for _ in range(params["megabytes"] << 10):
        print(line)
    print("the last line", flush=True)
    return slow(params, inputs, out_dir, cache_dir, progress)


def cached(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable) -> Files:
    """Makes one stage through the cache; a file tells how often it was really made."""
    from holotime.cache import StageCache

    def make(folder: Path) -> None:
        with open(Path(params["marks"]) / "made", "a", encoding="utf-8") as file:
            file.write("x")
        (folder / "x.bin").write_bytes(b"stage " * 10_000)

    folder, _ = StageCache(cache_dir).get("stage", "k" * 64, make)
    (out_dir / "x.bin").write_bytes((folder / "x.bin").read_bytes())
    return {"x": out_dir / "x.bin"}


def walk(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable, context: JobContext) -> Files:
    """A few short steps with a checkpoint after each, then the same text as ever."""
    saved = context.checkpoints("walk", "k" * 64) / "step"
    for step in range(int(saved.read_text(encoding="utf-8") or 0) if saved.exists() else 0, 5):
        progress("walking", step / 5, "", None)
        time.sleep(0.01)  # the work itself
        partial = saved.with_suffix(".part")
        partial.write_text(str(step + 1), encoding="utf-8")
        partial.replace(saved)
    return digest(params, inputs, out_dir, cache_dir, progress)


def models(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable) -> Files:
    """Uses models of ``params["sizes"]`` bytes; the result says which had to be loaded."""
    from holotime.shelf import MODELS

    loaded = []
    for size in params["sizes"]:
        MODELS.get(size, lambda size=size: loaded.append(size) or size, lambda value: value)
    (out_dir / "loaded.txt").write_text(f"{os.getpid()} {loaded}", encoding="utf-8")
    return {"loaded": out_dir / "loaded.txt"}


def grow(params: dict, inputs: Files, out_dir: Path, cache_dir: Path, progress: Callable, context: JobContext) -> Files:
    """Shows the parts of ``params["parts"]`` (whole or delta, bytes), then goes on until the file ``go`` appears."""
    assert context.publish is not None
    (Path(params["marks"]) / "begun").write_text(str(os.getpid()), encoding="utf-8")
    number = -1
    for i, (kind, size) in enumerate(params["parts"]):
        number += 1
        context.publish(ScenePart(number, kind == "whole", 10 * i, 7, str(number).encode() * size))
    return slow(params, inputs, out_dir, cache_dir, progress)
