"""The projection kernels in Triton: project.py's footprints, with the motion evaluated on the way.

The formulas and their names are those of ``holotime.render.project`` (which the tests hold these against), in single
precision. A record is what the blend kernel reads of a splat: a (3), b (3), u (3), opacity, largest q, distance,
colour (3), one float unused. a and b are scaled by sqrt(log2(e) / 2), so that exp(-q/2) is exp2(-q').
"""

import math
from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from holotime.render.cameras import Camera, PerspectiveCamera
from holotime.render.project import ALPHA_MIN, LOW_PASS, MERGE_FROM, MERGE_TO, lens_of
from holotime.render.tiles import TILE
from holotime.scene4d import Scene4D

RECORD = 16  # floats of a splat's record
BLOCK = 128  # splats to a program
EQUIRECT = tl.constexpr(0)  # the lenses of project.py
FISHEYE = tl.constexpr(1)
FACE = tl.constexpr(2)
PI = tl.constexpr(math.pi)
ROWS: dict[str, int] = {
    "means": 0,
    "motion": 3,
    "quats": 12,
    "omegas": 16,
    "log_scales": 20,
    "opacity_logits": 23,
    "t_centers": 24,
    "t_log_scales": 25,
    "colors": 26,
}  # first row of each of the scene's tensors in the packed one
PACKED = 29  # rows of it
_OPACITY_MIN = tl.constexpr(ALPHA_MIN)
_MERGE_FROM = tl.constexpr(MERGE_FROM)
_MERGE_TO = tl.constexpr(MERGE_TO)
_MERGE_RATE = tl.constexpr(0.5 * math.pi / (MERGE_TO - MERGE_FROM))
_HALF_LOG2E = tl.constexpr(0.5 / math.log(2.0))
_ROOT_HALF_LOG2E = tl.constexpr(math.sqrt(0.5 / math.log(2.0)))
_TILE = tl.constexpr(TILE)
_RECORD = tl.constexpr(RECORD)
_LATITUDE_STEPS = tl.constexpr(24)  # of the search for a stereo latitude, enough for single precision


def pack(scene: Scene4D, device: torch.device) -> Tensor:
    """[29, N] the scene's tensors on ``device``, one row a number, so that neighbouring threads read neighbours."""
    packed = torch.empty(PACKED, len(scene), device=device)
    for name, row in ROWS.items():
        values = torch.from_numpy(getattr(scene, name).reshape(len(scene), math.prod(scene.TENSORS[name])))
        packed[row : row + values.shape[1]] = values.to(device).T
    return packed


@triton.jit
def atan2(y, x):
    """Angle of (x, y) within 2e-7 (Cephes' atanf: a polynomial up to tan(pi/8), and an eighth of a turn beyond)."""
    ax, ay = tl.abs(x), tl.abs(y)
    small, large = tl.minimum(ax, ay), tl.maximum(ax, ay)
    beyond = small > 0.41421356 * large
    v = tl.where(beyond, small - large, small) / tl.where(beyond, small + large, tl.where(large > 0, large, 1.0))
    z = v * v
    angle = (((0.0805374449538 * z - 0.138776856032) * z + 0.199777106478) * z - 0.333329491539) * z * v + v
    angle = tl.where(beyond, angle + 0.25 * PI, angle)
    angle = tl.where(ay > ax, 0.5 * PI - angle, angle)
    angle = tl.where(x < 0, PI - angle, angle)
    return tl.where(y < 0, -angle, angle)


@triton.jit
def _asin(x):
    return atan2(x, tl.sqrt(tl.maximum(1.0 - x * x, 0.0)))


@triton.jit
def _eye_offset(eye, phi):
    latitude = tl.abs(phi)
    angle = _MERGE_RATE * tl.minimum(tl.maximum(latitude - _MERGE_FROM, 0.0), _MERGE_TO - _MERGE_FROM)
    inside = latitude < _MERGE_TO
    radius = tl.where(inside, eye * tl.cos(angle), 0.0)
    slope = tl.where(inside & (latitude > _MERGE_FROM), -eye * _MERGE_RATE * tl.sin(angle), 0.0)
    return radius, tl.where(phi > 0, slope, -slope)


