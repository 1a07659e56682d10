"""Which devices this machine has, without loading torch; and what a worker's environment must say to stay on one."""

import os
import shutil
import subprocess
from pathlib import Path

CPU = "cpu"
ASK_SECONDS = 10.0  # for nvidia-smi


def find(asked: str) -> list[str]:
    """The devices of the worker slots, one each: ``auto`` is every NVIDIA GPU, else one CPU slot.

    Or a comma-separated list of ``cpu`` and ``cuda:N``; ``cpu,cpu`` makes two CPU slots. ValueError for anything else.
    """
    if asked == "auto":
        return [f"cuda:{n}" for n in range(gpu_count())] or [CPU]
    devices = [part.strip() for part in asked.split(",")]
    for device in devices:
        kind, _, number = device.partition(":")
        if device != CPU and (kind != "cuda" or not number.isdecimal()):
            raise ValueError(f"{device!r} is no device. Name devices as in: auto, cpu, cpu,cpu or cuda:0,cuda:1.")
    return devices


def gpu_count() -> int:
    """NVIDIA GPUs that this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([part for part in visible.split(",") if part.strip() not in ("", "-1")])
    known = Path("/proc/driver/nvidia/gpus")
    if known.is_dir():
        return len(list(known.iterdir()))
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=ASK_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in done.stdout.splitlines())


def environment(device: str, slots: list[str]) -> dict[str, str]:
    """Variables that keep a worker on its device, and CPU workers from taking each other's cores."""
    kind, _, number = device.partition(":")
    if kind == "cuda":
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        ids = [part.strip() for part in visible.split(",")] if visible else []
        chosen = ids[int(number)] if int(number) < len(ids) else number
        return {"CUDA_VISIBLE_DEVICES": chosen, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    variables = {}
    if any(slot != CPU for slot in slots):  # a CPU slot beside GPU slots must not take their memory
        variables["CUDA_VISIBLE_DEVICES"] = ""
    if slots.count(CPU) > 1:
        threads = str(max(1, (os.cpu_count() or 1) // slots.count(CPU)))
        for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
            variables[name] = os.environ.get(name, threads)
    return variables
