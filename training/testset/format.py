"""How the packed test set is stored, and how a linear picture becomes one for the screen."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DATA = Path(__file__).parent / "data"
NEAREST, STEP = 0.02, 1 / 4096  # metres; step of the natural logarithm
NO_SURFACE = 65535
JPEG_QUALITY = 90


def develop(linear: NDArray[np.float32], exposure: float) -> NDArray[np.uint8]:
    """Linear [H, W, 3] to sRGB uint8, the log-mean brightness at ``exposure``, highlights rolled off."""
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    row = np.cos(np.pi * (0.5 - (np.arange(len(linear)) + 0.5) / len(linear)))[:, None]
    mean = np.exp((np.log(luminance.clip(1e-4)) * row).sum() / (row.sum() * linear.shape[1]))
    x = linear * (exposure / mean)
    x = x * (1 + x / 16) / (1 + 0.6 * x)
    x = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x.clip(1e-8) ** (1 / 2.4) - 0.055)
    return np.rint(255 * x.clip(0, 1)).astype(np.uint8)
