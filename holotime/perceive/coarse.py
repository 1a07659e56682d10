"""What the network says at the size it was trained on, and the geometry rules that hold for any panorama."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from holotime import sphere
from holotime.perceive import CLASSES, EYE_HEIGHT, GROUND, SKY, SOLID, WATER, regions
from holotime.perceive.network import TRAINED_SIZE, load_network

# Looking down more steeply than this, a plane's distance says something about its height (radians).
PLANE_MIN_DIP = 0.06
# Sky seen only through an opening smaller than this many steradians is a hole in a room: no sky at all.
SMALLEST_SKY = 0.12
# A smaller patch of sky beside a real one is a gap between leaves if the network is this sure, else a mistake.
SURE_ISLAND = 0.8
# Hysteresis of the sky's probability, and the gradient (grey levels per pixel) below which a picture is smooth.
DOUBTFUL_SKY, CERTAIN_SKY, SMOOTH = 0.15, 0.6, 4.0
SPREAD_ABOVE = 0.03  # radians; the sky never spreads down to the horizon itself
# A solid patch that floats in the sky, apart from everything that stands, is a cloud or a light unless larger (sr).
LARGEST_FLOATING = 0.30
# Patches nearer to each other than this count as joined (radians).
JOIN_GAP = 0.03


@dataclass(frozen=True)
class Coarse:
    """A prediction on a coarse grid; distances are defined everywhere, also behind the sky."""

    log_distance: NDArray[np.float32]  # [h, w] natural log of metres
    log_error: NDArray[np.float32]  # [h, w] expected |error| of log_distance
    classes: NDArray[np.float32]  # [h, w, 7] probabilities in the order of CLASSES

    @property
    def sky(self) -> NDArray[np.bool_]:
        """[h, w] more likely sky than anything else."""
        return self.classes[..., SKY] >= 0.5


def small_image(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[h, w, 3] the image [H, W, 3] at the network's size."""
    return sphere.resize(image, *TRAINED_SIZE)


def read_network(small: NDArray[np.uint8]) -> Coarse:
    """The network on an image of ``TRAINED_SIZE``, averaged over the image and its mirror turned by half a circle."""
    x = torch.from_numpy(np.ascontiguousarray(small)).permute(2, 0, 1)[None].float() / 255
    half = x.shape[-1] // 2
    with torch.inference_mode():
        outputs = load_network()(torch.cat([x, torch.roll(x, half, -1).flip(-1)]))
    both = [(o[0] + torch.roll(o[1].flip(-1), half, -1)) / 2 for o in (outputs[0], outputs[1], outputs[2].softmax(1))]
    return Coarse(
        log_distance=(both[0][0] + float(np.log(EYE_HEIGHT))).numpy(),
        log_error=both[1][0].exp().numpy(),
        classes=np.ascontiguousarray(both[2].permute(1, 2, 0).numpy()),
    )


def _assign(classes: NDArray[np.float32], where: NDArray[np.bool_], index: int) -> NDArray[np.float32]:
    """Classes with ``index`` made certain in a mask."""
    out = classes.copy()
    out[where] = np.eye(len(CLASSES), dtype=np.float32)[index]
    return out


