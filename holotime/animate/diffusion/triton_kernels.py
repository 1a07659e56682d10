"""Triton kernels over channels-last rows. Imported only where Triton is (see kernels.py).

Group normalisation reads its input twice and writes once, whatever else is fused into it (shift before, SiLU after):
1. each part of the rows writes its mean and its sum of squared deviations, channel by channel, summed relative to its
   first row, which has the size of the mean (no cancellation as in E[x^2] - E[x]^2),
2. those are merged a group at a time (Chan et al. 1983) into a scale and offset for each channel,
3. which are applied.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS, CHANNELS = 128, 64  # of a tile
PART, PART_ROWS = 512, 32  # rows whose moments one program takes, and how many of them at once
TIME_WARPS = 1  # for every 32 time steps of temporal attention
MERGE = 1024  # partial results that a merging program reads at once


@triton.jit
def _part_moments(
    x_ptr,
    shift_ptr,
    mean_ptr,
    m2_ptr,
    s,
    c,
    parts,
    shift_stride,
    HAS_SHIFT: tl.constexpr,
    PART: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    n = tl.program_id(0).to(tl.int64)
    part = tl.program_id(1)
    cols = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    inside = cols < c
    begin = part * PART
    end = tl.minimum(s, begin + PART)
    at = x_ptr + n * s * c + cols
    pivot = tl.load(at + begin.to(tl.int64) * c, mask=inside, other=0.0).to(tl.float32)
    sums, squares = tl.zeros([ROWS, CHANNELS], tl.float32), tl.zeros([ROWS, CHANNELS], tl.float32)
    for start in range(begin, end, ROWS):
        rows = start + tl.arange(0, ROWS)
        mask = (rows < end)[:, None] & inside[None, :]
        x = tl.load(at[None, :] + rows.to(tl.int64)[:, None] * c, mask=mask, other=0.0)
        off = tl.where(mask, x.to(tl.float32) - pivot[None, :], 0.0)
        sums += off
        squares += off * off
    count = (end - begin).to(tl.float32)
    total = tl.sum(sums, axis=0)
    mean = pivot + total / count
    if HAS_SHIFT:
        mean += tl.load(shift_ptr + n * shift_stride + cols, mask=inside, other=0.0).to(tl.float32)
    out = (n * parts + part) * c + cols
    tl.store(mean_ptr + out, mean, mask=inside)
    tl.store(m2_ptr + out, tl.sum(squares, axis=0) - total * total / count, mask=inside)


@triton.jit
def _merge(
    mean_ptr,
    m2_ptr,
    weight_ptr,
    bias_ptr,
    scale_ptr,
    offset_ptr,
    s,
    c,
    parts,
    clips,
    frames,
    width,
    eps,
    PART: tl.constexpr,
    MERGE: tl.constexpr,
    WIDTH: tl.constexpr,
):
    b = tl.program_id(0)
    group = tl.program_id(1)
    total = frames * parts * width
    size = 1.0 * frames * s * width  # an argument of 1 arrives as a constant, which has no .to()
    weighted = tl.zeros([MERGE], dtype=tl.float32)
    for start in range(0, total, MERGE):
        e = start + tl.arange(0, MERGE)
        part = (e // width) % parts
        n = (e // (width * parts)) * clips + b
        at = (n * parts + part) * c + group * width + e % width
        count = tl.minimum(s - part * PART, PART).to(tl.float32)
        weighted += count * tl.load(mean_ptr + at, mask=e < total, other=0.0)
    mean = tl.sum(weighted, axis=0) / size
    squares = tl.zeros([MERGE], dtype=tl.float32)
    for start in range(0, total, MERGE):
        e = start + tl.arange(0, MERGE)
        part = (e // width) % parts
        n = (e // (width * parts)) * clips + b
        at = (n * parts + part) * c + group * width + e % width
        count = tl.minimum(s - part * PART, PART).to(tl.float32)
        off = tl.load(mean_ptr + at, mask=e < total, other=0.0) - mean
        inside = tl.load(m2_ptr + at, mask=e < total, other=0.0)
        squares += tl.where(e < total, inside + count * off * off, 0.0)
    rstd = 1.0 / tl.sqrt(tl.sum(squares, axis=0) / size + eps)
    local = tl.arange(0, WIDTH)
    cols = group * width + local
    scale = rstd * tl.load(weight_ptr + cols, mask=local < width, other=0.0).to(tl.float32)
    offset = tl.load(bias_ptr + cols, mask=local < width, other=0.0).to(tl.float32) - mean * scale
    tl.store(scale_ptr + b * c + cols, scale, mask=local < width)
    tl.store(offset_ptr + b * c + cols, offset, mask=local < width)


@triton.jit
def _apply(
    x_ptr,
    shift_ptr,
    scale_ptr,
    offset_ptr,
    y_ptr,
    s,
    c,
    clips,
    width,
    side,
    shift_stride,
    HAS_SHIFT: tl.constexpr,
    SILU: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    n = tl.program_id(0).to(tl.int64)
    cols = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    rows = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    inside = cols < c
    mask = (rows < s)[:, None] & inside[None, :]
    at = n * s * c + rows.to(tl.int64)[:, None] * c + cols[None, :]
    x = tl.load(x_ptr + at, mask=mask, other=0.0).to(tl.float32)
    if HAS_SHIFT:
        x += tl.load(shift_ptr + n * shift_stride + cols, mask=inside, other=0.0).to(tl.float32)[None, :]
    b = n % clips
    scale = tl.load(scale_ptr + b * c + cols, mask=inside, other=0.0)
    offset = tl.load(offset_ptr + b * c + cols, mask=inside, other=0.0)
    y = x * scale[None, :] + offset[None, :]
    if SILU:
        y = y / (1.0 + tl.exp(-y))
    # Each line of ``width`` pixels moves right by the sides before it, its own left one included.
    lines = s // width
    target = n * (s + 2 * side * lines) + rows + side * (2 * (rows // width) + 1)
    tl.store(y_ptr + target[:, None] * c + cols[None, :], y.to(y_ptr.dtype.element_ty), mask=mask)


def group_norm(
    x: Tensor,
    groups: int,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    clips: int,
    shift: Tensor | None,
    silu: bool,
    pixels: int,
    side: int,
) -> Tensor:
    """x [N, S, C] with N = frames * clips, index t * clips + b; weight, bias [C], shift [N, C] -> [N, S', C].

    S is lines of ``pixels``; each gets ``side`` pixels of undefined content at both ends, which makes S'.
    """
    n, s, c = x.shape
    x = x.contiguous()
    parts, blocks = triton.cdiv(s, PART), triton.cdiv(c, CHANNELS)
    mean, m2 = (torch.empty(n, parts, c, device=x.device, dtype=torch.float32) for _ in range(2))
    scale, offset = (torch.empty(clips, c, device=x.device, dtype=torch.float32) for _ in range(2))
    y = torch.empty(n, s // pixels * (pixels + 2 * side), c, device=x.device, dtype=x.dtype)
    has_shift = shift is not None
    moved = x if shift is None else shift if shift.stride(1) == 1 else shift.contiguous()
    step = moved.stride(0)  # zero when all frames are shifted alike
    _part_moments[(n, parts, blocks)](
        x, moved, mean, m2, s, c, parts, step, has_shift, PART, PART_ROWS, CHANNELS, num_warps=4
    )
    width = c // groups
    _merge[(clips, groups)](
        mean,
        m2,
        weight,
        bias,
        scale,
        offset,
        s,
        c,
        parts,
        clips,
        n // clips,
        width,
        eps,
        PART,
        MERGE,
        triton.next_power_of_2(width),
    )
    _apply[(n, triton.cdiv(s, ROWS), blocks)](
        x, moved, scale, offset, y, s, c, clips, pixels, side, step, has_shift, silu, ROWS, CHANNELS
    )
    return y


@triton.jit
def _geglu(x_ptr, y_ptr, m, c, ROWS: tl.constexpr, CHANNELS: tl.constexpr):
    rows = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    cols = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    mask = (rows < m)[:, None] & (cols < c)[None, :]
    at = rows[:, None] * (2 * c) + cols[None, :]
    value = tl.load(x_ptr + at, mask=mask, other=0.0).to(tl.float32)
    gate = tl.load(x_ptr + at + c, mask=mask, other=0.0).to(tl.float32)
    y = value * gate * 0.5 * (1.0 + tl.erf(gate * 0.7071067811865476))
    tl.store(y_ptr + rows[:, None] * c + cols[None, :], y.to(y_ptr.dtype.element_ty), mask=mask)


def geglu(x: Tensor) -> Tensor:
    """x [M, 2 C] -> value * gelu(gate) [M, C], exact (erf) GELU."""
    x = x.contiguous()
    m, c = x.shape[0], x.shape[1] // 2
    y = torch.empty(m, c, device=x.device, dtype=x.dtype)
    _geglu[(triton.cdiv(m, 32), triton.cdiv(c, 128))](x, y, m, c, 32, 128)
    return y


@triton.jit
def _add_layer_norm(
    x_ptr, y_ptr, weight_ptr, bias_ptr, out_ptr, m, c, eps, ADD: tl.constexpr, ROWS: tl.constexpr, WIDTH: tl.constexpr
):
    rows = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    cols = tl.arange(0, WIDTH)
    inside = cols < c
    mask = (rows < m)[:, None] & inside[None, :]
    at = rows[:, None] * c + cols[None, :]
    x = tl.load(x_ptr + at, mask=mask, other=0.0)
    if ADD:
        y = tl.load(y_ptr + at, mask=mask, other=0.0)
        x = (x.to(tl.float32) + y.to(tl.float32)).to(x.dtype)
        tl.store(x_ptr + at, x, mask=mask)
    x = x.to(tl.float32)
    mean = tl.sum(x, axis=1) / c
    off = tl.where(mask, x - mean[:, None], 0.0)
    rstd = 1.0 / tl.sqrt(tl.sum(off * off, axis=1) / c + eps)
    weight = tl.load(weight_ptr + cols, mask=inside, other=0.0).to(tl.float32)
    bias = tl.load(bias_ptr + cols, mask=inside, other=0.0).to(tl.float32)
    out = off * rstd[:, None] * weight[None, :] + bias[None, :]
    tl.store(out_ptr + at, out.to(out_ptr.dtype.element_ty), mask=mask)


def add_layer_norm(x: Tensor, y: Tensor | None, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Add y to x [..., C] in place, if given; returns the layer norm of x, with weight and bias [C]."""
    if not x.is_contiguous():
        raise ValueError(f"x is changed in place and must be contiguous, got strides {x.stride()}")
    c = x.shape[-1]
    m = x.numel() // c
    width = triton.next_power_of_2(c)
    rows = max(1, 2048 // width)
    out = torch.empty_like(x)
    added = x if y is None else y.contiguous()
    _add_layer_norm[(triton.cdiv(m, rows),)](x, added, weight, bias, out, m, c, eps, y is not None, rows, width)
    return out


@triton.jit
def _attend_over_time(
    q_ptr,
    k_ptr,
    v_ptr,
    out_ptr,
    times,
    positions,
    heads,
    time_stride,
    position_stride,
    scale,
    TIMES: tl.constexpr,
    DIM: tl.constexpr,
    PRECISION: tl.constexpr,
):
    position = (tl.program_id(0) // heads).to(tl.int64)
    head = tl.program_id(0) % heads
    time = tl.arange(0, TIMES)
    dim = tl.arange(0, DIM)
    mask = (time < times)[:, None]
    at = time.to(tl.int64)[:, None] * time_stride + position * position_stride + head * DIM + dim[None, :]
    q = tl.load(q_ptr + at, mask=mask, other=0.0)
    k = tl.load(k_ptr + at, mask=mask, other=0.0)
    v = tl.load(v_ptr + at, mask=mask, other=0.0)
    score = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
    score = tl.where((time < times)[None, :], score, float("-inf"))
    weight = tl.exp(score - tl.max(score, axis=1)[:, None])
    weight = weight / tl.sum(weight, axis=1)[:, None]
    out = tl.dot(weight.to(v.dtype), v, input_precision=PRECISION)
    line = time.to(tl.int64)[:, None] * positions + position
    tl.store(out_ptr + (line * heads + head) * DIM + dim[None, :], out.to(out_ptr.dtype.element_ty), mask=mask)


def attend_over_time(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v over the first axis of q, k, v [T, M, h, d] -> [T, M, h, d].

    One program holds all times of one head at one position, so that everything is read and written once.
    """
    times, positions, heads, dim = q.shape
    if not q.stride() == k.stride() == v.stride() or q.stride()[2:] != (dim, 1):
        raise ValueError(f"q, k and v must lie alike, heads side by side; got {q.stride()}, {k.stride()}, {v.stride()}")
    out = torch.empty(times, positions, heads, dim, device=q.device, dtype=q.dtype)
    size = max(16, triton.next_power_of_2(times))
    _attend_over_time[(positions * heads,)](
        q,
        k,
        v,
        out,
        times,
        positions,
        heads,
        q.stride(0),
        q.stride(1),
        dim**-0.5,
        size,
        dim,
        "ieee",
        num_warps=TIME_WARPS * (size // 16) // 2 or 1,
    )
    return out


@triton.jit
def _add_bias(x_ptr, y_ptr, bias_ptr, m, c, ROWS: tl.constexpr, CHANNELS: tl.constexpr):
    rows = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    cols = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    mask = (rows < m)[:, None] & (cols < c)[None, :]
    at = rows[:, None] * c + cols[None, :]
    x = tl.load(x_ptr + at, mask=mask, other=0.0).to(tl.float32)
    x += tl.load(y_ptr + at, mask=mask, other=0.0).to(tl.float32)
    x += tl.load(bias_ptr + cols, mask=cols < c, other=0.0).to(tl.float32)[None, :]
    tl.store(x_ptr + at, x.to(x_ptr.dtype.element_ty), mask=mask)


def add_bias(x: Tensor, y: Tensor, bias: Tensor) -> None:
    """Add y [M, C] and bias [C] to x [M, C] in place."""
    if not x.is_contiguous():
        raise ValueError(f"x is changed in place and must be contiguous, got strides {x.stride()}")
    m, c = x.shape
    _add_bias[(triton.cdiv(m, 64), triton.cdiv(c, 64))](x, y.contiguous(), bias, m, c, 64, 64)


@triton.jit
def _interleave(x_ptr, bias_ptr, y_ptr, lines, pixels, m, c, ROWS: tl.constexpr, CHANNELS: tl.constexpr):
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    cols = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    mask = (rows < m)[:, None] & (cols < c)[None, :]
    j = rows % (2 * pixels)
    i = rows // (2 * pixels) % (2 * lines)
    n = rows // (4 * pixels * lines)
    down, right = i % 2, j % 2
    at = (n * (lines + 1) + i // 2 + down) * (pixels + 1) + j // 2 + right
    at = at.to(tl.int64) * (4 * c) + (2 * down + right) * c
    x = tl.load(x_ptr + at[:, None] + cols[None, :], mask=mask, other=0.0).to(tl.float32)
    x += tl.load(bias_ptr + cols, mask=cols < c, other=0.0).to(tl.float32)[None, :]
    tl.store(y_ptr + rows.to(tl.int64)[:, None] * c + cols[None, :], x.to(y_ptr.dtype.element_ty), mask=mask)


def interleave(x: Tensor, bias: Tensor) -> Tensor:
    """x [N, h + 1, w + 1, 4 C], bias [C] -> [N, 2 h, 2 w, C]: see kernels.interleave_plain."""
    n, lines, pixels, c = x.shape[0], x.shape[1] - 1, x.shape[2] - 1, len(bias)
    x = x.contiguous()
    y = torch.empty(n, 2 * lines, 2 * pixels, c, device=x.device, dtype=x.dtype)
    m = 4 * n * lines * pixels
    _interleave[(triton.cdiv(m, 32), triton.cdiv(c, 128))](x, bias, y, lines, pixels, m, c, 32, 128)
    return y
