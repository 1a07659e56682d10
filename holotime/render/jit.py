"""How the render kernels are compiled and spread over the cores.

The kernels release the GIL and work on a range [start, stop); :func:`spread` hands ranges to a thread pool. That is
used instead of numba's ``parallel=True`` because numba's own pool depends on what is installed (TBB, OpenMP or
"workqueue", which ends the process when two threads use it at once) and because tiles differ in cost by two orders of
magnitude: small ranges taken one after the other balance themselves.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numba


def compiled(**options: Any) -> Callable[[Callable], Callable]:
    """``numba.njit(nogil=True)`` with the machine code kept on disk, so that only a first process pays for compiling.

    numba writes beside the source, else into the user's cache folder (or into NUMBA_CACHE_DIR). Where nothing of that
    can be written (a read-only container), each process compiles for itself: the same pictures, a slower first frame.
    A cached kernel is renewed when its own file changes, not when a callee's does: a kernel calls only compiled
    functions of its own file.
    """

    def wrap(function: Callable) -> Callable:
        try:
            return numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # numba found no place to cache
            return numba.njit(nogil=True, **options)(function)

    return wrap


def threads() -> int:
    """How many threads a kernel uses: the cores this process may use, or fewer with NUMBA_NUM_THREADS."""
    return int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]  # numba sets it at run time


@lru_cache(maxsize=1)
def _pool(pid: int) -> ThreadPoolExecutor:  # one per process id: threads do not survive a fork
    return ThreadPoolExecutor(threads(), thread_name_prefix="render")


def spread(kernel: Callable, count: int, *arguments: Any, chunk: int) -> None:
    """Call ``kernel(start, stop, *arguments)`` over [0, count) in ranges of ``chunk``, on all threads."""
    ranges = [(a, min(a + chunk, count)) for a in range(0, count, chunk)]
    if len(ranges) <= 1 or threads() == 1:
        kernel(0, count, *arguments)
        return
    for done in [_pool(os.getpid()).submit(kernel, a, b, *arguments) for a, b in ranges]:
        done.result()
