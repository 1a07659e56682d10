"""Motion between frames by RIFE."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from holotime.enhance.ifnet import STEP, IFNet, load_ifnet


@dataclass
class RifeEngine:
    """The network finds the motion at a time itself; see :class:`holotime.enhance.motion.Engine`."""

    network: IFNet
    name: str
    models: tuple[str, ...]
    step: int = field(default=STEP, init=False)

    @classmethod
    def load(cls, path: Path, name: str, device: torch.device) -> "RifeEngine":
        """With the weights of a file; half precision is too coarse for its flow. InputError for another network."""
        return cls(load_ifnet(path, device), f"RIFE ({name}) on {device.type}", (name,))

    def compare(
        self, first: NDArray[np.uint8], second: NDArray[np.uint8], wrap: bool
    ) -> tuple[Tensor, Tensor, bool, bool]:
        """Pictures [h, w, 3] as the network takes them, whether the width is a circle, and whether all is still."""
        weight = next(self.network.parameters())

        def tensor(a: NDArray[np.uint8]) -> Tensor:
            x = torch.from_numpy(np.ascontiguousarray(a)).to(weight.device).permute(2, 0, 1)[None]
            return (x.to(weight.dtype) / 255).contiguous(memory_format=torch.channels_last)

        return tensor(first), tensor(second), wrap, bool(np.array_equal(first, second))

    def between(
        self, pair: tuple[Tensor, Tensor, bool, bool], time: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Motion [h, w, 4] in pixels and trust in the first [h, w]."""
        first, second, wrap, still = pair
        if still:
            shape = tuple(first.shape[2:])
            return np.zeros((*shape, 4), np.float32), np.full(shape, 1 - time, np.float32)
        with torch.inference_mode():
            flow, trust = self.network.wrapped(wrap)(first, second, time)
        return flow[0].permute(1, 2, 0).float().cpu().numpy(), trust[0, 0].float().cpu().numpy()
