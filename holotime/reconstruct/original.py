"""What the published HoloTime recipe does to a clip before training, with its own geometry: for comparison only.

Nothing outside the recipe ``holotime`` and the golden tests uses this module; :mod:`holotime.perceive.views` has the
same twenty views with orthonormal cameras and true fields of view. Frames here:

* *panorama frame*: +x the picture's centre, +y left of it, +z up;
* *camera frame*: OpenCV axes, X right, Y down, Z forward = (-y, -z, x) of the panorama frame.

Two errors of the published code are kept, because images, cameras and training only fit together with both: its camera
helper returns a third column of length 1.2584 and a field of view that is as much too narrow, and its warp takes the
distance along the ray for the depth and puts pixel centres at integers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from holotime.perceive.views import face_frames

SHARPNESS = 50.0  # of the warp's soft depth test
FARTHEST = 1000.0  # depth at which the warp's soft depth test ends


@dataclass(frozen=True)
class CompatCameras:
    """The twenty views as the published helper describes them (its scaling error included)."""

    to: Tensor  # [20, 3] centre of each face in the panorama frame, length 0.7947
    down: Tensor  # [20, 3] half of the picture's height
    right: Tensor  # [20, 3] half of the picture's width
    c2w: Tensor  # [20, 3, 3] columns right, down (unit) and to / |to|^2: the third is 1.2584 long; camera frame
    fov: float  # radians; 2 atan(|right|) instead of 2 atan(|right| / |to|)


def compat_cameras(ratio: float) -> CompatCameras:
    """The views of one ``ratio`` (1.0, 1.1 and 1.3 are used) as published, float32."""
    to, down, right = (torch.from_numpy(a).float() for a in face_frames(ratio))
    rows = torch.stack([F.normalize(right, dim=-1), F.normalize(down, dim=-1), to], dim=1)
    return CompatCameras(to, down, right, _camera_frame(torch.linalg.inv(rows)), 2 * math.atan(float(right[0].norm())))


def _camera_frame(columns: Tensor) -> Tensor:
    """[..., 3, n] vectors of the panorama frame as columns, in the camera frame."""
    return torch.stack([-columns[..., 1, :], -columns[..., 2, :], columns[..., 0, :]], dim=-2)


def view_directions(ratio: float, size: int) -> tuple[Tensor, Tensor]:
    """Unit directions [20, size, size, 3] in the panorama frame, and distance over depth [size, size, 1] of a view."""
    cameras = compat_cameras(ratio)
    grid = 2 * (torch.arange(size, dtype=torch.float32) + 0.5) / size - 1
    rays = (
        cameras.to[:, None, None]
        + cameras.down[:, None, None] * grid[:, None, None]
        + cameras.right[:, None, None] * grid[:, None]
    )
    length = rays.norm(dim=-1, keepdim=True)
    return rays / length, length[0] / cameras.to[0].norm()


def view_coordinates(directions: Tensor) -> Tensor:
    """Directions [..., 3] in the panorama frame to (row, column) [..., 2] in [0, 1]."""
    latitude = torch.asin(directions[..., 2].clamp(-1, 1))
    longitude = torch.atan2(directions[..., 1], directions[..., 0])
    return torch.stack([0.5 - latitude / math.pi, 0.5 - longitude / (2 * math.pi)], dim=-1)


def sample_views(panorama: Tensor, ratio: float, size: int) -> Tensor:
    """[20, C, size, size] views of a panorama [C, H, W]: bilinear, clamped (not wrapped) at the seam, as published."""
    coordinates = view_coordinates(view_directions(ratio, size)[0])
    grid = (2 * coordinates - 1).flip(-1)
    images = panorama[None].expand(len(grid), -1, -1, -1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def point_cloud(image: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
    """Points [3, H W] in the camera frame and colours [H W, 3] in [0, 1] of a panorama.

    ``image`` [H, W, 3] uint8, ``distance`` [H, W]. The published grid runs over linspace(0, W, W): the first and the
    last column lie on the seam, the first and last row on the poles, up to half a pixel beside the sampling grid.
    """
    height, width = distance.shape
    longitude = -2 * math.pi * (torch.linspace(0, width, width) / width - 0.5)
    latitude = (-math.pi * (torch.linspace(0, height, height) / height - 0.5))[:, None]
    x = distance * torch.cos(latitude) * torch.sin(-longitude)
    y = distance * torch.sin(-latitude).expand(height, width)
    z = distance * torch.cos(latitude) * torch.cos(longitude)
    return torch.stack([x, y, z]).reshape(3, -1), image.reshape(-1, 3).float() / 255


def warp(image: Tensor, depth: Tensor, poses: Tensor, intrinsic: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Splat a view into the cameras ``poses[1:]`` with a soft depth test, as published.

    Args:
        image: [S, S, C] values in 0..255.
        depth: [S, S]; the recipe passes distances along the ray.
        poses: [1 + n, 4, 4] camera-to-world; the first is the source.
        intrinsic: fx, fy, cx, cy in pixels.

    Returns:
        images [n, S, S, C], rounded, 255 where nothing lands; masks [n, S, S] uint8; depths [n, S, S], 0 in holes.
    """
    size = len(depth)
    fx, fy, cx, cy = intrinsic.tolist()
    k = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float32, device=depth.device)
    y, x = torch.meshgrid(*2 * [torch.arange(size, dtype=torch.float32, device=depth.device)], indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)]).reshape(3, -1)
    points = torch.linalg.inv(k) @ pixels * depth.reshape(1, -1)
    homogeneous = torch.cat([points, torch.ones_like(points[:1])])
    images, masks, depths = [], [], []
    for pose in poses[1:]:
        transform = (torch.linalg.inv(pose) @ poses[0])[:3]
        projected = k @ (transform @ homogeneous)
        # Subtracting the grid and adding it again is part of the published rounding, which decides single mask pixels.
        flow = (projected[:2] / projected[2:]).reshape(2, size, size) - torch.stack([x, y])
        picture, weight, far = _splat(image, projected[2].reshape(size, size), flow)
        hole = weight <= 0
        images.append(torch.where(hole[..., None], 255.0, picture.clamp(0, 255).round()))
        masks.append((~hole).to(torch.uint8))
        depths.append(torch.where(hole, 0.0, far))
    return torch.stack(images), torch.stack(masks), torch.stack(depths)


