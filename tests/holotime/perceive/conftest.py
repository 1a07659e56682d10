"""Pictures that the perception tests share: drawn, with known geometry."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from holotime import sphere


def texture(height: int, seed: int = 0, cells: float = 9.0) -> NDArray[np.float32]:
    """[H, 2H] smooth noise on the sphere in [0, 1], free of seam and poles: sums of sines of the direction."""
    rng = np.random.default_rng(seed)
    d = sphere.directions(height)
    out = np.zeros(d.shape[:2])
    for _ in range(40):
        axis = rng.normal(size=3) * cells
        out += np.sin(d @ axis + rng.uniform(0, 2 * np.pi))
    return (0.5 + 0.5 * np.tanh(out / 4)).astype(np.float32)


def field(height: int = 256, seed: int = 0) -> NDArray[np.uint8]:
    """A flat field under a blue sky with two boxes standing on it, one across the seam: [H, 2H, 3] sRGB."""
    phi = sphere.latitudes(height)[:, None, None]
    lam = sphere.longitudes(2 * height)[None, :, None]
    grain = texture(height, seed, 60.0)[..., None]
    sky = np.array([110, 160, 225]) + 60 * np.exp(-3 * np.clip(phi, 0, 2)) * np.array([1, 1, 0.4])
    ground = np.array([120, 105, 80]) * (0.6 + 0.5 * grain)
    out = np.where(phi > 0, sky, ground)
    for centre, half in ((0.6, 0.25), (np.pi, 0.35)):
        box = (np.abs(np.mod(lam - centre + np.pi, 2 * np.pi) - np.pi) < half) & (phi < 0.35) & (phi > -0.3)
        out = np.where(box, np.array([150, 70, 50]) * (0.8 + 0.3 * grain), out)
    soft = cv2.GaussianBlur(sphere.pad(np.clip(out, 0, 255).astype(np.uint8), 4, 4), (3, 3), 0)
    return np.ascontiguousarray(soft[4:-4, 4:-4])


@pytest.fixture(scope="session")
def field_image() -> NDArray[np.uint8]:
    return field()
