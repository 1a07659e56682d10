"""A matrix product for Hopper GPUs with what surrounds it in the U-Net. Imported only where Triton is (see kernels.py).

One persistent kernel: tiles come in by the tensor memory accelerator, which fills what lies outside with zeros. A
convolution is a product whose rows are read several times, each time shifted: over time by a whole frame, whose
zeros beyond the ends are the padding. The epilogue adds a bias and a residual, or gates by GELU, before anything is
written.
"""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

DEPTH = 64  # columns of a row that are multiplied at once
GROUP = 8  # tiles of rows that share a tile of the matrix in the cache


@dataclass(frozen=True)
class Tile:
    """What one program makes at a time."""

    rows: int = 128
    columns: int = 256  # of both halves together when gated
    warps: int = 8
    stages: int = 4  # tiles under way


PLAIN, GATED, ADDING = Tile(256, 128, 8, 3), Tile(128, 256, 8, 4), Tile(128, 128, 8, 4)


@triton.jit
def _erf(x):
    """1 - 2^-p(|x|) with a fitted p; off by 6e-7 at most."""
    z = tl.minimum(tl.abs(x), 4.2)
    p = -0.029590202798054237 + 0.002944205241514066 * z
    p = 0.14866580163563686 + p * z
    p = 0.9185093002319328 + p * z
    p = (1.6278890118287084 + p * z) * z
    y = 1.0 - tl.exp2(-p)
    return tl.where(x < 0, -y, y)


@triton.jit
def _product(
    a_desc,
    b_desc,
    y_desc,
    r_desc,
    bias_ptr,
    m,
    n,
    depth,
    first_shift,
    shift,
    TAPS: tl.constexpr,
    GATE: tl.constexpr,
    BIAS: tl.constexpr,
    RESIDUAL: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
    GROUP: tl.constexpr,
    PRECISION: tl.constexpr,
    FLATTEN: tl.constexpr,
):
    row_tiles, column_tiles = tl.cdiv(m, ROWS), tl.cdiv(n, COLUMNS)
    steps = tl.cdiv(depth, DEPTH)
    for tile in tl.range(tl.program_id(0), row_tiles * column_tiles, tl.num_programs(0), flatten=FLATTEN):
        first = tile // (GROUP * column_tiles) * GROUP
        size = tl.minimum(row_tiles - first, GROUP)
        row = (first + tile % (GROUP * column_tiles) % size) * ROWS
        column = tile % (GROUP * column_tiles) // size * COLUMNS
        total = tl.zeros([ROWS, COLUMNS], tl.float32)
        gate = tl.zeros([ROWS, COLUMNS], tl.float32)
        for i in range(TAPS * steps):
            tap = i // steps
            k = (i - tap * steps) * DEPTH
            a = a_desc.load([row + first_shift + tap * shift, k])
            # Past the end of a row of ``a`` are zeros, so what the matrix has there does not matter.
            b = b_desc.load([column, tap * depth + k])
            total = tl.dot(a, b.T, total, input_precision=PRECISION)
            if GATE:
                other = b_desc.load([n + column, tap * depth + k])
                gate = tl.dot(a, other.T, gate, input_precision=PRECISION)
        cols = column + tl.arange(0, COLUMNS)
        if BIAS:
            total += tl.load(bias_ptr + cols, mask=cols < n, other=0.0).to(tl.float32)[None, :]
        if GATE:
            if BIAS:
                gate += tl.load(bias_ptr + n + cols, mask=cols < n, other=0.0).to(tl.float32)[None, :]
            total = total * gate * 0.5 * (1.0 + _erf(gate * 0.7071067811865476))
        if RESIDUAL:
            total += r_desc.load([row, column]).to(tl.float32)
        y_desc.store([row, column], total.to(y_desc.dtype))


def product(
    a: Tensor,
    b: Tensor,
    bias: Tensor | None = None,
    *,
    residual: Tensor | None = None,
    gate: bool = False,
    taps: int = 1,
    first_shift: int = 0,
    shift: int = 0,
    tile: Tile | None = None,
) -> Tensor:
    """a b^T + bias + residual for a [M, K], b [N, taps * K], bias [N], residual [M, N] -> [M, N]; contiguous rows.

    taps: row m of the result sums a[m + first_shift + i * shift] with the i-th part of b; rows outside a are zeros.
    gate: b has 2 N rows and bias 2 N values; the first half is multiplied by the exact GELU of the second.
    """
    m, depth = a.shape
    n = len(b) // 2 if gate else len(b)
    tile = tile or (GATED if gate else PLAIN if residual is None else ADDING)
    columns = tile.columns // 2 if gate else tile.columns
    y = torch.empty(m, n, device=a.device, dtype=a.dtype)
    read_a = TensorDescriptor.from_tensor(a, [tile.rows, DEPTH])
    read_b = TensorDescriptor.from_tensor(b, [columns, DEPTH])
    write, read_r = (
        TensorDescriptor.from_tensor(t, [tile.rows, columns]) for t in (y, y if residual is None else residual)
    )
    tiles = triton.cdiv(m, tile.rows) * triton.cdiv(n, columns)
    programs = min(tiles, torch.cuda.get_device_properties(a.device).multi_processor_count) if a.is_cuda else 3
    _product[(programs,)](
        read_a,
        read_b,
        write,
        read_r,
        a if bias is None else bias,
        m,
        n,
        depth,
        first_shift,
        shift,
        taps,
        gate,
        bias is not None,
        residual is not None,
        tile.rows,
        columns,
        DEPTH,
        GROUP,
        "ieee",
        True,
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    return y