@triton.jit
def _stereo_latitude(eye, rho, up):
    """(latitude, whether the point is outside the eye circle)."""
    height = tl.abs(up)
    low = tl.zeros_like(rho)
    high = low + 0.5 * PI
    phi = atan2(height, rho)
    for _ in range(_LATITUDE_STEPS):
        e, _slope = _eye_offset(eye, phi)
        square = rho * rho - e * e
        outside = square > 0
        new = atan2(height, tl.sqrt(tl.maximum(square, 0.0)))
        raises = (outside & (new > phi)) | (square <= 0)
        low = tl.where(raises, phi, low)
        high = tl.where(raises, high, phi)
        phi = tl.where(outside & (new >= low) & (new <= high), new, 0.5 * (low + high))
    e, _slope = _eye_offset(eye, phi)
    return tl.where(up >= 0, phi, -phi), (rho * rho > e * e) | (e == 0)


@triton.jit
def _spread_2d(w, x, y, z, s0, s1, s2, r1x, r1y, r1z, r2x, r2y, r2z):
    """(c11, c12, c22): covariance of a Gaussian seen through two rows of a Jacobian."""
    p0 = (r1x * (1 - 2 * (y * y + z * z)) + r1y * 2 * (x * y + w * z) + r1z * 2 * (x * z - w * y)) * s0
    q0 = (r2x * (1 - 2 * (y * y + z * z)) + r2y * 2 * (x * y + w * z) + r2z * 2 * (x * z - w * y)) * s0
    p1 = (r1x * 2 * (x * y - w * z) + r1y * (1 - 2 * (x * x + z * z)) + r1z * 2 * (y * z + w * x)) * s1
    q1 = (r2x * 2 * (x * y - w * z) + r2y * (1 - 2 * (x * x + z * z)) + r2z * 2 * (y * z + w * x)) * s1
    p2 = (r1x * 2 * (x * z + w * y) + r1y * 2 * (y * z - w * x) + r1z * (1 - 2 * (x * x + y * y))) * s2
    q2 = (r2x * 2 * (x * z + w * y) + r2y * 2 * (y * z - w * x) + r2z * (1 - 2 * (x * x + y * y))) * s2
    return p0 * p0 + p1 * p1 + p2 * p2, p0 * q0 + p1 * q1 + p2 * q2, q0 * q0 + q1 * q1 + q2 * q2


@triton.jit
def _moved(scene, n, i, here, t):
    """Position, quaternion and opacity of splats i at scene time t."""
    d = t - tl.load(scene + 24 * n + i, mask=here, other=0.0)
    share = d * tl.exp(-tl.load(scene + 25 * n + i, mask=here, other=0.0))
    opacity = tl.exp(-share * share) / (1 + tl.exp(-tl.load(scene + 23 * n + i, mask=here, other=0.0)))
    x = tl.load(scene + i, mask=here, other=0.0)
    y = tl.load(scene + n + i, mask=here, other=0.0)
    z = tl.load(scene + 2 * n + i, mask=here, other=0.0)
    power = d
    for k in tl.static_range(3):
        x += power * tl.load(scene + (3 + 3 * k) * n + i, mask=here, other=0.0)
        y += power * tl.load(scene + (4 + 3 * k) * n + i, mask=here, other=0.0)
        z += power * tl.load(scene + (5 + 3 * k) * n + i, mask=here, other=0.0)
        power *= d
    qw = tl.load(scene + 12 * n + i, mask=here, other=1.0) + d * tl.load(scene + 16 * n + i, mask=here, other=0.0)
    qx = tl.load(scene + 13 * n + i, mask=here, other=0.0) + d * tl.load(scene + 17 * n + i, mask=here, other=0.0)
    qy = tl.load(scene + 14 * n + i, mask=here, other=0.0) + d * tl.load(scene + 18 * n + i, mask=here, other=0.0)
    qz = tl.load(scene + 15 * n + i, mask=here, other=0.0) + d * tl.load(scene + 19 * n + i, mask=here, other=0.0)
    norm = tl.sqrt(qw * qw + qx * qx + qy * qy + qz * qz)
    real = norm > 1e-8
    scale = 1 / tl.maximum(norm, 1e-8)
    qw, qx, qy, qz = tl.where(real, qw * scale, 1.0), qx * scale, qy * scale, qz * scale
    return x, y, z, qw, tl.where(real, qx, 0.0), tl.where(real, qy, 0.0), tl.where(real, qz, 0.0), opacity


