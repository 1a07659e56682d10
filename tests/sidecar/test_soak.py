"""A short run of benchmarks/soak.py, which has the long one."""

import importlib.util
import random
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker through /proc")
def test_no_job_is_lost_or_done_twice_while_everybody_is_killed(tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "soak.py"
    spec = importlib.util.spec_from_file_location("soak", path)
    soak = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(soak)
    report = soak.soak(tmp_path, jobs=50, seconds=90, chance=random.Random(1))
    assert report["finished"]
    assert (report["lost"], report["run_twice"], report["mismatched"], report["not_fetched"]) == (0, 0, 0, 0)
