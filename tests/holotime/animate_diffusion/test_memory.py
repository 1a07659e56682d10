"""Memory plans."""

import pytest
import torch

from holotime.animate.diffusion.config import UNetConfig
from holotime.animate.diffusion.memory import GIB, LOW_BUDGET, make_plan
from holotime.errors import OutOfMemory

CPU, HALF = torch.device("cpu"), torch.float16


def plan(free: float, mode: str = "auto"):
    return make_plan(UNetConfig(), CPU, HALF, 25, 576, 1024, mode=mode, free=int(free * GIB))


def test_more_memory_means_a_faster_plan() -> None:
    plans = [plan(g) for g in (6.5, 7, 9, 24, 80)]
    assert [p.batched for p in plans] == sorted(p.batched for p in plans)
    assert [p.vae_chunk for p in plans] == sorted(p.vae_chunk for p in plans)
    assert plans[-1].batched
    assert plans[-1].ff_chunk == 0
    assert not plans[0].batched
    assert all(p.estimate <= g * GIB for p, g in zip(plans, (6.5, 7, 9, 24, 80), strict=True))


def test_low_stays_within_its_budget() -> None:
    low = plan(80, "low")
    assert low.estimate <= LOW_BUDGET
    assert low.vae_chunk == 1


def test_too_little_memory_is_refused_with_numbers() -> None:
    with pytest.raises(OutOfMemory, match="GiB even in the smallest plan"):
        plan(3)


def test_passes_are_recorded_only_where_there_is_room() -> None:
    def recorded(free: float, **more) -> bool:
        device = torch.device("cuda")
        return make_plan(UNetConfig(), device, HALF, 25, 576, 1024, free=int(free * GIB), **more).graphs

    assert recorded(80)
    assert not recorded(80, graphs=False)
    assert not recorded(80, mode="low")
    assert not recorded(6)
    assert not plan(80).graphs, "there are none on a CPU"
