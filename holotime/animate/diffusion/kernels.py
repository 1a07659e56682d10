"""Fused element-wise operations for what the U-Net spends its memory traffic on.

On CUDA with Triton they run as the kernels of triton_kernels.py, and on Hopper GPUs some products as the one of
triton_products.py; everywhere else, and while torch.compile traces (which
fuses by itself), as the plain twins that define the result: norm.group_norm, geglu_plain, add_layer_norm_plain,
add_bias_plain and scaled_dot_product_attention.
"""

import importlib.util
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_TIMES = 64  # time steps that the temporal attention kernel holds at once
MAX_GATED = 640  # columns up to which a gated product is faster than a product and a gate (measured, H200)
enabled = True  # a plain switch: False runs the twins


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether Triton can be imported and has a CUDA device to run on."""
    try:
        import triton  # noqa: F401
    except ImportError:
        return False
    return torch.cuda.is_available()


def usable(x: Tensor) -> bool:
    """Whether the fused kernels can run on x [...]."""
    return enabled and x.is_cuda and not torch.compiler.is_compiling() and available()


def group_norm(
    x: Tensor,
    groups: int,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    clips: int,
    shift: Tensor | None,
    silu: bool,
    side: int = 0,
) -> Tensor:
    """As norm.group_norm: x [N, C, H, W], weight and bias [C], shift [N, C] or None -> [N, C, H, W] channels-last.

    With ``side`` the result is [N, C, H, side + W + side] and its sides hold anything.
    """
    from holotime.animate.diffusion import triton_kernels

    n, c, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(n, h * w, c)
    y = triton_kernels.group_norm(rows, groups, weight, bias, eps, clips or n, shift, silu, w, side)
    return y.view(n, h, w + 2 * side, c).permute(0, 3, 1, 2)


def geglu(x: Tensor) -> Tensor:
    """x [..., 2 C] -> value * gelu(gate) [..., C]."""
    if not usable(x):
        return geglu_plain(x)
    from holotime.animate.diffusion import triton_kernels

    return triton_kernels.geglu(x.reshape(-1, x.shape[-1])).view(*x.shape[:-1], -1)


def geglu_plain(x: Tensor) -> Tensor:
    """The plain twin of :func:`geglu`. x [..., 2 C] -> [..., C]."""
    value, gate = x.chunk(2, dim=-1)
    return value * F.gelu(gate)


def layer_norm(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    """``norm`` of x [..., C] over C -> the same shape."""
    if not usable(x):
        return norm(x)
    from holotime.animate.diffusion import triton_kernels

    return triton_kernels.add_layer_norm(x, None, norm.weight, norm.bias, norm.eps)


def add_layer_norm(x: Tensor, y: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Add y to x [..., C] in place; returns ``norm`` of the sum, the same shape."""
    if not usable(x):
        return add_layer_norm_plain(x, y, norm)
    from holotime.animate.diffusion import triton_kernels

    return triton_kernels.add_layer_norm(x, y, norm.weight, norm.bias, norm.eps)


def add_layer_norm_plain(x: Tensor, y: Tensor, norm: nn.LayerNorm) -> Tensor:
    """The plain twin of :func:`add_layer_norm`. x (overwritten) and y [..., C] -> [..., C]."""
    x += y
    return norm(x)


@lru_cache(maxsize=1)
def _has_products() -> bool:
    """Whether the card and Triton have what the kernel of triton_products.py is written for."""
    if not available() or torch.cuda.get_device_capability() != (9, 0):
        return False
    return importlib.util.find_spec("triton.tools.tensor_descriptor") is not None


def has_products(x: Tensor) -> bool:
    """Whether triton_products.product can take x [..., C]."""
    return usable(x) and x.dtype.itemsize == 2 and x.shape[-1] % 8 == 0 and _has_products()


