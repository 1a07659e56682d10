"""SharpNet: the perception network for panoramas of 1024x512, with its own upsampling at the end.

A U-Net of circular convolutions with global attention at the bottom, as PanoNet, but its trunk begins at half of the
working size. What it says there is brought to full size by convex combinations of 3x3 neighbours, whose weights it
chooses by the image's own pixels (Teed and Deng 2020, "RAFT"): an edge lands on the image's edge and nothing floats
between two surfaces. Panoramas of other sizes are resized to the working size, so that a thing of one angle always has
one size in pixels, and what is finer comes from :mod:`holotime.perceive.upsample`.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from holotime.perceive.layers import CircularConv, GlobalAttention, ResidualBlock, double, row_channels, wrap

ARCHITECTURE = "sharpnet-1"  # in the metadata of a weights file
STRIDE = 32  # pixels of the input in one cell of the coarsest grid; H and W must be multiples of it
WORKING_HEIGHT = 512  # rows for which it is trained

FINE_CHANNELS = 8  # of the full-size features that steer the upsampling
STAGE_CHANNELS = (24, 40, 72, 112, 192)  # at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size
STAGE_BLOCKS = (1, 2, 2, 3, 3)  # residual blocks of each stage
DECODER_CHANNELS = 32  # at half size, before the head
ATTENTION_LAYERS = 6
ATTENTION_HEADS = 8
N_CLASSES = 7
SHARP = 3 + N_CLASSES  # outputs that are upsampled with chosen weights: distance, error, classes, light
SOFT = 5  # outputs that are merely interpolated: direction, axis, speed
SPEED_UNIT = 0.02  # radians per second; the strength of motion is log(1 + speed / SPEED_UNIT)


class Reading(NamedTuple):
    """What a panorama [B, 3, H, W] shows, at its size."""

    log_distance: Tensor  # [B, 1, H, W] log(distance / eye height); meaningless where the sky is
    log_error: Tensor  # [B, 1, H, W] log of the expected |error| of the former
    classes: Tensor  # [B, 7, H, W] logits in the order of holotime.perceive.CLASSES
    light: Tensor  # [B, 1, H, W] logit of shining by itself
    direction: Tensor  # [B, 2, H, W] expected unit vector of motion (east, north); its length says how sure it is
    axis: Tensor  # [B, 2, H, W] the same of the doubled angle: sure also where only the sense is in doubt
    speed: Tensor  # [B, 1, H, W] log(1 + speed / SPEED_UNIT)


def convex_double(x: Tensor, weights: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, C, 2H, 2W]; each new pixel mixes 3x3 neighbours with ``weights`` [B, 9, 4, H, W] (sum 1).

    Neighbours wrap in longitude; beyond the poles the last row is repeated.
    """
    batch, channels, height, width = x.shape
    padded = F.pad(wrap(x, 1), (0, 0, 1, 1), mode="replicate")
    out = x.new_zeros(batch, channels, 4, height, width)
    for k in range(9):
        i, j = divmod(k, 3)
        out = torch.addcmul(out, padded[:, :, None, i : i + height, j : j + width], weights[:, None, k])
    return F.pixel_shuffle(out.reshape(batch, 4 * channels, height, width), 2)


class SharpNet(nn.Module):
    """Reads panoramas; see the module."""

    def __init__(self) -> None:
        super().__init__()
        c, half = STAGE_CHANNELS, 4 * FINE_CHANNELS
        self.fine = CircularConv(3, FINE_CHANNELS)
        self.stem = CircularConv(half + 4, c[0])
        stages = [nn.Sequential(*[ResidualBlock(c[0]) for _ in range(STAGE_BLOCKS[0])])]
        for i in range(1, len(c)):
            blocks = [ResidualBlock(c[i]) for _ in range(STAGE_BLOCKS[i])]
            stages.append(nn.Sequential(CircularConv(c[i - 1], c[i], stride=2), *blocks))
        self.encoder = nn.ModuleList(stages)
        self.attention = nn.ModuleList(GlobalAttention(c[-1], ATTENTION_HEADS) for _ in range(ATTENTION_LAYERS))
        self.decoder = nn.ModuleList(
            nn.Sequential(CircularConv(c[i + 1] + c[i], c[i]), ResidualBlock(c[i])) for i in (3, 2, 1)
        )
        self.last = nn.Sequential(
            CircularConv(c[1] + c[0] + half, DECODER_CHANNELS), CircularConv(DECODER_CHANNELS, DECODER_CHANNELS)
        )
        self.head = nn.Conv2d(DECODER_CHANNELS, SHARP + SOFT, 1)
        self.mixing = nn.Conv2d(DECODER_CHANNELS, 36, 1)

    def forward(self, image: Tensor) -> Reading:
        """Read sRGB panoramas [B, 3, H, W] in [0, 1]; H and W multiples of ``STRIDE``, best 512 x 1024.

        Raises ValueError for other sizes.
        """
        height, width = image.shape[-2:]
        if height % STRIDE or width % STRIDE:
            raise ValueError(f"SharpNet: H and W must be multiples of {STRIDE}, got {height} x {width}")
        fine = F.pixel_unshuffle(self.fine(image * 2 - 1), 2)
        x = self.stem(torch.cat([fine, row_channels(fine)], dim=1))
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        skips.pop()
        for layer in self.attention:
            x = layer(x)
        for stage in self.decoder:
            x = stage(torch.cat([double(x), skips.pop()], dim=1))
        x = self.last(torch.cat([double(x), skips.pop(), fine], dim=1))
        out = self.head(x).float()
        weights = self.mixing(x).float().unflatten(1, (9, 4)).softmax(1)
        sharp, soft = convex_double(out[:, :SHARP], weights), double(out[:, SHARP:])
        return Reading(
            sharp[:, :1],
            sharp[:, 1:2].clamp(-5, 3),
            sharp[:, 2:-1],
            sharp[:, -1:],
            soft[:, :2],
            soft[:, 2:4],
            soft[:, 4:],
        )
