"""Replaying whole forward passes of the U-Net as CUDA graphs: some 1500 kernels start at once, not one by one."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from holotime.animate.diffusion.unet import DeepFeatures, UNet


@dataclass
class _Recorded:
    """One pass with the memory it reads and writes."""

    graph: torch.cuda.CUDAGraph
    inputs: dict[str, Tensor]  # read by the graph, by the name of the argument
    stored: Tensor | None  # deep features that it reads
    out: Tensor
    hidden: Tensor | None  # deep features that it leaves


class GraphedUNet:
    """A U-Net whose passes are recorded, one graph for every shape of the inputs, and replayed. Only on CUDA.

    Results are the same as without: the same kernels run. The memory of a pass stays taken as long as this object
    lives; graphs share it, because one is replayed after another and what it leaves is copied out.
    """

    def __init__(self, unet: UNet) -> None:
        self.unet = unet
        self._recorded: dict[tuple, _Recorded] = {}
        self._pool: Any = None

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return self.unet.dtype

    def reset(self) -> None:
        """Forget all graphs (after the weights were changed)."""
        self._recorded.clear()
        self._pool = None

    def __call__(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        fs: Tensor | None = None,
        *,
        frame_context: bool | None = None,
        deep: DeepFeatures | None = None,
    ) -> Tensor:
        """As :meth:`UNet.forward`."""
        named = {"x": x, "timesteps": timesteps, "context": context, "fs": fs}
        inputs = {name: t for name, t in named.items() if t is not None}
        stored = deep.hidden if deep is not None else None
        shapes = tuple((name, *t.shape) for name, t in inputs.items())
        key = (shapes, frame_context, None if deep is None else (deep.depth, stored is None))
        recorded = self._recorded.get(key)
        if recorded is None:
            recorded = self._recorded[key] = self._record(inputs, frame_context, deep)
        for name, tensor in inputs.items():
            recorded.inputs[name].copy_(tensor)
        if stored is not None and recorded.stored is not None:
            recorded.stored.copy_(stored)
        recorded.graph.replay()
        if deep is not None and recorded.hidden is not None:
            deep.hidden = recorded.hidden.clone()
        return recorded.out.clone()

    def _record(self, inputs: dict[str, Tensor], frame_context: bool | None, deep: DeepFeatures | None) -> _Recorded:
        inputs = {name: t.clone() for name, t in inputs.items()}
        stored = None if deep is None or deep.hidden is None else deep.hidden.clone()

        def run() -> tuple[Tensor, Tensor | None]:
            features = None if deep is None else DeepFeatures(deep.depth)
            if features is not None:
                features.hidden = stored
            out = self.unet(**inputs, frame_context=frame_context, deep=features)
            return out, features.hidden if features is not None and stored is None else None

        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # compiles kernels and chooses algorithms, which cannot be recorded
            run()
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            out, hidden = run()
        self._pool = graph.pool()
        return _Recorded(graph, inputs, stored, out, hidden)