def gated_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """GEGLU: x [..., K], weight [2 N, K], bias [2 N] -> value * gelu(gate) [..., N]."""
    if not has_products(x) or x.shape[-1] > MAX_GATED:
        return geglu(F.linear(x, weight, bias))
    from holotime.animate.diffusion import triton_products

    y = triton_products.product(x.reshape(-1, x.shape[-1]), weight, bias, gate=True)
    return y.view(*x.shape[:-1], -1)


def linear_add(x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
    """residual + weight x + bias, new memory: x [M, K], weight [N, K], bias [N], residual [M, N] -> [M, N]."""
    if not has_products(x):
        return F.linear(x, weight, bias).add_(residual)
    from holotime.animate.diffusion import triton_products

    return triton_products.product(x, weight, bias, residual=residual)


def convolve_time(rows: Tensor, weight: Tensor) -> Tensor:
    """Convolution over the first axis: rows [T, M, C], weight [C', 3, C] -> [T, M, C'], zeros beyond the ends."""
    if has_products(rows):
        from holotime.animate.diffusion import triton_products

        t, m, c = rows.shape
        flat = triton_products.product(rows.view(t * m, c), weight.flatten(1), taps=3, first_shift=-m, shift=m)
        return flat.view(t, m, -1)
    image = rows[None].permute(0, 3, 1, 2)  # a picture whose rows are the frames
    return F.conv2d(image, weight.permute(0, 2, 1)[..., None], padding=(1, 0)).permute(0, 2, 3, 1)[0]


def interleave(x: Tensor, bias: Tensor) -> Tensor:
    """Four pictures in one: x [N, 4 C, h + 1, w + 1] channels-last, bias [C] -> [N, C, 2 h, 2 w] channels-last.

    Pixel (2 i + p, 2 j + q) is pixel (i + p, j + q) of picture 2 p + q, plus the bias.
    """
    if not usable(x):
        return interleave_plain(x, bias)
    from holotime.animate.diffusion import triton_kernels

    return triton_kernels.interleave(x.permute(0, 2, 3, 1), bias).permute(0, 3, 1, 2)


def interleave_plain(x: Tensor, bias: Tensor) -> Tensor:
    """The plain twin of :func:`interleave`."""
    n, h, w, c = x.shape[0], x.shape[2] - 1, x.shape[3] - 1, len(bias)
    pictures = x.permute(0, 2, 3, 1).unflatten(-1, (4, c))
    y = x.new_empty(n, h, 2, w, 2, c)
    for p in (0, 1):
        for q in (0, 1):
            y[:, :, p, :, q] = pictures[:, p : p + h, q : q + w, 2 * p + q] + bias
    return y.view(n, 2 * h, 2 * w, c).permute(0, 3, 1, 2)


def attends_over_time(q: Tensor) -> bool:
    """Whether :func:`attend_over_time` can take q [T, M, h, d]."""
    return usable(q) and q.shape[0] <= MAX_TIMES and q.shape[3] in (16, 32, 64)


def attend_over_time(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v over the first axis of q, k, v [T, M, h, d] (equal strides) -> [T, M, h, d]."""
    from holotime.animate.diffusion import triton_kernels

    return triton_kernels.attend_over_time(q, k, v)


def add_bias(x: Tensor, y: Tensor, bias: Tensor) -> Tensor:
    """Add y [N, C, H, W] and bias [C] to x [N, C, H, W] in place; returns x."""
    if not usable(x) or not x.is_contiguous(memory_format=torch.channels_last):
        return add_bias_plain(x, y, bias)
    from holotime.animate.diffusion import triton_kernels

    rows, other = (t.permute(0, 2, 3, 1).reshape(-1, t.shape[1]) for t in (x, y))
    triton_kernels.add_bias(rows, other, bias)
    return x


def add_bias_plain(x: Tensor, y: Tensor, bias: Tensor) -> Tensor:
    """The plain twin of :func:`add_bias`. x (overwritten) and y [N, C, H, W], bias [C] -> [N, C, H, W]."""
    return x.add_(y).add_(bias[:, None, None])
