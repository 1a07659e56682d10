"""Turning splats into the axes that another format assumes. Ours: X right, Y ahead, Z up."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from holotime.scene4d import Gaussians

# A quarter turn about X, as wxyz: (x, y, z) -> (x, z, -y), right-up-back; and its opposite.
RIGHT_UP_BACK = np.array([math.sqrt(0.5), -math.sqrt(0.5), 0, 0])
# (x, y, z) -> (x, -z, y), right-down-forward, the frame of structure-from-motion and of most captured splats.
RIGHT_DOWN_FORWARD = np.array([math.sqrt(0.5), math.sqrt(0.5), 0, 0])


def inverse(turn: NDArray) -> NDArray:
    """The opposite rotation of a unit quaternion wxyz."""
    return turn * np.array([1, -1, -1, -1])


def product(a: NDArray, b: NDArray) -> NDArray:
    """Hamilton product of quaternions wxyz, broadcast: first ``b``, then ``a``."""
    aw, ax, ay, az = np.moveaxis(np.asarray(a), -1, 0)
    bw, bx, by, bz = np.moveaxis(np.asarray(b), -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def turned(gaussians: Gaussians, turn: NDArray) -> Gaussians:
    """The same splats, rotated about the origin by the unit quaternion ``turn`` (wxyz)."""
    points = np.concatenate([np.zeros((len(gaussians), 1)), gaussians.means], axis=1)
    means = product(product(turn, points), inverse(turn))[:, 1:]
    return replace(gaussians, means=means.astype(np.float32), quats=product(turn, gaussians.quats).astype(np.float32))
