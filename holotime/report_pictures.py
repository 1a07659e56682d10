"""The pictures of a quality report: what an artist looks at to trust a result."""

import math
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.perceive import CLASSES

CLASS_COLORS = np.array(
    [(135, 206, 235), (0, 80, 200), (150, 110, 60), (40, 160, 40), (128, 128, 128), (255, 140, 0), (200, 0, 200)],
    np.uint8,
)
THUMB = 512  # width of one picture in a sheet, pixels


def jpeg(image: NDArray[np.uint8], quality: int = 85) -> bytes:
    """JPEG bytes of [H, W, 3] RGB."""
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def thumbnail(image: NDArray[np.uint8], width: int = 256) -> NDArray[np.uint8]:
    """An equirect [H, 2H, 3] at ``width``."""
    return sphere.resize(image, width // 2, width)


def contact_sheet(frames: NDArray[np.uint8], columns: int = 3, rows: int = 3) -> NDArray[np.uint8]:
    """Evenly spaced frames of [T, H, W, 3] side by side."""
    pick = np.linspace(0, len(frames), columns * rows, endpoint=False).astype(int)
    tiles = [_label(thumbnail(frames[i], THUMB), f"frame {i}") for i in pick]
    return np.vstack([np.hstack(tiles[r * columns : (r + 1) * columns]) for r in range(rows)])


def seam_strip(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What lies behind the viewer, around +-180 degrees, in three frames: a seam would show in the middle of each."""
    behind = sphere.look_at((0, -1, 0))
    pick = np.linspace(0, len(frames), 3, endpoint=False).astype(int)
    views = [sphere.to_perspective(frames[i], THUMB, THUMB // 2, math.radians(100), behind) for i in pick]
    return np.hstack([_label(v, f"behind, frame {i}") for v, i in zip(views, pick, strict=True)])


def poles(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Straight up and straight down in the first and a middle frame."""
    cube = sphere.cube_rotations()
    views = []
    for i in (0, len(frames) // 2):
        for name in ("up", "down"):
            view = sphere.to_perspective(frames[i], THUMB * 3 // 4, THUMB * 3 // 4, math.radians(90), cube[name])
            views.append(_label(view, f"{name}, frame {i}"))
    return np.hstack(views)


def distance_map(distance: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[H, W] metres as colours: red is near, blue is far (logarithmic, 1 to 100 m), black is sky."""
    level = np.clip(np.log(np.maximum(distance, 1e-3)) / math.log(100), 0, 1)
    level = np.where(np.isfinite(distance), level, 0)
    bgr = cv2.applyColorMap(np.round(255 * (1 - level)).astype(np.uint8), cv2.COLORMAP_TURBO)
    colors = cast(NDArray[np.uint8], bgr)[..., ::-1].copy()
    colors[~np.isfinite(distance)] = 0
    return _label(colors, "distance: red near, blue far, black sky")


def class_map(classes: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[H, W, 7] probabilities as colours."""
    image = np.clip(classes @ CLASS_COLORS.astype(np.float32), 0, 255).astype(np.uint8)
    x = 8
    for name, color in zip(CLASSES, CLASS_COLORS.tolist(), strict=True):
        x += _text(image, name, (x, image.shape[0] - 10), color) + 12
    return image


def coverage_map(alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[H, W] opacity seen from the eye: white is covered, red is a hole."""
    hole = np.clip(1 - alpha, 0, 1)[..., None]
    return np.round(255 * ((1 - hole) * np.ones(3) + hole * np.array([1.0, 0, 0]))).astype(np.uint8)


def side_by_side(left: NDArray[np.uint8], right: NDArray[np.uint8], names: tuple[str, str]) -> NDArray[np.uint8]:
    """Two equirects one beside the other, labelled."""
    return np.hstack([_label(left.copy(), names[0]), _label(right.copy(), names[1])])


def _label(image: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    image = np.ascontiguousarray(image)
    _text(image, text, (8, 18), (255, 255, 255))
    return image


def _text(image: NDArray[np.uint8], text: str, at: tuple[int, int], color: tuple | list) -> int:
    """Write on a dark plate with ``at`` the left end of the base line; the width in pixels."""
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    x, y = at
    cv2.rectangle(image, (x - 4, y - height - 4), (x + width + 4, y + below), (24, 26, 30), cv2.FILLED)
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, 1, cv2.LINE_AA)
    return width
