"""From a drawn picture to a frame's pixels in Triton: holes filled as in holes.py, put over a colour, or made straight.

Pictures here have their channels first. The pyramid of ``fill_holes`` is built by ``_weigh`` and ``_halve`` and folded
by ``_mix``; ``_finish`` takes the last step at full size together with the conversion to bytes.
"""

from itertools import pairwise
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from holotime.render.gpu.blend import Drawn
from holotime.render.holes import COARSER, FARTHEST, TRUSTED

BLOCK = 512  # pixels to a program
STRAIGHT, OVER, FILL = 0, 1, 2  # what ``_finish`` does where no splat is
_STRAIGHT, _OVER, _FILL = tl.constexpr(STRAIGHT), tl.constexpr(OVER), tl.constexpr(FILL)
_COARSER = tl.constexpr(COARSER)
_FARTHEST = tl.constexpr(FARTHEST)
_TRUSTED = tl.constexpr(TRUSTED)


@triton.jit
def _place(y, x, width, height, WRAP: tl.constexpr):
    """Offset of a pixel that may lie up to a picture's width outside: holes._margin's rule."""
    row = tl.minimum(tl.maximum(y, 0), height - 1)
    if WRAP:
        x = tl.where((row != y) & (width % 2 == 0), x + width // 2, x)
        return row * width + (x + width) % width
    return row * width + tl.minimum(tl.maximum(x, 0), width - 1)


@triton.jit
def _weighted(color, alpha, distance, at, plane, mask):
    """The first level of the pyramid: colours and alpha [4], far things heavier."""
    d = tl.minimum(tl.load(distance + at, mask=mask, other=0.0), _FARTHEST) / _FARTHEST
    share = tl.maximum(d, 1e-3) * tl.maximum(d, 1e-3)
    return (
        tl.load(color + at, mask=mask, other=0.0) * share,
        tl.load(color + plane + at, mask=mask, other=0.0) * share,
        tl.load(color + 2 * plane + at, mask=mask, other=0.0) * share,
        tl.load(alpha + at, mask=mask, other=0.0) * share,
    )


@triton.jit
def _weigh(color, alpha, distance, out, width, height, plane, wide, count, WRAP: tl.constexpr, BLOCK: tl.constexpr):
    """out [4, h, w]: means of 2 x 2 pixels of the weighted picture."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < count
    x, y = 2 * (i % wide), 2 * (i // wide)
    a0, a1, a2, a3 = _weighted(color, alpha, distance, _place(y, x, width, height, WRAP), plane, here)
    b0, b1, b2, b3 = _weighted(color, alpha, distance, _place(y, x + 1, width, height, WRAP), plane, here)
    c0, c1, c2, c3 = _weighted(color, alpha, distance, _place(y + 1, x, width, height, WRAP), plane, here)
    d0, d1, d2, d3 = _weighted(color, alpha, distance, _place(y + 1, x + 1, width, height, WRAP), plane, here)
    tl.store(out + i, 0.25 * (a0 + b0 + c0 + d0), mask=here)
    tl.store(out + count + i, 0.25 * (a1 + b1 + c1 + d1), mask=here)
    tl.store(out + 2 * count + i, 0.25 * (a2 + b2 + c2 + d2), mask=here)
    tl.store(out + 3 * count + i, 0.25 * (a3 + b3 + c3 + d3), mask=here)


@triton.jit
def _halve(level, out, width, height, wide, count, WRAP: tl.constexpr, BLOCK: tl.constexpr):
    """out [4, h, w]: means of 2 x 2 pixels of level [4, H, W]."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < count
    level += tl.program_id(1) * width * height
    x, y = 2 * (i % wide), 2 * (i // wide)
    total = tl.load(level + _place(y, x, width, height, WRAP), mask=here, other=0.0)
    total += tl.load(level + _place(y, x + 1, width, height, WRAP), mask=here, other=0.0)
    total += tl.load(level + _place(y + 1, x, width, height, WRAP), mask=here, other=0.0)
    total += tl.load(level + _place(y + 1, x + 1, width, height, WRAP), mask=here, other=0.0)
    tl.store(out + tl.program_id(1) * count + i, 0.25 * total, mask=here)


@triton.jit
def _doubled(coarse, y, x, width, height, here, WRAP: tl.constexpr):
    """coarse [h, w] bilinearly at the pixel (y, x) of a picture twice its size."""
    y0, x0 = (y + 1) // 2 - 1, (x + 1) // 2 - 1
    fy, fx = tl.where(y % 2 == 0, 0.75, 0.25), tl.where(x % 2 == 0, 0.75, 0.25)
    a = tl.load(coarse + _place(y0, x0, width, height, WRAP), mask=here, other=0.0)
    b = tl.load(coarse + _place(y0, x0 + 1, width, height, WRAP), mask=here, other=0.0)
    c = tl.load(coarse + _place(y0 + 1, x0, width, height, WRAP), mask=here, other=0.0)
    d = tl.load(coarse + _place(y0 + 1, x0 + 1, width, height, WRAP), mask=here, other=0.0)
    return (1 - fy) * ((1 - fx) * a + fx * b) + fy * ((1 - fx) * c + fx * d)


@triton.jit
def _mix(level, coarse, width, count, wide, high, WRAP: tl.constexpr, BLOCK: tl.constexpr):
    """level [4, H, W] += COARSER * the next coarser one [4, high, wide], in place."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < count
    level += tl.program_id(1) * count
    coarse += tl.program_id(1) * wide * high
    fine = tl.load(level + i, mask=here, other=0.0)
    tl.store(level + i, fine + _COARSER * _doubled(coarse, i // width, i % width, wide, high, here, WRAP), mask=here)


@triton.jit
def _finish(
    color, alpha, around, circle, out, width, plane, wide, high, left, top, stride, red, green, blue,
    MODE: tl.constexpr, WRAP: tl.constexpr, ROUND: tl.constexpr, BYTES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """A panel's pixels into the frame out [H, stride, 3], whose part begins at column ``left`` and row ``top``."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < plane
    y, x = i // width, i % width
    share = tl.load(alpha + i, mask=here, other=1.0)
    target = out + 3 * ((top + y).to(tl.int64) * stride + left + x)
    gap = 1 - share
    if MODE == _FILL:
        weight = tl.maximum(_doubled(around + 3 * wide * high, y, x, wide, high, here, WRAP), 1e-20)
        trust = tl.minimum(share / _TRUSTED, 1.0)
    for k in tl.static_range(3):
        value = tl.load(color + k * plane + i, mask=here, other=0.0)
        straight = value / tl.maximum(share, 1e-6)
        if MODE == _STRAIGHT:
            value = straight
        elif MODE == _OVER:
            value += gap * (red if k == 0 else green if k == 1 else blue)
        else:
            near = _doubled(around + k * wide * high, y, x, wide, high, here, WRAP) / weight
            value += gap * (trust * straight + (1 - trust) * near)
        if ROUND:
            value *= tl.load(circle + i, mask=here, other=0.0)
        if BYTES:
            value = tl.minimum(tl.maximum(value, 0.0), 1.0) * 255 + 0.5
        tl.store(target + k, value.to(out.dtype.element_ty), mask=here)


def surroundings(drawn: Drawn, wrap: bool) -> Tensor:
    """[4, h, w] what fills the holes of a picture, at half its size: weighted colours, and their weight."""
    height, width = drawn.alpha.shape
    sizes = [(-(-height // 2), -(-width // 2))]
    while max(sizes[-1]) > 1:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    levels = [torch.empty(4, *size, device=drawn.alpha.device) for size in sizes]
    options: dict[str, Any] = {"WRAP": wrap, "BLOCK": BLOCK}
    high, wide = sizes[0]
    plane, count = width * height, wide * high
    picture = (drawn.color, drawn.alpha, drawn.distance)
    _weigh[(triton.cdiv(count, BLOCK),)](*picture, levels[0], width, height, plane, wide, count, **options)
    for fine, coarse in pairwise(levels):
        (h, w), (high, wide) = fine.shape[1:], coarse.shape[1:]
        count = wide * high
        _halve[(triton.cdiv(count, BLOCK), 4)](fine, coarse, w, h, wide, count, **options)
    for coarse, fine in pairwise(levels[::-1]):
        (h, w), (high, wide) = fine.shape[1:], coarse.shape[1:]
        _mix[(triton.cdiv(w * h, BLOCK), 4)](fine, coarse, w, w * h, wide, high, **options)
    return levels[0]


def finish(
    drawn: Drawn,
    circle: Tensor,
    out: Tensor,
    place: tuple[int, int],
    behind: str | tuple[float, float, float],
    *,
    wrap: bool,
) -> None:
    """Write a panel into the frame ``out`` [H, W, 3] (float32 or uint8) with its upper left corner at ``place``.

    ``behind`` as in views.Output. ``circle``: of the camera's optics. ``wrap``: the panel is a whole panorama.
    """
    height, width = drawn.alpha.shape
    around, mode, paint = drawn.alpha, STRAIGHT, (0.0, 0.0, 0.0)
    if behind == "fill":
        around, mode = surroundings(drawn, wrap), FILL
    elif not isinstance(behind, str):
        mode, paint = OVER, behind
    high, wide = around.shape[-2:]
    _finish[(triton.cdiv(width * height, BLOCK),)](
        *(drawn.color, drawn.alpha, around, circle, out, width, width * height, wide, high, *place, out.shape[1]),
        *(float(c) for c in paint),
        MODE=mode,
        WRAP=wrap,
        ROUND=circle.numel() > 0 and mode != STRAIGHT,
        BYTES=out.dtype == torch.uint8,
        BLOCK=BLOCK,
    )
