"""Losses. Everything is weighted by solid angle: a pixel at a pole counts less than one at the horizon."""

import torch
import torch.nn.functional as F
from torch import Tensor

from holotime.perceive import SKY
from holotime.perceive.layers import row_latitudes
from holotime.perceive.sharpnet import Reading
from training.targets import Targets, motion_targets

FEWEST = 0.02  # share of a panorama that must have a distance for it to count
LARGEST_STEP = 3.0  # log distance; a larger difference between neighbours is as good as this
SPACINGS = (1, 2, 4, 8, 16)  # pixels between neighbours whose difference of log distance is compared


def _per_image(value: Tensor, weight: Tensor) -> Tensor:
    """[B] weighted means of [B, H, W]."""
    return (value * weight).sum((1, 2)) / weight.sum((1, 2)).clamp_min(1e-3)


def edge_loss(residual: Tensor, known: Tensor, weight: Tensor) -> Tensor:
    """Mean |difference| of the residual [B, H, W] between neighbours (Li and Snavely 2018, multi-scale gradients).

    Zero where the predicted relief is the true one, whatever its scale; wraps in longitude.
    """
    total = residual.new_zeros(())
    for step in SPACINGS:
        r, k, w = residual[:, ::step, ::step], known[:, ::step, ::step], weight[:, ::step]
        right, down = torch.roll(r, -1, 2) - r, r[:, 1:] - r[:, :-1]
        across = right.abs().clamp(max=LARGEST_STEP) * (torch.roll(k, -1, 2) & k) * w
        along = down.abs().clamp(max=LARGEST_STEP) * (k[:, 1:] & k[:, :-1]) * w[:, 1:]
        total = total + across.mean() + along.mean()
    return total


def losses(reading: Reading, truth: Targets, class_weights: Tensor) -> dict[str, Tensor]:
    """The unweighted parts of the loss, by the names of ``TrainConfig.loss_weights``."""
    label, target = truth.label.long(), truth.log_distance.float()
    solid_angle = row_latitudes(target.shape[1], target.device).cos()[None, :, None]
    known = label != SKY
    weight = solid_angle * known
    counts = (known.float().mean((1, 2)) > FEWEST).float()
    residual = (reading.log_distance[:, 0] - target) * known
    centred = (residual - _per_image(residual, weight)[:, None, None]).abs()
    log_error = reading.log_error[:, 0]
    # Laplace likelihood (Kendall and Gal 2017) of the error as it is: confidence does not excuse it.
    confidence = centred.detach() * torch.exp(-log_error) + log_error

    entropy = F.cross_entropy(reading.classes, label, weight=class_weights, reduction="none")
    light = F.binary_cross_entropy_with_logits(reading.light[:, 0], truth.light.float(), reduction="none")

    direction, axis, log_speed, moves = motion_targets(truth.motion.float())
    moving = solid_angle * moves
    aim = (reading.direction - direction).square().sum(1) + (reading.axis - axis).square().sum(1)
    speed = (reading.speed[:, 0] - log_speed).abs()
    return {
        "shape": (_per_image(centred, weight) * counts).mean(),
        "scale": (_per_image(residual.abs(), weight) * counts).mean(),
        "edges": edge_loss(residual, known, solid_angle),
        "confidence": (_per_image(confidence, weight) * counts).mean(),
        "classes": (entropy * (solid_angle + 0.05)).mean() / 0.69,
        "light": (light * (1 + 3 * truth.light) * solid_angle).mean() / 0.64,
        "motion": (_per_image(aim, moving) + (speed * solid_angle).mean((1, 2)) / 0.64).mean(),
    }
