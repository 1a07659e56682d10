"""PanoNet: a compact convolutional network with global attention that reads one equirect panorama.

Longitude is a circle in every layer: convolutions and upsampling wrap, and attention knows a longitude only through
integer harmonics of the angle between two cells (rotary embedding, Su et al. 2021, "RoFormer"). Turning the input by
a multiple of ``STRIDE`` pixels therefore turns the output by as much. Latitude is an input: four channels say
where a row lies between the poles.
"""

import math
from functools import lru_cache
from importlib.resources import as_file, files

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from holotime.errors import BackendUnavailable

STRIDE = 32  # pixels of the input in one cell of the coarsest grid; H and W must be multiples of it
TRAINED_SIZE = (256, 512)  # (H, W) of every panorama seen in training; other sizes are clearly worse
WEIGHTS_FILE = "panonet.safetensors"

STAGE_CHANNELS = (16, 32, 56, 96, 144, 208)  # of the stem and of each halved resolution
STAGE_BLOCKS = (1, 2, 3, 3, 2)  # residual blocks after each halving
DECODER_CHANNELS = 24  # at full resolution, before the head
ATTENTION_LAYERS = 4
ATTENTION_HEADS = 8
N_CLASSES = 7


def _row_latitudes(height: int, device: torch.device) -> Tensor:
    """[H] latitude of each row's centre in radians."""
    return math.pi * (0.5 - (torch.arange(height, device=device, dtype=torch.float32) + 0.5) / height)


def _wrap(x: Tensor, columns: int) -> Tensor:
    """[..., W] -> [..., W + 2 columns], continued around the circle."""
    return torch.cat([x[..., -columns:], x, x[..., :columns]], dim=-1)


def _double(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, C, 2H, 2W], bilinear and without a seam."""
    return F.interpolate(_wrap(x, 1), scale_factor=2, mode="bilinear", align_corners=False)[..., 2:-2]


class CircularConv(nn.Module):
    """3x3 convolution that wraps in longitude and pads with zeros beyond the poles, then batch norm and SiLU."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1, activate: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, stride, padding=(1, 0), bias=False)
        self.norm = nn.BatchNorm2d(channels_out, momentum=0.03)
        self.activation = nn.SiLU(inplace=True) if activate else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, Ci, H, W] -> [B, Co, H / stride, W / stride]."""
        return self.activation(self.norm(self.conv(_wrap(x, 1))))


class ResidualBlock(nn.Module):
    """Two circular convolutions around a shortcut (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = CircularConv(channels, channels)
        self.second = CircularConv(channels, channels, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same."""
        return F.silu(x + self.second(self.first(x)))


class GlobalAttention(nn.Module):
    """Self-attention between all cells of the coarsest grid, followed by a two-layer MLP."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)
        self.norm_mlp = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 3 * channels), nn.GELU(), nn.Linear(3 * channels, channels))
        self.latitude = nn.Linear(6, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same."""
        batch, channels, height, width = x.shape
        cells = height * width
        tokens = x.permute(0, 2, 3, 1).reshape(batch, cells, channels)

        phi = _row_latitudes(height, x.device)
        harmonics = torch.stack([f(k * phi) for k in (1, 2, 4) for f in (torch.sin, torch.cos)], -1).to(x.dtype)
        rows = self.latitude(harmonics)[:, None].expand(height, width, channels).reshape(1, cells, channels)

        head_channels = channels // self.heads
        qkv = self.qkv(self.norm_attention(tokens + rows)).reshape(batch, cells, 3, self.heads, head_channels)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [B, heads, H W, C / heads]

        pairs = head_channels // 4  # half of a head's channels turn with longitude, the rest do not
        lam = torch.arange(width, device=x.device, dtype=torch.float32) / width * 2 * math.pi
        turn = lam[:, None] * torch.arange(1, pairs + 1, device=x.device)  # [W, pairs]
        turn = turn[None].expand(height, width, pairs).reshape(cells, pairs)
        cos, sin = turn.cos().to(x.dtype), turn.sin().to(x.dtype)

        def rotary(z: Tensor) -> Tensor:
            a, b, rest = z[..., :pairs], z[..., pairs : 2 * pairs], z[..., 2 * pairs :]
            return torch.cat([a * cos - b * sin, a * sin + b * cos, rest], dim=-1)

        mixed = F.scaled_dot_product_attention(rotary(q), rotary(k), v)
        tokens = tokens + self.project(mixed.transpose(1, 2).reshape(batch, cells, channels))
        tokens = tokens + self.mlp(self.norm_mlp(tokens))
        return tokens.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


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
        batch, _, height, width = image.shape
        if height % STRIDE or width % STRIDE:
            raise ValueError(f"PanoNet: H and W must be multiples of {STRIDE}, got {height} x {width}")
        phi = _row_latitudes(height, image.device)
        rows = torch.stack([torch.sin(phi), torch.cos(phi), torch.sin(3 * phi), (phi > 0).float()]).to(image.dtype)
        rows = rows[None, :, :, None].expand(batch, 4, height, width)

        x = self.stem(torch.cat([image * 2 - 1, rows], dim=1))
        skips = [x]
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        skips.pop()
        for layer in self.attention:
            x = layer(x)
        for stage in self.decoder:
            x = stage(torch.cat([_double(x), skips.pop()], dim=1))
        out = self.head(x).float()
        return out[:, :1], out[:, 1:2].clamp(-5, 3), out[:, 2:]


@lru_cache(maxsize=1)
def load_network() -> PanoNet:
    """The network with the weights of the package (half precision on disk, float32 here), on the CPU, in eval mode.

    Raises BackendUnavailable when the weights are missing or do not fit.
    """
    resource = files("holotime.perceive") / "data" / WEIGHTS_FILE
    network = PanoNet()
    try:
        with as_file(resource) as path:
            weights = {name: value.float() for name, value in load_file(path).items()}
        # Batch norm's step counters are of use in training only and are not stored.
        counters = {n: v for n, v in network.state_dict().items() if n.endswith("num_batches_tracked")}
        network.load_state_dict(weights | counters, strict=True)
    except Exception as error:
        raise BackendUnavailable(
            f"The perception weights {WEIGHTS_FILE} cannot be read ({error}). Reinstall the holotime package, "
            'or use backend="prior".'
        ) from error
    return network.eval().requires_grad_(False)
