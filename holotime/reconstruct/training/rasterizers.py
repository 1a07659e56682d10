"""What draws training views: a whole panorama on the CPU, or the six faces of a cube with gsplat.

Both draw the same picture as :func:`holotime.render.rasterize`: the low-pass is isotropic on the sphere (0.3 of the
square of a pixel row's angle, whatever the resolution of a face) and splats are sorted by distance. So what is trained
on one device is right on the other.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from holotime import sphere
from holotime.errors import BackendUnavailable
from holotime.render import EquirectCamera, upright
from holotime.render.backward import panorama
from holotime.render.cameras import NEAR_SPHERE
from holotime.render.project import LOW_PASS
from holotime.render.raster import ALPHA_MAX
from holotime.render.torch_twin import Splats

TILE = 16  # of gsplat's kernels
MARGIN = 1.04  # faces see a little more than 90 degrees, so that SSIM windows reach every direction


@dataclass(frozen=True)
class Drawn:
    """What a rasterizer gives back, V pictures at once."""

    color: Tensor  # [V, C, h, w] premultiplied by alpha
    alpha: Tensor  # [V, h, w]
    inverse: Tensor  # [V, h, w] alpha-weighted sum of inverse distances, 1/m


@dataclass(frozen=True)
class Lens:
    """The pixels of a view: where they look and how much of the sphere they stand for."""

    directions: Tensor  # [V, h, w, 3] unit, world
    weight: Tensor  # [V, h, w] solid angle in units of the mean solid angle of a panorama's pixel
    turn: Tensor | None = None  # [3, 3] rotation of the cube in the world; None: the panorama's own pixels


class Rasterizer(Protocol):
    """Draws a panorama with gradients."""

    name: str
    device: torch.device

    def lens(self, turn: Tensor | None) -> Lens:
        """The pixels for a rotation [3, 3] of the whole view."""

    def draw(self, splats: Splats, eye: Tensor, lens: Lens) -> Drawn:
        """The view from ``eye`` [3] (metres)."""


class PanoramaRasterizer:
    """The CPU rasterizer (numba) and its gradients: one equirect of the clip's own pixels, whatever the rotation."""

    name = "cpu"
    device = torch.device("cpu")

    def __init__(self, height: int) -> None:
        self.height = height
        angles = np.repeat(sphere.solid_angles(height), 2 * height, axis=1)
        weight = torch.from_numpy((angles / angles.mean()).astype(np.float32))
        self._lens = Lens(torch.from_numpy(sphere.directions(height).copy())[None], weight[None])

    def lens(self, turn: Tensor | None) -> Lens:
        """Always the clip's own pixels."""
        return self._lens

    def draw(self, splats: Splats, eye: Tensor, lens: Lens) -> Drawn:
        """[1, 3, H, W]; splats that nobody can see are left out first."""
        camera = EquirectCamera(2 * self.height, self.height, upright(tuple(eye.tolist())))
        seen = torch.nonzero(splats.opacities.detach() >= 1 / 255)[:, 0]
        means, quats = splats.means[seen], splats.quats[seen]
        scales, opacities = splats.scales[seen], splats.opacities[seen]
        # The kernels blend three channels; features of the full model take a pass for each three.
        groups = splats.colors[seen].split(3, dim=-1)
        passes = [panorama(Splats(means, quats, scales, opacities, c), camera) for c in groups]
        color = torch.cat([p[0] for p in passes], dim=-1)
        _, alpha, inverse = passes[0]
        return Drawn(color.permute(2, 0, 1)[None], alpha[None], inverse[None])


