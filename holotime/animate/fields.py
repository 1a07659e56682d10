"""Small building blocks of motion: smooth random fields on the sphere, eased steps, local tangent frames."""

import math

import numpy as np
from numpy.typing import NDArray


def smoothstep(low: float, high: float, x: NDArray) -> NDArray[np.float32]:
    """0 below ``low``, 1 above ``high``, a cubic in between; ``low`` > ``high`` turns it around. Any shape."""
    t = np.clip((np.asarray(x, np.float32) - low) / (high - low), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def azimuth(degrees: float) -> NDArray[np.float64]:
    """[3] horizontal unit vector: 0 degrees is +Y (the centre of the picture), 90 is +X (to its right)."""
    a = math.radians(degrees)
    return np.array([math.sin(a), math.cos(a), 0.0])


def turn(degrees: float) -> NDArray[np.float64]:
    """[3, 3] rotation about Z that takes +Y to ``azimuth(degrees)``."""
    a = math.radians(degrees)
    return np.array([[math.cos(a), math.sin(a), 0.0], [-math.sin(a), math.cos(a), 0.0], [0.0, 0.0, 1.0]])


def east_north(d: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Unit tangents to the east (growing longitude) and north of directions [..., 3]; both [..., 3]."""
    c = np.maximum(np.hypot(d[..., 0], d[..., 1]), 1e-9)
    sin_lam, cos_lam = d[..., 0] / c, d[..., 1] / c
    east = np.stack([cos_lam, -sin_lam, np.zeros_like(c)], -1)
    north = np.stack([-d[..., 2] * sin_lam, -d[..., 2] * cos_lam, c], -1)
    return east.astype(np.float32), north.astype(np.float32)


class SphereNoise:
    """A smooth random function on the sphere: a sum of plane waves in space, read on the unit sphere.

    It knows no seam and no pole. ``frequency`` is in radians per radian: features are about pi / frequency wide.
    Values have zero mean and unit variance. ``frame`` [3, 3] turns the noise with the wind, so that turning the
    panorama and the wind together turns everything.
    """

    def __init__(self, rng: np.random.Generator, frequency: float, frame: NDArray[np.float64], waves: int = 12):
        k = rng.normal(size=(waves, 3))
        k *= (frequency * rng.uniform(0.6, 1.4, waves) / np.linalg.norm(k, axis=1))[:, None]
        self._k = (k @ np.asarray(frame).T).astype(np.float32)
        self._phase = rng.uniform(0, 2 * math.pi, waves).astype(np.float32)
        self._scale = math.sqrt(2 / waves)

    def __call__(self, d: NDArray[np.float32]) -> NDArray[np.float32]:
        """[...] values at directions [..., 3]."""
        out = np.zeros(d.shape[:-1], np.float32)
        for k, phase in zip(self._k, self._phase, strict=True):
            out += np.cos(d @ k + phase)
        return out * np.float32(self._scale)

    def curl(self, d: NDArray[np.float32]) -> NDArray[np.float32]:
        """[..., 3] tangent field d x grad(noise): swirls without sources or sinks; about unit length."""
        gradient = np.zeros(d.shape, np.float32)
        for k, phase in zip(self._k, self._phase, strict=True):
            gradient -= np.sin(d @ k + phase)[..., None] * k
        size = max(float(np.linalg.norm(self._k, axis=1).mean()), 1e-6)
        return np.cross(d, gradient).astype(np.float32) * np.float32(self._scale / size)
