"""What lights a panorama: an HDR environment and a sun, from an ordinary picture. numpy, no bpy.

A picture clips what is bright. The HDR picture continues the highlights: light above SHOULDER of full scale is raised
by up to GAIN. What is still missing is the sun: it is put where the brightest compact spot is, with the strength that
makes its light on the ground stand to the sky's as on a clear day when the spot is sharp, and as nothing without one.
"""

from dataclasses import dataclass

import numpy as np

SHOULDER = 0.75  # display value from which highlights are raised
GAIN = 12.0  # by how much at full scale
CLEAR_DAY = 4.0  # irradiance of the sun over the sky's on a clear day
SPOT = 0.10  # radians: half width of the spot in which the sun is looked for
HEIGHT = 128  # rows of the picture that is looked at


@dataclass(frozen=True)
class Light:
    """An estimate. World axes: Z up, the panorama's centre along +Y."""

    environment: np.ndarray  # [HEIGHT, 2 HEIGHT, 3] linear light, highlights raised, first row on top
    direction: tuple[float, float, float]  # towards the sun, unit
    color: tuple[float, float, float]  # of its light, largest channel 1
    strength: float  # of a sun lamp, W/m2 in Blender's sense; 0: there is no sun to be seen
    contrast: float  # of the spot against its surroundings; below 1.5 there is no sun


def estimate(panorama: np.ndarray) -> Light:
    """From a panorama [H, W, 3] of display values in [0, 1], first row on top."""
    picture = _shrink(panorama)
    display = picture.max(-1)
    linear = np.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4)
    raise_by = np.clip((display - SHOULDER) / (1 - SHOULDER), 0, 1) ** 2
    environment = (linear * (1 + GAIN * raise_by[..., None])).astype(np.float32)
    luma = environment @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    look, area = _look(HEIGHT)
    upper = look[..., 2] > -0.05  # the sun's mirror image in water lies below
    spot, around = _spot_means(luma, look, area)
    at = np.unravel_index(np.argmax(np.where(upper, spot, -1)), spot.shape)
    contrast = float(spot[at] / max(around[at], 1e-6))
    inside = (look @ look[at] > np.cos(SPOT)) & (display > 0.9 * display[at])
    weight = (luma * area)[inside][:, None]
    direction = (look[inside] * weight).sum(0)
    direction = direction / max(float(np.linalg.norm(direction)), 1e-9)
    color = (linear[inside] * area[inside][:, None]).sum(0)
    color = 0.5 + 0.5 * color / max(float(color.max()), 1e-9)  # a clipped spot has lost most of its colour
    sky = float((luma * area * np.maximum(look @ np.array([0, 0, 1], np.float32), 0)).sum())
    sharp = float(np.clip((contrast - 1.5) / 6.0, 0, 1)) * float(np.clip((display[at] - 0.8) / 0.2, 0, 1))
    strength = CLEAR_DAY * sharp * sky
    return Light(environment, tuple(map(float, direction)), tuple(map(float, color)), strength, contrast)


def _shrink(panorama: np.ndarray) -> np.ndarray:
    """[HEIGHT, 2 HEIGHT, 3] means of blocks; a smaller picture is repeated."""
    height, width = panorama.shape[:2]
    rows = np.linspace(0, height, HEIGHT + 1).astype(int)
    columns = np.linspace(0, width, 2 * HEIGHT + 1).astype(int)
    if height < HEIGHT or width < 2 * HEIGHT:
        return panorama[np.minimum(rows[:-1], height - 1)][:, np.minimum(columns[:-1], width - 1), :3].astype(
            np.float32
        )
    sums = np.add.reduceat(np.add.reduceat(panorama[..., :3].astype(np.float32), rows[:-1], 0), columns[:-1], 1)
    return sums / (np.diff(rows)[:, None, None] * np.diff(columns)[None, :, None])


def _look(height: int) -> tuple[np.ndarray, np.ndarray]:
    """([H, 2H, 3] directions, [H, 2H] solid angles)."""
    phi = np.pi * (0.5 - (np.arange(height) + 0.5) / height)[:, None]
    lam = 2 * np.pi * ((np.arange(2 * height) + 0.5) / (2 * height) - 0.5)[None]
    parts = np.broadcast_arrays(np.cos(phi) * np.sin(lam), np.cos(phi) * np.cos(lam), np.sin(phi))
    area = np.broadcast_to(np.cos(phi) * (np.pi / height) ** 2, parts[0].shape)
    return np.stack(parts, -1).astype(np.float32), area.astype(np.float32)


def _spot_means(luma: np.ndarray, look: np.ndarray, area: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over a small and a large neighbourhood on the sphere, [H, W] each: boxes widened towards the poles."""

    def mean(angle: float) -> np.ndarray:
        rows = max(1, round(angle * HEIGHT / np.pi))
        total, weight = np.zeros_like(luma), np.zeros_like(luma)
        for shift in range(-rows, rows + 1):
            source = np.clip(np.arange(HEIGHT) + shift, 0, HEIGHT - 1)
            total += (luma * area)[source]
            weight += area[source]
        out = np.empty_like(luma)
        for i in range(HEIGHT):
            half = min(HEIGHT - 1, max(1, round(rows / max(np.cos(np.pi * (0.5 - (i + 0.5) / HEIGHT)), 0.02))))
            kernel = np.arange(-half, half + 1)
            index = (np.arange(2 * HEIGHT)[:, None] + kernel) % (2 * HEIGHT)
            out[i] = total[i][index].sum(1) / weight[i][index].sum(1)
        return out

    return mean(SPOT / 3), mean(6 * SPOT)
