"""From 3-D Gaussians to footprints: the projection half of the rasterizer (numba).

A footprint is three linear forms a, b, u over the viewing direction d of a pixel (camera axes, any length):

    q(d) = ((a.d)^2 + (b.d)^2) / (u.d)^2,      alpha = min(0.99, opacity exp(-q/2)),      visible where u.d > 0.

**Sphere** (equirect, fisheye, cube face). u is the unit direction to the splat; a, b span its tangent plane, whitened
by the 2-D covariance C = J S J^T + low-pass, J the exact Jacobian of the viewing angles. (a.d/u.d, b.d/u.d) is then the
gnomonic offset of the pixel: what a pinhole looking straight at the splat sees, so poles and seam are ordinary places
and the linearised map is never evaluated far from where it was linearised (cf. Huang et al., "On the Error Analysis of
3D Gaussian Splatting and an Optimal Projection Strategy", ECCV 2024).
The low-pass is isotropic on the sphere: ``low_pass`` (0.3) times the square of the angular height of a pixel (pi/H in
a panorama), in both directions, everywhere. A rotation of the camera thus rotates the picture and changes nothing else;
near the poles, where pixels get narrower but no lower, the picture stays as sharp as its rows allow. The three lenses
differ only in the box of pixels that a footprint can touch and in the directions of the pixels.

**Perspective.** EWA as in Kerbl et al. 2023: u = (0, 0, 1), and a, b measure pixels from the projected centre; the
centre's x/z and y/z are clamped to 1.3 tan(fov/2) in the Jacobian.

**Omnidirectional stereo** (EquirectCamera.eye): the column at longitude lam is seen from the point
e (cos lam, -sin lam) of the eye circle, looking outwards. A point at horizontal distance rho and azimuth lam0 appears
at lam = lam0 - asin(e/rho), at horizontal distance sqrt(rho^2 - e^2). e shrinks with latitude phi:
e = eye up to 60 degrees, eye cos(pi/2 (|phi| - 60)/15) up to 75, 0 beyond: the "pole merge" of Cycles' spherical
stereo at its default angles, so that objects rendered there fit. e(phi) falls with |phi|, hence tan(phi)
sqrt(rho^2 - e(phi)^2) = height has one solution, found by bracketed fixed-point iteration.
"""

import math

import numpy as np
from numpy.typing import NDArray

from holotime.render.cameras import Camera, EquirectCamera, FaceCamera, FisheyeCamera, PerspectiveCamera
from holotime.render.jit import compiled, spread
from holotime.scene4d import Gaussians

LOW_PASS = 0.3  # px^2 added to the footprint's covariance (Kerbl et al. 2023)
ALPHA_MIN = 1 / 255  # fainter contributions are skipped
MERGE_FROM = math.radians(60)  # latitude where the stereo base begins to shrink
MERGE_TO = math.radians(75)  # latitude where it is zero
SMALL = 0.04  # radians up to which an angle of a box may stand for its tangent: wrong by 2e-5
FOOTPRINT = 12  # floats of a footprint: a (3), b (3), u (3), opacity, largest q, distance
EQUIRECT, FISHEYE, FACE = 0, 1, 2  # lenses of a sphere


@compiled()
def eye_offset(eye, phi):
    """(e, de/dphi): the signed radius in metres of the eye circle for a view at latitude ``phi``, and its slope."""
    latitude = abs(phi)
    if latitude <= MERGE_FROM:
        return eye, 0.0
    if latitude >= MERGE_TO:
        return 0.0, 0.0
    rate = 0.5 * math.pi / (MERGE_TO - MERGE_FROM)
    angle = rate * (latitude - MERGE_FROM)
    slope = -eye * rate * math.sin(angle)
    return eye * math.cos(angle), slope if phi > 0 else -slope


@compiled()
def stereo_latitude(eye, rho, up):
    """Latitude at which a point ``rho`` metres away horizontally and ``up`` metres above is seen on the eye circle.

    NaN for a point inside the circle, which no ray of this eye meets.
    """
    height = abs(up)
    low, high = 0.0, 0.5 * math.pi  # the root of tan(phi) sqrt(rho^2 - e(phi)^2) = height lies between
    phi = math.atan2(height, rho)
    for _ in range(60):
        e = eye_offset(eye, phi)[0]
        square = rho * rho - e * e
        if square > 0:
            new = math.atan2(height, math.sqrt(square))
            if new > phi:
                low = phi
            else:
                high = phi
        else:
            new = math.nan
            low = phi
        if abs(new - phi) < 1e-9:
            break
        phi = new if low <= new <= high else 0.5 * (low + high)
    e = eye_offset(eye, phi)[0]
    if rho * rho <= e * e and e != 0.0:
        return math.nan
    return phi if up >= 0 else -phi