def _splat(image: Tensor, depth: Tensor, flow: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bilinear forward splatting of image [S, S, C] and depth [S, S] by flow [2, S, S]: image, weight, depth."""
    size = len(depth)
    y, x = torch.meshgrid(*2 * [torch.arange(size, dtype=torch.float32, device=depth.device)], indexing="ij")
    # One pixel of border on each side catches what leaves the picture.
    x, y = flow[0] + x + 1, flow[1] + y + 1
    x0, x1 = x.floor().clamp(0, size + 1), x.ceil().clamp(0, size + 1)
    y0, y1 = y.floor().clamp(0, size + 1), y.ceil().clamp(0, size + 1)
    x, y = x.clamp(0, size + 1), y.clamp(0, size + 1)
    log_depth = torch.log1p(depth.clamp(0, FARTHEST))
    nearness = torch.exp(SHARPNESS * log_depth / log_depth.max())
    values = torch.cat([image.float(), depth[..., None], torch.ones_like(depth)[..., None]], dim=-1)
    canvas = torch.zeros((size + 2) ** 2, values.shape[-1], device=depth.device)
    for xi, yi in ((x0, y0), (x0, y1), (x1, y0), (x1, y1)):
        weight = (1 - (x - xi).abs()) * (1 - (y - yi).abs()) / nearness
        index = (yi * (size + 2) + xi).long().reshape(-1)
        canvas.index_add_(0, index, (values * weight[..., None]).reshape(-1, values.shape[-1]))
    canvas = canvas.reshape(size + 2, size + 2, -1)[1:-1, 1:-1]
    weight = canvas[..., -1]
    mean = canvas / weight.clamp_min(1e-30)[..., None]
    return mean[..., :-2], weight, mean[..., -2]


Estimate = Callable[[Tensor, Tensor, Tensor], Tensor]


def cyclic_flow(estimate: Estimate, first: Tensor, second: Tensor, context: Tensor) -> Tensor:
    """Optical flow [B, 8h, 8w, 2] over the seam with a network that cannot wrap (cyclic flow estimation).

    ``estimate`` maps two feature maps and a context map [B, C, h, w] to flow [B, 2, 8h, 8w]. It runs on both halves
    swapped and in place; of the two predictions the published code keeps the **signed** minimum of every component
    (which prefers leftward and upward motion) and replaces the two columns of the inner seam by their neighbours.
    """
    maps = (first, second, context)
    half = first.shape[-1] // 2
    swapped = estimate(*(torch.roll(m, half, dims=-1) for m in maps))  # [B | A]
    plain = estimate(*maps)  # [A | B]
    width = plain.shape[-1]
    flow = torch.minimum(torch.roll(swapped, width // 2, dims=-1), plain)
    flow[..., width // 2] = flow[..., width // 2 + 1]
    flow[..., width // 2 - 1] = flow[..., width // 2 - 2]
    return flow.permute(0, 2, 3, 1)
