"""How much memory a process takes, as far as the system tells; 0 where it does not."""

import contextlib
import sys
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"  # written to clear_refs: VmHWM starts again from what is resident now (proc(5))


def resident() -> int:
    """Bytes of this process in memory now."""
    return _from_status("VmRSS:") or peak()


def peak() -> int:
    """Most bytes of this process in memory since :func:`reset_peak`, or since its start where that does nothing."""
    told = _from_status("VmHWM:")
    if told or sys.platform == "win32":
        return told
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def gpu_peak() -> int:
    """Most bytes of the GPU since :func:`reset_peak`; 0 as long as nobody has used one."""
    cuda = _cuda()
    return cuda.max_memory_reserved() if cuda else 0


def gpu_now() -> tuple[int, int]:
    """(bytes of the GPU that this process has taken, bytes that it has)."""
    cuda = _cuda()
    return (cuda.memory_reserved(), cuda.mem_get_info()[1]) if cuda else (0, 0)


def reset_peak() -> None:
    """Begin to measure peaks anew."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    cuda = _cuda()
    if cuda:
        cuda.reset_peak_memory_stats()


def kills() -> int:
    """How many processes this system has ended because memory ran out, since its start."""
    try:
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except OSError:
        return 0
    return 0


def _from_status(name: str) -> int:
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0


def _cuda() -> Any:
    """torch.cuda when the job has loaded and used it; asking must not load it."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    return cuda if cuda is not None and cuda.is_initialized() else None