@compiled()
def _spread_2d(quat, scale, r1, r2):
    """(c11, c12, c22): covariance of a Gaussian (wxyz, metres) seen through the rows r1, r2 [3] of a Jacobian."""
    w, x, y, z = quat[0], quat[1], quat[2], quat[3]
    c11, c12, c22 = 0.0, 0.0, 0.0
    for k in range(3):
        if k == 0:
            m0, m1, m2 = 1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)
        elif k == 1:
            m0, m1, m2 = 2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)
        else:
            m0, m1, m2 = 2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)
        p = (r1[0] * m0 + r1[1] * m1 + r1[2] * m2) * scale[k]
        q = (r2[0] * m0 + r2[1] * m1 + r2[2] * m2) * scale[k]
        c11 += p * p
        c12 += p * q
        c22 += q * q
    return c11, c12, c22


@compiled()
def _arc(tangent):
    """The arc of a tangent; a small one is taken for it, which makes a box larger by a twentieth of a pixel at most."""
    return tangent if abs(tangent) < SMALL else math.atan(tangent)


@compiled()
def _latitude_limit(sin0, cos0, phi0, kx, ky):
    """Upper limit of the latitude in a tangent rectangle of half sizes kx, ky (gnomonic) around latitude phi0."""
    top = sin0 + ky * cos0
    if top >= 0:
        return min(phi0 + _arc(ky), 0.5 * math.pi)
    return math.asin(top / math.sqrt(1 + kx * kx + ky * ky))