def _without_sky(classes: NDArray[np.float32], where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Classes with the sky's share given to the others in a mask; to solid where there was nothing else."""
    out = classes.copy()
    part = out[where]
    part[:, SKY] = 0
    part[:, SOLID] += 1e-3
    out[where] = part / part.sum(1, keepdims=True)
    return out


def spread_sky(coarse: Coarse, small: NDArray[np.uint8]) -> Coarse:
    """Let a confident sky spread into doubtful pixels beside it as long as the picture stays smooth.

    A skyline is an edge of the picture. Where the network hesitates between sky and solid and there is no edge
    (aurora, glow, haze, an overexposed opening), it is one sky: hysteresis (Canny 1986) on its probability.
    """
    probability = coarse.classes[..., SKY]
    height = len(probability)
    soft = sphere.pad(sphere.blur(small.astype(np.float32), 1.0), 1, 1)
    across, down = soft[1:-1, 2:] - soft[1:-1, :-2], soft[2:, 1:-1] - soft[:-2, 1:-1]
    gradient = np.maximum(np.abs(across), np.abs(down)).max(-1) / 2
    doubtful = (probability > DOUBTFUL_SKY) & (gradient < SMOOTH)
    doubtful &= sphere.latitudes(height)[:, None] > SPREAD_ABOVE
    certain = probability > CERTAIN_SKY
    labels, count = regions.label(certain | doubtful)
    share = np.bincount(labels.ravel(), certain.ravel(), minlength=count) / np.bincount(labels.ravel(), minlength=count)
    spreads = share > 0.2
    spreads[0] = False
    return replace(coarse, classes=_assign(coarse.classes, spreads[labels] & doubtful & ~coarse.sky, SKY))


def clean_sky(coarse: Coarse) -> Coarse:
    """Make the sky one plausible thing.

    Sky is above the horizon and seen through a real opening: holes enclosed by solid below the horizon, doubtful ones
    above it, and small openings of rooms are closed, at the distance of what surrounds them. What floats in the sky
    apart from everything that stands on the ground is sky (clouds, lights, birds).
    """
    sky = coarse.sky
    height, width = sky.shape
    phi = np.broadcast_to(sphere.latitudes(height)[:, None], sky.shape)
    weight = np.broadcast_to(sphere.solid_angles(height, width), sky.shape)

    def mean(labels: NDArray[np.int32], of: NDArray, size: NDArray) -> NDArray[np.float64]:
        return np.bincount(labels.ravel(), (weight * of).ravel(), minlength=len(size)) / np.maximum(size, 1e-9)

    labels, count = regions.label(sky)
    size = regions.areas(labels, count)
    above = mean(labels, phi, size) > 0.02
    opening = above & (size >= SMALLEST_SKY)
    opening[0] = False
    if opening.any():
        keep = opening | (above & (mean(labels, coarse.classes[..., SKY], size) > SURE_ISLAND))
        keep[0] = False
        closed = sky & ~(keep[labels] & (phi > -0.15))
    else:
        closed = np.ones_like(sky)
    log_distance = np.where(closed, regions.fill(coarse.log_distance, ~sky), coarse.log_distance)
    classes = _without_sky(coarse.classes, closed)
    if not opening.any():
        return replace(coarse, log_distance=log_distance, classes=classes)

    sky = sky & ~closed
    grown, count = regions.label(regions.grow(~sky, JOIN_GAP / 2))
    labels = np.where(sky, 0, grown)
    size = regions.areas(labels, count)
    lowest = np.full(count, np.inf)
    np.minimum.at(lowest, labels.ravel(), phi.ravel())
    floating = (lowest > -0.02) & (size < LARGEST_FLOATING)
    floating[0] = False
    classes = _assign(classes, floating[labels], SKY)
    return replace(coarse, log_distance=log_distance, classes=classes)


def _plane_log_height(coarse: Coarse, index: int) -> tuple[float, float]:
    """Robust log height below the eye of the plane of one class, and the solid angle that supports it."""
    height, width = coarse.log_distance.shape
    dip = -sphere.latitudes(height)[:, None]
    probability = coarse.classes[..., index]
    use = (probability > 0.6) & (dip > PLANE_MIN_DIP)
    if not use.any():
        return 0.0, 0.0
    log_height = (coarse.log_distance + np.log(np.sin(np.maximum(dip, PLANE_MIN_DIP))))[use]
    trust = np.broadcast_to(sphere.solid_angles(height, width), use.shape) * probability
    trust = (trust / np.maximum(coarse.log_error, 0.03))[use]
    order = np.argsort(log_height)
    cumulated = np.cumsum(trust[order])
    median = log_height[order][np.searchsorted(cumulated, cumulated[-1] / 2)]
    near = np.abs(log_height - median) < 0.15
    support = float(np.broadcast_to(sphere.solid_angles(height, width), use.shape)[use][near].sum())
    return float(np.average(log_height[near], weights=trust[near])), support


def anchor(coarse: Coarse) -> Coarse:
    """Scale all distances so that the ground lies ``EYE_HEIGHT`` below the eye.

    Without a ground plane of at least 0.2 sr the network's own metric scale stays.
    """
    log_height, support = _plane_log_height(coarse, GROUND)
    if support < 0.2:
        return coarse
    shift = float(np.clip(np.log(EYE_HEIGHT) - log_height, -0.7, 0.7))
    return replace(coarse, log_distance=coarse.log_distance + np.float32(shift))


def snap_planes(coarse: Coarse) -> Coarse:
    """Pull ground and water onto their horizontal planes, as far as they are sure and already near them."""
    height = len(coarse.log_distance)
    dip = np.maximum(-sphere.latitudes(height)[:, None], 1e-4)
    log_distance = coarse.log_distance
    for index in (GROUND, WATER):
        log_height, support = _plane_log_height(coarse, index)
        if support < 0.1:
            continue
        off = log_distance + np.log(np.sin(dip)) - np.float32(log_height)
        confidence = np.clip(coarse.classes[..., index] * 2 - 1, 0, 1) * (dip > 0.01)
        log_distance = log_distance - confidence * np.exp(-0.5 * (off / 0.2) ** 2) * off
    return replace(coarse, log_distance=log_distance.astype(np.float32))


def apply_rules(coarse: Coarse, small: NDArray[np.uint8]) -> Coarse:
    """All rules in order: sky, scale, planes; then distances continued behind the sky from what borders it.

    small: the image [h, w, 3] on the coarse grid.
    """
    coarse = snap_planes(anchor(clean_sky(spread_sky(coarse, small))))
    return replace(coarse, log_distance=regions.fill(coarse.log_distance, ~coarse.sky))
