"""From class probabilities to what moves and how: the rules that know where the network is wrong.

The rules are general statements about pictures, not about test scenes; each says why it holds.
"""

import re
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.animate.distance import angular_distance
from holotime.animate.fields import smoothstep
from holotime.animate.structure import ANALYSIS_HEIGHT, dilate, label, sharpness, static_structure
from holotime.perceive import FIRE, GROUND, MOVER, SKY, SOLID, VEGETATION, WATER, ImagePerception

# Words of a prompt that say what is in the picture. The first group that matches decides nothing alone: each rule
# below asks for the words it cares about.
WORDS = {
    "aurora": r"auroras?|northern lights|polar lights",
    "fireworks": r"fireworks?",
    "neon": r"neon|cyberpunk",
    "snow": r"snow\w*|arctic|ice|icy|glacier\w*|winter",
    "lava": r"lava|magma|volcan\w*",
    "underwater": r"underwater|beneath the sea|under the sea|coral\w*|reefs?",
    "fire": r"fires?|flames?|bonfires?|campfires?|torch\w*|candles?|burning",
    "storm": r"storm\w*|gale|hurricane|windy",
    "calm": r"calm|still|serene|windless",
    "desert": r"desert\w*|dunes?|sand\w*",
}
SKY_RAMP = 0.11  # radians over which the sky's drift grows from nothing at a border
WATER_RAMP = 0.05  # radians, the same for water
FOLIAGE_RAMP = 0.10  # radians from the trunk or ground at which foliage sways fully


@dataclass(frozen=True)
class Matter:
    """How much of each kind of movement a pixel has, in [0, 1]; every map is [H, W] float32 and 0 on solid things."""

    sky: NDArray[np.float32]  # drifts
    water: NDArray[np.float32]  # drifts and ripples
    foliage: NDArray[np.float32]  # sways
    flame: NDArray[np.float32]  # rises and flickers
    lights: NDArray[np.float32]  # flickers in place
    stars: NDArray[np.float32]  # twinkle in place
    aurora: NDArray[np.float32]  # waves and glows
    words: frozenset[str]  # what the prompt speaks of
    night: bool  # the upper half of the picture is dark
    notes: list[str] = field(default_factory=list)


def read_words(prompt: str) -> frozenset[str]:
    """The keys of WORDS that a prompt speaks of."""
    return frozenset(k for k, pattern in WORDS.items() if re.search(rf"\b({pattern})\b", prompt, re.IGNORECASE))


def _share(mask: NDArray) -> float:
    """Share of the sphere that mask or weight [H, W] covers."""
    w = sphere.solid_angles(*mask.shape)
    return float((mask * w).sum() / (w.sum() * mask.shape[1]))


def _large_parts(mask: NDArray[np.bool_], steradians: float) -> NDArray[np.bool_]:
    """Only the connected parts of mask [H, W] that cover at least so much of the sphere."""
    count, labels = label(mask)
    if not count:
        return mask
    area = np.bincount(
        labels.ravel(), np.broadcast_to(sphere.solid_angles(*mask.shape), mask.shape).ravel(), minlength=count + 1
    )
    keep = area >= steradians
    keep[0] = False
    return keep[labels]


