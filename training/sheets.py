"""Pictures to judge by eye: panoramas beside their distances, classes, lights and motion."""

import math
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from holotime import sphere
from holotime.perceive import CLASSES

# sRGB of each class, in the order of CLASSES.
CLASS_COLOURS = np.array(
    [[135, 206, 235], [0, 80, 200], [150, 110, 60], [40, 160, 40], [128, 128, 128], [255, 140, 0], [200, 0, 200]],
    np.uint8,
)
NEAREST, FARTHEST = 0.5, 200.0  # metres at the two ends of the colours of distance


def distance_picture(distance: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[H, W, 3] sRGB of distances [H, W] in metres: red near, blue far, black sky."""
    span = np.log(FARTHEST / NEAREST)
    scaled = np.clip(np.log(np.clip(distance, NEAREST, FARTHEST) / NEAREST) / span, 0, 1)
    picture = cv2.applyColorMap((255 - 255 * scaled).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1].copy()
    picture[~np.isfinite(distance) | (distance > 1e6)] = 0
    return picture


def class_picture(label: NDArray[np.uint8], light: NDArray | None = None) -> NDArray[np.uint8]:
    """[H, W, 3] sRGB of class indices [H, W]; what shines [H, W] is drawn white."""
    picture = CLASS_COLOURS[np.minimum(label, len(CLASSES) - 1)].copy()
    if light is not None:
        picture[light > 0.5] = (255, 255, 220)
    return picture


def motion_picture(motion: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[H, W, 3] sRGB of tangent vectors [H, W, 3] in radians per second: hue = direction, brightness = speed."""
    d = sphere.directions(*motion.shape[:2])
    east = np.stack([d[..., 1], -d[..., 0], 0 * d[..., 0]], -1)
    east /= np.linalg.norm(east, axis=-1, keepdims=True) + 1e-9
    north = np.cross(east, d)
    e, n = (motion * east).sum(-1), (motion * north).sum(-1)
    hue = (np.arctan2(n, e) / (2 * math.pi) % 1) * 179
    value = 255 * np.clip(np.sqrt(np.hypot(e, n) / 0.5), 0, 1)
    hsv = np.stack([hue, np.full_like(hue, 220), value], -1).astype(np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def write_sheet(
    file: Path, rows: list[list[NDArray[np.uint8]]], width: int = 384, names: list[str] | None = None
) -> None:
    """One picture of rows of panoramas [H, W, 3] sRGB, each ``width`` pixels wide, the row's name in its corner."""
    drawn = []
    for i, row in enumerate(rows):
        tiles = [cv2.resize(np.ascontiguousarray(p), (width, width // 2), interpolation=cv2.INTER_AREA) for p in row]
        if names:
            for colour, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
                cv2.putText(tiles[0], names[i], (5, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, thick, cv2.LINE_AA)
        drawn.append(np.hstack(tiles))
    options = [cv2.IMWRITE_JPEG_QUALITY, 88] if file.suffix == ".jpg" else []
    cv2.imwrite(str(file), np.vstack(drawn)[..., ::-1], options)


def developed(rgb: torch.Tensor) -> NDArray[np.uint8]:
    """[B, H, W, 3] sRGB of linear colours, exposed by their log mean."""
    mean = torch.exp(torch.log(rgb.mean(-1).clamp_min(1e-3)).mean((1, 2)))[:, None, None, None]
    x = rgb * (0.22 / mean).clamp(max=6)
    x = (x * (1 + x / 9) / (1 + x)).clamp(0, 1) ** (1 / 2.2)
    return (255 * x).to(torch.uint8).cpu().numpy()
