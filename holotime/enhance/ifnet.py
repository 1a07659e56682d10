"""The intermediate-flow network of RIFE 4.x (Huang et al. 2022), whose module names are the published files'.

From two pictures and a time it finds, from coarse to fine, where each point of the picture in between lies in the two,
and which of them to trust. Of the files, 4.0 (PReLU, one long residual) and 4.2 to 4.6 (residual convolutions with a
learned gain) are told by their tensors. Every layer can treat the width as a circle.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from holotime.errors import InputError
from holotime.weights.safe import read_tensors

SCALES = (8, 4, 2, 1)  # of the picture in each block
STEP = 32  # sides are multiples of this: the coarsest picture, halved twice


class Conv(nn.Conv2d):
    """A 3x3 convolution of the same size (or half of it) that may take the width for a circle."""

    wrap = False

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] -> [N, C', H / stride, W / stride]."""
        if not self.wrap:
            return super().forward(x)
        x = F.pad(F.pad(x, (1, 1, 0, 0), mode="circular"), (0, 0, 1, 1))
        return F.conv2d(x, self.weight, self.bias, self.stride)


class Deconv(nn.ConvTranspose2d):
    """A transposed 4x4 convolution to twice the size that may take the width for a circle."""

    wrap = False

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """x [N, C, H, W] -> [N, C', 2H, 2W]."""
        if not self.wrap:
            return super().forward(x)
        return super().forward(F.pad(x, (1, 1, 0, 0), mode="circular"))[..., 2:-2]


class ResConv(nn.Module):
    """A convolution with a learned gain beside its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv(channels, channels, 3, padding=1)
        self.beta = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] -> the same shape."""
        return F.leaky_relu(self.conv(x) * self.beta + x, 0.2)


class IFBlock(nn.Module):
    """One scale: refines flow and mask; ``gains`` chooses between the two published kinds."""

    wrap = False

    def __init__(self, inputs: int, channels: int, gains: bool) -> None:
        super().__init__()
        self.gains = gains

        def layer(a: int, b: int, stride: int) -> nn.Sequential:
            activation = nn.LeakyReLU(0.2) if gains else nn.PReLU(b)
            return nn.Sequential(Conv(a, b, 3, stride, 1), activation)

        self.conv0 = nn.Sequential(layer(inputs, channels // 2, 2), layer(channels // 2, channels, 2))
        middle = [ResConv(channels) if gains else layer(channels, channels, 1) for _ in range(8)]
        self.convblock = nn.Sequential(*middle)
        self.lastconv: nn.Module = Deconv(channels, 5, 4, 2, 1)
        if gains:
            self.lastconv = nn.Sequential(Deconv(channels, 4 * 6, 4, 2, 1), nn.PixelShuffle(2))

    def forward(self, x: Tensor, flow: Tensor | None, scale: int) -> tuple[Tensor, Tensor]:
        """x [N, C, H, W], flow [N, 4, H, W] in pixels -> what to add to flow [N, 4, H, W] and mask [N, 1, H, W]."""
        x = shrink(x, scale)
        if flow is not None:
            x = torch.cat([x, shrink(flow, scale) / scale], 1)
        h = self.conv0(x)
        h = self.convblock(h) if self.gains else self.convblock(h) + h
        h = self.lastconv(h)
        unit = scale * (1 if self.gains else 2)  # one pixel of the last layer
        h = enlarge(h, unit, self.wrap)
        return h[:, :4] * unit, h[:, 4:5]


class IFNet(nn.Module):
    """Four blocks, from an eighth of the size to the whole."""

    def __init__(self, gains: bool = True, channels: tuple[int, ...] = (192, 128, 96, 64)) -> None:
        super().__init__()
        for i, c in enumerate(channels):
            setattr(self, f"block{i}", IFBlock(7 if i == 0 else 12, c, gains))

    def wrapped(self, wrap: bool) -> "IFNet":
        """This network, with the width taken for a circle or not."""
        for module in self.modules():
            if isinstance(module, (Conv, Deconv, IFBlock)):
                module.wrap = wrap
        return self

    def forward(self, first: Tensor, second: Tensor, time: float) -> tuple[Tensor, Tensor]:
        """Motion of the picture at ``time`` in (0, 1) between two pictures.

        first, second: [N, 3, H, W] in [0, 1], sides multiples of ``STEP``. Returns flow [N, 4, H, W] in pixels (x and y
        towards the first, x and y towards the second) and how far the first is to be trusted [N, 1, H, W] in [0, 1].
        """
        block0: IFBlock = self.block0  # type: ignore[assignment]
        clock = first.new_full((len(first), 1, *first.shape[2:]), time)
        flow, mask = block0(torch.cat([first, second, clock], 1), None, SCALES[0])
        for i in (1, 2, 3):
            seen = [warp(first, flow[:, :2], block0.wrap), warp(second, flow[:, 2:], block0.wrap)]
            more, trust = getattr(self, f"block{i}")(torch.cat([*seen, clock, mask], 1), flow, SCALES[i])
            flow, mask = flow + more, mask + trust
        return flow, mask.sigmoid()


def shrink(x: Tensor, scale: int) -> Tensor:
    """[N, C, H, W] at 1/scale of the size, from the two middle pixels of each: what the network was trained with."""
    return x if scale == 1 else F.interpolate(x, scale_factor=1 / scale, mode="bilinear", align_corners=False)


def enlarge(x: Tensor, scale: int, wrap: bool) -> Tensor:
    """[N, C, H, W] at ``scale`` times the size, bilinear."""
    if scale == 1:
        return x
    if wrap:
        x = F.pad(x, (1, 1, 0, 0), mode="circular")
    x = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    return x[..., scale:-scale] if wrap else x


def warp(picture: Tensor, flow: Tensor, wrap: bool) -> Tensor:
    """``picture`` [N, C, H, W] seen where ``flow`` [N, 2, H, W] in pixels leads, bilinear; clamped at the borders."""
    height, width = picture.shape[2:]
    x = torch.arange(width, device=flow.device, dtype=flow.dtype) + flow[:, 0]
    y = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None] + flow[:, 1]
    if wrap:
        picture = F.pad(picture, (0, 1, 0, 0), mode="circular")
        x = torch.remainder(x, width)
        width += 1
    grid = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], -1)
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=True)


def load_ifnet(path: Path, device: torch.device, dtype: torch.dtype = torch.float32) -> IFNet:
    """The network with the weights of a published file; InputError for a version that is not known here."""
    raw = read_tensors(path)
    state = {name.removeprefix("module."): tensor for name, tensor in raw.items()}
    # What was needed for training only, and the refinement of 4.0, which is used without.
    state = {name: tensor for name, tensor in state.items() if name.split(".")[0] in {f"block{i}" for i in range(4)}}
    try:
        channels = tuple(state[f"block{i}.conv0.1.0.weight"].shape[0] for i in range(4))
        network = IFNet("block0.convblock.0.beta" in state, channels)
        network.load_state_dict(state)
    except (KeyError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"{path} is not a network of RIFE 4.0 or 4.2 to 4.6 ({reason}). "
            "Use rife-4.6 (`holotime weights get rife-4.6`)."
        ) from error
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's types
    return network.to(device=device, dtype=dtype).eval().requires_grad_(False)
