"""The same panoramas on a GPU, under every memory plan."""

import dataclasses

import numpy as np
import pytest
import torch

from holotime.models import Plan
from holotime.panorama.config import PanoramaConfig
from holotime.panorama.loading import choose, open_network
from holotime.panorama.make import make
from holotime.panorama.sampler import Part, Sampler
from tests.holotime.panorama import tiny

pytest.importorskip("diffusers")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
RESIDENCIES = ("resident", "offload", "quantised", "sequential")


@pytest.mark.parametrize("kind", ["sd", "sdxl", "flux"])
def test_the_gpu_draws_what_the_cpu_draws(tmp_path, kind):
    folder = tiny.make(kind, tmp_path / kind, size=64)
    config = PanoramaConfig(prompt="a sea", model=str(folder), width=128, steps=3, poles=False)
    there, _ = make(dataclasses.replace(config, device="cuda"))
    here, _ = make(dataclasses.replace(config, device="cpu"))
    assert np.abs(there.astype(int) - here).mean() < 6, "half precision against single"


@pytest.mark.parametrize("residency", RESIDENCIES)
@pytest.mark.parametrize("kind", ["sd", "flux"])
def test_every_memory_plan_gives_the_picture(tmp_path, kind, residency):
    folder = tiny.make(kind, tmp_path / kind, size=64)
    config = PanoramaConfig(prompt="a sea", model=str(folder), width=128, steps=3)
    chosen = choose(config, photo=False)
    made = {}
    for how in ("resident", residency):
        with torch.inference_mode():
            network = open_network(chosen, Plan(how, torch.device("cuda"), False, 0, ""))
            task = Part("a", network.read("a sea", "", 3.5), 3, 3.5)
            network.take_text_away()
            made[how] = Sampler(network, 0).run(task, (1, 4, 16, 32))
    difference = (made[residency] - made["resident"]).abs().mean()
    assert difference < (0.15 if residency == "quantised" else 1e-2)