@triton.jit
def _keep(scene, n, records, boxes, depths, counts, i, here, seen, forms, opacity, reach, distance, depth, box, width):
    """Write the record of splats i, the tiles of their box (x0, columns, y0, rows), and their depth."""
    x0, columns, y0, rows = box
    seen = seen & (columns > 0) & (rows > 0)
    x1 = x0 + columns
    first = x0 // _TILE
    last = (tl.minimum(x1, width) - 1) // _TILE
    again = tl.where(x1 > width, tl.minimum((x1 - width - 1) // _TILE, first - 1), -1)  # the part beyond the seam
    across = last - first + 1
    top = y0 // _TILE
    down = (y0 + rows - 1) // _TILE - top + 1
    tl.store(boxes + 4 * i, first, mask=seen)
    tl.store(boxes + 4 * i + 1, across, mask=seen)
    tl.store(boxes + 4 * i + 2, across + again + 1, mask=seen)
    tl.store(boxes + 4 * i + 3, top, mask=seen)
    tl.store(counts + i, tl.where(seen, down * (across + again + 1), 0), mask=here)
    tl.store(depths + i, tl.where(seen, depth, float("inf")), mask=here)
    record = records + _RECORD * i
    for k in tl.static_range(9):
        tl.store(record + k, forms[k] * (_ROOT_HALF_LOG2E if k < 6 else 1.0), mask=seen)
    tl.store(record + 9, opacity, mask=seen)
    tl.store(record + 10, reach * _HALF_LOG2E, mask=seen)
    tl.store(record + 11, distance, mask=seen)
    for k in tl.static_range(3):
        tl.store(record + 12 + k, tl.load(scene + (26 + k) * n + i, mask=seen, other=0.0), mask=seen)


@triton.jit
def _latitude_limit(sin0, cos0, phi0, kx, ky):
    top = sin0 + ky * cos0
    under = _asin(top / tl.sqrt(1 + kx * kx + ky * ky))
    return tl.where(top >= 0, tl.minimum(phi0 + atan2(ky, tl.zeros_like(ky) + 1.0), 0.5 * PI), under)


@triton.jit
def _equirect_box(lam, phi, sin_phi, cos_phi, c11, c12, c22, reach, width, height, HALF: tl.constexpr):
    kx, ky = tl.sqrt(reach * c11), tl.sqrt(reach * c22)
    top = _latitude_limit(sin_phi, cos_phi, phi, kx, ky)
    bottom = -_latitude_limit(-sin_phi, cos_phi, -phi, kx, ky)
    y0 = tl.maximum(tl.ceil((0.5 - top / PI) * height - 0.5).to(tl.int32), 0)
    y1 = tl.minimum(tl.floor((0.5 - bottom / PI) * height - 0.5).to(tl.int32) + 1, height)
    full = 2 * height
    square = cos_phi * cos_phi - reach * c22 * sin_phi * sin_phi
    part = square > 1e-6
    safe = tl.where(part, square, 1.0)
    half = reach * c12 * sin_phi
    root = tl.sqrt(tl.maximum(half * half + square * reach * c11, 0.0))
    one = tl.zeros_like(lam) + 1.0
    left, right = atan2((half - root) / safe, one), atan2((half + root) / safe, one)
    x0 = tl.ceil(((lam + left) / (2 * PI) + 0.5) * full - 0.5).to(tl.int32)
    columns = tl.floor(((lam + right) / (2 * PI) + 0.5) * full - 0.5).to(tl.int32) + 1 - x0
    x0 = tl.where(part, x0, 0)
    columns = tl.where(part, tl.minimum(columns, full), full)
    x0 = (x0 - (full - width) // 2 + 2 * full) % full
    if HALF:
        behind = x0 + columns > full
        columns = tl.where(behind & (x0 >= width), x0 + columns - full, tl.where(behind, width, columns))
        x0 = tl.where(behind, 0, x0)
        columns = tl.minimum(columns, width - x0)
    return x0, columns, y0, y1 - y0


@triton.jit
def _fisheye_box(ux, uy, uz, angle, size, pixel):
    flat = tl.sqrt(ux * ux + uy * uy)
    theta = atan2(flat, uz)
    outer = theta + angle
    seen = theta - angle <= 0.5 * (size + 1) * pixel
    whole = outer > 0.95 * PI
    half = angle * outer / tl.sin(tl.minimum(outer, 0.95 * PI)) / pixel + 1
    scale = tl.where(flat > 1e-9, theta / (tl.maximum(flat, 1e-9) * pixel), 0.0)
    x, y = 0.5 * size + ux * scale, 0.5 * size + uy * scale
    x0 = tl.where(whole, 0, tl.maximum(tl.floor(x - half).to(tl.int32), 0))
    y0 = tl.where(whole, 0, tl.maximum(tl.floor(y - half).to(tl.int32), 0))
    x1 = tl.where(whole, size, tl.minimum(tl.ceil(x + half).to(tl.int32), size))
    y1 = tl.where(whole, size, tl.minimum(tl.ceil(y + half).to(tl.int32), size))
    return x0, tl.where(seen, x1 - x0, 0), y0, y1 - y0


@triton.jit
def _face_side(across, along, sine, size):
    flat = tl.sqrt(across * across + along * along)
    whole = flat <= sine
    middle, half = atan2(across, along), _asin(sine / tl.maximum(flat, sine))
    seen = whole | ((middle - half < 0.25 * PI) & (middle + half > -0.25 * PI))
    low = tl.minimum(tl.maximum(middle - half, -0.25 * PI), 0.25 * PI)
    high = tl.minimum(tl.maximum(middle + half, -0.25 * PI), 0.25 * PI)
    first = tl.floor(0.5 * (tl.sin(low) / tl.cos(low) + 1) * size - 0.5).to(tl.int32)
    last = tl.ceil(0.5 * (tl.sin(high) / tl.cos(high) + 1) * size + 0.5).to(tl.int32)
    first = tl.where(whole, 0, tl.maximum(first, 0))
    last = tl.where(whole, size, tl.minimum(last, size))
    return first, tl.where(seen, last - first, 0)


@triton.jit
def _project_sphere(
    scene, records, boxes, depths, counts, n, t,
    m00, m01, m02, m10, m11, m12, m20, m21, m22, ox, oy, oz, near, far,
    eye, pixel, width, height, low_pass,
    LENS: tl.constexpr, STEREO: tl.constexpr, HALF: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Records, tiles and depths of a block of splats for a camera that sees (part of) a sphere."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < n
    px, py, pz, qw, qx, qy, qz, opacity = _moved(scene, n, i, here, t)
    reach = 2 * tl.log(tl.maximum(opacity, 1e-30) / _OPACITY_MIN)
    dx, dy, dz = px - ox, py - oy, pz - oz
    x = m00 * dx + m01 * dy + m02 * dz
    up = -(m10 * dx + m11 * dy + m12 * dz)
    z = m20 * dx + m21 * dy + m22 * dz
    rho = tl.sqrt(x * x + z * z)
    seen = here & (reach > 0)
    flat, turn, slope = rho, tl.zeros_like(rho), tl.zeros_like(rho)
    if STEREO:
        latitude, outside = _stereo_latitude(eye, rho, up)
        e, slope = _eye_offset(eye, latitude)
        seen = seen & outside
        e = tl.where(outside, e, 0.0)
        flat = tl.sqrt(rho * rho - e * e)
        turn = tl.where(e != 0, e / flat, 0.0)
        # Turn the azimuth by asin(e / rho): cosine flat / rho, sine e / rho.
        sin_lam = tl.where(rho > 0, (x * flat - z * e) / (rho * rho), 0.0)
        cos_lam = tl.where(rho > 0, (z * flat + x * e) / (rho * rho), 1.0)
    else:
        sin_lam = tl.where(rho > 0, x / rho, 0.0)
        cos_lam = tl.where(rho > 0, z / rho, 1.0)
    distance = tl.sqrt(flat * flat + up * up)
    seen = seen & (distance > near) & (distance < far)
    sin_phi, cos_phi = up / distance, flat / distance
    scale = 1 / (distance * distance - up * turn * slope)
    nx = -up * (sin_lam + turn * cos_lam) * scale
    ny = -flat * scale
    nz = -up * (cos_lam - turn * sin_lam) * scale
    ex = (cos_lam - slope * nx) / distance
    ey = -slope * ny / distance
    ez = (-sin_lam - slope * nz) / distance
    s0 = tl.exp(tl.load(scene + 20 * n + i, mask=here, other=0.0))
    s1 = tl.exp(tl.load(scene + 21 * n + i, mask=here, other=0.0))
    s2 = tl.exp(tl.load(scene + 22 * n + i, mask=here, other=0.0))
    c11, c12, c22 = _spread_2d(
        qw, qx, qy, qz, s0, s1, s2,
        ex * m00 + ey * m10 + ez * m20, ex * m01 + ey * m11 + ez * m21, ex * m02 + ey * m12 + ez * m22,
        nx * m00 + ny * m10 + nz * m20, nx * m01 + ny * m11 + nz * m21, nx * m02 + ny * m12 + nz * m22,
    )  # fmt: skip
    floor = low_pass * pixel * pixel
    c11 += floor
    c22 += floor
    l11 = tl.sqrt(c11)
    l21 = c12 / l11
    rest = c22 - l21 * l21
    seen = seen & (rest > 0) & (c11 < float("inf"))
    l22 = tl.sqrt(tl.maximum(rest, 1e-30))
    reach = tl.where(seen, reach, 1.0)
    ux, uy, uz = cos_phi * sin_lam, -sin_phi, cos_phi * cos_lam
    if LENS == EQUIRECT:
        lam, phi = atan2(sin_lam, cos_lam), atan2(up, flat)
        x0, columns, y0, rows = _equirect_box(lam, phi, sin_phi, cos_phi, c11, c12, c22, reach, width, height, HALF)
    else:
        half = 0.5 * (c11 - c22)
        widest = 0.5 * (c11 + c22) + tl.sqrt(half * half + c12 * c12)
        root = tl.sqrt(reach * widest)
        if LENS == FISHEYE:
            x0, columns, y0, rows = _fisheye_box(ux, uy, uz, atan2(root, tl.zeros_like(root) + 1.0), width, pixel)
        else:
            sine = root / tl.sqrt(1 + root * root)
            x0, columns = _face_side(ux, uz, sine, width)
            y0, rows = _face_side(uy, uz, sine, height)
    k = l21 / l11
    forms = (
        cos_lam / l11, tl.zeros_like(l11), -sin_lam / l11,
        (-sin_phi * sin_lam - k * cos_lam) / l22, -cos_phi / l22, (-sin_phi * cos_lam + k * sin_lam) / l22,
        ux, uy, uz,
    )  # fmt: skip
    box = (x0, columns, y0, rows)
    _keep(
        scene, n, records, boxes, depths, counts, i, here, seen, forms, opacity, reach, distance, distance, box, width
    )


@triton.jit
def _project_perspective(
    scene, records, boxes, depths, counts, n, t,
    m00, m01, m02, m10, m11, m12, m20, m21, m22, ox, oy, oz, near, far,
    focal, center_x, center_y, width, height, low_pass,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Records, tiles and depths of a block of splats for a pinhole."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < n
    px, py, pz, qw, qx, qy, qz, opacity = _moved(scene, n, i, here, t)
    reach = 2 * tl.log(tl.maximum(opacity, 1e-30) / _OPACITY_MIN)
    dx, dy, dz = px - ox, py - oy, pz - oz
    z = m20 * dx + m21 * dy + m22 * dz
    seen = here & (reach > 0) & (z > near) & (z < far)
    z = tl.where(seen, z, 1.0)
    x = (m00 * dx + m01 * dy + m02 * dz) / z
    y = (m10 * dx + m11 * dy + m12 * dz) / z
    margin_x, margin_y = 0.15 * width / focal, 0.15 * height / focal
    tx = tl.minimum(tl.maximum(x, -center_x / focal - margin_x), (width - center_x) / focal + margin_x)
    ty = tl.minimum(tl.maximum(y, -center_y / focal - margin_y), (height - center_y) / focal + margin_y)
    scale = focal / z
    s0 = tl.exp(tl.load(scene + 20 * n + i, mask=here, other=0.0))
    s1 = tl.exp(tl.load(scene + 21 * n + i, mask=here, other=0.0))
    s2 = tl.exp(tl.load(scene + 22 * n + i, mask=here, other=0.0))
    c11, c12, c22 = _spread_2d(
        qw, qx, qy, qz, s0, s1, s2,
        (m00 - tx * m20) * scale, (m01 - tx * m21) * scale, (m02 - tx * m22) * scale,
        (m10 - ty * m20) * scale, (m11 - ty * m21) * scale, (m12 - ty * m22) * scale,
    )  # fmt: skip
    c11 += low_pass
    c22 += low_pass
    l11 = tl.sqrt(c11)
    l21 = c12 / l11
    rest = c22 - l21 * l21
    seen = seen & (rest > 0) & (c11 < float("inf"))
    l22 = tl.sqrt(tl.maximum(rest, 1e-30))
    reach = tl.where(seen, reach, 1.0)
    cx, cy = focal * x + center_x, focal * y + center_y
    kx, ky = tl.sqrt(reach * c11), tl.sqrt(reach * c22)
    seen = seen & (cx + kx > 0) & (cx - kx < width) & (cy + ky > 0) & (cy - ky < height)
    x0 = tl.maximum(tl.ceil(tl.maximum(cx - kx, 0.0) - 0.5).to(tl.int32), 0)
    y0 = tl.maximum(tl.ceil(tl.maximum(cy - ky, 0.0) - 0.5).to(tl.int32), 0)
    x1 = tl.minimum(tl.floor(tl.minimum(cx + kx, width) - 0.5).to(tl.int32) + 1, width)
    y1 = tl.minimum(tl.floor(tl.minimum(cy + ky, height) - 0.5).to(tl.int32) + 1, height)
    k = l21 / l11
    zero = tl.zeros_like(l11)
    forms = (
        focal / l11, zero, -focal * x / l11,
        -k * focal / l22, focal / l22, focal * (k * x - y) / l22,
        zero, zero, zero + 1.0,
    )  # fmt: skip
    distance = z * tl.sqrt(1 + x * x + y * y)
    box = (x0, x1 - x0, y0, y1 - y0)
    _keep(scene, n, records, boxes, depths, counts, i, here, seen, forms, opacity, reach, distance, z, box, width)


def project(packed: Tensor, t: float, camera: Camera, low_pass: float = LOW_PASS) -> tuple[Tensor, ...]:
    """(records [N, 16], tile boxes [N, 4] int32, depths [N], tile counts [N] int32) at scene time ``t``.

    ``packed`` [29, N] is from :func:`pack`. A tile box is (first column, columns before the seam, columns, first row).
    A splat that is not in the picture has depth +inf and no tiles; its record and box are not written.
    """
    n, device = packed.shape[1], packed.device
    records = torch.empty(n, RECORD, device=device)
    boxes = torch.empty(n, 4, dtype=torch.int32, device=device)
    depths = torch.empty(n, device=device)
    counts = torch.empty(n, dtype=torch.int32, device=device)
    if n == 0:
        return records, boxes, depths, counts
    pose = np.asarray(camera.pose, np.float64)
    head: tuple[Any, ...] = (packed, records, boxes, depths, counts, n, float(t))
    place = (*pose[:3, :3].T.ravel().tolist(), *pose[:3, 3].tolist(), float(camera.near), float(camera.far))
    grid = (triton.cdiv(n, BLOCK),)
    size = (camera.width, camera.height)
    if isinstance(camera, PerspectiveCamera):
        optics: tuple[float, ...] = (camera.focal, *camera.center)
        _project_perspective[grid](*head, *place, *optics, *size, low_pass, BLOCK=BLOCK)
    else:
        eye = float(getattr(camera, "eye", 0.0))
        optics = (eye, camera.pixel)
        kind = {"LENS": lens_of(camera), "STEREO": eye != 0, "HALF": getattr(camera, "half", False)}
        _project_sphere[grid](*head, *place, *optics, *size, low_pass, **kind, BLOCK=BLOCK)
    return records, boxes, depths, counts
