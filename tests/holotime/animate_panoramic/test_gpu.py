"""On a GPU: every memory plan gives the clip of the one that keeps everything there."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from holotime.animate.panoramic import PanoramicConfig, run
from holotime.animate.panoramic import animator as animators
from holotime.models import Plan

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.mark.parametrize("name", ["wan", "ltx", "cogvideox", "svd"])
@pytest.mark.parametrize("residency", ["offload", "quantised", "sequential"])
def test_plans_that_move_weights(
    name: str,
    residency: str,
    config: Callable[..., PanoramicConfig],
    panorama: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if residency != "sequential":
        pytest.importorskip("accelerate")
    asked = config(name, device="cuda", steps=2)
    whole = run(panorama, asked).clip.frames.astype(int)
    make = animators.make_plan

    def forced(*args: Any, **kwargs: Any) -> Plan:
        return dataclasses.replace(make(*args, **kwargs), residency=residency)

    monkeypatch.setattr(animators, "make_plan", forced)
    shown: list[NDArray[np.uint8]] = []
    moved = run(panorama, asked, preview=shown.append).clip.frames.astype(int)
    assert shown
    # Weights in eight bits are others; moved ones are the same, and only the order of sums may differ.
    assert np.abs(moved - whole).mean() < (40 if residency == "quantised" else 1)
    assert torch.cuda.memory_allocated() < 1 << 30
