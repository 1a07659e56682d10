"""Binning and blending in Triton: tiles.py and raster.py for records on a CUDA device.

Splats are sorted by depth, dealt to the tiles of their boxes in that order, and sorted stably by tile: every tile's
list runs front to back, equal depths in the order of the scene, so that a frame is the same in every run.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from holotime.render.cameras import Camera, PerspectiveCamera
from holotime.render.gpu.project import RECORD, project
from holotime.render.project import image_circle, ray_tables
from holotime.render.raster import ALPHA_MAX, CLOSED
from holotime.render.tiles import TILE

MOST_ENTRIES = 48 << 20  # in one go; more are drawn in bands of rows, so that memory stays bounded
DEAL_BLOCK = 256  # entries to a program
WARPS = 1  # to a tile: eight pixels a thread wait better for records than two
AHEAD = 4  # splats whose records are fetched together
_TILE = tl.constexpr(TILE)
_RECORD = tl.constexpr(RECORD)
_ALPHA_MAX = tl.constexpr(ALPHA_MAX)
_CLOSED = tl.constexpr(CLOSED)


@triton.jit
def _deal(order, ends, boxes, entries, keys, total, ranked, across, low_row, STEPS: tl.constexpr, BLOCK: tl.constexpr):
    """Entry e belongs to the splat of rank j whose range of entries holds e, and is its (e - start)th tile.

    Rows of tiles above ``low_row`` belong to another band and have no entries here.
    """
    e = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    here = e < total
    low = tl.zeros_like(e)
    high = low + ranked - 1
    for _ in range(STEPS):  # the first rank whose end lies beyond e
        middle = (low + high) // 2
        beyond = tl.load(ends + middle, mask=here, other=0) > e
        high = tl.where(beyond, middle, high)
        low = tl.where(beyond, low, tl.minimum(middle + 1, ranked - 1))
    start = tl.load(ends + low - 1, mask=here & (low > 0), other=0)
    s = tl.load(order + low, mask=here, other=0)
    local = (e - start).to(tl.int32)
    first = tl.load(boxes + 4 * s, mask=here, other=0)
    before = tl.load(boxes + 4 * s + 1, mask=here, other=1)
    columns = tl.load(boxes + 4 * s + 2, mask=here, other=1)
    top = tl.maximum(tl.load(boxes + 4 * s + 3, mask=here, other=0), low_row)
    column, row = local % columns, local // columns
    column = tl.where(column < before, first + column, column - before)
    tl.store(entries + e, s.to(tl.int32), mask=here)
    tl.store(keys + e, (top + row) * across + column, mask=here)


@triton.jit
def _blend(
    records, entries, offsets, rows, columns, bend, color, alpha, distance, width, height, plane, across, first_tile,
    BENT: tl.constexpr, FLAT: tl.constexpr, DISTANCE: tl.constexpr, AHEAD: tl.constexpr,
):  # fmt: skip
    """One tile, front to back: color [3, H, W] premultiplied, alpha [H, W], distance [H, W]."""
    tile = tl.program_id(0)
    p = tl.arange(0, _TILE * _TILE)
    number = tile + first_tile
    x = (number % across) * _TILE + p % _TILE
    y = (number // across) * _TILE + p // _TILE
    inside = (x < width) & (y < height)
    pixel = y.to(tl.int64) * width + x
    r1 = tl.load(rows + 2 * y + 1, mask=inside, other=0.0)
    c0 = tl.load(columns + 2 * x, mask=inside, other=0.0)
    lit = inside
    if BENT:
        c1 = tl.load(bend + pixel, mask=inside, other=0.0)
        lit = inside & (c1 == c1)  # NaN: outside the image circle
    elif not FLAT:
        r0 = tl.load(rows + 2 * y, mask=inside, other=0.0)
        c1 = r0 * tl.load(columns + 2 * x + 1, mask=inside, other=0.0)
        c0 = r0 * c0
    trans = tl.where(lit, 1.0, 0.0)
    red, green, blue, far = tl.zeros_like(trans), tl.zeros_like(trans), tl.zeros_like(trans), tl.zeros_like(trans)
    e = tl.load(offsets + tile)
    stop = tl.load(offsets + tile + 1)
    going = e < stop
    while going:
        for k in tl.static_range(AHEAD):
            valid = e + k < stop
            f = records + _RECORD * tl.load(entries + tl.minimum(e + k, stop - 1)).to(tl.int64)
            ax, az = tl.load(f), tl.load(f + 2)  # a lies level: its second number is 0
            bx, by, bz = tl.load(f + 3), tl.load(f + 4), tl.load(f + 5)
            opacity, reach = tl.load(f + 9), tl.load(f + 10)
            if FLAT:
                a = ax * c0 + az
                b = bx * c0 + (by * r1 + bz)
                q = a * a + b * b
                hit = q <= reach
            else:
                ux, uy, uz = tl.load(f + 6), tl.load(f + 7), tl.load(f + 8)
                a = ax * c0 + az * c1
                b = bx * c0 + by * r1 + bz * c1
                u = ux * c0 + uy * r1 + uz * c1
                q = (a * a + b * b) / (u * u)
                hit = (q <= reach) & (u > 0)
            hit = hit & (trans >= _CLOSED) & valid
            share = tl.where(hit, tl.minimum(opacity * tl.exp2(-q), _ALPHA_MAX), 0.0)
            weight = share * trans
            red += weight * tl.load(f + 12)
            green += weight * tl.load(f + 13)
            blue += weight * tl.load(f + 14)
            if DISTANCE:
                far += weight * tl.load(f + 11)
            trans -= weight
        e += AHEAD
        going = (e < stop) & (tl.max(trans) >= _CLOSED)
    covered = tl.where(lit, 1.0 - trans, 0.0)
    tl.store(color + pixel, red, mask=inside)
    tl.store(color + plane + pixel, green, mask=inside)
    tl.store(color + 2 * plane + pixel, blue, mask=inside)
    tl.store(alpha + pixel, covered, mask=inside)
    if DISTANCE:
        tl.store(distance + pixel, tl.where(covered > 0, far / covered, float("inf")), mask=inside)


@dataclass(frozen=True)
class Bins:
    """Tiles of a band of rows and the splats in them."""

    first: int  # number of the first tile
    offsets: Tensor  # [tiles + 1] int32, where each tile's entries start
    entries: Tensor  # [E] int32 splats, nearest first within a tile


def bin_tiles(boxes: Tensor, depths: Tensor, counts: Tensor, width: int, height: int) -> Iterator[Bins]:
    """Yield :class:`Bins` that cover the picture; one unless there are more than ``MOST_ENTRIES`` entries.

    ``boxes`` [N, 4], ``depths`` [N] and ``counts`` [N] are from ``project``.
    """
    across, down = -(-width // TILE), -(-height // TILE)
    order = torch.sort(depths, stable=True).indices  # [N]
    ends = torch.cumsum(counts[order], 0)  # [N] int64
    bands = [(0, down, ends, int(ends[-1]) if len(ends) else 0)]
    while bands:
        low, high, ends, total = bands.pop()
        if total > MOST_ENTRIES and high - low > 1:
            middle = (low + high) // 2
            for part in ((middle, high), (low, middle)):
                ends = torch.cumsum(_in_band(boxes, counts, *part)[order], 0)
                bands.append((*part, ends, int(ends[-1])))
            continue
        keys, entries = _deal_tiles(order, ends, boxes, total, across, low)
        numbers = torch.arange(low * across, high * across + 1, dtype=torch.int32, device=keys.device)
        yield Bins(low * across, torch.searchsorted(keys, numbers, out_int32=True), entries)


def _in_band(boxes: Tensor, counts: Tensor, low: int, high: int) -> Tensor:
    """[N] tiles of each box in the rows of tiles [low, high)."""
    columns = torch.where(counts > 0, boxes[:, 2], 1)
    top = torch.where(counts > 0, boxes[:, 3], 0)
    return ((top + counts // columns).clamp(low, high) - top.clamp(low, high)) * columns


def _deal_tiles(
    order: Tensor, ends: Tensor, boxes: Tensor, total: int, across: int, low_row: int
) -> tuple[Tensor, Tensor]:
    """(tiles [E] int32 in order, splats [E] int32): see :func:`_deal`."""
    entries = torch.empty(total, dtype=torch.int32, device=ends.device)
    keys = torch.empty(total, dtype=torch.int32, device=ends.device)
    if total == 0:
        return keys, entries
    steps = len(order).bit_length() + 1
    grid = (triton.cdiv(total, DEAL_BLOCK),)
    shape = (total, len(order), across, low_row)
    _deal[grid](order, ends, boxes, entries, keys, *shape, STEPS=steps, BLOCK=DEAL_BLOCK)
    keys, turns = torch.sort(keys, stable=True)
    return keys, entries[turns]


@dataclass(frozen=True)
class Optics:
    """The directions of a camera's pixels on the device (``ray_tables``), and which of them see something."""

    rows: Tensor  # [H, 2]
    columns: Tensor  # [W, 2]
    bend: Tensor  # [H, W] in a fisheye, else empty
    circle: Tensor  # [H, W] the share of each pixel in the image circle of a fisheye, else empty

    @classmethod
    def of(cls, camera: Camera, device: torch.device) -> "Optics":
        """The tables of ``camera`` on ``device``."""
        circle = image_circle(camera)
        tables = (*ray_tables(camera), np.empty((0, 0), np.float32) if circle is None else circle)
        return cls(*(torch.from_numpy(table).to(device) for table in tables))


