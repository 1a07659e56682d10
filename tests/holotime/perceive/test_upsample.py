"""Guided upsampling against its slow plain twin, and what it promises at edges."""

import numpy as np
import pytest

from holotime import sphere
from holotime.perceive import GROUND, SKY, SOLID, upsample
from holotime.perceive.coarse import Coarse


def twin(coarse: Coarse, image, small, i: int, j: int) -> tuple[float, np.ndarray]:
    """Log distance and classes of one pixel, written plainly: gather the window, weigh it, weighted median, two steps
    of mean shift."""
    height, width = image.shape[:2]
    h, w = coarse.log_distance.shape
    r = upsample.RADIUS
    trust = upsample.reliability(coarse) * np.maximum(1 - coarse.classes[..., SKY], 1e-3)
    class_trust = np.clip(2 * coarse.classes.max(-1) - 1, 0.05, 1)
    flat = coarse.classes[..., 1] + coarse.classes[..., 2] > 0.5
    planes = upsample.row_planes(h)
    dip = max(np.pi * ((i + 0.5) / height - 0.5), 0.5 * np.pi / h)
    phi = np.pi * (0.5 - (i + 0.5) / height)
    step = int(np.clip(1 / np.cos(phi), 1, upsample.MAX_STRETCH))
    y0, x0 = round((i + 0.5) * h / height - 0.5 + 1e-9), round((j + 0.5) * w / width - 0.5 + 1e-9)
    values, weights, classes = [], [], np.zeros(7)
    for di in range(-r, r + 1):
        for dj in range(-r, r + 1):
            y, x = y0 + di, x0 + dj * step
            if y < 0 or y >= h:
                y, x = (-1 - y if y < 0 else 2 * h - 1 - y), x + w // 2
            x %= w
            near = np.exp(-0.5 * (di * di + dj * dj) / upsample.SIGMA_SPACE**2)
            difference = ((image[i, j].astype(float) - small[y, x]) ** 2).sum()
            near *= np.exp(-0.5 * difference / (255 * upsample.SIGMA_COLOUR) ** 2) + 1e-4
            classes += near * class_trust[y, x] * coarse.classes[y, x]
            weights.append(near * trust[y, x])
            plane = -np.log(np.sin(dip)) - planes[y] if flat[y, x] else 0.0
            values.append(coarse.log_distance[y, x] + plane)
    values, weights = np.array(values), np.array(weights)
    order = np.argsort(values)
    centre = values[order][np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)]
    for _ in range(2):
        kernel = weights / (1 + ((values - centre) / upsample.MODE_WIDTH) ** 2) ** 2
        centre = (kernel * values).sum() / kernel.sum()
    return float(centre), classes / classes.sum()


def blurred_box(h: int = 64, factor: int = 2):
    """A near box in front of a far wall, its distance and classes blurred as a network draws them; across the seam."""
    height = h * factor
    lam = sphere.longitudes(2 * height)[None]
    phi = sphere.latitudes(height)[:, None]
    inside = (np.abs(np.mod(lam, 2 * np.pi) - np.pi) < 0.5) & (np.abs(phi) < 0.5)
    image = np.where(inside[..., None], np.array([200, 60, 40]), np.array([60, 90, 160])).astype(np.uint8)
    small = sphere.resize(image, h)
    soft = sphere.blur(sphere.resize(inside.astype(np.float32), h), 2.0)
    log_distance = (np.log(20) + (np.log(3) - np.log(20)) * soft).astype(np.float32)
    classes = np.zeros((h, 2 * h, 7), np.float32)
    classes[..., SOLID], classes[..., GROUND] = 0.9, 0.1
    return Coarse(log_distance, np.full_like(log_distance, 0.1), classes), image, small, inside


def test_kernel_is_its_twin():
    rng = np.random.default_rng(0)
    coarse, image, small, _ = blurred_box(32)
    noise = rng.normal(0, 0.05, coarse.log_distance.shape).astype(np.float32)
    classes = rng.dirichlet(np.full(7, 0.3), coarse.log_distance.shape).astype(np.float32)
    coarse = Coarse(coarse.log_distance + noise, coarse.log_error, classes)
    full = upsample.upsample(coarse, image, small)
    close = 0
    pixels = [(0, 0), (63, 127), (1, 60), (20, 0), (33, 127), (30, 64), *rng.integers(0, 64, (40, 2)).tolist()]
    for i, j in pixels:
        log_distance, classes_there = twin(coarse, image, small, i, j)
        np.testing.assert_allclose(full.classes[i, j], classes_there, atol=0.02)
        close += abs(full.log_distance[i, j] - log_distance) < 0.03
    # The kernel's median comes from a histogram: on a tie between two modes it may start in the other one.
    assert close >= 0.9 * len(pixels)


def test_no_pixel_floats_between_the_two_sides_of_an_edge():
    coarse, image, small, inside = blurred_box()
    full = upsample.upsample(coarse, image, small)
    distance = np.exp(full.log_distance)
    # Before: several pixels on each side of the edge were in mid-air.
    assert ((np.exp(coarse.log_distance) > 4.5) & (np.exp(coarse.log_distance) < 14)).sum() > 200
    assert np.mean((distance > 4.5) & (distance < 14)) < 0.002
    assert np.mean((distance < 8) == inside) > 0.998


@pytest.mark.parametrize("turn", [7, 64, 101])
def test_turning_the_panorama_turns_the_result(turn):
    coarse, image, small, _ = blurred_box()
    a = upsample.upsample(coarse, image, small)
    turned = Coarse(
        *(np.ascontiguousarray(np.roll(x, turn, 1)) for x in (coarse.log_distance, coarse.log_error, coarse.classes))
    )
    b = upsample.upsample(turned, np.roll(image, 2 * turn, 1), np.roll(small, turn, 1))
    np.testing.assert_allclose(np.roll(a.log_distance, 2 * turn, 1), b.log_distance, atol=1e-4)


def test_a_plane_stays_a_plane_up_to_the_horizon():
    h = 64
    classes = np.zeros((h, 2 * h, 7), np.float32)
    classes[: h // 2, :, SKY] = classes[h // 2 :, :, GROUND] = 1
    log_distance = np.repeat(np.log(1.6) + upsample.row_planes(h)[:, None], 2 * h, 1).astype(np.float32)
    rng = np.random.default_rng(0)
    image = rng.integers(60, 190, (2 * h, 4 * h, 3), np.uint8)
    coarse = Coarse(log_distance, np.full_like(log_distance, 0.1), classes)
    full = upsample.upsample(coarse, image, sphere.resize(image, h))
    phi = sphere.latitudes(2 * h)
    rows = phi < -0.1
    height = np.exp(full.log_distance) * np.sin(-phi)[:, None]
    assert np.abs(height[rows] / 1.6 - 1).max() < 0.03