@compiled(error_model="numpy")
def _equirect_box(lam, phi, sin_phi, cos_phi, c11, c12, c22, reach, width, height):
    """(first column, columns, first row, rows) in a panorama, or in its middle where ``width`` is less than 2 H."""
    kx, ky = math.sqrt(reach * c11), math.sqrt(reach * c22)
    top = _latitude_limit(sin_phi, cos_phi, phi, kx, ky)
    bottom = -_latitude_limit(-sin_phi, cos_phi, -phi, kx, ky)
    y0 = max(0, math.ceil((0.5 - top / math.pi) * height - 0.5))
    y1 = min(height, math.floor((0.5 - bottom / math.pi) * height - 0.5) + 1)
    # Vertical planes that touch the cone q = reach: a quadratic in the tangent of the longitude offset.
    full = 2 * height
    square = cos_phi * cos_phi - reach * c22 * sin_phi * sin_phi
    x0, columns = 0, full
    if square > 1e-9:
        half = reach * c12 * sin_phi
        root = math.sqrt(half * half + square * reach * c11)
        left, right = _arc((half - root) / square), _arc((half + root) / square)
        x0 = math.ceil(((lam + left) / (2 * math.pi) + 0.5) * full - 0.5)
        columns = min(math.floor(((lam + right) / (2 * math.pi) + 0.5) * full - 0.5) + 1 - x0, full)
    x0 = (x0 - (full - width) // 2) % full
    if width < full:
        if x0 + columns > full:  # goes round the back: the picture's left side, and perhaps its right side as well
            x0, columns = (0, width) if x0 < width else (0, x0 + columns - full)
        columns = min(columns, width - x0)
    return x0, columns, y0, y1 - y0


@compiled(error_model="numpy")
def _fisheye_box(ux, uy, uz, angle, size, pixel):
    """(first column, columns, first row, rows) of a cone of half ``angle`` around unit (ux, uy, uz) in a dome master.

    The map stretches at most by w/sin(w) at the angle w from the axis, and the cone reaches at most theta + angle.
    """
    flat = math.hypot(ux, uy)
    theta = math.atan2(flat, uz)
    outer = theta + angle
    if theta - angle > 0.5 * (size + 1) * pixel:
        return 0, 0, 0, 0
    if outer > 0.95 * math.pi:
        return 0, size, 0, size
    half = angle * outer / math.sin(outer) / pixel + 1
    scale = theta / (flat * pixel) if flat > 1e-9 else 0.0
    x, y = 0.5 * size + ux * scale, 0.5 * size + uy * scale
    x0, y0 = max(0, math.floor(x - half)), max(0, math.floor(y - half))
    return x0, min(size, math.ceil(x + half)) - x0, y0, min(size, math.ceil(y + half)) - y0


@compiled(error_model="numpy")
def _face_side(across, along, sine, size):
    """(first pixel, pixels) along one axis of a cube face that a cone with that ``sine`` of its half angle touches."""
    flat = math.hypot(across, along)
    if flat <= sine:
        return 0, size
    middle, half = math.atan2(across, along), math.asin(sine / flat)
    if middle - half >= 0.25 * math.pi or middle + half <= -0.25 * math.pi:
        return 0, 0
    low, high = math.tan(max(middle - half, -0.25 * math.pi)), math.tan(min(middle + half, 0.25 * math.pi))
    first = max(0, math.floor(0.5 * (low + 1) * size - 0.5))
    return first, min(size, math.ceil(0.5 * (high + 1) * size + 0.5)) - first


@compiled(error_model="numpy")
def project_sphere(
    start,
    stop,
    means,
    quats,
    scales,
    opacities,
    rotation,
    origin,
    near,
    far,
    lens,
    eye,
    pixel,
    width,
    height,
    low_pass,
    footprints,
    boxes,
    depths,
):
    """Footprints of splats [start, stop). ``rotation`` [3, 3] world-to-camera; ``depths`` stays inf where unseen."""
    r1, r2 = np.empty(3), np.empty(3)
    floor = low_pass * pixel**2
    for i in range(start, stop):
        depths[i] = np.inf
        reach = 2 * math.log(opacities[i] / ALPHA_MIN)
        if not reach > 0:
            continue
        dx, dy, dz = means[i, 0] - origin[0], means[i, 1] - origin[1], means[i, 2] - origin[2]
        x = rotation[0, 0] * dx + rotation[0, 1] * dy + rotation[0, 2] * dz
        up = -(rotation[1, 0] * dx + rotation[1, 1] * dy + rotation[1, 2] * dz)
        z = rotation[2, 0] * dx + rotation[2, 1] * dy + rotation[2, 2] * dz
        rho = math.sqrt(x * x + z * z)
        lam = math.atan2(x, z)
        sin_lam, cos_lam = (x / rho, z / rho) if rho > 0 else (0.0, 1.0)
        e, slope = 0.0, 0.0
        if eye != 0.0:
            seen = stereo_latitude(eye, rho, up)
            if not abs(seen) <= math.pi:  # inside the eye circle
                continue
            e, slope = eye_offset(eye, seen)
        flat, turn = rho, 0.0
        if e != 0.0:
            lam -= math.asin(e / rho)
            sin_lam, cos_lam = math.sin(lam), math.cos(lam)
            flat = math.sqrt(rho * rho - e * e)
            turn = e / flat
        distance = math.sqrt(flat * flat + up * up)
        if not near < distance < far:
            continue
        phi = math.atan2(up, flat)
        sin_phi, cos_phi = up / distance, flat / distance
        # Rows of J in camera axes. East: cos(phi) dlam; north: dphi. "turn" is the eye that walks round its circle,
        # "slope" the circle that shrinks towards the poles; both vanish for a single eye.
        scale = 1 / (distance * distance - up * turn * slope)
        nx = -up * (sin_lam + turn * cos_lam) * scale
        ny = -flat * scale
        nz = -up * (cos_lam - turn * sin_lam) * scale
        ex = (cos_lam - slope * nx) / distance
        ey = -slope * ny / distance
        ez = (-sin_lam - slope * nz) / distance
        for k in range(3):  # into world axes
            r1[k] = ex * rotation[0, k] + ey * rotation[1, k] + ez * rotation[2, k]
            r2[k] = nx * rotation[0, k] + ny * rotation[1, k] + nz * rotation[2, k]
        c11, c12, c22 = _spread_2d(quats[i], scales[i], r1, r2)
        c11 += floor
        c22 += floor
        l11 = math.sqrt(c11)
        l21 = c12 / l11
        rest = c22 - l21 * l21
        if not (rest > 0 and c11 < np.inf):
            continue
        l22 = math.sqrt(rest)

        if lens == EQUIRECT:
            x0, columns, y0, rows = _equirect_box(lam, phi, sin_phi, cos_phi, c11, c12, c22, reach, width, height)
        else:
            half = 0.5 * (c11 - c22)
            widest = 0.5 * (c11 + c22) + math.sqrt(half * half + c12 * c12)
            angle = math.atan(math.sqrt(reach * widest))
            ux, uy, uz = cos_phi * sin_lam, -sin_phi, cos_phi * cos_lam
            if lens == FISHEYE:
                x0, columns, y0, rows = _fisheye_box(ux, uy, uz, angle, width, pixel)
            else:
                x0, columns = _face_side(ux, uz, math.sin(angle), width)
                y0, rows = _face_side(uy, uz, math.sin(angle), height)
        if rows <= 0 or columns <= 0:
            continue
        boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3] = x0, columns, y0, rows

        f = footprints[i]
        f[0], f[1], f[2] = cos_lam / l11, 0.0, -sin_lam / l11
        k = l21 / l11
        f[3] = (-sin_phi * sin_lam - k * cos_lam) / l22
        f[4] = -cos_phi / l22
        f[5] = (-sin_phi * cos_lam + k * sin_lam) / l22
        f[6], f[7], f[8] = cos_phi * sin_lam, -sin_phi, cos_phi * cos_lam
        f[9], f[10], f[11] = opacities[i], reach, distance
        depths[i] = distance