@dataclass(frozen=True)
class Drawn:
    """A picture on the device, premultiplied, as ``cameras.Picture`` but with the channels first."""

    color: Tensor  # [3, H, W]
    alpha: Tensor  # [H, W]
    distance: Tensor  # [H, W], or empty where it was not asked for


def draw(packed: Tensor, t: float, camera: Camera, optics: Optics, *, distance: bool = True) -> Drawn:
    """The scene ``packed`` [29, N] at scene time ``t`` as ``camera`` sees it."""
    width, height = camera.width, camera.height
    records, boxes, depths, counts = project(packed, t, camera)
    drawn = Drawn(
        torch.empty(3, height, width, device=packed.device),
        torch.empty(height, width, device=packed.device),
        torch.empty((height, width) if distance else (0, 0), device=packed.device),
    )
    flat = isinstance(camera, PerspectiveCamera)
    for bins in bin_tiles(boxes, depths, counts, width, height):
        _blend[(len(bins.offsets) - 1,)](
            *(records, bins.entries, bins.offsets, optics.rows, optics.columns, optics.bend),
            *(drawn.color, drawn.alpha, drawn.distance, width, height, width * height, -(-width // TILE), bins.first),
            BENT=optics.bend.numel() > 0,
            FLAT=flat,
            DISTANCE=distance,
            AHEAD=AHEAD,
            num_warps=WARPS,
        )
    return drawn
