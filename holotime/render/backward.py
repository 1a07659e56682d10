"""Gradients through the CPU rasterizer: a panorama as a differentiable function of its splats.

The picture is I = sum_i w_i v_i with w_i = alpha_i T_i front to back. With g the gradient of a loss by the picture and
s_i = <v_i, g> a pixel's share in it, dL/dalpha_i = T_i s_i - (S - P_i) / (1 - alpha_i), where S sums w_j s_j over all
splats of the pixel and P_i over those up to i. S is <picture, g>, so one pass front to back does, with the same
blending decisions as the forward pass. The kernel ends at the footprints (project.py): gradients of the forms a, b, u,
of opacity and values. From there to means, rotations and scales torch differentiates the projection, written once more
here for tensors.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from holotime.render.cameras import EquirectCamera
from holotime.render.jit import compiled, spread
from holotime.render.project import LOW_PASS, ray_tables
from holotime.render.raster import ALPHA_MAX, CLOSED, TILES_PER_RANGE, Footprints, prepare
from holotime.render.tiles import TILE
from holotime.render.torch_twin import Splats
from holotime.scene4d import Gaussians

FORMS = 10  # gradients of a footprint: a (3), b (3), u (3), opacity
VALUES = 4  # what is blended: three channels and the inverse distance
FAST = {"contract", "reassoc", "nsz", "arcp"}


@compiled(fastmath=FAST, error_model="numpy")
def _blend_values(
    start, stop, width, height, across, offsets, entries, footprints, boxes, rows, columns, values, picture, trans
):
    """Blend tiles [start, stop): values [N, 4] are added to ``picture`` [H, W, 4]; ``trans`` [H, W] starts at 1."""
    half, most, closed = np.float32(-0.5), np.float32(ALPHA_MAX), np.float32(CLOSED)
    zero, one = np.float32(0.0), np.float32(1.0)
    for tile in range(start, stop):
        left, top = (tile % across) * TILE, (tile // across) * TILE
        right, bottom = min(left + TILE, width), min(top + TILE, height)
        open_pixels = (right - left) * (bottom - top)
        for entry in range(offsets[tile], offsets[tile + 1]):
            s = entries[entry]
            f = footprints[s]
            ax, ay, az, bx, by, bz, ux, uy, uz = f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8]
            opacity, reach = f[9], f[10]
            v0, v1, v2, v3 = values[s, 0], values[s, 1], values[s, 2], values[s, 3]
            y0, y1 = max(top, boxes[s, 2]), min(bottom, boxes[s, 2] + boxes[s, 3])
            for part in range(2):  # the box, and what of it lies beyond the seam
                shift = 0 if part == 0 else width
                x0, x1 = max(left, boxes[s, 0] - shift), min(right, boxes[s, 0] + boxes[s, 1] - shift)
                if x1 <= x0:
                    continue
                for y in range(y0, y1):
                    r0, r1 = rows[y, 0], rows[y, 1]
                    apart, bpart, upart = ay * r1, by * r1, uy * r1
                    for x in range(x0, x1):
                        t = trans[y, x]
                        if t < closed:
                            continue
                        c0, c1 = r0 * columns[x, 0], r0 * columns[x, 1]
                        u = ux * c0 + uz * c1 + upart
                        a = ax * c0 + az * c1 + apart
                        b = bx * c0 + bz * c1 + bpart
                        q = a * a + b * b
                        if u <= zero or q > reach * u * u:
                            continue
                        alpha = min(most, opacity * math.exp(half * q / (u * u)))
                        w = alpha * t
                        picture[y, x, 0] += w * v0
                        picture[y, x, 1] += w * v1
                        picture[y, x, 2] += w * v2
                        picture[y, x, 3] += w * v3
                        t *= one - alpha
                        trans[y, x] = t
                        if t < closed:
                            open_pixels -= 1
            if open_pixels == 0:
                break


@compiled(fastmath=FAST, error_model="numpy")
def _blend_backward(
    start,
    stop,
    width,
    height,
    across,
    offsets,
    entries,
    footprints,
    boxes,
    rows,
    columns,
    values,
    slope,
    rest,
    trans,
    sums,
):
    """Gradients of tiles [start, stop) into the sums [E, 14] of each entry: ten of the footprint, four of the values.

    ``slope`` [H, W, 5]: gradient by the four values and by alpha. ``rest`` [H, W] starts as S - P_0 = <picture, slope>
    and ends at zero; ``trans`` [H, W] starts at 1.
    """
    half, most, closed = np.float32(-0.5), np.float32(ALPHA_MAX), np.float32(CLOSED)
    zero, one = np.float32(0.0), np.float32(1.0)
    for tile in range(start, stop):
        left, top = (tile % across) * TILE, (tile // across) * TILE
        right, bottom = min(left + TILE, width), min(top + TILE, height)
        open_pixels = (right - left) * (bottom - top)
        for entry in range(offsets[tile], offsets[tile + 1]):
            s = entries[entry]
            f = footprints[s]
            ax, ay, az, bx, by, bz, ux, uy, uz = f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8]
            opacity, reach = f[9], f[10]
            v0, v1, v2, v3 = values[s, 0], values[s, 1], values[s, 2], values[s, 3]
            d0, d1, d2, d3, d4, d5, d6, d7, d8 = zero, zero, zero, zero, zero, zero, zero, zero, zero
            d9, e0, e1, e2, e3 = zero, zero, zero, zero, zero
            y0, y1 = max(top, boxes[s, 2]), min(bottom, boxes[s, 2] + boxes[s, 3])
            for part in range(2):
                shift = 0 if part == 0 else width
                x0, x1 = max(left, boxes[s, 0] - shift), min(right, boxes[s, 0] + boxes[s, 1] - shift)
                if x1 <= x0:
                    continue
                for y in range(y0, y1):
                    r0, r1 = rows[y, 0], rows[y, 1]
                    apart, bpart, upart = ay * r1, by * r1, uy * r1
                    for x in range(x0, x1):
                        t = trans[y, x]
                        if t < closed:
                            continue
                        c0, c1 = r0 * columns[x, 0], r0 * columns[x, 1]
                        u = ux * c0 + uz * c1 + upart
                        a = ax * c0 + az * c1 + apart
                        b = bx * c0 + bz * c1 + bpart
                        q = a * a + b * b
                        if u <= zero or q > reach * u * u:
                            continue
                        inverse = one / u
                        shape = math.exp(half * q * inverse * inverse)
                        full = opacity * shape
                        alpha = min(most, full)
                        w = alpha * t
                        g0, g1, g2, g3 = slope[y, x, 0], slope[y, x, 1], slope[y, x, 2], slope[y, x, 3]
                        e0 += w * g0
                        e1 += w * g1
                        e2 += w * g2
                        e3 += w * g3
                        share = v0 * g0 + v1 * g1 + v2 * g2 + v3 * g3 + slope[y, x, 4]
                        behind = rest[y, x] - w * share
                        rest[y, x] = behind
                        if full < most:
                            dalpha = t * share - behind / (one - alpha)
                            d9 += shape * dalpha
                            # alpha = o exp(-q'/2) with q' = (a^2 + b^2) / u^2
                            k = -alpha * dalpha * inverse * inverse
                            ka, kb, ku = k * a, k * b, -k * q * inverse
                            d0 += ka * c0
                            d1 += ka * r1
                            d2 += ka * c1
                            d3 += kb * c0
                            d4 += kb * r1
                            d5 += kb * c1
                            d6 += ku * c0
                            d7 += ku * r1
                            d8 += ku * c1
                        t *= one - alpha
                        trans[y, x] = t
                        if t < closed:
                            open_pixels -= 1
            g = sums[entry]
            g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7], g[8], g[9] = d0, d1, d2, d3, d4, d5, d6, d7, d8, d9
            g[10], g[11], g[12], g[13] = e0, e1, e2, e3
            if open_pixels == 0:
                break


@compiled()
def _collect(entries, sums, total):
    """Add the sums [E, 14] of the entries to their splats' totals [N, 14], always in the same order."""
    for entry in range(len(entries)):
        for k in range(sums.shape[1]):
            total[entries[entry], k] += sums[entry, k]