@compiled(error_model="numpy")
def project_perspective(
    start,
    stop,
    means,
    quats,
    scales,
    opacities,
    rotation,
    origin,
    near,
    far,
    focal,
    center_x,
    center_y,
    width,
    height,
    low_pass,
    footprints,
    boxes,
    depths,
):
    """Footprints of splats [start, stop). ``rotation`` [3, 3] world-to-camera; ``depths`` stays inf where unseen."""
    r1, r2 = np.empty(3), np.empty(3)
    margin_x, margin_y = 0.3 * 0.5 * width / focal, 0.3 * 0.5 * height / focal
    most_x, most_y = (width - center_x) / focal + margin_x, (height - center_y) / focal + margin_y
    least_x, least_y = -center_x / focal - margin_x, -center_y / focal - margin_y
    for i in range(start, stop):
        depths[i] = np.inf
        reach = 2 * math.log(opacities[i] / ALPHA_MIN)
        if not reach > 0:
            continue
        dx, dy, dz = means[i, 0] - origin[0], means[i, 1] - origin[1], means[i, 2] - origin[2]
        z = rotation[2, 0] * dx + rotation[2, 1] * dy + rotation[2, 2] * dz
        if not near < z < far:
            continue
        x = (rotation[0, 0] * dx + rotation[0, 1] * dy + rotation[0, 2] * dz) / z
        y = (rotation[1, 0] * dx + rotation[1, 1] * dy + rotation[1, 2] * dz) / z
        tx, ty = min(max(x, least_x), most_x), min(max(y, least_y), most_y)
        for k in range(3):
            r1[k] = (rotation[0, k] - tx * rotation[2, k]) * focal / z
            r2[k] = (rotation[1, k] - ty * rotation[2, k]) * focal / z
        c11, c12, c22 = _spread_2d(quats[i], scales[i], r1, r2)
        c11 += low_pass
        c22 += low_pass
        l11 = math.sqrt(c11)
        l21 = c12 / l11
        rest = c22 - l21 * l21
        if not (rest > 0 and c11 < np.inf):
            continue
        l22 = math.sqrt(rest)

        px, py = focal * x + center_x, focal * y + center_y
        kx, ky = math.sqrt(reach * c11), math.sqrt(reach * c22)
        if not (px + kx > 0 and px - kx < width and py + ky > 0 and py - ky < height):
            continue
        x0, x1 = max(0, math.ceil(max(px - kx, 0.0) - 0.5)), math.floor(min(px + kx, float(width)) - 0.5) + 1
        y0, y1 = max(0, math.ceil(max(py - ky, 0.0) - 0.5)), math.floor(min(py + ky, float(height)) - 0.5) + 1
        x1, y1 = min(x1, width), min(y1, height)
        if x1 <= x0 or y1 <= y0:
            continue
        boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3] = x0, x1 - x0, y0, y1 - y0

        f = footprints[i]
        k = l21 / l11
        f[0], f[1], f[2] = focal / l11, 0.0, -focal * x / l11
        f[3], f[4], f[5] = -k * focal / l22, focal / l22, focal * (k * x - y) / l22
        f[6], f[7], f[8] = 0.0, 0.0, 1.0
        f[9], f[10], f[11] = opacities[i], reach, z * math.sqrt(1 + x * x + y * y)
        depths[i] = z


