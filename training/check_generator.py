"""Compiles the generator for the GPU, compares it with the CPU build, and times it. Prints one JSON object.

A CUDA build that crashes or differs is discarded and made again with less optimisation, in a process of its own, since
a fault of the device ends the process that met it.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import torch

from training.generator import Generator, build

LEVELS = ("-O3", "-O2", "-O1")
AGREE = 0.985  # share of pixels of one class whose distances agree within 1 % (leaves and rocks differ by rounding)


def compare(library: Path) -> dict[str, float]:
    """Share of pixels that agree between the GPU's build and the CPU's, and panoramas per second."""
    cpu, gpu = Generator("cpu"), Generator("cuda", library)
    seeds = range(500, 500 + 2 * len(cpu.kinds), 2)
    a, b = cpu.render(seeds, 64, samples=1), gpu.render(seeds, 64, samples=1)
    same = (a.label == b.label.cpu()) & ((a.distance / b.distance.cpu() - 1).abs() < 0.01)
    result = {"agree": float(same.float().mean())}
    for height in (256, 512):
        gpu.render(range(32), height, samples=3)
        torch.cuda.synchronize()
        start = time.perf_counter()
        for k in range(6):
            gpu.render(range(1000 + 32 * k, 1032 + 32 * k), height, samples=3)
        torch.cuda.synchronize()
        result[f"per_second_{2 * height}x{height}"] = round(6 * 32 / (time.perf_counter() - start), 1)
    return result


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(compare(Path(sys.argv[1]))))
        return
    report: dict[str, object] = {}
    for level in LEVELS:
        start = time.perf_counter()
        library = build("cuda", optimize=level)
        seconds = round(time.perf_counter() - start, 1)
        done = subprocess.run(
            [sys.executable, "-m", "training.check_generator", str(library)], capture_output=True, text=True
        )
        found = json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr[-500:]}
        report[level] = {"compile_seconds": seconds, **found}
        if found.get("agree", 0) >= AGREE:
            library.replace(build_path := library.parent / library.name.replace(level, "-O2"))
            report["used"] = str(build_path.name)
            break
    print(json.dumps(report))
    if "used" not in report:
        raise SystemExit("No CUDA build of the generator agrees with the CPU's.")


if __name__ == "__main__":
    main()
