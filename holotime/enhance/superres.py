"""More pixels: a network of Real-ESRGAN on every part of the sphere, or Lanczos.

A network looks at the charts of :mod:`holotime.enhance.charts`, so that it sees the poles as it sees any other place,
in tiles that overlap and wrap around the circle, so that memory is bounded and no border shows. What it made is then
corrected once so that, shrunk again, it is the frame that it was made from (back-projection, Irani and Peleg 1991):
networks shift colours and contrast a little, differently in every frame.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from holotime import sphere
from holotime.enhance.charts import charts_for, look_up, place
from holotime.enhance.esrgan import CLOSENESS, Upscaler, load_network
from holotime.errors import InputError, OutOfMemory

TILE = 192  # pixels of the small picture in a tile, without its overlap
LEAST_TILE = 48
POLE_MARGIN = 8  # rows and columns around a picture for Lanczos
STEP = 8  # sides of charts are multiples of it

Told = Callable[[float], None]  # share of a frame that is done; may raise Cancelled


class Enlarger(Protocol):
    """Makes frames larger."""

    name: str  # for the report
    models: tuple[str, ...]  # networks that it uses
    scale: int
    steady: bool  # neighbouring frames come out alike without further help

    def enlarge(self, frame: NDArray[np.uint8], told: Told) -> NDArray[np.uint8]:
        """Frame [H, W, 3] -> [scale H, scale W, 3]."""
        ...


@dataclass
class Lanczos:
    """Interpolation: what needs no weights, and invents nothing."""

    scale: int
    name: str = "Lanczos"
    models: tuple[str, ...] = ()
    steady: bool = True

    def enlarge(self, frame: NDArray[np.uint8], told: Told) -> NDArray[np.uint8]:
        """Frame [H, W, 3] -> [scale H, scale W, 3]."""
        return lanczos(frame, self.scale)


@dataclass
class Network:
    """A network of Real-ESRGAN, whatever its own factor."""

    network: Upscaler
    scale: int
    name: str
    models: tuple[str, ...]
    steady: bool = False
    tile: int = TILE  # halved when the memory of the device is too small

    @classmethod
    def load(cls, path: Path, name: str, scale: int, device: torch.device) -> "Network":
        """With the weights of a file. InputError for another network, or one that enlarges by neither 2 nor 4."""
        dtype = torch.float16 if device.type == "cuda" else torch.float32
        network = load_network(path, device, dtype)
        if network.scale not in (2, 4):
            raise InputError(f"{path} enlarges {network.scale} times. Use a network that enlarges 2 or 4 times.")
        own = f", its own factor is {network.scale}" * (network.scale != scale)
        return cls(network, scale, f"Real-ESRGAN ({name}{own}) on {device.type}", (name,))

    def enlarge(self, frame: NDArray[np.uint8], told: Told) -> NDArray[np.uint8]:
        """Frame [H, W, 3] -> [scale H, scale W, 3]."""
        twice = self.scale > self.network.scale  # a network that doubles is used twice to quadruple
        first = min(self.scale, self.network.scale)
        out = self._once(frame, first, _between(told, 0, 0.2 if twice else 1))
        return self._once(out, 2, _between(told, 0.2, 1)) if twice else out

    def _once(self, frame: NDArray[np.uint8], scale: int, told: Told) -> NDArray[np.uint8]:
        height, width = frame.shape[:2]
        charts = charts_for(*_stepped(height, width), STEP)
        fits = (charts.height, charts.width) == (height, width)
        source = frame if fits else sphere.resize(frame, charts.height, charts.width)
        parts = charts.cut(source)
        pixels = [p.shape[0] * p.shape[1] for p in parts]
        big, done = [], 0.0
        for i, picture in enumerate(parts):
            share = pixels[i] / sum(pixels)
            big.append(self._chart(picture, scale, i == 0, _between(told, done, done + share)))
            done += share
        out = np.zeros((scale * charts.height, scale * charts.width, 3), np.uint8)
        out[scale * charts.top : scale * charts.bottom] = big[0]
        for cap, north in zip(big[1:], (True, False), strict=True):
            at = place(charts, north, *out.shape[:2])
            seen = look_up(at, cap, scale).astype(np.float32)
            mixed = out[at.rows] + at.weight[..., None] * (seen - out[at.rows])
            out[at.rows] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
        if not fits:
            out = sphere.resize(out, scale * height, scale * width)
        return back_project(out, frame)

    def _chart(self, picture: NDArray[np.uint8], scale: int, wrap: bool, told: Told) -> NDArray[np.uint8]:
        """A flat picture [h, w, 3], ``scale`` times as large, tile by tile."""
        height, width = picture.shape[:2]
        margin = CLOSENESS[self.network.family]
        rows = [(margin, margin), (0, 0), (0, 0)]
        padded = np.pad(picture, rows, mode="symmetric" if height >= margin else "edge")
        across: list[tuple[int, int]] = [(0, 0), (margin, margin), (0, 0)]
        padded = np.pad(padded, across, mode="wrap" if wrap else "symmetric")
        out = np.empty((scale * height, scale * width, 3), np.uint8)
        cells = list(tiles(height, width, self.tile))
        n = 0
        while n < len(cells):
            y, x, h, w = cells[n]
            cut = padded[y : y + h + 2 * margin, x : x + w + 2 * margin]
            try:
                with _layer_by_layer(self.network.body, _between(told, n / len(cells), (n + 1) / len(cells))):
                    big = self._tile(np.ascontiguousarray(cut), scale)
            except torch.OutOfMemoryError as error:
                if self.tile <= LEAST_TILE:
                    raise OutOfMemory(
                        f"{self.name} does not fit into the memory of the GPU, even in tiles of {self.tile} pixels. "
                        "Close other programs that use it, or take a smaller network."
                    ) from error
                self.tile //= 2
                cells, n = list(tiles(height, width, self.tile)), 0
                torch.cuda.empty_cache()
                continue
            inner = big[:, scale * margin : scale * (margin + h), scale * margin : scale * (margin + w)]
            out[scale * y : scale * (y + h), scale * x : scale * (x + w)] = inner.transpose(1, 2, 0)
            n += 1
            told(n / len(cells))
        return out

    def _tile(self, cut: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
        """[3, scale h, scale w] of a flat picture [h, w, 3]."""
        weight = next(self.network.parameters())
        tensor = torch.from_numpy(cut).to(weight.device).permute(2, 0, 1)[None].to(weight.dtype) / 255
        with torch.inference_mode():
            big = self.network(tensor.contiguous(memory_format=torch.channels_last))
            if self.network.scale > scale:
                big = F.avg_pool2d(big, self.network.scale // scale)
            return (big[0].float().clamp(0, 1) * 255 + 0.5).to(torch.uint8).cpu().numpy()


def _between(told: Told, start: float, end: float) -> Told:
    """A part of a frame, seen as a whole."""
    return lambda share: told(start + (end - start) * share)


@contextmanager
def _layer_by_layer(body: nn.Sequential, told: Told) -> Iterator[None]:
    """Call ``told`` after each layer: without a GPU, one tile of a large network takes half a minute."""
    done = 0

    def after(*_: object) -> None:
        nonlocal done
        done += 1
        told(0.9 * done / len(body))

    hooks = [layer.register_forward_hook(after) for layer in body]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def tiles(height: int, width: int, size: int) -> Iterator[tuple[int, int, int, int]]:
    """(top, left, height, width) of tiles of at most ``size``, all but the last of a row and column of that size."""
    for y in range(0, height, size):
        for x in range(0, width, size):
            yield y, x, min(size, height - y), min(size, width - x)


def lanczos(frame: NDArray, scale: int) -> NDArray:
    """Equirect [H, W, 3] ``scale`` times as large, wrapping and crossing the poles."""
    m = POLE_MARGIN
    wide = np.ascontiguousarray(sphere.pad(frame, m, m))
    size = (scale * wide.shape[1], scale * wide.shape[0])
    big = cv2.resize(wide, size, interpolation=cv2.INTER_LANCZOS4)
    return np.ascontiguousarray(big[scale * m : -scale * m, scale * m : -scale * m])


def back_project(big: NDArray[np.uint8], frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``big`` [s H, s W, 3] moved so that its mean over each s x s pixels comes nearer to ``frame`` [H, W, 3]."""
    height, width = frame.shape[:2]
    small = cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA)
    missing = frame.astype(np.float32) - small
    margin = 2
    wide = np.ascontiguousarray(sphere.pad(missing, margin, margin))
    scale = big.shape[0] // height
    size = (scale * wide.shape[1], scale * wide.shape[0])
    more = cv2.resize(wide, size, interpolation=cv2.INTER_LINEAR)
    more = more[scale * margin : -scale * margin, scale * margin : -scale * margin]
    return np.clip(big + more + 0.5, 0, 255).astype(np.uint8)


def _stepped(height: int, width: int) -> tuple[int, int]:
    """The size nearest above with a height that is a multiple of ``STEP``."""
    rows = -(-height // STEP) * STEP
    return rows, 2 * rows
