"""From OpenCV's camera axes to Blender's, and from a field of view to a lens. No bpy here.

OpenCV: x right, y down, z forward. Blender: x right, y up, the camera looks along -z. Both share the world
(right-handed, Z up, metres), so a pose changes only by turning the camera half a turn about its own x axis.
"""

import math
from collections.abc import Sequence

Matrix = tuple[tuple[float, float, float, float], ...]  # 4x4 camera-to-world, rows
Quaternion = tuple[float, float, float, float]  # wxyz, unit

SENSOR_WIDTH = 36.0  # millimetres, Blender's default film


def opencv_to_blender(matrix: Sequence[Sequence[float]]) -> Matrix:
    """The same camera with Blender's axes: its y and z columns change sign. It is its own inverse."""
    return tuple((row[0], -row[1], -row[2], row[3]) for row in matrix)


def location(matrix: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """Where the camera is: the last column."""
    return (matrix[0][3], matrix[1][3], matrix[2][3])


def quaternion(matrix: Sequence[Sequence[float]]) -> Quaternion:
    """Unit quaternion (wxyz, w >= 0) of the rotation part (Shepperd 1978: the largest component first)."""
    (a, b, c), (d, e, f), (g, h, i) = (row[:3] for row in matrix[:3])
    squares = (1 + a + e + i, 1 + a - e - i, 1 - a + e - i, 1 - a - e + i)  # 4w^2, 4x^2, 4y^2, 4z^2
    largest = max(range(4), key=squares.__getitem__)
    s = 0.5 / math.sqrt(squares[largest])
    m = squares[largest] * s
    q = (
        (m, (h - f) * s, (c - g) * s, (d - b) * s),
        ((h - f) * s, m, (b + d) * s, (c + g) * s),
        ((c - g) * s, (b + d) * s, m, (f + h) * s),
        ((d - b) * s, (c + g) * s, (f + h) * s, m),
    )[largest]
    sign = -1.0 if q[0] < 0 else 1.0
    return tuple(sign * v for v in q)  # type: ignore[return-value]


def continuous(quaternions: Sequence[Quaternion]) -> list[Quaternion]:
    """The same rotations with signs chosen so that neighbours are close: keyframes then interpolate the short way."""
    out: list[Quaternion] = []
    for q in quaternions:
        if out and sum(x * y for x, y in zip(q, out[-1], strict=True)) < 0:
            q = tuple(-v for v in q)  # type: ignore[assignment]
        out.append(q)
    return out


def focal_length(fov_x: float, sensor_width: float = SENSOR_WIDTH) -> float:
    """Focal length in millimetres for a horizontal field of view in radians."""
    return 0.5 * sensor_width / math.tan(0.5 * fov_x)
