"""The seam of a panorama in the network: circular convolutions, blending of the overlap, extending and cropping.

Inside the network the panorama is a little wider than a full turn: its last 1/16 repeats its first 1/16, in pixels, in
the latent and in every feature map. Convolutions pad each side with the columns that lie *beyond the overlap* on the
other side, so they see an endless picture; after each denoising step the two copies of the overlap are cross-faded.

``Wrap.FLOOR`` is the published recipe: whole columns only, W // 16 of them. ``Wrap.EXACT`` takes W / 16 and
interpolates between two columns where that is not whole (the guidance stage's deepest level is 8 columns wide).
"""

import math
from enum import Enum
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

OVERLAP = 16  # 1/16 of the width is repeated


class Wrap(Enum):
    """How a convolution pads the sides of its input."""

    OFF = "zeros"
    FLOOR = "floor"
    EXACT = "exact"


def wrap_pad(x: Tensor, left: int, right: int, wrap: Wrap) -> Tensor:
    """Pad x [N, C, H, W] by columns from beyond the overlap. Returns [N, C, H, left + W + right], channels-last."""
    nhwc = x.permute(0, 2, 3, 1)
    width = nhwc.shape[2]
    overlap = width // OVERLAP if wrap is Wrap.FLOOR else width / OVERLAP
    columns = []
    if left:
        columns.append(_columns(nhwc, width - overlap - left, left))
    columns.append(nhwc)
    if right:
        columns.append(_columns(nhwc, overlap, right))
    return torch.cat(columns, dim=2).permute(0, 3, 1, 2)


def _columns(nhwc: Tensor, start: float, count: int) -> Tensor:
    """``count`` columns of nhwc [N, H, W, C] from position ``start``, interpolated when it is not whole."""
    whole = math.floor(start)
    fraction = start - whole
    first = nhwc[:, :, whole : whole + count]
    if fraction == 0:
        return first
    return torch.lerp(first, nhwc[:, :, whole + 1 : whole + 1 + count], fraction)


