"""Sway: looping displacement of foliage, grass, water and aurora."""

import math

import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.animate.class_rules import Matter
from holotime.animate.fields import SphereNoise, azimuth, east_north, smoothstep, turn
from holotime.animate.motion import Harmonics, add_harmonic, whole
from holotime.perceive import EYE_HEIGHT

FOLIAGE_REACH = 0.0048  # radians that the tips of leaves move to each side
GRASS_REACH = 0.0055  # radians that near blades bend to each side
GRASS_SHADE = 0.030  # brightness of a gust
RIPPLE = 0.030  # displacement of a ripple as a share of its wavelength as seen
RIPPLE_SHADE = 0.024  # brightness of a ripple's slope
AURORA_REACH = 0.011  # radians


def foliage_sway(
    matter: Matter, wind: float, strength: float, duration: float, frames: int, rng: np.random.Generator
) -> tuple[Harmonics, Harmonics]:
    """Sway [H, W, 2] and glow [H, W] of leaves in gusts that travel with the wind."""
    sway: Harmonics = {}
    glow: Harmonics = {}
    if not matter.foliage.any():
        return sway, glow
    d = sphere.directions(*matter.foliage.shape)
    frame = turn(wind)
    v = azimuth(wind).astype(np.float32)
    east, north = east_north(d)
    along = np.stack([east @ v, north @ v], -1)
    gust = 0.65 + 0.35 * SphereNoise(rng, 5.0, frame)(d)
    reach = matter.foliage * gust * FOLIAGE_REACH * strength * (1.6 if "storm" in matter.words else 1.0)
    for frequency, size, detail in ((0.5, 0.6, 6.0), (1.0, 0.4, 14.0), (1.5, 0.22, 30.0)):
        phase = 9.0 * (d @ v) + 1.6 * SphereNoise(rng, detail, frame)(d)
        side = SphereNoise(rng, detail, frame)(d)
        lift = SphereNoise(rng, detail, frame)(d)
        vector = along + np.stack([0.6 * side, 0.3 * lift], -1)
        amplitude = (reach * size * np.exp(1j * phase))[..., None] * vector
        add_harmonic(sway, whole(frequency, duration, frames), amplitude.astype(np.complex64))
    for frequency, size in ((1.0, 0.020), (2.0, 0.014)):
        phase = 2.5 * SphereNoise(rng, 40.0, frame)(d)
        shimmer = matter.foliage * size * strength * np.exp(1j * phase)
        add_harmonic(glow, whole(frequency, duration, frames), shimmer)
    return sway, glow


def grass_waves(
    matter: Matter, wind: float, strength: float, duration: float, frames: int, rng: np.random.Generator
) -> tuple[Harmonics, Harmonics]:
    """Sway [H, W, 2] and glow [H, W] of grass: gusts run over the meadow and bend and lighten the blades."""
    sway: Harmonics = {}
    glow: Harmonics = {}
    where = np.nonzero(matter.grass > 0)
    if not len(where[0]):
        return sway, glow
    height, width = matter.grass.shape
    d = sphere.directions(height, width)[where]
    east, north = east_north(d)
    v = azimuth(wind).astype(np.float32)
    across = np.stack([east @ v, north @ v], -1)
    near = np.maximum(-d[:, 2], 0.02)
    plane = EYE_HEIGHT * d[:, :2] / near[:, None]
    # Blades bend by centimetres: as an angle that shrinks with distance, and never is less than a fraction of a pixel.
    reach = matter.grass[where] * strength * GRASS_REACH * np.clip(2 * near, 0.25, 1.0)
    for frequency, wavelength, size, detail in ((0.5, 6.0, 0.6, 5.0), (1.0, 2.5, 0.4, 25.0), (1.5, 1.1, 0.25, 60.0)):
        # Beyond some distance gusts are closer together than eyes can tell; they are stretched to stay visible.
        length = np.maximum(wavelength, 1.2 * wavelength * np.hypot(plane[:, 0], plane[:, 1]) / 12)
        phase = 2 * math.pi * (plane @ v[:2]) / length + 1.5 * SphereNoise(rng, detail, turn(wind))(d)
        wave = size * np.exp(1j * phase)
        m = whole(frequency, duration, frames)
        full = np.zeros((height, width, 2), np.complex64)
        full[where] = (reach * wave)[:, None] * (across + np.array([0.35, 0.0], np.float32))
        add_harmonic(sway, m, full)
        tone = np.zeros((height, width), np.complex64)
        tone[where] = GRASS_SHADE * strength * matter.grass[where] * 1j * wave
        add_harmonic(glow, m, tone)
    return sway, glow


