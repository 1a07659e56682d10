"""A panorama without edges inside any convolutional network, whatever its layers are made of.

While the block runs, every convolution and every padding of the last axis takes the columns of the other side where the
network would have taken zeros (or a reflection). So a network of convolutions, norms, pointwise layers and attention
without positions commutes with a turn of the panorama by whole strides, and no place on the circle is special. Rows and
frames keep their own padding: latitude and time end.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_CONVOLUTIONS = (F.conv2d, F.conv3d)
_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")


class CircularColumns(TorchFunctionMode):
    """Context in which the last axis of pictures [..., H, W] and of feature maps is a circle."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch for every function that the network calls."""
        kwargs = kwargs or {}
        if func is F.pad:
            return _pad(*args, **kwargs)
        if func in _CONVOLUTIONS:
            return _convolve(func, dict(zip(_ARGUMENTS, args, strict=False)) | kwargs)
        return func(*args, **kwargs)


def wrap_columns(x: Tensor, left: int, right: int) -> Tensor:
    """x [..., W] with ``left`` and ``right`` columns from the other side: [..., left + W + right]."""
    width = x.shape[-1]
    if max(left, right) <= width:
        return torch.cat([x[..., width - left :], x, x[..., :right]], dim=-1)
    index = torch.arange(-left, width + right, device=x.device) % width  # narrower than a kernel: round more than once
    return x[..., index]


def _pad(input: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """F.pad with a circular last axis; what is cut off (negative amounts) stays cut off."""
    left, right, *rest = (int(n) for n in pad)
    if input.ndim < 4 or mode == "circular" or (left <= 0 and right <= 0):
        return F.pad(input, pad, mode, value)
    wide = wrap_columns(input, max(left, 0), max(right, 0))
    remaining = (min(left, 0), min(right, 0), *rest)
    return F.pad(wide, remaining, mode, value) if any(remaining) else wide


def _convolve(convolution: Callable[..., Tensor], given: dict[str, Any]) -> Tensor:
    """conv2d or conv3d with a circular last axis."""
    padding, kernel = given.get("padding", 0), given["weight"].shape[2:]
    if isinstance(padding, str):
        dilation = given.get("dilation", 1)
        reach = [(k - 1) * (dilation if isinstance(dilation, int) else dilation[i]) for i, k in enumerate(kernel)]
        if padding == "same" and any(n % 2 for n in reach):
            raise NotImplementedError("A convolution with an even kernel and padding 'same' cannot be made circular.")
        padding = [n // 2 if padding == "same" else 0 for n in reach]
    amounts = [padding] * len(kernel) if isinstance(padding, int) else list(padding)
    if len(amounts) == 1:
        amounts = amounts * len(kernel)
    side = amounts[-1]
    if side:
        given["input"] = wrap_columns(given["input"], side, side)
        amounts[-1] = 0
    return convolution(**(given | {"padding": tuple(amounts)}))
