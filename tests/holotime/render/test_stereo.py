"""Omnidirectional stereo against brute force (each pixel its own camera) and against plain geometry."""

import math

import numpy as np
import pytest

from holotime import sphere
from holotime.render import EquirectCamera, rasterize
from holotime.scene4d import Gaussians

IPD = 0.064


def radius(eye, phi):
    """[...] signed radius of the eye circle: whole up to 60 degrees, a quarter cosine down to zero at 75."""
    fade = np.clip((np.abs(phi) - math.radians(60)) / math.radians(15), 0, 1)
    return eye * np.cos(0.5 * math.pi * fade)


def brute_force(splats: Gaussians, height: int, eye: float):
    """[H, W, 3] picture where each pixel is a camera of its own, standing on the eye circle, looking along its ray."""
    lam, phi = (a.astype(np.float64) for a in (sphere.longitudes(2 * height), sphere.latitudes(height)))
    d = sphere.directions(height).astype(np.float64)
    e = radius(eye, phi)[:, None]
    stand = np.stack(np.broadcast_arrays(e * np.cos(lam), -e * np.sin(lam), 0.0), -1)
    inverse_low_pass = 0.3 * (math.pi / height) ** 2
    alphas, distances = [], []
    for mean, covariance, opacity in zip(
        splats.means.astype(float), splats.covariances().astype(float), splats.opacities, strict=True
    ):
        to = mean - stand
        r = np.linalg.norm(to, axis=-1)
        u = to / r[..., None]
        helper = np.where(np.abs(u[..., 2:]) < 0.9, [0.0, 0.0, 1.0], [1.0, 0.0, 0.0])
        e1 = np.cross(u, helper)
        e1 /= np.linalg.norm(e1, axis=-1, keepdims=True)
        basis = np.stack([e1, np.cross(u, e1)], -2)
        c = basis @ covariance @ np.swapaxes(basis, -1, -2) / r[..., None, None] ** 2 + inverse_low_pass * np.eye(2)
        along = (d * u).sum(-1)
        offset = np.einsum("hwij,hwj->hwi", basis, d) / np.where(along > 0, along, 1)[..., None]
        q = np.einsum("hwi,hwij,hwj->hw", offset, np.linalg.inv(c), offset)
        alpha = np.where(along > 0, np.minimum(0.99, opacity * np.exp(-0.5 * q)), 0)
        alphas.append(np.where(alpha >= 1 / 255, alpha, 0))
        distances.append(r)
    order = np.argsort(np.stack(distances), axis=0)
    alpha = np.take_along_axis(np.stack(alphas), order, 0)
    color = splats.colors[order]
    before = np.cumprod(np.concatenate([np.ones_like(alpha[:1]), 1 - alpha[:-1]]), 0)
    return (np.where(before >= 1e-4, alpha * before, 0)[..., None] * color).sum(0)


@pytest.mark.parametrize("eye", [-0.5 * IPD, 0.5 * IPD, -0.15])
def test_equals_one_camera_for_each_pixel(eye, make_splats):
    height = 64
    splats = make_splats(300, 21, sizes=(0.02, 0.05), distances=(0.8, 5.0))
    picture = rasterize(splats, EquirectCamera(2 * height, height, eye=eye)).color
    expected = brute_force(splats, height, eye)
    weights = np.broadcast_to(sphere.solid_angles(height)[..., None], expected.shape)
    for rows in (slice(None), slice(0, 10), slice(10, 24), slice(24, 40), slice(-10, None)):
        error = np.average((picture[rows] - expected[rows]) ** 2, weights=weights[rows])
        assert -10 * math.log10(error) >= 45


def centroid(picture, column):
    """(column relative to ``column``, row) of the light in a picture with one splat; the columns wrap."""
    height, width = picture.alpha.shape
    light = picture.alpha / picture.alpha.sum()
    offsets = (np.arange(width) + 0.5 - column + width / 2) % width - width / 2
    return float((light.sum(0) * offsets).sum()), float((light.sum(1) * (np.arange(height) + 0.5)).sum())


@pytest.mark.parametrize("up", [-0.8, 0.0, 1.1])
@pytest.mark.parametrize("azimuth", range(-180, 180, 45))
def test_disparity_is_the_geometry(azimuth, up, one_splat):
    """A point at horizontal distance rho is seen asin(e/rho) to the left by an eye e metres to the right."""
    width, rho = 2048, 1.5
    lam = math.radians(azimuth)
    splat = one_splat((rho * math.sin(lam), rho * math.cos(lam), up), size=0.004, opacity=0.95)
    column = (lam / (2 * math.pi) + 0.5) * width
    found = {}
    for name, eye in (("left", -0.5 * IPD), ("right", 0.5 * IPD)):
        x, y = centroid(rasterize(splat, EquirectCamera(width, width // 2, eye=eye)), column)
        assert x == pytest.approx(-math.asin(eye / rho) / (2 * math.pi) * width, abs=0.03)
        elevation = math.atan2(up, math.sqrt(rho**2 - eye**2))
        assert y == pytest.approx((0.5 - elevation / math.pi) * width / 2, abs=0.03)
        found[name] = x
    assert found["left"] > found["right"]  # near things stand further right in the left eye


def test_straight_up_both_eyes_agree(make_splats):
    """Beyond 75 degrees the two eyes are one, so looking up shows no twist; at the horizon they differ."""
    splats = make_splats(3000, 22, sizes=(0.01, 0.02))
    left, right = (rasterize(splats, EquirectCamera(256, 128, eye=e)).color for e in (-0.5 * IPD, 0.5 * IPD))
    for rows in (slice(0, 8), slice(-8, None)):
        assert np.abs(left[rows] - right[rows]).max() < 1e-3
    assert np.abs(left[60:68] - right[60:68]).max() > 0.1


def test_eyes_swap_in_a_mirror(one_splat):
    """Mirroring the scene left to right swaps the eyes."""
    for position in [(0.7, 0.9, 0.2), (-0.4, 0.3, 1.0), (0.2, -1.0, -0.9)]:
        left = rasterize(one_splat(position), EquirectCamera(128, 64, eye=-0.05))
        mirrored = rasterize(one_splat((-position[0], *position[1:])), EquirectCamera(128, 64, eye=0.05))
        np.testing.assert_allclose(left.color, mirrored.color[:, ::-1], atol=1e-5)


@pytest.mark.parametrize("rho", [0.005, 0.02, 0.031, 0.033, 0.1])
def test_a_point_above_the_head_is_seen_once(rho, one_splat):
    """Above the head, nearer to the axis than the eye: the circle shrinks upwards, so one direction still meets it."""
    picture = rasterize(one_splat((rho, 0, 0.8), size=0.05), EquirectCamera(256, 128, eye=0.5 * IPD))
    weights = sphere.solid_angles(128)
    mono = rasterize(one_splat((rho, 0, 0.8), size=0.05), EquirectCamera(256, 128))
    assert float((picture.alpha * weights).sum()) == pytest.approx(float((mono.alpha * weights).sum()), rel=0.1)