def _run(kernel: Any, prepared: Footprints, *maps: NDArray) -> None:
    camera = prepared.camera
    spread(
        kernel,
        len(prepared.offsets) - 1,
        *(camera.width, camera.height, -(-camera.width // TILE), prepared.offsets, prepared.entries),
        *(prepared.footprints, prepared.boxes, *ray_tables(camera)[:2], *maps),
        chunk=TILES_PER_RANGE,
    )


def draw(prepared: Footprints, values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(picture [H, W, 4], alpha [H, W]): ``values`` [N, 4] blended front to back, premultiplied."""
    camera = prepared.camera
    picture = np.zeros((camera.height, camera.width, VALUES), np.float32)
    trans = np.ones((camera.height, camera.width), np.float32)
    _run(_blend_values, prepared, np.ascontiguousarray(values, np.float32), picture, trans)
    return picture, 1 - trans


def footprint_gradients(
    prepared: Footprints, values: NDArray[np.float32], picture: NDArray, alpha: NDArray, slope: NDArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gradients of a loss by the footprints [N, 10] (a, b, u, opacity) and by the values [N, 4].

    ``picture`` and ``alpha`` are what :func:`draw` gave for ``values``; ``slope`` [H, W, 5] is the gradient by the four
    values and by alpha. The same in every run, whatever the number of threads.
    """
    slope = np.ascontiguousarray(slope, np.float32)
    rest = (picture * slope[..., :4]).sum(-1) + alpha * slope[..., 4]
    sums = np.zeros((len(prepared.entries), FORMS + VALUES), np.float32)
    trans = np.ones_like(alpha)
    _run(
        _blend_backward, prepared, np.ascontiguousarray(values, np.float32), slope, rest.astype(np.float32), trans, sums
    )
    total = np.zeros((len(values), FORMS + VALUES), np.float64)
    _collect(prepared.entries, sums, total)
    rounded = total.astype(np.float32)
    return rounded[:, :FORMS], rounded[:, FORMS:]


def equirect_forms(
    means: Tensor, quats: Tensor, scales: Tensor, origin: Tensor, rotation: Tensor, height: int, low_pass: float
) -> tuple[Tensor, Tensor]:
    """(forms a, b, u [N, 9], distance [N]) of splats as project.py has them for a single eye, for tensors.

    ``means`` [N, 3], ``quats`` [N, 4] unit wxyz, ``scales`` [N, 3]; ``origin`` [3] and ``rotation`` [3, 3]
    world-to-camera of the camera; ``height`` in pixels.
    """
    local = (means - origin) @ rotation.T
    distance = torch.linalg.norm(local, dim=-1)
    u = local / distance[:, None]
    # East and north of the direction u; towards a pole east is the camera's right.
    flat = torch.hypot(u[:, 0], u[:, 2]).clamp_min(1e-12)
    sin_l, cos_l = u[:, 0] / flat, u[:, 2] / flat
    zero = torch.zeros_like(flat)
    east = torch.stack([cos_l, zero, -sin_l], -1)
    north = torch.stack([u[:, 1] * sin_l, -flat, u[:, 1] * cos_l], -1)
    w, x, y, z = quats.unbind(-1)
    turn = torch.stack(
        [
            *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        ],
        dim=-1,
    ).reshape(-1, 3, 3)
    axes = turn * (scales / distance[:, None])[:, None, :]  # columns: principal axes in radians seen face on
    e = ((east @ rotation)[:, :, None] * axes).sum(1)
    n = ((north @ rotation)[:, :, None] * axes).sum(1)
    floor = low_pass * (math.pi / height) ** 2
    c11, c12, c22 = (e * e).sum(-1) + floor, (e * n).sum(-1), (n * n).sum(-1) + floor
    l11 = torch.sqrt(c11)
    l21 = c12 / l11
    l22 = torch.sqrt(c22 - l21 * l21)
    a = east / l11[:, None]
    b = (north - (l21 / l11)[:, None] * east) / l22[:, None]
    return torch.cat([a, b, u], dim=-1), distance


class _Panorama(torch.autograd.Function):
    """(means, quats, scales, opacities, colors) to a picture [H, W, 4] (colour, inverse distance) and alpha [H, W]."""

    @staticmethod
    def forward(ctx: Any, camera: EquirectCamera, low_pass: float, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        arrays = [t.detach().numpy() for t in tensors]
        prepared = prepare(Gaussians(*arrays), camera, low_pass=low_pass)
        inverse = 1 / np.maximum(prepared.footprints[:, 11:], 1e-6)
        values = np.concatenate([arrays[4], inverse], axis=1)
        picture, alpha = draw(prepared, values)
        ctx.camera, ctx.low_pass = camera, low_pass
        ctx.prepared, ctx.values, ctx.picture, ctx.alpha = prepared, values, picture, alpha
        ctx.save_for_backward(*tensors)
        return torch.from_numpy(picture.copy()), torch.from_numpy(alpha.copy())

    @staticmethod
    def backward(ctx: Any, d_picture: Tensor, d_alpha: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        slope = np.concatenate([d_picture.numpy(), d_alpha.numpy()[..., None]], axis=-1)
        by_form, by_value = footprint_gradients(ctx.prepared, ctx.values, ctx.picture, ctx.alpha, slope)
        touched = np.flatnonzero(np.any(by_form != 0, axis=1) | np.any(by_value != 0, axis=1))
        index = torch.from_numpy(touched)
        means, quats, scales = ctx.saved_tensors[:3]
        pose = torch.as_tensor(np.asarray(ctx.camera.pose), dtype=means.dtype)
        with torch.enable_grad():
            leaves = [t.detach()[index].requires_grad_(True) for t in (means, quats, scales)]
            origin, rotation = pose[:3, 3], pose[:3, :3].T
            forms, distance = equirect_forms(
                leaves[0], leaves[1], leaves[2], origin, rotation, ctx.camera.height, ctx.low_pass
            )
            outputs = [forms, 1 / distance]
            slopes = [torch.from_numpy(by_form[touched, :9]), torch.from_numpy(by_value[touched, 3])]
            inner = torch.autograd.grad(outputs, leaves, slopes)
        grads = []
        for tensor, part in zip((means, quats, scales), inner, strict=True):
            grads.append(torch.zeros_like(tensor).index_copy_(0, index, part))
        return None, None, *grads, torch.from_numpy(by_form[:, 9].copy()), torch.from_numpy(by_value[:, :3].copy())


def panorama(splats: Splats, camera: EquirectCamera, *, low_pass: float = LOW_PASS) -> tuple[Tensor, Tensor, Tensor]:
    """(color [H, W, 3] premultiplied, alpha [H, W], inverse [H, W]) of float32 splats, with gradients to all of them.

    ``inverse`` is the alpha-weighted sum of inverse distances in 1/m. The picture is that of
    :func:`holotime.render.rasterize` for one eye (no stereo).
    """
    tensors = (splats.means, splats.quats, splats.scales, splats.opacities, splats.colors)
    picture, alpha = _Panorama.apply(camera, low_pass, *(t.contiguous() for t in tensors))
    return picture[..., :3], alpha, picture[..., 3]
