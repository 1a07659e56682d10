"""The networks on a GPU against the same ones on the CPU."""

import numpy as np
import pytest
import torch

from holotime.enhance.esrgan import RRDBNet
from holotime.enhance.ifnet import IFNet
from holotime.enhance.motion import Pair
from holotime.enhance.paint import paint
from holotime.enhance.rife import RifeEngine
from holotime.enhance.superres import Network

from .conftest import randomise, turned

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")]


def test_frames_in_between() -> None:
    first, second = turned(64, 0), turned(64, 4)
    made = []
    for device in ("cpu", "cuda"):
        network = randomise(IFNet(True, (16, 12, 8, 4)), 0.3).eval().to(device)
        made.append(paint(first, second, Pair(RifeEngine(network, device, ()), first, second).at(0.5), 0.5))
    assert np.abs(made[0].astype(int) - made[1]).mean() < 0.5


def test_super_resolution_in_half_precision() -> None:
    frame = turned(64, 0)
    network = randomise(RRDBNet(8, 2, 4, 2), 0.5).eval()
    made = Network(network, 2, "cpu", ()).enlarge(frame, lambda share: None)
    half = Network(network.to("cuda", torch.float16), 2, "cuda", ()).enlarge(frame, lambda share: None)
    assert np.abs(made.astype(int) - half).mean() < 1
