"""Twenty perspective views that cover the sphere, one for each face of an icosahedron.

A network that was trained on photographs sees a panorama through these. Cameras are orthonormal and fields of view
true: at ``ratio`` 1 the square picture just contains the circle through the face's corners (74.76 degrees); a larger
ratio makes views overlap more (1.1: 80.08, 1.3: 89.60 degrees). World: Z up, metres, the panorama's centre is +Y.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

VIEWS = 20
_TURN = math.atan2(0.5257311121191336, 0.8506508083520400)  # brings two corners of every face to one height
_PHI = (1 + math.sqrt(5)) / 2
_CORNERS = np.array(
    [
        (-1, _PHI, 0), (1, _PHI, 0), (-1, -_PHI, 0), (1, -_PHI, 0),
        (0, -1, _PHI), (0, 1, _PHI), (0, -1, -_PHI), (0, 1, -_PHI),
        (_PHI, 0, -1), (_PHI, 0, 1), (-_PHI, 0, -1), (-_PHI, 0, 1),
    ]
)  # fmt: skip
_FACES = np.array(
    [
        (0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11), (1, 5, 9), (5, 11, 4), (11, 10, 2), (10, 7, 6),
        (7, 1, 8), (3, 9, 4), (3, 4, 2), (3, 2, 6), (3, 6, 8), (3, 8, 9), (4, 9, 5), (2, 4, 11), (6, 2, 10),
        (8, 6, 7), (9, 8, 1),
    ]
)  # fmt: skip


def face_frames(ratio: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Centre, half height (down) and half width (right) [20, 3] of each face's picture plane, x ahead, y left, z up.

    The picture's sides are ``ratio`` times as long as the diameter of the circle through the face's corners.
    """
    c, s = math.cos(_TURN), math.sin(_TURN)
    corners = _CORNERS / np.linalg.norm(_CORNERS[0]) @ np.array([(1, 0, 0), (0, c, -s), (0, s, c)]).T
    to, down, right = [], [], []
    for face in corners[_FACES]:
        # Two corners share a height; the third is the apex.
        apex = int(np.argmax([abs(face[i, 2] - np.delete(face, i, 0)[:, 2]).min() for i in range(3)]))
        a, (b, c_) = face[apex], np.delete(face, apex, 0)
        if np.cross(c_, b)[2] < 0:
            b, c_ = c_, b
        centre = face.mean(0)
        radius = np.linalg.norm(centre - b) * ratio
        across, along = c_ - b, a - (b + c_) / 2
        along = along if along[2] < 0 else -along
        to.append(centre)
        down.append(along / np.linalg.norm(along) * radius)
        right.append(across / np.linalg.norm(across) * radius)
    return np.array(to), np.array(down), np.array(right)


@dataclass(frozen=True)
class Views:
    """Twenty square pinhole cameras at the eye."""

    rotation: Tensor  # [20, 3, 3] camera-to-world, OpenCV axes (columns: right, down, ahead), orthonormal
    fov: float  # radians, of width and height
    size: int  # pixels of a side

    @classmethod
    def icosahedron(cls, size: int, ratio: float = 1.1) -> "Views":
        """The views of all faces. ``ratio`` 1 just covers the sphere; see the module's text."""
        to, down, right = face_frames(ratio)
        axes = np.stack([a / np.linalg.norm(a, axis=-1, keepdims=True) for a in (right, down, to)], axis=-1)
        world = np.stack([-axes[:, 1], axes[:, 0], axes[:, 2]], axis=1)  # from x ahead, y left, z up
        fov = 2 * math.atan(float(np.linalg.norm(right[0]) / np.linalg.norm(to[0])))
        return cls(torch.from_numpy(world).float(), fov, size)

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return 0.5 * self.size / math.tan(0.5 * self.fov)

    def rays(self) -> Tensor:
        """[size, size, 3] camera rays of pixel centres with z = 1: their length is distance over depth."""
        x = (torch.arange(self.size) + 0.5 - 0.5 * self.size) / self.focal
        return torch.stack([x.expand(self.size, -1), x[:, None].expand(-1, self.size), torch.ones(2 * [self.size])], -1)

    def directions(self) -> Tensor:
        """[20, size, size, 3] unit world directions of pixel centres."""
        rays = F.normalize(self.rays(), dim=-1)
        return torch.einsum("vij,hwj->vhwi", self.rotation, rays)

    def project(self, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Unit directions [..., 3] into every view: pixels (x, y) [20, ..., 2], centres at halves, and depth [20, ...].

        Depth is the cosine with the view's axis; pixels are meaningful only where it is positive.
        """
        local = torch.einsum("vij,...i->v...j", self.rotation.to(directions), directions)
        depth = local[..., 2]
        return self.focal * local[..., :2] / depth.clamp_min(1e-6)[..., None] + 0.5 * self.size, depth


def to_panorama(directions: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Unit directions [..., 3] to continuous equirect pixels x in [0, W], y in [0, H] (centres at halves)."""
    x = (torch.atan2(directions[..., 0], directions[..., 1]) / (2 * math.pi) + 0.5) * width
    y = (0.5 - torch.asin(directions[..., 2].clamp(-1, 1)) / math.pi) * height
    return x, y


def sample_panorama(panorama: Tensor, directions: Tensor, *, nearest: bool = False) -> Tensor:
    """Values [C, ...] of a panorama [C, H, W] in unit ``directions`` [..., 3]: wraps, continues across the poles.

    Bilinear, or the nearest pixel (which never mixes two surfaces, and passes infinities on).
    """
    _, height, width = panorama.shape
    x, y = to_panorama(directions, height, width)
    if nearest:
        i = y.long().clamp(0, height - 1)
        return panorama[:, i, x.long() % width]
    # One pixel of what lies beyond each edge.
    turned = panorama.roll(width // 2, dims=-1)
    tall = torch.cat([turned[:, :1], panorama, turned[:, -1:]], dim=1)
    wide = torch.cat([tall[..., -1:], tall, tall[..., :1]], dim=-1)
    flat = torch.stack([2 * (x + 1) / (width + 2) - 1, 2 * (y + 1) / (height + 2) - 1], dim=-1).reshape(1, 1, -1, 2)
    out = F.grid_sample(wide[None], flat.to(wide), mode="bilinear", padding_mode="border", align_corners=False)
    return out.reshape(panorama.shape[0], *directions.shape[:-1])


def view_pictures(panorama: Tensor, views: Views) -> Tensor:
    """[20, C, size, size] of a panorama [C, H, W]; four points a pixel are averaged where a view is the coarser one."""
    height = panorama.shape[1]
    finest = height / math.pi  # pixels a radian
    factor = 2 if finest > 1.3 * views.focal else 1
    fine = Views(views.rotation, views.fov, factor * views.size)
    directions = fine.directions().to(panorama.device)
    pictures = torch.stack([sample_panorama(panorama, d) for d in directions])
    return F.avg_pool2d(pictures, factor) if factor > 1 else pictures
