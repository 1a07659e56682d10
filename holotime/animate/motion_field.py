"""Drift: the velocity of sky, water and flames as tangent vectors on the sphere.

A flat layer at height h that moves with a horizontal velocity V is seen to turn with (V - (V.d) d) sin(phi) / h radians
per second in direction d at elevation phi: fast overhead, slow at the horizon. Water is the same with the plane
1.6 m below. Vectors in space have no singularity at the poles and no seam.
"""

import math
from typing import cast

import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.animate.class_rules import Matter
from holotime.animate.fields import SphereNoise, azimuth, east_north, turn
from holotime.animate.motion import Drift
from holotime.perceive import EYE_HEIGHT

SKY_SPEED = math.radians(3.0)  # radians per second of clouds overhead
SKY_FLOOR = 0.45  # the earth is round: layers at the horizon still move with this share of the speed overhead
FOG_SPEED = math.radians(1.6)  # radians per second of fog banks
WATER_SPEED = 0.28  # metres per second of the surface
SKY_STEP = math.radians(4.5)  # radians that two cross-faded pictures of soft clouds lie apart at most
WATER_STEP = math.radians(2.8)  # the same of foam and glints, which show sooner as two
SKY_FADE = 4.0  # seconds that one cross-fade of the sky lasts at most
WATER_FADE = 1.2  # seconds; water changes faster than clouds
HINT_FADE = 0.75  # seconds; what is painted may be fast


def sky_velocity(d: NDArray[np.float32], wind: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """[H, W, 3] radians per second of clouds in directions d [H, W, 3] that drift to the azimuth ``wind`` (degrees)."""
    v = azimuth(wind).astype(np.float32)
    slow = np.sqrt(d[..., 2:] ** 2 + SKY_FLOOR**2) / math.sqrt(1 + SKY_FLOOR**2)
    plane = (v - (d @ v)[..., None] * d) * slow
    swirl = SphereNoise(rng, 4.0, turn(wind)).curl(d)
    return np.float32(SKY_SPEED) * (plane + np.float32(0.22) * swirl * slow)


def water_velocity(d: NDArray[np.float32], wind: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """[H, W, 3] radians per second of water that drifts to the azimuth ``wind`` in degrees."""
    v = azimuth(wind).astype(np.float32)
    near = cast(NDArray[np.float32], np.maximum(-d[..., 2:], 0) / EYE_HEIGHT)
    plane = (v - (d @ v)[..., None] * d) * near
    swirl = SphereNoise(rng, 7.0, turn(wind)).curl(d) * near
    return np.float32(WATER_SPEED) * (plane + np.float32(0.35) * swirl)


def fog_velocity(d: NDArray[np.float32], wind: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """[H, W, 3] radians per second of fog that creeps sideways and curls."""
    side = SphereNoise(rng, 1.5, turn(wind))(d)[..., None]
    return np.float32(FOG_SPEED) * (
        0.8 * np.tanh(2 * side) * east_north(d)[0] + 0.5 * SphereNoise(rng, 6.0, turn(wind)).curl(d)
    )


def drift_field(
    matter: Matter,
    wind: float,
    strength: float,
    duration: float,
    rng: np.random.Generator,
    override: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]] | None = None,
) -> Drift:
    """The drift of ``matter`` with the ``wind`` (degrees) at ``strength`` for a loop of ``duration`` seconds.

    ``override`` is a hint's velocity [H, W, 3], weight [H, W] and freedom [H, W] (0 = frozen).
    """
    d = sphere.directions(*matter.sky.shape)
    # A starry sky is clear: what little drifts there is haze, and the faint stars must not travel. An aurora waves.
    sky = matter.sky * (1 - 0.8 * matter.aurora) * (0.12 if matter.stars.any() else 0.5 if matter.night else 1.0)
    water = matter.water * (1.6 if "storm" in matter.words else 0.6 if "calm" in matter.words else 1.0)
    speed = strength * (1.4 if "storm" in matter.words else 1.0)
    velocity: NDArray[np.floating] = speed * sky[..., None] * sky_velocity(d, wind, rng)
    if matter.fog.any():
        velocity = velocity + strength * matter.fog[..., None] * fog_velocity(d, wind, rng)
    wet = speed * water[..., None] * water_velocity(d, wind, rng)
    sky_cycles, water_cycles = _cycles(duration, SKY_FADE), _cycles(duration, WATER_FADE)
    velocity = _limit(velocity, SKY_STEP * sky_cycles / duration)
    wet = _limit(wet, WATER_STEP * water_cycles / duration)
    share = (matter.water > matter.sky).astype(np.float32)
    velocity = (velocity + wet).astype(np.float32)
    weights = {sky_cycles: 1 - share}
    weights[water_cycles] = weights.get(water_cycles, 0) + share
    if override is not None:
        painted, weight, free = override
        velocity = ((1 - weight[..., None]) * velocity + weight[..., None] * painted * strength) * free[..., None]
        hint_cycles = _cycles(duration, HINT_FADE)
        blend = np.clip(4 * weight, 0, 1)
        weights = {k: w * (1 - blend) for k, w in weights.items()}
        weights[hint_cycles] = weights.get(hint_cycles, 0) + blend
    return Drift(velocity.astype(np.float32), {k: np.asarray(w, np.float32) for k, w in weights.items()})


def _cycles(duration: float, fade: float) -> int:
    """How often to cross-fade in a loop of ``duration`` seconds, so that one lasts about ``fade`` seconds."""
    return max(1, round(duration / fade))


def _limit(velocity: NDArray[np.floating], fastest: float) -> NDArray[np.float32]:
    """Bend speeds of a field [H, W, 3] smoothly below ``fastest`` radians per second; slow ones stay as they are."""
    speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
    return (velocity / (1 + (speed / fastest) ** 4) ** 0.25).astype(np.float32)
