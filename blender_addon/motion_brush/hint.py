"""Strokes and masks to a hint image. numpy, no bpy.

Channels (docs/formats.md): R and G direction and speed (128 is none; R above goes right, G above goes up; full scale is
FULL_SPEED), B how much it overrides the guess, alpha 255 frozen. Everything is laid over the whole panorama.
"""

import itertools
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FULL_SPEED = 20.0  # degrees a second at full scale
SOFT = 0.35  # share of the radius over which a moving stroke fades out
SPACING = 0.4  # brush radii between the dabs of a stroke


@dataclass(frozen=True)
class Stroke:
    """One stroke on the sphere around the eye."""

    path: np.ndarray  # [K, 3] unit vectors, world axes (Z up, the panorama's centre along +Y)
    radius: float  # radians
    speed: float  # degrees a second; not used by a stroke that freezes
    freeze: bool = False


def directions(height: int, width: int) -> np.ndarray:
    """[H, W, 3] float32 unit vectors of the pixels' centres."""
    phi = np.pi * (0.5 - (np.arange(height) + 0.5) / height)[:, None]
    lam = 2 * np.pi * ((np.arange(width) + 0.5) / width - 0.5)[None]
    parts = np.broadcast_arrays(np.cos(phi) * np.sin(lam), np.cos(phi) * np.cos(lam), np.sin(phi))
    return np.stack(parts, -1).astype(np.float32)


def draw(strokes: list[Stroke], frozen: np.ndarray | None, height: int, width: int) -> np.ndarray:
    """The hint image [H, W, 4] uint8. ``frozen`` [H, W] bool is a mask that freezes too. Later strokes lie on top.

    Moving strokes are blended dab by dab along their path, each with the direction that the stroke has there, as east
    and north at every pixel: so a stroke over a pole or over the seam comes out right.
    """
    look = directions(height, width)
    east, north = _east_north(look)
    flow = np.zeros((height, width, 3), np.float32)  # degrees a second, world axes
    weight = np.zeros((height, width), np.float32)
    still = np.zeros((height, width), bool) if frozen is None else frozen.copy()
    for stroke in strokes:
        path = _dabs(stroke.path, SPACING * stroke.radius)
        rows = _rows(path, stroke.radius, height)
        part = look[rows]
        if stroke.freeze:
            reach = math.cos(stroke.radius)
            for point in path:
                still[rows] |= part @ point > reach
            continue
        for i, point in enumerate(path):
            along = path[min(i + 1, len(path) - 1)] - path[max(i - 1, 0)]
            along = along - point * (along @ point)
            length = float(np.linalg.norm(along))
            if length < 1e-9:
                continue
            angle = np.arccos(np.clip(part @ point, -1, 1))
            dab = np.clip((stroke.radius - angle) / (SOFT * stroke.radius), 0, 1)[..., None]
            flow[rows] += dab * (along * (stroke.speed / length) - flow[rows])
            weight[rows] = np.maximum(weight[rows], dab[..., 0])
    image = np.zeros((height, width, 4), np.uint8)
    for channel, axis in enumerate((east, north)):
        speed = np.clip((flow * axis).sum(-1) / FULL_SPEED, -1, 1)
        image[..., channel] = np.round(128 + 127 * speed)
    image[..., 2] = np.round(255 * weight)
    image[..., 3] = np.where(still, 255, 0)
    return image


def write_png(path: Path, image: np.ndarray) -> None:
    """Write [H, W, 4] uint8 as RGBA PNG. Blender's own writer would mix alpha into the colours."""
    height, width = image.shape[:2]
    rows = np.zeros((height, 1 + 4 * width), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = image.reshape(height, -1)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def _east_north(look: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[H, W, 3] unit vectors towards the right and upwards in the panorama, at every pixel."""
    flat = np.maximum(np.hypot(look[..., 0], look[..., 1]), 1e-6)
    east = np.stack([look[..., 1] / flat, -look[..., 0] / flat, np.zeros_like(flat)], -1)
    return east, np.cross(east, look)


def _dabs(path: np.ndarray, spacing: float) -> np.ndarray:
    """The path with points no further than ``spacing`` radians apart, all unit vectors."""
    path = np.asarray(path, np.float32).reshape(-1, 3)
    path = path / np.maximum(np.linalg.norm(path, axis=1, keepdims=True), 1e-9)
    out = [path[0]]
    for a, b in itertools.pairwise(path):
        angle = float(np.arccos(np.clip(a @ b, -1, 1)))
        count = max(1, math.ceil(angle / max(spacing, 1e-3)))
        for k in range(1, count + 1):
            point = a + (b - a) * (k / count)
            out.append(point / max(float(np.linalg.norm(point)), 1e-9))
    return np.array(out, np.float32)


def _rows(path: np.ndarray, radius: float, height: int) -> slice:
    """The rows of the image that a stroke can reach."""
    latitude = np.arcsin(np.clip(path[:, 2], -1, 1))
    top, bottom = latitude.max() + radius, latitude.min() - radius
    first, last = (0.5 - top / np.pi) * height, (0.5 - bottom / np.pi) * height
    return slice(max(0, math.floor(first)), min(height, math.ceil(last) + 1))