def pad_for_doubling(x: Tensor, wrap: Wrap) -> Tensor:
    """Pad x [N, C, H, W] by one column on each side: those that :func:`wrap_pad` would put there if each column of x
    were doubled first. Returns [N, C, H, W + 2], channels-last.
    """
    nhwc = x.permute(0, 2, 3, 1)
    if wrap is Wrap.OFF:
        return F.pad(nhwc, (0, 0, 1, 1)).permute(0, 3, 1, 2)
    width = 2 * nhwc.shape[2]
    overlap = width // OVERLAP if wrap is Wrap.FLOOR else width / OVERLAP

    def column(start: float) -> Tensor:
        """One column of the doubled picture."""
        whole = math.floor(start)
        first, second = (nhwc[:, :, i // 2 : i // 2 + 1] for i in (whole, whole + 1))
        return first if start == whole else torch.lerp(first, second, start - whole)

    return torch.cat([column(width - overlap - 1), nhwc, column(overlap)], dim=2).permute(0, 3, 1, 2)


def fill_sides(padded: Tensor, side: int, wrap: Wrap) -> None:
    """Write the ``side`` columns on both sides of padded [N, C, H, side + W + side] as :func:`wrap_pad` does."""
    nhwc = padded.permute(0, 2, 3, 1)
    inner = nhwc[:, :, side : nhwc.shape[2] - side]
    width = inner.shape[2]
    overlap = width // OVERLAP if wrap is Wrap.FLOOR else width / OVERLAP
    nhwc[:, :, :side] = _columns(inner, width - overlap - side, side)
    nhwc[:, :, side + width :] = _columns(inner, overlap, side)


class WrapConv2d(nn.Conv2d):
    """A convolution that can pad its sides with the other side of the panorama. Rows are padded with zeros."""

    wrap: Wrap = Wrap.OFF

    @property
    def sides(self) -> tuple[int, int]:
        """Padding of rows and columns."""
        return cast(tuple[int, int], self.padding)

    def align(self) -> None:
        """Pad the output channels with zeros to eight (once, after loading): tensor cores take no fewer at once."""
        missing = -len(self.weight) % 8
        if missing and self.weight.is_cuda:
            self.weight.data = F.pad(self.weight.data, (0, 0, 0, 0, 0, 0, 0, missing))
            if self.bias is not None:
                self.bias.data = F.pad(self.bias.data, (0, missing))

    def of_norm(self, norm: nn.Module, x: Tensor, shift: Tensor | None = None, *, biased: bool = True) -> Tensor:
        """This convolution of SiLU(norm(x + shift)), x [N, C, H, W], shift [N, C]; the norm leaves room for the sides.

        ``norm`` is a norm.GroupNorm; without ``biased`` the caller adds the bias.
        """
        rows, side = self.sides
        bias = self.bias if biased else None
        if self.wrap is Wrap.OFF:
            y = F.conv2d(norm(x, shift=shift, silu=True), self.weight, bias, self.stride, self.padding)
            return y[:, : self.out_channels]
        padded = norm(x, shift=shift, silu=True, side=side)
        fill_sides(padded, side, self.wrap)
        return F.conv2d(padded, self.weight, bias, self.stride, (rows, 0))[:, : self.out_channels]

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] -> [N, C', H', W']."""
        rows, side = self.sides
        if self.wrap is Wrap.OFF or not side:
            return super().forward(x)[:, : self.out_channels]
        padded = wrap_pad(x, side, side, self.wrap)
        return F.conv2d(padded, self.weight, self.bias, self.stride, (rows, 0))[:, : self.out_channels]


def set_wrap(module: nn.Module, wrap: Wrap) -> None:
    """Set how every wrapping layer inside ``module`` pads its sides."""
    for child in module.modules():
        if hasattr(child, "wrap"):
            setattr(child, "wrap", wrap)  # noqa: B010 - a module may have any attribute


def repeat_overlap(x: Tensor) -> Tensor:
    """Make the last W // 16 columns of x [..., W] a copy of the first: one random field on a closed panorama."""
    e = x.shape[-1] // OVERLAP
    return torch.cat([x[..., : x.shape[-1] - e], x[..., :e]], dim=-1) if e else x


def blend_edge(x: Tensor, step: int) -> Tensor:
    """Cross-fade the two copies of the overlap of x [..., W] into the left edge (even steps) or the right (odd)."""
    width = x.shape[-1]
    e = width // OVERLAP
    if not e:
        return x
    k = torch.arange(e, device=x.device, dtype=x.dtype) / e
    mixed = x[..., width - e :] * (1 - k) + x[..., :e] * k
    if step % 2 == 0:
        return torch.cat([mixed, x[..., e:]], dim=-1)
    return torch.cat([x[..., : width - e], mixed], dim=-1)


def close(video: Tensor, height: int, *, compat: bool) -> Tensor:
    """Blend the overlap of decoded frames [..., H, W], drop it, and stretch to [..., height, W].

    compat: the right edge is blended from the already blended left one (without effect on what remains), and the
    resize stops at the border. Otherwise both are one fade and the resize goes round the panorama.
    """
    width = video.shape[-1]
    video = blend_edge(video, 0)
    if compat:
        video = blend_edge(video, 1)
    video = video[..., : width - width // OVERLAP]
    lead = video.shape[:-3]
    frames = video.reshape(-1, *video.shape[-3:])
    if compat:
        frames = F.interpolate(frames, (height, width), mode="bilinear", align_corners=False)
    else:
        frames = circular_resize(frames, height, width)
    return frames.reshape(*lead, *frames.shape[-3:])


def extend(panorama: Tensor, height: int, width: int, *, compat: bool) -> Tensor:
    """Resize a full turn [N, C, h, w] to [N, C, height, width] whose last 1/16 repeats the first.

    compat: append the first w // 15 columns and resize, which is exact only when 15 divides w (a quarter of a pixel
    off at w = 1024). Otherwise the turn is resized to 15/16 of the width, round the seam, and its start appended.
    """
    if compat:
        wide = torch.cat([panorama, panorama[..., : panorama.shape[-1] // 15]], dim=-1)
        return F.interpolate(wide, (height, width), mode="bilinear", align_corners=False, antialias=True)
    overlap = width // OVERLAP
    turn = circular_resize(panorama, height, width - overlap)
    return torch.cat([turn, turn[..., :overlap]], dim=-1)


def circular_resize(x: Tensor, height: int, width: int, mode: str = "bilinear") -> Tensor:
    """Antialiased resize of full turns x [N, C, h, w] that goes round the seam."""
    w = x.shape[-1]
    if x.shape[-2:] == (height, width):
        return x
    divisor = math.gcd(w, width)
    unit = w // divisor  # so many columns in are exactly width // divisor columns out
    margin = unit * math.ceil(max(8, 4 * math.ceil(w / width)) / unit)
    if margin > w:
        margin = w
    wide = torch.cat([x[..., w - margin :], x, x[..., :margin]], dim=-1)
    out_margin = margin * width // w
    out = F.interpolate(wide, (height, width + 2 * out_margin), mode=mode, align_corners=False, antialias=True)
    return out[..., out_margin : out_margin + width]
