"""What the published recipe trains on: flow masks, the point cloud over time, and the 120 views of every frame.

For comparison only (see :mod:`holotime.reconstruct.original` for frames and the geometry that is kept).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from holotime.reconstruct import original

FLOW_SIZE = (512, 1024)  # rows and columns at which the recipe computes flow
TEXTURE_THRESHOLD = 20.0  # standard deviation over time, in grey levels, above which a pixel counts as changing
PERTURB = 0.3  # displacement of the side views in the cloud's unit
FRAMES_KEPT = 8, 4  # even frames are shrunk by the first number, masked odd ones by the second
KERNEL = np.ones((5, 5), np.uint8)
F32 = NDArray[np.float32]


def flow_masks(flows: F32, size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(before, after) [N - 1, H, W] of 0 and 1: what moves, on the frame it leaves and on the frame it reaches.

    ``flows`` [N - 1, 512, 1024, 2] pixels; ``size`` (H, W) of the masks. More than one pixel either way counts;
    the second mask carries every such pixel along by its truncated flow, also across the poles (as published).
    """
    before: list[NDArray[np.uint8]] = []
    after: list[NDArray[np.uint8]] = []
    for flow in flows:
        moves = (np.abs(flow) > 1).any(-1)
        i, j = np.nonzero(moves)
        u, v = flow[i, j, 0], flow[i, j, 1]
        landed = np.zeros(moves.shape, np.uint8)
        landed[np.trunc(i + v).astype(int) % moves.shape[0], np.trunc(j + u).astype(int) % moves.shape[1]] = 1
        for mask, out in ((moves.astype(np.uint8), before), (landed, after)):
            small = (cv2.resize(mask, size[::-1], interpolation=cv2.INTER_LINEAR) > 0).astype(np.uint8)
            out.append(cv2.dilate(small, KERNEL, iterations=2).astype(np.uint8))
    return np.stack(before), np.stack(after)


def temporal_cloud(
    frames: NDArray[np.uint8],
    depths: F32,
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
    random: np.random.RandomState,
) -> tuple[F32, F32, F32]:
    """Points [P, 3] in the camera frame, times [P] and colours [P, 3] in [0, 1] of the initial splats.

    Even frames give all pixels at an eighth of the size, odd frames the pixels that move or change at a quarter, with
    noise of 1 cm. ``frames`` [N, H, W, 3] RGB, ``depths`` [N, H, W], masks [N - 1, H, W]. A point's time is i / N.
    """
    count, height, width = frames.shape[:3]
    # The published code takes the channels in the wrong order for grey.
    grey = np.stack([cv2.cvtColor(f, cv2.COLOR_BGR2GRAY) for f in frames])
    changes = (grey.astype(np.float64).std(0) > TEXTURE_THRESHOLD).astype(np.uint8)
    changes = cv2.dilate(changes, KERNEL)
    points, times, colors = [], [], []
    for i in range(count):
        size = (width // FRAMES_KEPT[i % 2], height // FRAMES_KEPT[i % 2])
        image, depth = cv2.resize(frames[i], size), cv2.resize(depths[i], size)
        cloud, tint = original.point_cloud(torch.from_numpy(image), torch.from_numpy(depth))
        xyz, rgb = cloud.numpy().astype(np.float64), tint.numpy()
        if i % 2:
            mask = before[i - 1] | after[i - 1] | changes
            if i < count - 1:
                mask = mask | before[i]
            keep = cv2.resize(mask, size).reshape(-1) == 1
            xyz, rgb = xyz[:, keep], rgb[keep]
            xyz = xyz + (random.rand(3, xyz.shape[1]) * 0.02 - 0.01)
        points.append(xyz.T)
        times.append(np.full(xyz.shape[1], i / count))
        colors.append(rgb)
    return tuple(np.concatenate(a).astype(np.float32) for a in (points, times, colors))  # type: ignore[return-value]


@dataclass(frozen=True)
class RecipeCamera:
    """One of the 120 cameras, camera frame: world-to-camera is [R^T | t] with R as published (third column 1.26)."""

    rotation: Tensor  # [3, 3] R
    translation: Tensor  # [3] t
    fov: float  # radians
    ratio: float  # of the view: 1.0 or 1.3

    def pose(self) -> NDArray[np.float64]:
        """[3, 4] = [R | t], what the published data set stores."""
        return np.concatenate([self.rotation.numpy(), self.translation.numpy()[:, None]], axis=1).astype(np.float64)


def cameras() -> list[RecipeCamera]:
    """All 120: five to each of twenty views (straight, then displaced by PERTURB along four axes), and twenty wide."""
    near, wide = original.compat_cameras(1.0), original.compat_cameras(1.3)
    out = []
    for view in range(20):
        out += [RecipeCamera(near.c2w[view], shift, near.fov, 1.0) for shift in shifts()]
    return out + [RecipeCamera(wide.c2w[view], torch.zeros(3), wide.fov, 1.3) for view in range(20)]


def shifts() -> Tensor:
    """[5, 3] translations world-to-camera of a view's cameras: none, then to four sides."""
    p = PERTURB
    return torch.tensor([[0, 0, 0], [p, 0, 0], [0, p, 0], [-p, 0, 0], [0, -p, 0]], dtype=torch.float32)


def views_of(frame: Tensor, depth: Tensor, size: int, device: str = "cpu") -> Iterator[tuple[int, Tensor, Tensor]]:
    """(camera, image [S, S, 3] uint8, mask [S, S] uint8 of 0 and 255) of one frame, on ``device``.

    ``frame`` [H, W, 3] uint8 RGB, ``depth`` [H, W]. Displaced cameras get the straight view, warped.
    """
    picture = frame.permute(2, 0, 1).float()
    straight = original.sample_views(picture, 1.0, size).permute(0, 2, 3, 1).to(device)
    far = original.sample_views(depth[None].float(), 1.0, size)[:, 0].to(device)
    wide = original.sample_views(picture, 1.3, size).permute(0, 2, 3, 1).round().to(device, torch.uint8)
    focal = size / (2 * math.tan(original.compat_cameras(1.0).fov / 2))
    intrinsic = torch.tensor([focal, focal, size / 2, size / 2])
    poses = torch.eye(4).repeat(5, 1, 1)
    poses[:, :3, 3] = -shifts()
    everywhere = torch.full((size, size), 255, dtype=torch.uint8, device=device)
    for view in range(20):
        yield 5 * view, straight[view].round().to(torch.uint8), everywhere
        images, masks, _ = original.warp(straight[view], far[view], poses.to(device), intrinsic)
        for k in range(4):
            yield 5 * view + 1 + k, images[k].to(torch.uint8), masks[k] * 255
    for view in range(20):
        yield 100 + view, wide[view], everywhere


def camera_params(frames: int, size: int) -> str:
    """The text file that the published data set describes its cameras with."""
    fovs = [original.compat_cameras(ratio).fov for ratio in (1.0, 1.3)]
    focals = [size / (2 * math.tan(f / 2)) for f in fovs]
    lines = [f"fov_{a}: {fovs[0]} {fovs[1]}" for a in "xy"] + [f"focal_{a}: {focals[0]} {focals[1]}" for a in "xy"]
    lines += ["num_cams: 100 20", f"frame_count: {frames}", f"height: {size} {size}", f"width: {size} {size}"]
    return "\n".join(lines) + "\n"
