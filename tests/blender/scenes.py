"""Small scene files for the Blender tests, written by hand: header, buffers, nothing of the library."""

import json
from pathlib import Path

import numpy as np

NAMES = (
    "means",
    "motion",
    "quats",
    "omegas",
    "log_scales",
    "opacity_logits",
    "t_centers",
    "t_log_scales",
    "colors",
)


def random_scene(count: int = 200, seed: int = 0) -> dict[str, np.ndarray]:
    """Splats that use every part of the format: motion, windows, turning, unnormalised quaternions."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return {
        "means": direction * rng.uniform(2, 9, (count, 1)),
        "motion": rng.normal(size=(count, 3, 3)) * 0.5,
        "quats": rng.normal(size=(count, 4)) * 2,
        "omegas": rng.normal(size=(count, 4)),
        "log_scales": rng.normal(size=(count, 3)) * 0.4 - 2,
        "opacity_logits": rng.normal(size=count) * 2,
        "t_centers": rng.uniform(0, 1, count),
        "t_log_scales": np.where(rng.uniform(size=count) < 0.3, 20.0, rng.uniform(-3, 0.5, count)),
        "colors": rng.uniform(0, 1, (count, 3)),
    }


def panorama_scene(image: np.ndarray, distance: float = 5.0) -> dict[str, np.ndarray]:
    """A still sphere of splats that shows an equirect [H, W, 3] in [0, 1] from the eye."""
    height, width = image.shape[:2]
    phi = np.pi * (0.5 - (np.arange(height) + 0.5) / height)[:, None]
    lam = 2 * np.pi * ((np.arange(width) + 0.5) / width - 0.5)[None]
    parts = np.broadcast_arrays(np.cos(phi) * np.sin(lam), np.cos(phi) * np.cos(lam), np.sin(phi))
    count = height * width
    return {
        "means": np.stack(parts, -1).reshape(-1, 3) * distance,
        "motion": np.zeros((count, 3, 3)),
        "quats": np.tile([1.0, 0, 0, 0], (count, 1)),
        "omegas": np.zeros((count, 4)),
        "log_scales": np.full((count, 3), np.log(0.55 * distance * np.pi / height)),
        "opacity_logits": np.full(count, 3.0),
        "t_centers": np.zeros(count),
        "t_log_scales": np.full(count, 20.0),
        "colors": image.reshape(-1, 3),
    }


def write_scene(
    path: Path,
    tensors: dict[str, np.ndarray],
    *,
    duration: float = 2.0,
    fps: float = 12.0,
    loop: bool = True,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a scene file; ``metadata`` overrides entries."""
    header: dict = {
        "__metadata__": {
            "format": "holotime-scene4d",
            "version": "1",
            "model": "lite",
            "duration": repr(duration),
            "fps": repr(fps),
            "loop": json.dumps(loop),
            **(metadata or {}),
        }
    }
    buffers, offset = [], 0
    for name in NAMES:
        data = np.ascontiguousarray(tensors[name], "<f4")
        header[name] = {"dtype": "F32", "shape": list(data.shape), "data_offsets": [offset, offset + data.nbytes]}
        buffers.append(data.tobytes())
        offset += data.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(buffers))
    return path


def formula(tensors: dict[str, np.ndarray], t: float) -> tuple[np.ndarray, np.ndarray]:
    """(positions [N, 3], opacities [N]) at scene time t, by the format's definition."""
    dt = t - tensors["t_centers"]
    d = dt[:, None]
    m = tensors["motion"]
    position = tensors["means"] + m[:, 0] * d + m[:, 1] * d**2 + m[:, 2] * d**3
    window = np.exp(-((dt / np.exp(tensors["t_log_scales"])) ** 2))
    return position, window / (1 + np.exp(-tensors["opacity_logits"]))


def ramps(height: int = 64) -> np.ndarray:
    """An equirect [H, 2H, 3] in [0, 1] that differs everywhere: smooth ramps in all three directions of the world."""
    phi = np.pi * (0.5 - (np.arange(height) + 0.5) / height)[:, None]
    lam = 2 * np.pi * ((np.arange(2 * height) + 0.5) / (2 * height) - 0.5)[None]
    d = np.stack(np.broadcast_arrays(np.cos(phi) * np.sin(lam), np.cos(phi) * np.cos(lam), np.sin(phi)), -1)
    return 0.5 + 0.35 * d + 0.1 * np.sin(6 * d[..., ::-1])


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """dB of two equirects [H, W, 3], weighted by solid angle."""
    weight = np.cos(np.pi * (0.5 - (np.arange(len(a)) + 0.5) / len(a)))[:, None, None]
    return float(-10 * np.log10((weight * (a - b) ** 2).sum() / (weight.sum() * a.shape[1] * 3)))
