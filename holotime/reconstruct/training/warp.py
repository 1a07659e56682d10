"""Displaced training views: what an eye beside the clip's sees of a frame, as far as the frame shows it.

The frame's distance map is a star-shaped surface around the clip's eye. A ray from the displaced eye meets it where
|e + s d| = D(direction of e + s d). A z-buffer of the frame's points gives the first guess of s, a few rounds of that
equation refine it, and what then still disagrees with the map lies behind something: unseen, masked.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from holotime.reconstruct.training.rasterizers import Lens, sample

ROUNDS = 4  # of refinement; each divides the error by about distance over displacement
AGREE = 0.01  # relative distance up to which a ray counts as having met the surface
STEP = 0.3  # metres of displacement with which a jump of inverse distance is turned into pixels
EDGE = 1.0  # pixels of parallax between neighbours that make an edge
SPREAD = 0.7  # pixels from its centre that a point of the z-buffer covers; more would hide what is just beside a thing


def wrap_pad(image: Tensor, pad: int) -> Tensor:
    """Pad panoramas [C, H, W] by ``pad`` pixels: wrapped columns, rows continued across the poles."""
    turned = image.roll(image.shape[-1] // 2, dims=-1)
    tall = torch.cat([turned[:, :pad].flip(1), image, turned[:, -pad:].flip(1)], dim=1)
    return torch.cat([tall[..., -pad:], tall, tall[..., :pad]], dim=-1)


def edges(inverse: Tensor) -> Tensor:
    """[T, H, W] bool: pixels next to a jump of inverse distance [T, H, W] (1/m), where colours may be mixed.

    Inverse distance is nearly linear on a plane, however steep (a floor towards the horizon), so its second difference
    tells an edge from a slope.
    """
    limit = EDGE * 2 * math.pi / (STEP * inverse.shape[-1])
    wide = wrap_pad(inverse, 1)
    middle = 2 * wide[:, 1:-1, 1:-1]
    across = (wide[:, 1:-1, 2:] - middle + wide[:, 1:-1, :-2]).abs()
    down = (wide[:, 2:, 1:-1] - middle + wide[:, :-2, 1:-1]).abs()
    return torch.maximum(across, down) > limit


def unmix(image: Tensor, inverse: Tensor, edge: Tensor) -> tuple[Tensor, Tensor]:
    """(image [3, H, W], known [H, W] bool): mixed pixels in the colour of the clean ones of their own surface nearby.

    ``image`` [3, H, W], ``inverse`` [H, W] 1/m, ``edge`` [H, W] bool from :func:`edges`. An antialiased pixel at an
    edge carries the colour of both sides; seen from beside, that would be a ghost line on the far side.
    Mixed pixels without a clean neighbour at their distance (thin things) are not known.
    """
    pad = 3
    width = inverse.shape[1]
    index = torch.nonzero(edge)
    wide = wrap_pad(torch.cat([image, inverse[None], (~edge)[None].to(image)]), pad)
    i, j = index[:, 0], index[:, 1]
    own = inverse[i, j]
    total = torch.zeros(len(index), 3, device=image.device)
    mass = torch.zeros(len(index), device=image.device)
    tolerance = 0.05 * own + EDGE * 2 * math.pi / (STEP * width)
    for dy in range(2 * pad + 1):
        for dx in range(2 * pad + 1):
            found = wide[:, i + dy, j + dx]
            near = math.exp(-((dy - pad) ** 2 + (dx - pad) ** 2) / 4)
            weight = near * found[4] * ((found[3] - own).abs() < tolerance)
            total += weight[:, None] * found[:3].T
            mass += weight
    clean, known = image.clone(), ~edge
    clean[:, i, j] = (total / mass.clamp_min(1e-6)[:, None]).T
    known[i, j] = mass > 0
    return clean, known


def first_guess(inverse: Tensor, directions: Tensor, eye: Tensor) -> Tensor:
    """[H, W] inverse distance from the displaced ``eye`` [3] to the nearest point in each pixel; 0 where none lands.

    ``inverse`` [H, W] and ``directions`` [H, W, 3] of the frame. A point covers the pixels within ``SPREAD`` of it.
    """
    height, width = inverse.shape
    away = directions / inverse[..., None] - eye
    far = away.norm(dim=-1)
    x = (torch.atan2(away[..., 0], away[..., 1]) / (2 * math.pi) + 0.5) * width - 0.5
    y = (0.5 - torch.asin((away[..., 2] / far).clamp(-1, 1)) / math.pi) * height - 0.5
    near = torch.zeros(height * width, device=inverse.device)
    j, i = x.floor().long(), y.floor().long()
    for dy in (0, 1):
        for dx in (0, 1):
            close = ((x - j - dx).abs() <= SPREAD) & ((y - i - dy).abs() <= SPREAD)
            index = (i + dy).clamp(0, height - 1) * width + (j + dx) % width
            near.scatter_reduce_(0, index.reshape(-1), torch.where(close, 1 / far, 0.0).reshape(-1), "amax")
    return near.reshape(height, width)


def displaced(
    clean: Tensor, known: Tensor, inverse: Tensor, edge: Tensor, directions: Tensor, eye: Tensor, lens: Lens
) -> tuple[Tensor, Tensor, Tensor]:
    """A frame as the displaced ``eye`` [3] sees it: target [V, 3, h, w], seen [V, h, w] bool, inverse distance.

    ``clean`` [3, H, W] and ``known`` [H, W] from :func:`unmix`, ``inverse`` [H, W] 1/m (the sky on its shell), ``edge``
    [H, W] bool from :func:`edges`, ``directions`` [H, W, 3] of the frame's pixels.
    """
    rays = lens.directions
    guess = sample(first_guess(inverse, directions, eye)[None], rays, "nearest")[:, 0]
    s = 1 / guess.clamp_min(1e-4)
    across = rays @ eye
    outside = across**2 - eye @ eye
    maps = torch.stack([inverse, edge.to(inverse)])
    for _ in range(ROUNDS):
        toward = F.normalize(eye + s[..., None] * rays, dim=-1)
        found = 1 / _surface(inverse, maps, toward)[0].clamp_min(1e-6)
        # |e + s d| = found for a unit d.
        s = (torch.sqrt((outside + found**2).clamp_min(0)) - across).clamp_min(1e-3)
    point = eye + s[..., None] * rays
    length = point.norm(dim=-1)
    toward = point / length[..., None]
    wanted, mixed = _surface(inverse, maps, toward)
    # Nothing of the frame may lie clearly nearer on the ray than what was found.
    seen = ((wanted * length - 1).abs() < AGREE) & (guess * s < 1.05)
    sure = sample(known[None].float(), toward, "nearest")[:, 0] > 0
    smooth, blocky = sample(clean, toward), sample(clean, toward, "nearest")
    return torch.where(mixed[:, None], blocky, smooth).clamp(0, 1), seen & sure, 1 / s


def _surface(inverse: Tensor, maps: Tensor, toward: Tensor) -> tuple[Tensor, Tensor]:
    """(inverse distance, is mixed) [V, h, w] of a frame in directions: linear on a surface, the nearest at an edge."""
    near = sample(maps, toward, "nearest")
    mixed = near[:, 1] > 0
    return torch.where(mixed, near[:, 0], sample(inverse[None], toward, "bilinear")[:, 0]), mixed
