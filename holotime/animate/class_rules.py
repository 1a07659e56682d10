"""From class probabilities to what moves and how: the rules that know where the network is wrong.

The rules are general statements about pictures, not about test scenes; each says why it holds.
"""

import re
from dataclasses import dataclass, field, fields
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.animate.distance import angular_distance
from holotime.animate.fields import smoothstep
from holotime.animate.shore import without_shore
from holotime.animate.structure import (
    ANALYSIS_HEIGHT,
    TEXTURE,
    SkyDetail,
    density,
    dilate,
    large_parts,
    sharpness,
    sky_detail,
)
from holotime.perceive import FIRE, GROUND, MOVER, SKY, SOLID, VEGETATION, WATER, ImagePerception
from holotime.perceive.regions import areas, label

# Words of a prompt that say what is in the picture; each rule asks for those it cares about.
WORDS = {
    "aurora": r"auroras?|northern lights|polar lights",
    "fireworks": r"fireworks?",
    "neon": r"neon|cyberpunk",
    "snow": r"snow\w*|arctic|ice|icy|glacier\w*|winter",
    "lava": r"lava|magma|volcan\w*",
    "underwater": r"underwater|(beneath|under) the sea|coral\w*|reefs?",
    "fire": r"fires?|flames?|bonfires?|campfires?|torch\w*|burning|blaz\w+",
    "fog": r"fog\w*|mist\w*|smok\w+|steam\w*|haz[ey]|incense",
    "storm": r"storm\w*|gale|hurricane|windy|raging",
    "calm": r"calm|serene|windless|tranquil",
    "desert": r"desert\w*|dunes?",
}
SKY_RAMP = 0.11  # radians over which the sky's drift grows from nothing at a border
WATER_RAMP = 0.05  # radians, the same for water
FOLIAGE_RAMP = 0.10  # radians from the trunk or ground at which foliage sways fully
TEXTURED_LEAVES = 0.02  # sharpness above which green between leaves is leaves, too
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Look:
    """What the rules look at, at the analysis size."""

    rgb: NDArray[np.float32]  # [H, W, 3] sRGB in [0, 1]
    luminance: NDArray[np.float32]  # [H, W]
    sharp: NDArray[np.float32]  # [H, W] sharpness of the luminance
    p: NDArray[np.float32]  # [H, W, 7] class probabilities
    latitude: NDArray[np.float32]  # [H, 1] radians
    words: frozenset[str]  # what the prompt speaks of

    @property
    def scale(self) -> float:
        """Rows in units of ANALYSIS_HEIGHT."""
        return len(self.rgb) / ANALYSIS_HEIGHT


@dataclass(frozen=True)
class Matter:
    """How much of each kind of movement a pixel has, in [0, 1]; every map is [H, W] float32 and 0 on solid things."""

    sky: NDArray[np.float32]  # drifts
    water: NDArray[np.float32]  # drifts
    ripples: NDArray[np.float32]  # shows waves
    foliage: NDArray[np.float32]  # sways
    grass: NDArray[np.float32]  # waves in the wind
    fog: NDArray[np.float32]  # creeps
    flame: NDArray[np.float32]  # flickers fast
    lights: NDArray[np.float32]  # flickers in place
    sparks: NDArray[np.float32]  # glitters in place
    caustics: NDArray[np.float32]  # is lit through moving water
    stars: NDArray[np.float32]  # twinkle in place, in front of what drifts
    aurora: NDArray[np.float32]  # waves and glows
    words: frozenset[str]  # what the prompt speaks of
    night: bool  # the upper half of the picture is dark
    notes: list[str] = field(default_factory=list)


def read_words(prompt: str) -> frozenset[str]:
    """The keys of WORDS that a prompt speaks of."""
    return frozenset(k for k, pattern in WORDS.items() if re.search(rf"\b({pattern})\b", prompt, re.IGNORECASE))


