"""The rasterizer once more in plain torch: dense, slow, differentiable. The tests hold the fast one against it.

Every splat is evaluated at every pixel, [N, H, W] at once, so it is for small pictures. The formulas are those written
at the top of project.py, the Jacobian derived another way. Gradients reach every tensor of the splats; with a stereo
eye the offset on the eye circle counts as a constant.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from holotime.render.cameras import Camera, PerspectiveCamera, SphereCamera
from holotime.render.project import (
    ALPHA_MIN,
    LOW_PASS,
    eye_offset,
    rays,
    stereo_latitude,
)
from holotime.render.raster import ALPHA_MAX, CLOSED
from holotime.scene4d import Gaussians


@dataclass(frozen=True)
class Splats:
    """Gaussians as torch tensors; any of them may need a gradient."""

    means: Tensor  # [N, 3] metres
    quats: Tensor  # [N, 4] wxyz, unit
    scales: Tensor  # [N, 3] metres
    opacities: Tensor  # [N]
    colors: Tensor  # [N, 3]

    @classmethod
    def of(cls, gaussians: Gaussians, dtype: torch.dtype = torch.float64) -> "Splats":
        """A copy of ``gaussians`` in the given precision."""
        names = ("means", "quats", "scales", "opacities", "colors")
        return cls(**{n: torch.tensor(getattr(gaussians, n), dtype=dtype) for n in names})


def covariances(quats: Tensor, scales: Tensor) -> Tensor:
    """[N, 3, 3] world covariances of unit quaternions [N, 4] wxyz and scales [N, 3]."""
    w, x, y, z = quats.unbind(-1)
    rotation = torch.stack(
        [
            *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        ],
        dim=-1,
    ).reshape(-1, 3, 3)
    m = rotation * scales[:, None, :]
    return m @ m.mT


def whiten(covariance: Tensor, e1: Tensor, e2: Tensor) -> tuple[Tensor, Tensor]:
    """Forms a, b [N, 3] that measure the offsets e1, e2 [N, 3] in standard deviations of ``covariance`` [N, 2, 2]."""
    inverse = torch.linalg.inv(torch.linalg.cholesky(covariance))
    forms = inverse @ torch.stack([e1, e2], dim=1)
    return forms[:, 0], forms[:, 1]


def sphere_forms(splats: Splats, points: Tensor, rotation: Tensor, camera: SphereCamera, low_pass: float):
    """(a, b, u [N, 3], distance [N], visible [N]) of ``points`` [N, 3] in camera axes; rotation is world-to-camera."""
    x, up, z = points[:, 0], -points[:, 1], points[:, 2]
    eye = getattr(camera, "eye", 0.0)
    rho = torch.hypot(x, z)
    seen = [stereo_latitude(eye, float(r), float(h)) for r, h in zip(rho, up, strict=True)]
    phi = torch.tensor(seen, dtype=points.dtype)
    visible = torch.isfinite(phi)
    phi = torch.where(visible, phi, torch.zeros_like(phi))
    pairs = [eye_offset(eye, float(p)) for p in phi]
    e0, slope = (torch.tensor(v, dtype=points.dtype) for v in zip(*pairs, strict=True))
    e = torch.where(visible, e0, torch.zeros_like(e0))
    flat = torch.sqrt(rho**2 - e**2)
    distance = torch.hypot(flat, up)
    lam = torch.atan2(x, z) - torch.asin(e / rho.clamp_min(1e-12))
    # With the eye fixed at e, d(lam, phi)/dpoint by the implicit function theorem on
    #   F1 = x cos(lam) - z sin(lam) - e(phi) = 0,   F2 = up - tan(phi) (x sin(lam) + z cos(lam)) = 0.
    sin_l, cos_l, sin_p, cos_p = torch.sin(lam), torch.cos(lam), up / distance, flat / distance
    zero = torch.zeros_like(lam)
    # F2 is multiplied by cos(phi) and F1's first unknown is cos(phi) dlam = "east", so that nothing divides by zero.
    df = torch.stack(
        [torch.stack([-distance, -slope], -1), torch.stack([-sin_p / cos_p.clamp_min(1e-9) * e, -distance], -1)], -2
    )
    dp = torch.stack(
        [torch.stack([cos_l, zero, -sin_l], -1), torch.stack([-sin_p * sin_l, -cos_p, -sin_p * cos_l], -1)], -2
    )
    jacobian = -torch.linalg.solve(df, dp) @ rotation
    covariance = jacobian @ covariances(splats.quats, splats.scales) @ jacobian.mT
    covariance = covariance + low_pass * camera.pixel**2 * torch.eye(2, dtype=points.dtype)
    east = torch.stack([cos_l, zero, -sin_l], -1)
    north = torch.stack([-sin_p * sin_l, -cos_p, -sin_p * cos_l], -1)
    a, b = whiten(covariance, east, north)
    u = torch.stack([cos_p * sin_l, -sin_p, cos_p * cos_l], -1)
    return a, b, u, distance, visible & (distance > camera.near) & (distance < camera.far)


def perspective_forms(splats: Splats, points: Tensor, rotation: Tensor, camera: PerspectiveCamera, low_pass: float):
    """(a, b, u [N, 3], depth [N], visible [N]) of ``points`` [N, 3] in camera axes; rotation is world-to-camera."""
    z = points[:, 2]
    visible = (z > camera.near) & (z < camera.far)
    z = torch.where(visible, z, torch.ones_like(z))
    x, y = points[:, 0] / z, points[:, 1] / z
    (left, right), (top, bottom) = (
        (-middle / camera.focal - margin, (size - middle) / camera.focal + margin)
        for middle, size in zip(camera.center, (camera.width, camera.height), strict=True)
        for margin in (0.15 * size / camera.focal,)
    )
    zero, one = torch.zeros_like(z), torch.ones_like(z)
    jacobian = torch.stack(
        [torch.stack([one, zero, -x.clamp(left, right)], -1), torch.stack([zero, one, -y.clamp(top, bottom)], -1)], -2
    )
    jacobian = jacobian * (camera.focal / z)[:, None, None] @ rotation
    covariance = jacobian @ covariances(splats.quats, splats.scales) @ jacobian.mT
    covariance = covariance + low_pass * torch.eye(2, dtype=points.dtype)
    a, b = whiten(
        covariance, camera.focal * torch.stack([one, zero, -x], -1), camera.focal * torch.stack([zero, one, -y], -1)
    )
    return a, b, torch.stack([zero, zero, one], -1), z, visible


def rasterize(
    splats: Splats, camera: Camera, *, background: Tensor | None = None, low_pass: float = LOW_PASS
) -> tuple[Tensor, Tensor, Tensor]:
    """(color [H, W, 3], alpha [H, W], distance [H, W], +inf at alpha 0), as the fast rasterizer draws them."""
    dtype = splats.means.dtype
    pose = torch.tensor(np.asarray(camera.pose), dtype=dtype)
    rotation = pose[:3, :3].T
    points = (splats.means - pose[:3, 3]) @ rotation.T
    if isinstance(camera, PerspectiveCamera):
        a, b, u, depth, visible = perspective_forms(splats, points, rotation, camera, low_pass)
        far = torch.linalg.norm(points, dim=-1)
    else:
        a, b, u, depth, visible = sphere_forms(splats, points, rotation, camera, low_pass)
        far = depth
    order = torch.argsort(depth.detach(), stable=True)
    order = order[visible[order]]

    directions = torch.tensor(rays(camera), dtype=dtype).nan_to_num(0)  # [H, W, 3], 0 where no light falls
    au, bu, uu = (torch.einsum("nk,hwk->nhw", f[order], directions) for f in (a, b, u))
    q = (au**2 + bu**2) / torch.where(uu > 0, uu, torch.ones_like(uu)) ** 2
    alpha = (splats.opacities[order, None, None] * torch.exp(-0.5 * q)).clamp_max(ALPHA_MAX)
    alpha = torch.where((uu > 0) & (alpha >= ALPHA_MIN), alpha, torch.zeros_like(alpha))
    trans = torch.cumprod(1 - alpha, dim=0)
    before = torch.cat([torch.ones_like(trans[:1]), trans[:-1]])
    weight = torch.where(before >= CLOSED, alpha * before, torch.zeros_like(alpha))
    color = torch.einsum("nhw,nk->hwk", weight, splats.colors[order])
    total = weight.sum(0)
    distance = torch.einsum("nhw,n->hw", weight, far[order])
    distance = torch.where(total > 0, distance / total.clamp_min(1e-12), torch.full_like(total, torch.inf))
    if background is not None:
        color = color + (1 - total)[..., None] * background
    return color, total, distance