class CubeRasterizer:
    """Six faces of a cube around the eye in one call of gsplat (CUDA)."""

    name = "gsplat"

    def __init__(self, height: int, device: torch.device | str = "cuda", size: int = 0) -> None:
        if not available():
            raise BackendUnavailable("Training on a GPU needs a CUDA device and the package gsplat; install both.")
        self.device = torch.device(device)
        self.height = height
        # As many pixels a radian in the middle of a face as the panorama has in a column; more towards its corners.
        self.size = size or TILE * math.ceil(2 * MARGIN * height / math.pi / TILE)
        rotations = np.stack(list(sphere.cube_rotations().values()))
        self._faces = torch.tensor(rotations, dtype=torch.float32, device=self.device)  # camera-to-world
        self._focal = 0.5 * self.size / MARGIN
        x = (torch.arange(self.size, device=self.device) + 0.5 - 0.5 * self.size) / self._focal
        rays = torch.stack([x.expand(self.size, -1), x[:, None].expand(-1, self.size), torch.ones_like(x).expand(
            self.size, -1)], -1)  # fmt: skip
        length = rays.norm(dim=-1)
        self._rays = rays / length[..., None]
        # A pixel of a plane at distance 1 covers 1 / (focal^2 length^3); the margin repeats the neighbouring face.
        inside = (x.abs() <= 1)[:, None] & (x.abs() <= 1)
        mean = 4 * math.pi / (2 * height * height)
        self._weight = (inside / (length**3 * self._focal**2 * mean)).expand(6, -1, -1).contiguous()
        self._k = torch.tensor(
            [[self._focal, 0, 0.5 * self.size], [0, self._focal, 0.5 * self.size], [0, 0, 1]], device=self.device
        ).repeat(6, 1, 1)

    def lens(self, turn: Tensor | None) -> Lens:
        """The faces of the cube turned by ``turn`` [3, 3] (None: aligned with the world)."""
        turn = torch.eye(3, device=self.device) if turn is None else turn.to(self.device)
        directions = torch.einsum("ij,fjk,hwk->fhwi", turn, self._faces, self._rays)
        return Lens(directions, self._weight, turn)

    def draw(self, splats: Splats, eye: Tensor, lens: Lens) -> Drawn:
        """[6, C, s, s]; C as the splats' colours have it."""
        from gsplat import fully_fused_projection, isect_offset_encode, isect_tiles, rasterize_to_pixels

        size, eye = self.size, eye.to(self.device)
        turn = torch.eye(3, device=self.device) if lens.turn is None else lens.turn
        rotation = (turn @ self._faces).mT  # world-to-camera
        viewmats = torch.zeros(6, 4, 4, device=self.device)
        viewmats[:, :3, :3], viewmats[:, :3, 3], viewmats[:, 3, 3] = rotation, -rotation @ eye, 1
        offset = splats.means - eye
        distance = offset.norm(dim=-1)
        # A blur of the same angle in all directions is a ball around the splat that grows with its distance.
        floor = math.sqrt(LOW_PASS) * math.pi / self.height
        scales = torch.sqrt(splats.scales**2 + (floor * distance[:, None]) ** 2)
        opacities = splats.opacities.clamp_max(ALPHA_MAX)
        radii, means2d, _, conics, _ = fully_fused_projection(
            splats.means,
            None,
            splats.quats,
            scales,
            viewmats,
            self._k,
            size,
            size,
            eps2d=0.0,
            near_plane=NEAR_SPHERE,
            opacities=opacities.detach(),
        )
        values = torch.cat([splats.colors, 1 / distance.clamp_min(1e-6)[:, None]], dim=-1)
        tiles = math.ceil(size / TILE)
        far = distance.detach().expand(6, -1).contiguous()
        _, ids, flat = isect_tiles(means2d.detach(), radii, far, TILE, tiles, tiles)
        offsets = isect_offset_encode(ids, 6, tiles, tiles)
        picture, alpha = rasterize_to_pixels(
            means2d,
            conics,
            values.expand(6, -1, -1),
            opacities.expand(6, -1),
            size,
            size,
            TILE,
            offsets,
            flat,
        )
        color = picture[..., :-1].permute(0, 3, 1, 2)
        return Drawn(color, alpha[..., 0], picture[..., -1])


@lru_cache(maxsize=1)
def available() -> bool:
    """Is there a CUDA device, and gsplat with kernels that load on it? (gsplat may first compile them.)"""
    import importlib.util

    if not torch.cuda.is_available() or importlib.util.find_spec("gsplat") is None:
        return False
    try:
        from gsplat.cuda._backend import _C  # what its own functions call; None without a CUDA toolkit
    except (ImportError, OSError, RuntimeError):
        return False
    return _C is not None


def choose(height: int, device: str = "auto") -> Rasterizer:
    """The rasterizer for a clip of ``height`` rows: gsplat on a CUDA device that has it, else the CPU."""
    if device == "cuda" or (device == "auto" and available()):
        return CubeRasterizer(height)
    return PanoramaRasterizer(height)


def sample(image: Tensor, directions: Tensor, mode: str = "bicubic") -> Tensor:
    """Values [V, C, h, w] of a panorama [C, H, W] in unit ``directions`` [V, h, w, 3]; wraps and crosses the poles."""
    _, height, width = image.shape
    pad = 2
    turned = image.roll(width // 2, dims=-1)
    tall = torch.cat([turned[:, :pad].flip(1), image, turned[:, -pad:].flip(1)], dim=1)
    wide = torch.cat([tall[..., -pad:], tall, tall[..., :pad]], dim=-1)
    x = (torch.atan2(directions[..., 0], directions[..., 1]) / (2 * math.pi) + 0.5) * width + pad
    up = torch.atan2(directions[..., 2], torch.hypot(directions[..., 0], directions[..., 1]))
    y = (0.5 - up / math.pi) * height + pad
    grid = torch.stack([2 * x / (width + 2 * pad) - 1, 2 * y / (height + 2 * pad) - 1], dim=-1)
    shape = grid.shape[:-1]
    out = F.grid_sample(wide[None], grid.reshape(1, -1, shape[-1], 2), mode=mode, padding_mode="border",
                        align_corners=False)  # fmt: skip
    return out[0].reshape(image.shape[0], *shape).transpose(0, 1)


def look(image: Tensor, lens: Lens) -> Tensor:
    """[V, C, h, w] a panorama [C, H, W] as the pixels of a lens see it from the panorama's own eye."""
    if lens.turn is None and lens.directions.shape[1:3] == image.shape[1:]:
        return image[None]
    return sample(image, lens.directions)
