"""Whole clips by the panoramic animator on a full-size random checkpoint: ``python benchmarks/animator_clip.py``.

Encoders, both networks and the autoencoder included, through the same function as a job: time and memory of a clip
under each setting, how far half precision is from float32 on the same noise, how far ``fast`` is from exact, whether a
run that was stopped goes on to the same clip, and how long a cancel takes. Prints JSON (and writes it to --out).

    python benchmarks/animator_clip.py --folder /tmp/animator --out clip.json     # 12 GB of disk
    python benchmarks/animator_clip.py --folder /tmp/animator --tiny --device cpu
"""

import argparse
import json
import math
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from holotime.animate.diffusion import AnimatorConfig, kernels, run
from holotime.animate.diffusion.checkpoint import Checkpoint
from holotime.animate.diffusion.config import HOLOTIME_GUIDANCE, HOLOTIME_REFINEMENT, ModelConfig
from holotime.animate.diffusion.random_checkpoint import TINY, write
from holotime.errors import Cancelled


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio of two clips [T, H, W, 3] in dB; 99 when they are equal."""
    error = np.square(a.astype(np.float32) - b).mean()
    return 99.0 if error == 0 else round(10 * math.log10(255**2 / error), 2)


def panorama() -> NDArray[np.uint8]:
    """[512, 1024, 3] smooth waves round the seam with some grain."""
    rows, columns = np.mgrid[0:512, 0:1024]
    waves = [np.sin(2 * np.pi * k * columns / 1024 + rows / (20 + 9 * k)) for k in (2, 5, 9)]
    grain = np.random.default_rng(0).normal(0, 8, (512, 1024, 1))
    return np.clip(128 + 70 * np.stack(waves, -1) + grain, 0, 255).astype(np.uint8)


def clip(config: AnimatorConfig, **options: Any) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """The frames of a clip, and what it took."""
    cuda = config.device == "cuda"
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    made = run(panorama(), config, **options)
    took: dict[str, Any] = {"seconds": round(time.perf_counter() - start, 2)}
    took["parts"] = {part: round(seconds, 2) for part, seconds in made.seconds.items()}
    took["notes"] = made.notes
    if cuda:
        took["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
        took["reserved_gib"] = round(torch.cuda.max_memory_reserved() / 2**30, 2)
    return made.clip.frames, took


def stopped_and_resumed(config: AnimatorConfig, folder: Path) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """The clip of a run that was cancelled in the second stage and then started again."""
    mine, wanted, asked = replace(config, resume_dir=folder), threading.Event(), [0.0]

    def ask() -> None:
        asked[0] = time.perf_counter()
        wanted.set()

    timer: list[threading.Timer] = []

    def progress(fraction: float, note: str = "") -> None:
        if note.startswith("refinement step 2/") and not timer:
            timer.append(threading.Timer(0.05, ask))  # in the middle of a step
            timer[0].start()
        if wanted.is_set():
            raise Cancelled("stopped")

    latency = math.nan
    try:
        run(panorama(), mine, progress=progress)
    except Cancelled:
        latency = time.perf_counter() - asked[0]
    frames, took = clip(mine)
    return frames, {"cancel_seconds": round(latency, 3), "resumed": [n for n in took["notes"] if "resumed" in n]}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, required=True, help="for the checkpoint and what is converted from it")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--short", type=int, default=10, help="steps of the runs that float32 is compared in")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    os.environ["HOLOTIME_CACHE"] = str(arguments.folder)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"benchmark": "animator_clip", "torch": torch.__version__, "short_steps": arguments.short}
    report["device"] = torch.cuda.get_device_name() if arguments.device == "cuda" else arguments.device

    def keep(name: str, value: Any) -> None:
        report[name] = value
        print(json.dumps({name: value}), flush=True)
        if arguments.out:
            arguments.out.write_text(json.dumps(report, indent=1), encoding="utf-8")

    model, path = TINY if arguments.tiny else ModelConfig(), arguments.folder / "random.ckpt"
    stage = {"height": 64, "width": 128} if arguments.tiny else None
    start = time.perf_counter()
    write(path, model, 0.7, stage=stage)
    written = time.perf_counter()
    Checkpoint.open(path, None)
    converted = time.perf_counter()
    keep("checkpoint", {
        "gigabytes": round(path.stat().st_size / 1e9, 2),
        "write_seconds": round(written - start, 1),
        "convert_seconds": round(converted - written, 1),
    })  # fmt: skip
    whole = AnimatorConfig(
        prompt="the water flows",
        device=arguments.device,
        frames=4 if arguments.tiny else 25,
        guidance=replace(HOLOTIME_GUIDANCE, weights=str(path)),
        refinement=replace(HOLOTIME_REFINEMENT, weights=str(path)),
    )
    short = replace(whole, steps=arguments.short)
    short_frames, took = clip(short)
    keep("short", took)
    frames, took = stopped_and_resumed(short, arguments.folder / "state")
    keep("stopped_and_resumed", took | {"identical": bool(np.array_equal(frames, short_frames))})
    frames, took = clip(replace(short, memory="low"))
    keep("short_low", took | {"psnr_to_short_db": psnr(frames, short_frames)})
    kernels.enabled = torch.backends.cudnn.allow_tf32 = False
    frames, took = clip(replace(short, dtype="float32", graphs=False))
    kernels.enabled = True
    keep("short_float32_plain", took | {"psnr_to_short_db": psnr(frames, short_frames)})
    whole_frames, took = clip(whole)
    keep("exact", took | {"contrast": round(float(whole_frames.std()), 2)})
    frames, took = clip(replace(whole, quality="fast"))
    keep("fast", took | {"psnr_to_exact_db": psnr(frames, whole_frames)})
    frames, took = clip(replace(short, seed=7))
    keep("another_seed", {"psnr_to_short_db": psnr(frames, short_frames)})


if __name__ == "__main__":
    main()