def share(mask: NDArray) -> float:
    """Share of the sphere that mask or weight [H, W] covers."""
    w = sphere.solid_angles(*mask.shape)
    return float((mask * w).sum() / (w.sum() * mask.shape[1]))


def ramp(mask: NDArray[np.bool_], width: float, margin: float) -> NDArray[np.float32]:
    """0 outside mask [H, W] and within ``margin`` of its border, easing to 1 over ``width`` radians inside."""
    if not mask.any():
        return np.zeros(mask.shape, np.float32)
    height = mask.shape[0]
    half = max(2, height // 2)
    # Any static pixel makes its coarse cell static, so thin things keep their full influence.
    outside = sphere.resize((~mask).astype(np.float32), half, 2 * half) > 1e-3
    distance = sphere.resize(angular_distance(outside), height, mask.shape[1])
    return np.where(mask, smoothstep(margin, margin + width, distance), 0).astype(np.float32)


def find_sky(look: Look) -> NDArray[np.bool_]:
    """[H, W] where the sky is."""
    p, latitude = look.p, look.latitude
    sky = (p[..., SKY] > 0.5) & (latitude > -0.03)
    blurred = cast(NDArray[np.float32], cv2.GaussianBlur(look.luminance, (0, 0), 1.0))
    soft_edges = sharpness(blurred) > 0.03
    # There is no water above the horizon. Where the network says so, it is sky as far as the next edge.
    floating = (p[..., WATER] > 0.35) & (latitude > 0.03) & ~dilate(soft_edges, 1) & ~sky
    if "aurora" in look.words:
        # Curtains of light hang down to the hills, wherever the picture's horizon is.
        hanging = (latitude > 0.05) | ((p[..., WATER] > 0.3) & (latitude > -0.3))
        floating |= hanging & ~dilate(soft_edges, 1) & ~sky
    labels, count = label(floating)
    touching = np.bincount(labels.ravel(), (dilate(sky, 2) & floating).ravel(), minlength=count) > 4
    touching[0] = False
    sky |= touching[labels]
    # What was cut along lies between two patches of sky: join them.
    sky |= ~dilate(~dilate(sky, 4), 4) & ((p[..., WATER] > 0.2) | ("aurora" in look.words))
    # A solid thing in front of the sky shows a silhouette. What borders on the sky without any edge and is smooth
    # inside - smoke, an aurora, a cloud on the horizon - is sky. Only above the horizon, where nothing hides its foot.
    stuff = ~sky & (p[..., VEGETATION] < 0.3) & (latitude > 0.03)
    labels, count = label(stuff)
    border = stuff & dilate(sky, 3)
    rim = np.bincount(labels[border], minlength=count)
    hard = np.bincount(labels[border], soft_edges[border], minlength=count) / np.maximum(rim, 1)
    inside = np.bincount(labels[stuff], minlength=count)
    rough = np.bincount(labels[stuff], soft_edges[stuff], minlength=count) / np.maximum(inside, 1)
    soft = (rim > 8) & (hard < 0.08) & (rough < 0.05)
    soft[0] = False
    # Small patches of sky are windows, or facades that the network takes for sky.
    return large_parts(sky | soft[labels], 0.03)


def find_sun(look: Look, sky: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[H, W] the sun or moon and its glare: blown-out patches whose rim is soft, unlike the edge of a bright cloud."""
    blown = (look.rgb.min(-1) > 0.985) & sky
    labels, count = label(blown)
    rim = dilate(blown, 3) & ~blown & sky
    near = np.zeros(count, bool)
    if count > 1:
        # Each rim pixel asks the patch beside it: the largest label within reach.
        owner = cv2.dilate(sphere.pad(labels.astype(np.float32), 4, 4), np.ones((9, 9)))[4:-4, 4:-4].astype(np.int32)
        rims = np.bincount(owner[rim], minlength=count)
        cut = np.bincount(owner[rim], look.sharp[rim] > 0.03, minlength=count)
        near = (cut < 0.2 * np.maximum(rims, 1)) & (areas(labels, count) > 2e-4)
        near[0] = False
    return dilate(near[labels], max(1, round(3 * look.scale)))


def find_water(look: Look, sky: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[H, W] where the water is."""
    r, g, b = look.rgb[..., 0], look.rgb[..., 1], look.rgb[..., 2]
    water = (look.p[..., WATER] > 0.5) & (look.latitude < 0.0) & ~sky
    # Grass and leaves have blue as their weakest colour by far; water has not.
    green = (2 * g - r - b > 0.05) & (np.minimum(r, g) - b > 0.06)
    water &= density(green, water, 0.03) < 0.3
    if "snow" in look.words:
        # Snow is among the brightest things around; open water in a cold scene is dark.
        water &= look.luminance < 0.55 * np.percentile(look.luminance[len(r) // 2 :], 95)
    if "desert" in look.words:
        water &= b > r
    water = large_parts(water, 0.02)
    # Water right below the camera and nowhere else is a smear at the nadir.
    labels, count = label(water)
    reaching = np.zeros(count, bool)
    reaching[labels[look.latitude[:, 0] > -0.8]] = True
    reaching[0] = False
    water = reaching[labels]
    # Islands of "ground" in the water that are brighter than it, or of the same mixture of tones, are foam and waves.
    labels, count = label(~water & ~sky & (look.latitude < 0.0))
    pixels = labels.ravel()
    n = np.maximum(np.bincount(pixels, minlength=count), 1)

    def mean(values: NDArray) -> NDArray[np.float64]:
        return np.bincount(pixels, values.ravel(), minlength=count) / n

    weight = np.maximum(sphere.blur_sphere(water.astype(np.float32), 0.06), 1e-3)
    around = sphere.blur_sphere(look.luminance * water, 0.06) / weight
    spread = sphere.blur_sphere((look.luminance - around) ** 2 * water, 0.06) / weight
    inside, beside = mean(look.luminance), mean(around)
    alike = (inside > beside + 0.02) | (np.abs(inside - beside) < 0.35 * np.sqrt(np.maximum(mean(spread), 0)))
    foam = (areas(labels, count) < 0.12) & (mean(look.p[..., GROUND] + look.p[..., WATER]) > 0.6) & alike
    foam[0] = False
    water |= foam[labels]
    return without_shore(look.rgb, look.p[..., WATER], water, sky)


def find_foliage(look: Look) -> NDArray[np.float32]:
    """[H, W] how freely foliage sways: anchored where it meets the ground or anything solid."""
    p, rgb = look.p, look.rgb
    green = 2 * rgb[..., 1] - rgb[..., 0] - rgb[..., 2] > 0.05
    leaves = (p[..., VEGETATION] > 0.5) | ((p[..., VEGETATION] > 0.2) & green & (look.sharp > TEXTURED_LEAVES))
    leaves = large_parts(leaves, 0.003)
    held = ((p[..., GROUND] + p[..., SOLID] + p[..., MOVER] + p[..., WATER]) > 0.5) & ~leaves
    height, width = leaves.shape
    half = max(2, height // 2)
    distance = angular_distance(sphere.resize(held.astype(np.float32), half, 2 * half) > 0.4)
    free = smoothstep(0.010, FOLIAGE_RAMP, sphere.resize(distance, height, width))
    # The silhouette takes its rim of sky along, so that it never tears: the weight fades outside the leaves.
    soft = np.maximum(sphere.blur_sphere(leaves.astype(np.float32), 0.012) * 1.6 - 0.1, 0)
    return (np.minimum(soft, 1) * free * ~held).astype(np.float32)


def find_grass(look: Look, sky: NDArray[np.bool_], water: NDArray[np.bool_]) -> NDArray[np.float32]:
    """[H, W] ground of the colour and texture of grass, easing off towards everything else and under the camera."""
    if share(sky) < 0.08 or "underwater" in look.words:
        return np.zeros(sky.shape, np.float32)  # a carpet, or sand
    r, g, b = look.rgb[..., 0], look.rgb[..., 1], look.rgb[..., 2]
    ground = (look.p[..., GROUND] + look.p[..., WATER] + look.p[..., VEGETATION] > 0.5) & (look.latitude < -0.02)
    ground &= ~water & ~sky
    blades = density(look.sharp > TEXTURE / max(look.scale, 0.25), ground, 0.05) > 0.3
    green = (g > b + 0.06) & (2 * g - r - b > 0.03) & (g > r - 0.06)
    meadow = large_parts((density(green, ground, 0.05) > 0.5) & ground & blades, 0.15)
    return ramp(meadow, 0.06, 0.01) * smoothstep(-1.45, -1.0, look.latitude)


def find_fog(look: Look, sky: NDArray[np.bool_]) -> NDArray[np.float32]:
    """[H, W] banks of fog or smoke, when the prompt speaks of them: pale, grey, and without any sharp detail."""
    if "fog" not in look.words:
        return np.zeros(sky.shape, np.float32)
    saturation = look.rgb.max(-1) - look.rgb.min(-1)
    detail = sphere.blur_sphere(look.sharp, 0.02)
    pale = (saturation < 0.15) & (look.luminance > np.median(look.luminance)) & (detail < 0.012)
    pale &= (np.abs(look.latitude) < 0.7) & ~sky & (look.sharp < 0.03)
    return ramp(large_parts(pale, 0.03), 0.08, 0.006)


def find_lights(look: Look, sky: NDArray[np.bool_], night: bool) -> NDArray[np.float32]:
    """[H, W] lamps, neon signs, screens and a little of their glow: far brighter than their surroundings."""
    value = look.rgb.max(-1)
    above = value - sphere.blur_sphere(value, 0.10)
    lamp = look.p[..., FIRE] * smoothstep(0.6, 0.95, value) * smoothstep(0.08, 0.25, above)
    # A large bright area by day is an opening, not a lamp; nor is its rim.
    bright = large_parts((value > 0.9) | sky, 0.02)
    dark = night or "neon" in look.words
    if dark:
        lamp = np.maximum(lamp, smoothstep(0.75, 1.0, value) * smoothstep(0.25, 0.5, above))
    else:
        # By day only what shines in a dark room.
        room = sphere.blur_sphere(value, 0.35) < 0.45
        lamp = np.maximum(lamp, smoothstep(0.9, 1.0, value) * smoothstep(0.3, 0.5, above) * room)
        lamp = np.where(dilate(bright, max(2, round(8 * look.scale))), 0, lamp)
    lamp = np.where(sky, 0, lamp).astype(np.float32)
    glow = np.minimum(1.4 * sphere.blur_sphere(lamp, 0.015), 0.5)
    return np.maximum(lamp, np.where(sky | (glow < 0.05), 0, glow)).astype(np.float32)


def find_sparks(look: Look) -> NDArray[np.float32]:
    """[H, W] sparks of fireworks, when the prompt speaks of them: bright fine detail above the horizon."""
    if "fireworks" not in look.words:
        return np.zeros(look.luminance.shape, np.float32)
    value = look.rgb.max(-1)
    fine = smoothstep(0.03, 0.12, value - sphere.blur_sphere(value, 0.02)) * smoothstep(0.3, 0.6, value)
    return (fine * smoothstep(0.05, 0.12, look.latitude)).astype(np.float32)


def find_caustics(look: Look, sky: NDArray[np.bool_]) -> NDArray[np.float32]:
    """[H, W] surfaces under water, when the prompt speaks of it: what is well lit shows the light of the waves."""
    if "underwater" not in look.words:
        return np.zeros(sky.shape, np.float32)
    return np.where(sky, 0.5, 1) * smoothstep(0.2, 0.6, look.luminance) * smoothstep(0.4, -0.2, look.latitude)


def find_flames(look: Look) -> NDArray[np.float32]:
    """[H, W] flames and lava, when the prompt speaks of them: bright, and yellow to red."""
    if not look.words & {"fire", "lava"}:
        return np.zeros(look.luminance.shape, np.float32)
    r, g, b = look.rgb[..., 0], look.rgb[..., 1], look.rgb[..., 2]
    hot = smoothstep(0.6, 0.9, r) * smoothstep(0.25, 0.5, r - b) * (g < r)
    return sphere.blur_sphere(hot.astype(np.float32), 0.006) * (look.p[..., SKY] < 0.5)


def find_aurora(look: Look, sky: NDArray[np.bool_], weight: NDArray[np.float32], night: bool) -> NDArray[np.float32]:
    """[H, W] curtains of an aurora: much green or violet light in a night sky."""
    saturation = look.rgb.max(-1) - look.rgb.min(-1)
    green = sphere.blur_sphere(saturation * (look.rgb.argmax(-1) == 1), 0.03) * sky
    if not ("aurora" in look.words or (night and share(green > 0.2) > 0.04)):
        return np.zeros(sky.shape, np.float32)
    return smoothstep(0.08, 0.35, sphere.blur_sphere(saturation, 0.02)) * weight


def judge(panorama: NDArray[np.uint8], perception: ImagePerception, prompt: str = "") -> Matter:
    """What moves in a panorama [H, W, 3], at its own size; analysed at no more than ANALYSIS_HEIGHT rows."""
    full = panorama.shape[:2]
    height = min(full[0], ANALYSIS_HEIGHT)
    width = full[1] if height == full[0] else 2 * height
    rgb = cast(NDArray[np.float32], sphere.resize(panorama, height, width).astype(np.float32) / 255)
    luminance = rgb @ LUMINANCE
    p = np.clip(sphere.resize(perception.classes, height, width), 0, 1)
    latitude = sphere.latitudes(height)[:, None]
    look = Look(rgb, luminance, sharpness(luminance), p, latitude, read_words(prompt))

    sky = find_sky(look)
    seen = luminance[sky] if share(sky) > 0.02 else luminance
    night = bool(np.median(seen) < 0.35)
    water = find_water(look, sky)
    detail: SkyDetail = sky_detail(luminance, look.sharp, sky, ~sky & ~water & (p[..., SKY] < 0.5))
    still = dilate(detail.static, max(1, round(1.5 * look.scale))) | find_sun(look, sky)
    sky_weight = ramp(sky & ~still, SKY_RAMP, 0.008)
    water_weight = ramp(water, WATER_RAMP, 0.006)
    # Waves belong where waves are seen: a mirror, or a picture that blurs out below the camera, would turn to stripes.
    waves = smoothstep(0.002, 0.012, sphere.blur_sphere(look.sharp, 0.03))
    maps = {
        "sky": sky_weight,
        "water": water_weight,
        "ripples": water_weight * (0.2 + 0.8 * waves),
        "foliage": find_foliage(look),
        "grass": find_grass(look, sky, water),
        "fog": find_fog(look, sky),
        "flame": find_flames(look),
        "lights": find_lights(look, sky, night),
        "sparks": find_sparks(look),
        "caustics": find_caustics(look, sky),
        "stars": detail.stars.astype(np.float32),
        "aurora": find_aurora(look, sky, sky_weight, night),
    }
    notes = [f"{name}: {100 * s:.0f} % of the sphere" for name, m in maps.items() if (s := share(m > 0.1)) > 0.002]
    for name, m in maps.items():
        if (height, width) != full:
            m = np.clip(sphere.resize(m, *full), 0, 1)
        maps[name] = np.where(m > 0.004, m, 0).astype(np.float32)
    return Matter(**maps, words=look.words, night=night, notes=notes)


MAPS = tuple(f.name for f in fields(Matter) if f.name not in {"words", "night", "notes"})