def project(
    gaussians: Gaussians, camera: Camera, low_pass: float = LOW_PASS
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """Footprints [N, 12], boxes [N, 4] and sorting depths [N] (metres, inf = not in the picture) of all splats.

    A box is (first column, columns, first row, rows); in a panorama first column + columns may pass the right edge and
    then goes on at the left.
    """
    n = len(gaussians)
    footprints, boxes = np.zeros((n, FOOTPRINT), np.float32), np.zeros((n, 4), np.int32)
    depths = np.empty(n, np.float32)
    pose = np.asarray(camera.pose, np.float64)
    shape = [np.ascontiguousarray(a, np.float32) for a in (gaussians.means, gaussians.quats, gaussians.scales)]
    opacities = np.ascontiguousarray(gaussians.opacities, np.float32)
    optics: tuple[float, ...]
    if isinstance(camera, PerspectiveCamera):
        kernel, optics = project_perspective, (camera.focal, *camera.center)
    else:
        kernel, optics = project_sphere, (lens_of(camera), float(getattr(camera, "eye", 0.0)), camera.pixel)
    spread(
        kernel,
        n,
        *(*shape, opacities, np.ascontiguousarray(pose[:3, :3].T), np.ascontiguousarray(pose[:3, 3])),
        *(float(camera.near), float(camera.far), *optics, camera.width, camera.height, float(low_pass)),
        *(footprints, boxes, depths),
        chunk=8192,
    )
    return footprints, boxes, depths


def lens_of(camera: Camera) -> int:
    """EQUIRECT, FISHEYE or FACE."""
    if isinstance(camera, EquirectCamera):
        return EQUIRECT
    return FISHEYE if isinstance(camera, FisheyeCamera) else FACE


def ray_tables(camera: Camera) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Rows [H, 2], columns [W, 2] and ``bend`` that give a pixel's direction in camera axes (not of unit length).

    It is (r0 c0, r1, r0 c1) where ``bend`` is [0, 0], and (c0, r1, bend) in a fisheye, whose ``bend`` is [H, W] and NaN
    where no light of the image circle falls.
    """
    bend = np.empty((0, 0))
    if isinstance(camera, EquirectCamera):
        phi = math.pi * (0.5 - (np.arange(camera.height) + 0.5) / camera.height)
        lam = math.pi * ((np.arange(camera.width) + camera.first + 0.5) / camera.height - 1)
        rows, columns = (np.cos(phi), -np.sin(phi)), (np.sin(lam), np.cos(lam))
    elif isinstance(camera, FisheyeCamera):
        x = (np.arange(camera.size) + 0.5 - 0.5 * camera.size) * camera.pixel
        rows, columns = (np.ones_like(x), x), (x, np.ones_like(x))
        theta = np.hypot(x[:, None], x[None, :])
        bend = theta / np.tan(np.maximum(theta, 1e-9))
        bend[theta < 1e-9] = 1.0
        bend[theta >= 0.5 * (camera.angle + camera.pixel)] = np.nan
    else:
        center = (0.5 * camera.width, 0.5 * camera.height)
        focal, center = (0.5 * camera.size, center) if isinstance(camera, FaceCamera) else (camera.focal, camera.center)
        y = (np.arange(camera.height) + 0.5 - center[1]) / focal
        x = (np.arange(camera.width) + 0.5 - center[0]) / focal
        rows, columns = (np.ones_like(y), y), (x, np.ones_like(x))
    return np.stack(rows, -1).astype(np.float32), np.stack(columns, -1).astype(np.float32), bend.astype(np.float32)


def image_circle(camera: Camera) -> NDArray[np.float32] | None:
    """[H, W] the share of each pixel that lies in a fisheye's image circle; None for a camera that fills its picture.

    A pixel that the edge crosses counts by the distance of its centre from it, so that a dome's edge has no steps.
    """
    if not isinstance(camera, FisheyeCamera):
        return None
    x = np.arange(camera.size) + 0.5 - 0.5 * camera.size
    return np.clip(0.5 * camera.size - np.hypot(x[:, None], x[None, :]) + 0.5, 0, 1).astype(np.float32)


def rays(camera: Camera) -> NDArray[np.float32]:
    """[H, W, 3] directions of the pixels in camera axes, not of unit length; NaN outside a fisheye's circle."""
    rows, columns, bend = ray_tables(camera)
    x, z = rows[:, None, 0] * columns[None, :, 0], rows[:, None, 0] * columns[None, :, 1]
    found = np.stack([x, np.broadcast_to(rows[:, None, 1], x.shape), bend if bend.size else z], -1)
    found[np.isnan(found[..., 2])] = np.nan
    return found
