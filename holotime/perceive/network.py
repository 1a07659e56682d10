"""The embedded perception network: PanoNet, and the loading of whichever network the package's weights are of.

Longitude is a circle in every layer: convolutions and upsampling wrap, and attention knows a longitude only through
integer harmonics of the angle between two cells. Turning the input by a multiple of ``STRIDE`` pixels therefore turns
the output by as much; :func:`holotime.perceive.predict.read_coarse` makes that every whole column. Latitude is an
input: four channels say where a row lies between the poles.
"""

from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import cast

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from holotime.errors import BackendUnavailable
from holotime.perceive.layers import CircularConv, GlobalAttention, ResidualBlock, double, row_channels
from holotime.perceive.sharpnet import ARCHITECTURE as SHARP_ARCHITECTURE
from holotime.perceive.sharpnet import SharpNet

STRIDE = 32  # pixels of the input in one cell of the coarsest grid; H and W must be multiples of it
WEIGHTS_FILE = "panonet.safetensors"
PANONET_HEIGHT = 256  # rows of the panoramas that PanoNet was trained on; its weights do not say so themselves


def _trained_height() -> int:
    """Rows for which the package's weights were trained; broken weights are the affair of :func:`load_network`."""
    try:
        with as_file(files("holotime.perceive") / "data" / WEIGHTS_FILE) as path, safe_open(path, "pt") as file:
            return int((file.metadata() or {}).get("height", PANONET_HEIGHT))
    except Exception:
        return PANONET_HEIGHT


TRAINED_SIZE = (_trained_height(), 2 * _trained_height())  # (H, W) of what the network reads; others are clearly worse

STAGE_CHANNELS = (16, 32, 56, 96, 144, 208)  # of the stem and of each halved resolution
STAGE_BLOCKS = (1, 2, 3, 3, 2)  # residual blocks after each halving
DECODER_CHANNELS = 24  # at full resolution, before the head
ATTENTION_LAYERS = 4
ATTENTION_HEADS = 8
N_CLASSES = 7


class PanoNet(nn.Module):
    """A U-Net on the sphere's rows and columns: five halvings, attention at the bottom, five doublings."""

    def __init__(self) -> None:
        super().__init__()
        c = STAGE_CHANNELS
        self.stem = CircularConv(3 + 4, c[0])
        self.encoder = nn.ModuleList(
            nn.Sequential(CircularConv(c[i], c[i + 1], stride=2), *[ResidualBlock(c[i + 1]) for _ in range(blocks)])
            for i, blocks in enumerate(STAGE_BLOCKS)
        )
        self.attention = nn.ModuleList(GlobalAttention(c[-1], ATTENTION_HEADS) for _ in range(ATTENTION_LAYERS))
        self.decoder = nn.ModuleList(
            [
                nn.Sequential(CircularConv(c[5] + c[4], c[4]), ResidualBlock(c[4])),
                nn.Sequential(CircularConv(c[4] + c[3], c[3]), ResidualBlock(c[3])),
                nn.Sequential(CircularConv(c[3] + c[2], c[2]), ResidualBlock(c[2])),
                nn.Sequential(CircularConv(c[2] + c[1], c[1]), CircularConv(c[1], c[1])),
                CircularConv(c[1] + c[0], DECODER_CHANNELS),
            ]
        )
        self.head = nn.Conv2d(DECODER_CHANNELS, 2 + N_CLASSES, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read sRGB panoramas.

        Args:
            image: [B, 3, H, W] in [0, 1]; H and W multiples of ``STRIDE``, best at ``TRAINED_SIZE``.

        Returns:
            log(distance / eye height) [B, 1, H, W]; meaningless where the sky is,
            log of the expected |error| of the former [B, 1, H, W],
            class logits [B, 7, H, W] in the order of :data:`holotime.perceive.CLASSES`.
        """
        height, width = image.shape[-2:]
        if height % STRIDE or width % STRIDE:
            raise ValueError(f"PanoNet: H and W must be multiples of {STRIDE}, got {height} x {width}")
        x = self.stem(torch.cat([image * 2 - 1, row_channels(image)], dim=1))
        skips = [x]
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        skips.pop()
        for layer in self.attention:
            x = layer(x)
        for stage in self.decoder:
            x = stage(torch.cat([double(x), skips.pop()], dim=1))
        out = self.head(x).float()
        return out[:, :1], out[:, 1:2].clamp(-5, 3), out[:, 2:]


def make_network(architecture: str | None) -> nn.Module:
    """An untrained network of an architecture as a weights file names it; files of PanoNet name none."""
    return SharpNet() if architecture == SHARP_ARCHITECTURE else PanoNet()


def folded(network: nn.Module) -> nn.Module:
    """The network, in eval mode, with every batch norm taken into the convolution before it: the same, and faster."""
    for module in network.modules():
        if isinstance(module, CircularConv):
            module.conv = fuse_conv_bn_eval(module.conv, cast(nn.BatchNorm2d, module.norm))
            module.norm = nn.Identity()
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it


def read_weights(path: Path) -> nn.Module:
    """The network of a weights file (half precision on disk, float32 here), on the CPU, in eval mode.

    Raises OSError, SafetensorError or RuntimeError for a file that cannot be read or does not fit.
    """
    with safe_open(path, "pt") as file:
        network = make_network((file.metadata() or {}).get("architecture"))
    weights = {name: value.float() for name, value in load_file(path).items()}
    # Batch norm's step counters are of use in training only and are not stored.
    counters = {n: v for n, v in network.state_dict().items() if n.endswith("num_batches_tracked")}
    network.load_state_dict(weights | counters, strict=True)
    return folded(network.eval().requires_grad_(False))


@lru_cache(maxsize=1)
def load_network() -> nn.Module:
    """The network with the weights of the package; its first three outputs are those of PanoNet.

    Raises BackendUnavailable when the weights are missing or do not fit.
    """
    try:
        with as_file(files("holotime.perceive") / "data" / WEIGHTS_FILE) as path:
            return read_weights(path)
    except Exception as error:
        raise BackendUnavailable(
            f"The perception weights {WEIGHTS_FILE} cannot be read ({error}). Reinstall the holotime package, "
            'or use backend="prior".'
        ) from error