def ripples(
    matter: Matter, wind: float, strength: float, duration: float, frames: int, rng: np.random.Generator
) -> tuple[Harmonics, Harmonics]:
    """Sway [H, W, 2] and glow [H, W] of travelling waves on the water plane.

    Waves of all lengths run with the wind at the speed of deep water, omega = sqrt(g k); each is seen only where its
    projected length lies between a few pixels and a few degrees, so that near water shows short waves and far water
    long ones, and nothing flickers at the horizon.
    """
    sway: Harmonics = {}
    glow: Harmonics = {}
    height, width = matter.ripples.shape
    where = np.nonzero(matter.ripples > 0)
    if not len(where[0]):
        return sway, glow
    d = sphere.directions(height, width)[where]
    weight = matter.ripples[where]
    size = strength * (1.5 if "storm" in matter.words else 0.5 if "calm" in matter.words else 1.0)
    down = np.maximum(-d[:, 2], 0.004)
    slant = EYE_HEIGHT / down
    plane = EYE_HEIGHT * d[:, :2] / down[:, None]
    horizontal = np.maximum(np.hypot(d[:, 0], d[:, 1]), 1e-6)
    outward = d[:, :2] / horizontal[:, None]
    frame = turn(wind)
    pixel = math.pi / height
    parts: dict[int, tuple[NDArray, NDArray]] = {}
    density = np.full(len(d), 1e-3, np.float32)
    for wavelength in 0.12 * 1.7 ** np.arange(14):
        for _ in range(3):
            spread = rng.normal(0, 32)
            k = azimuth(wind + spread)[:2].astype(np.float32) * (2 * math.pi / wavelength)
            # Change of the phase per radian of view to the east and to the north (north is outward on the plane).
            change_east = slant * (outward[:, 1] * k[0] - outward[:, 0] * k[1])
            change_north = slant / down * (outward @ k)
            change = np.hypot(change_east, change_north)
            seen = 2 * math.pi / np.maximum(change, 1e-6)
            w = smoothstep(4 * pixel, 9 * pixel, seen) * (1 - smoothstep(0.05, 0.12, seen))
            jitter = SphereNoise(rng, 9.0, frame, waves=5)
            phase0 = rng.uniform(0, 2 * math.pi)
            some = w > 0.01
            if not some.any():
                continue
            phase = plane[some] @ k + phase0 + 0.9 * jitter(d[some])
            wave = w[some] * np.exp(1j * phase)
            density[some] += w[some] ** 2
            frequency = min(math.sqrt(9.81 * 2 * math.pi / wavelength) / (2 * math.pi), 1.6)
            m = whole(frequency, duration, frames)
            if m not in parts:
                parts[m] = np.zeros((len(d), 2), np.complex64), np.zeros(len(d), np.complex64)
            direction = np.stack([change_east, change_north], -1)[some] / change[some, None]
            parts[m][0][some] += (RIPPLE * seen[some] * wave)[:, None] * direction
            # The slope that faces the viewer mirrors a higher, darker part of the sky.
            parts[m][1][some] += RIPPLE_SHADE * 1j * wave * (0.4 + 0.6 * np.abs(direction[:, 1]))
    norm = size * weight / np.sqrt(np.maximum(density, 0.5))
    for m, (displacement, shade) in parts.items():
        full = np.zeros((height, width, 2), np.complex64)
        full[where] = displacement * norm[:, None]
        add_harmonic(sway, m, full)
        tone = np.zeros((height, width), np.complex64)
        tone[where] = shade * norm
        add_harmonic(glow, m, tone)
    return sway, glow


def aurora_sway(
    matter: Matter, wind: float, strength: float, duration: float, frames: int, rng: np.random.Generator
) -> tuple[Harmonics, Harmonics]:
    """Sway [H, W, 2] and glow [H, W] of curtains of light: they wave sideways and brightness runs along them."""
    sway: Harmonics = {}
    glow: Harmonics = {}
    if not matter.aurora.any():
        return sway, glow
    d = sphere.directions(*matter.aurora.shape)
    # Rays of an aurora stand upright, so its noise varies slowly with height.
    upright = d * np.array([1, 1, 0.35], np.float32)
    frame = turn(wind)
    horizontal = np.hypot(d[..., 0], d[..., 1])
    for frequency, reach, light in ((0.5, 0.7, 0.075), (1.0, 0.3, 0.03)):
        m = whole(frequency, duration, frames)
        phase = 1.8 * SphereNoise(rng, 1.5 + 3 * frequency, frame)(upright)
        wave = matter.aurora * strength * np.exp(1j * phase)
        # East is undefined at the zenith; the sideways wave fades out towards it.
        sideways = AURORA_REACH * reach * wave * smoothstep(0.1, 0.5, horizontal)
        add_harmonic(sway, m, np.stack([sideways, 0 * sideways], -1))
        run = 2.0 * SphereNoise(rng, 2.0 + 4 * frequency, frame)(upright)
        add_harmonic(glow, m, matter.aurora * strength * light * np.exp(1j * run))
    return sway, glow
