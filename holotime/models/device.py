"""Where a model runs, what is free there, and in which precision it runs best."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from holotime.errors import InputError

GIB = 1 << 30


def pick_device(asked: str | None) -> torch.device:
    """The device asked for, or the best there is. InputError for one that this machine does not have."""
    if not asked:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(asked)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise InputError(f"The device {asked} cannot be used ({reason}). Take cuda, mps or cpu.") from error
    return device


def free_memory(device: torch.device) -> int:
    """Bytes that can still be taken on the device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return host_memory()


def host_memory() -> int:
    """Bytes of main memory that can still be taken; the file cache, which gives way, is counted as free."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # systems that do not tell
        return 8 * GIB


def half_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the device computes in it, else float16; float32 on the CPU, whose half precision is slow."""
    if device.type == "cpu":
        return torch.float32
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float16


@contextmanager
def steady_threads() -> Iterator[None]:
    """As many threads as at the start of the process.

    Other libraries of the process (numba) share OpenMP's pool with torch and change its size, and sums over another
    number of threads are rounded differently: a run that goes on elsewhere would give another result.
    """
    before = torch.get_num_threads()
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(int(wanted) if wanted.isdecimal() and int(wanted) else cores)
    try:
        yield
    finally:
        torch.set_num_threads(before)
