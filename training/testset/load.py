"""Reads the packed test set."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.perceive import SKY
from training.testset.format import DATA, NEAREST, NO_SURFACE, STEP

SKY_FLOOR = 0.45  # clouds at the horizon still move with this share of the speed overhead


@dataclass(frozen=True)
class TestScene:
    """One scene of the test set and what is true in its first frame."""

    name: str
    frames: NDArray[np.uint8]  # [2, H, W, 3] sRGB, a quarter of a second apart
    distance: NDArray[np.float32]  # [H, W] metres along the ray, +inf for sky
    label: NDArray[np.uint8]  # [H, W] class
    light: NDArray[np.bool_]  # [H, W] shines by itself
    motion: NDArray[np.float32]  # [H, W, 3] tangent, radians per second


def names(data: Path = DATA) -> list[str]:
    """The scenes of the test set."""
    return list(json.loads((data / "index.json").read_text()))


def load(name: str, data: Path = DATA) -> TestScene:
    """One scene. Raises ValueError for a file that is not the one that was frozen."""
    about = json.loads((data / "index.json").read_text())[name]
    for file, digest in about["files"].items():
        if hashlib.sha256((data / file).read_bytes()).hexdigest() != digest:
            raise ValueError(f"The test set's {file} is not the frozen one. Restore it from the repository.")
    frames = np.stack([cv2.imread(str(data / f"{name}.{k}.jpg"))[..., ::-1] for k in (0, 1)])
    steps, kind, drift = np.moveaxis(
        cv2.imread(str(data / f"{name}.truth.png"), cv2.IMREAD_UNCHANGED)[..., ::-1], -1, 0
    )
    sky = steps == NO_SURFACE
    distance = np.where(sky, np.inf, NEAREST * np.exp(steps.astype(np.float64) * STEP)).astype(np.float32)
    d = sphere.directions(*steps.shape)
    velocity = np.array(about["drifts"], np.float32)[drift] / np.where(sky, 1, distance)[..., None]
    wind = np.array([*about["wind"], 0.0], np.float32)
    slow = np.sqrt((d[..., 2:] ** 2 + SKY_FLOOR**2) / (1 + SKY_FLOOR**2))
    velocity = np.where(sky[..., None], wind * slow, velocity)
    motion = velocity - (velocity * d).sum(-1, keepdims=True) * d
    label = np.where(sky, SKY, kind % 8).astype(np.uint8)
    return TestScene(name, frames, distance, label, kind >= 8, motion.astype(np.float32))