def _ramp(mask: NDArray[np.bool_], width: float, margin: float) -> NDArray[np.float32]:
    """0 outside mask [H, W] and within ``margin`` of its border, easing to 1 over ``width`` radians inside."""
    height = mask.shape[0]
    half = max(2, height // 2)
    # Any static pixel makes its coarse cell static, so thin things keep their full influence.
    outside = sphere.resize((~mask).astype(np.float32), half, 2 * half) > 1e-3
    distance = sphere.resize(angular_distance(outside), height, mask.shape[1])
    return np.where(mask, smoothstep(margin, margin + width, distance), 0).astype(np.float32)


def _sky(
    rgb: NDArray[np.float32], p: NDArray[np.float32], luminance: NDArray[np.float32]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where the sky is, [H, W], and the static things in it, [H, W]."""
    height = len(rgb)
    latitude = sphere.latitudes(height)[:, None]
    sky = (p[..., SKY] > 0.5) & (latitude > -0.03)
    # A solid thing in front of the sky shows a silhouette. What borders on the sky without any edge - smoke of
    # fireworks, an aurora, a cloud on the horizon - is sky. Only above the horizon, where nothing hides its foot.
    stuff = (p[..., SKY] <= 0.5) & (p[..., VEGETATION] < 0.3) & (latitude > 0.03)
    count, labels = label(stuff)
    if count:
        edge = sharpness(cv2.GaussianBlur(luminance, (0, 0), 1.0))
        border = stuff & dilate(sky, 3)
        inside = labels[border]
        n = np.bincount(inside, minlength=count + 1)
        hard = np.bincount(inside, edge[border] > 0.03, minlength=count + 1) / np.maximum(n, 1)
        rough = np.bincount(labels[stuff], edge[stuff] > 0.03, minlength=count + 1) / np.maximum(
            np.bincount(labels[stuff], minlength=count + 1), 1
        )
        soft = (n > 8) & (hard < 0.08) & (rough < 0.05)
        soft[0] = False
        sky |= soft[labels]
    # Small patches of sky are windows, or facades that the network takes for sky.
    sky = _large_parts(sky, 0.03)
    solid = ~sky & (p[..., WATER] < 0.5)
    return sky, static_structure(luminance, sky, solid)


def _water(rgb: NDArray[np.float32], p: NDArray[np.float32], words: frozenset[str]) -> NDArray[np.bool_]:
    """Where the water is, [H, W]."""
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    water = (p[..., WATER] > 0.55) & (sphere.latitudes(len(rgb))[:, None] < 0.0)
    # Grass and leaves have blue as their weakest colour by far; water has not.
    water &= ~((2 * g - r - b > 0.06) & (np.minimum(r, g) - b > 0.08))
    luminance = rgb @ np.float32([0.299, 0.587, 0.114])
    if "snow" in words:
        # Snow is among the brightest things around; open water in a cold scene is dark.
        water &= luminance < 0.55 * np.percentile(luminance[len(rgb) // 2 :], 95)
    if "desert" in words:
        water &= b > r
    return _large_parts(water, 0.02)


def _foliage(rgb: NDArray[np.float32], p: NDArray[np.float32]) -> NDArray[np.float32]:
    """How freely foliage sways, [H, W]: anchored where it meets the ground or anything solid."""
    leaves = _large_parts(p[..., VEGETATION] > 0.5, 0.003)
    held = (p[..., GROUND] + p[..., SOLID] + p[..., MOVER] + p[..., WATER]) > 0.5
    half = max(2, len(rgb) // 2)
    distance = angular_distance(sphere.resize(held.astype(np.float32), half, 2 * half) > 0.25)
    distance = sphere.resize(distance, len(rgb), rgb.shape[1])
    free = smoothstep(0.012, FOLIAGE_RAMP, distance)
    # The silhouette takes its rim of sky along, so that it never tears: the weight fades outside the leaves.
    soft = np.maximum(sphere.blur_sphere(leaves.astype(np.float32), 0.012) * 1.6 - 0.1, 0)
    return (np.minimum(soft, 1) * free * ~held).astype(np.float32)


def _lights(
    rgb: NDArray[np.float32], p: NDArray[np.float32], sky: NDArray[np.bool_], night: bool, neon: bool
) -> NDArray[np.float32]:
    """Lamps, neon signs, screens and their glow, [H, W]: what is far brighter than its surroundings in the dark."""
    value = rgb.max(-1)
    around = sphere.blur_sphere(value, 0.10)
    floor = 0.75 if neon or night else 0.9
    core = smoothstep(floor, 1.0, value) * smoothstep(0.25, 0.5, value - around)
    core = np.maximum(core, p[..., FIRE] * smoothstep(0.5, 0.9, value) * smoothstep(0.1, 0.3, value - around))
    if not night and not neon:
        core = core * (sphere.blur_sphere(value, 0.35) < 0.45)
    core = core * ~sky
    glow = np.minimum(1.5 * sphere.blur_sphere(core.astype(np.float32), 0.02), 0.5)
    return np.maximum(core, np.where(sky, 0, glow)).astype(np.float32)


def judge(panorama: NDArray[np.uint8], perception: ImagePerception, prompt: str = "") -> Matter:
    """What moves in a panorama [H, W, 3], at its own size.

    The picture is analysed at no more than ANALYSIS_HEIGHT rows.
    """
    full = panorama.shape[:2]
    height = min(full[0], ANALYSIS_HEIGHT)
    width = full[1] if height == full[0] else 2 * height
    rgb = sphere.resize(panorama, height, width).astype(np.float32) / 255
    p = np.clip(sphere.resize(perception.classes, height, width), 0, 1)
    luminance = rgb @ np.float32([0.299, 0.587, 0.114])
    words = read_words(prompt)
    notes: list[str] = []

    sky, structure = _sky(rgb, p, luminance)
    upper = luminance[: height // 2][p[: height // 2, :, SKY] > 0.5]
    night = bool((np.median(upper) if len(upper) > 100 else np.median(luminance)) < 0.35)
    # The sun is a saturated patch; it and its rim stay where they are.
    blown = dilate((rgb.min(-1) > 0.985) & sky, max(1, round(3 * height / ANALYSIS_HEIGHT)))
    scale = height / ANALYSIS_HEIGHT
    drifts = sky & ~dilate(structure, max(1, round(1.5 * scale))) & ~blown
    sky_weight = _ramp(drifts, SKY_RAMP, 0.008)

    water = _water(rgb, p, words)
    water_weight = _ramp(water, WATER_RAMP, 0.006)
    foliage = _foliage(rgb, p)
    lights = _lights(rgb, p, sky, night, "neon" in words)
    stars = np.where(sky & night, smoothstep(0.02, 0.08, sharpness(luminance)) * structure, 0).astype(np.float32)
    saturation = rgb.max(-1) - rgb.min(-1)
    glowing = sphere.blur_sphere(saturation * (rgb.argmax(-1) == 1), 0.03) * (sky & night)
    is_aurora = "aurora" in words or _share(glowing > 0.2) > 0.04
    aurora = smoothstep(0.08, 0.35, sphere.blur_sphere(saturation, 0.02)) * sky_weight if is_aurora else 0 * sky_weight
    flame = np.zeros_like(sky_weight)
    for name, weight in (("sky", sky_weight), ("water", water_weight), ("foliage", foliage), ("lights", lights)):
        if (share := _share(weight > 0.1)) > 0.001:
            notes.append(f"{name} moves on {100 * share:.0f} % of the sphere")
    maps = [sky_weight, water_weight, foliage, flame, lights, stars, aurora]
    if (height, width) != full:
        maps = [np.clip(sphere.resize(m, *full), 0, 1) for m in maps]
    maps = [np.where(m > 0.004, m, 0).astype(np.float32) for m in maps]
    return Matter(*maps, words=words, night=night, notes=notes)
