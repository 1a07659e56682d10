"""Glow: looping changes of brightness - lamps and neon flicker, stars twinkle, water sparkles."""

import numpy as np

from holotime import sphere
from holotime.animate.class_rules import Matter
from holotime.animate.fields import SphereNoise, smoothstep, turn
from holotime.animate.motion import Harmonics, add_harmonic, whole


def flicker(
    matter: Matter, wind: float, strength: float, duration: float, frames: int, rng: np.random.Generator
) -> tuple[Harmonics, Harmonics]:
    """Glow [H, W] of lights, flames, sparks and caustics, and twinkle [H, W] of stars.

    Phases are smooth over a few degrees, so a lamp flickers as one.
    """
    glow: Harmonics = {}
    twinkle: Harmonics = {}
    frame = turn(wind)
    d = sphere.directions(*matter.lights.shape)
    kinds = (
        (matter.lights, 8.0, ((0.5, 0.055), (1.5, 0.04), (2.5, 0.025))),
        (matter.flame, 25.0, ((1.0, 0.10), (2.0, 0.08), (3.5, 0.05))),
        (matter.sparks, 60.0, ((0.5, 0.16), (1.0, 0.12), (2.0, 0.08))),
        (matter.caustics, 22.0, ((0.5, 0.032), (1.0, 0.024))),
        (matter.stars, 160.0, ((0.5, 0.16), (1.0, 0.12), (2.0, 0.08))),
    )
    for weight, detail, tones in kinds:
        if not weight.any():
            continue
        where = np.nonzero(weight)
        for frequency, size in tones:
            phase = 3.0 * SphereNoise(rng, detail, frame)(d[where])
            full = np.zeros(weight.shape, np.complex64)
            full[where] = weight[where] * size * strength * np.exp(1j * phase)
            target = twinkle if weight is matter.stars else glow
            add_harmonic(target, whole(frequency, duration, frames), full)
    return glow, twinkle


def sparkle(
    rgb: np.ndarray,
    matter: Matter,
    wind: float,
    strength: float,
    duration: float,
    frames: int,
    rng: np.random.Generator,
) -> Harmonics:
    """Glow [H, W] of glints: bright points of the water in rgb [H, W, 3] (0..1) come and go."""
    glow: Harmonics = {}
    value = rgb.max(-1)
    bright = smoothstep(0.04, 0.16, value - sphere.blur_sphere(value, 0.02)) * smoothstep(0.45, 0.75, value)
    weight = bright * matter.water
    where = np.nonzero(weight)
    if not len(where[0]):
        return glow
    d = sphere.directions(*weight.shape)[where]
    for frequency, size in ((1.0, 0.08), (2.0, 0.07)):
        phase = 3.0 * SphereNoise(rng, 120.0, turn(wind))(d)
        full = np.zeros(weight.shape, np.complex64)
        full[where] = weight[where] * size * strength * np.exp(1j * phase)
        add_harmonic(glow, whole(frequency, duration, frames), full)
    return glow
