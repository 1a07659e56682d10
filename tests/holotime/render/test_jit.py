"""Compiled kernels: where they may be cached, and how work is spread over threads."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from holotime.render import jit

ROOT = Path(__file__).resolve().parents[3]


def test_a_kernel_without_a_place_to_cache_still_compiles():
    """A function that comes from no file has no cache folder, like a package in a sealed container."""
    namespace: dict = {}
    exec("def double(x):\n    return 2 * x\n", namespace)
    assert jit.compiled()(namespace["double"])(21) == 42


def test_kernels_are_cached_where_numba_is_told(tmp_path):
    """With NUMBA_CACHE_DIR (a read-only installation) the machine code lands there, and a next process finds it."""
    code = (
        "from holotime.render.tiles import depth_order as k\nimport numpy as np\n"
        "print(k(np.array([2, 1], np.float32)).tolist(), sum(k.stats.cache_hits.values()))"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    for hits in (0, 1):
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == f"[1, 0] {hits}"
    assert list(tmp_path.rglob("*.nbi"))


@pytest.mark.parametrize("count", [0, 1, 7, 8, 1000])
def test_spread_covers_every_item_once(count):
    seen = np.zeros(count, int)

    def kernel(start, stop, array):
        array[start:stop] += 1

    jit.spread(kernel, count, seen, chunk=8)
    assert (seen == 1).all()


def test_an_error_in_a_range_is_not_lost():
    def kernel(start, stop):
        if stop > 16:  # with one thread there is one range
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        jit.spread(kernel, 64, chunk=8)
