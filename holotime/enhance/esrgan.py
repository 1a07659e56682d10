"""The networks of Real-ESRGAN (Wang et al. 2021), read from published files.

RRDB: the generator of ESRGAN (Wang et al. 2018), behind a pixel unshuffle where it enlarges by less than four.
SRVGG: a plain chain of convolutions on the small picture, quick enough for video. Module names are the files'.
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from holotime.errors import InputError
from holotime.weights.safe import read_tensors

CLOSENESS = {"rrdb": 24, "srvgg": 20}  # pixels of the small picture beyond which others hardly change a result


class DenseBlock(nn.Module):
    """Five convolutions that each see all before them."""

    conv5: nn.Conv2d

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        for i in range(5):
            last = i == 4
            setattr(self, f"conv{i + 1}", nn.Conv2d(features + i * growth, features if last else growth, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] -> the same shape."""
        seen = [x]
        for i in range(4):
            seen.append(F.leaky_relu(getattr(self, f"conv{i + 1}")(torch.cat(seen, 1)), 0.2))
        return self.conv5(torch.cat(seen, 1)) * 0.2 + x


class RRDB(nn.Module):
    """Three dense blocks in a residual."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(features, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] -> the same shape."""
        return self.rdb3(self.rdb2(self.rdb1(x))) * 0.2 + x


class RRDBNet(nn.Module):
    """Enlarges by ``scale`` (1, 2 or 4): the body works at a quarter of the result's size."""

    family = "rrdb"
    conv_body: nn.Conv2d
    conv_up1: nn.Conv2d
    conv_up2: nn.Conv2d
    conv_hr: nn.Conv2d

    def __init__(self, features: int = 64, blocks: int = 23, growth: int = 32, scale: int = 2) -> None:
        super().__init__()
        self.scale = scale
        self.fold = 4 // scale  # of the pixel unshuffle in front
        self.conv_first = nn.Conv2d(3 * self.fold**2, features, 3, padding=1)
        self.body = nn.Sequential(*(RRDB(features, growth) for _ in range(blocks)))
        for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
            setattr(self, name, nn.Conv2d(features, features, 3, padding=1))
        self.conv_last = nn.Conv2d(features, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """x [N, 3, H, W] in [0, 1], H and W multiples of ``fold`` -> [N, 3, scale H, scale W]."""
        h = self.conv_first(F.pixel_unshuffle(x, self.fold))
        h = h + self.conv_body(self.body(h))
        for conv in (self.conv_up1, self.conv_up2):
            h = F.leaky_relu(conv(F.interpolate(h, scale_factor=2, mode="nearest")), 0.2)
        return self.conv_last(F.leaky_relu(self.conv_hr(h), 0.2))


class SRVGGNet(nn.Module):
    """Convolutions with PReLU between them, whose result is added to the nearest-neighbour enlargement."""

    family = "srvgg"
    fold = 1

    def __init__(self, features: int = 64, convolutions: int = 16, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = [nn.Conv2d(3, features, 3, padding=1), nn.PReLU(features)]
        for _ in range(convolutions):
            layers += [nn.Conv2d(features, features, 3, padding=1), nn.PReLU(features)]
        self.body = nn.Sequential(*layers, nn.Conv2d(features, 3 * scale**2, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """x [N, 3, H, W] in [0, 1] -> [N, 3, scale H, scale W]."""
        return F.pixel_shuffle(self.body(x), self.scale) + F.interpolate(x, scale_factor=self.scale, mode="nearest")


Upscaler = RRDBNet | SRVGGNet


def load_network(path: Path, device: torch.device, dtype: torch.dtype) -> Upscaler:
    """The network with the weights of a published file (.pth, .safetensors, ncnn's .param), told by their shapes.

    Raises InputError when they are of another network.
    """
    raw = read_tensors(path)
    state = raw.get("params_ema", raw.get("params", raw))
    try:
        if path.suffix in (".param", ".bin") and "body.0.weight" not in state:
            state = _named(state)
        network = _rrdb(state) if "conv_first.weight" in state else _srvgg(state)
        network.load_state_dict(state)
    except (KeyError, ValueError, IndexError, RuntimeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path} is not a network of Real-ESRGAN ({reason}). Use RealESRGAN_x2plus.pth, RealESRGAN_x4plus.pth or "
            "realesr-general-x4v3.pth."
        ) from error
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's types
    return network.to(device=device, dtype=dtype).eval().requires_grad_(False)


def _rrdb(state: dict[str, Tensor]) -> RRDBNet:
    """The RRDB network that fits a file's shapes."""
    blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("body."))
    features, channels = state["conv_first.weight"].shape[:2]
    scale = {3: 4, 12: 2, 48: 1}[channels]
    return RRDBNet(features, blocks, state["body.0.rdb1.conv1.weight"].shape[0], scale)


def _srvgg(state: dict[str, Tensor]) -> SRVGGNet:
    """The SRVGG network that fits a file's shapes."""
    last = max(int(name.split(".")[1]) for name in state if name.startswith("body."))
    scale = math.isqrt(state[f"body.{last}.weight"].shape[0] // 3)
    return SRVGGNet(state["body.0.weight"].shape[0], last // 2 - 1, scale)


def _named(layers: dict[str, Tensor]) -> dict[str, Tensor]:
    """An ncnn file's tensors, which are in the order of the layers, under the names of the network."""
    groups: dict[str, dict[str, Tensor]] = {}
    for key, tensor in layers.items():
        layer, what = key.rsplit(".", 1)
        groups.setdefault(layer, {})[what] = tensor
    if any(tensor["weight"].ndim == 1 for tensor in groups.values()):  # slopes of PReLU
        names = [f"body.{i}" for i in range(len(groups))]
    else:
        blocks, rest = divmod(len(groups) - 6, 15)
        if rest or blocks < 1:
            raise ValueError(f"{len(groups)} convolutions are no whole number of blocks")
        inner = [f"body.{b}.rdb{d}.conv{c}" for b in range(blocks) for d in (1, 2, 3) for c in range(1, 6)]
        names = ["conv_first", *inner, "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]
    return {f"{n}.{what}": t for n, group in zip(names, groups.values(), strict=True) for what, t in group.items()}
