"""The lagoon, put together and rendered."""

import math
from pathlib import Path

import bpy
import numpy as np

from . import buildings, land, plants
from . import geometry as g
from . import materials as m
from .land import WATER, height, place, shore


def vegetation(rng) -> None:
    """Palms at the water, trees and bushes behind, grass and flowers underfoot."""
    trunk = m.bark("palm bark", (0.10, 0.075, 0.05), (0.34, 0.27, 0.19), 14)
    frond = m.foliage("fronds", (0.03, 0.07, 0.012), (0.16, 0.20, 0.035), 0.4, 0.5)
    palms = [
        plants.palm(rng, h, lean, trunk, frond) for h, lean in ((6.4, 0.30), (7.6, 0.18), (5.4, 0.42), (8.4, 0.25))
    ]
    # fmt: off
    spots = [  # azimuth, distance, which palm, where it leans
        (-52, 6.4, 0, 190), (-60, 7.2, 1, 230), (-45, 5.6, 2, 250), (45, 7.4, 1, 40), (52, 8.6, 3, 80),
        (40, 6.6, 2, 20),
        (80, 16, 0, 60), (86, 20, 3, 120), (-92, 11, 3, 250), (98, 26, 1, 30), (-104, 16, 0, 200), (110, 30, 3, 0),
    ]
    # fmt: on
    for azimuth, distance, kind, turn in spots:
        for part in palms[kind]:
            g.add(part, None, place(azimuth, distance, -0.05), rng.uniform(0.92, 1.08), turn - 90)
    wood = m.bark("tree bark", (0.045, 0.03, 0.02), (0.16, 0.11, 0.075))
    green = m.foliage("leaves", (0.035, 0.07, 0.01), (0.20, 0.21, 0.03))
    amber = m.foliage("amber leaves", (0.22, 0.075, 0.01), (0.48, 0.21, 0.03))
    trees = [plants.tree(rng, h, wood, leaf) for h, leaf in ((7.5, green), (9.0, green), (6.5, amber), (8.0, green))]
    # fmt: off
    spots = [  # azimuth, distance, which tree
        (118, 12, 0), (142, 17, 1), (163, 13, 2), (-172, 22, 3), (-118, 15, 1), (-128, 24, 0), (98, 17, 2),
        (178, 30, 1), (128, 26, 3), (-158, 26, 1), (152, 34, 0), (-148, 38, 2), (108, 34, 1), (-110, 28, 3),
    ]
    # fmt: on
    for _ in range(170):
        side = rng.uniform(104, 256)
        spots.append((side, rng.uniform(38, 190), int(rng.integers(4))))
    for azimuth, distance, kind in spots:
        turn, size = rng.uniform(0, 360), rng.uniform(0.85, 1.3)
        for part in trees[kind]:
            g.add(part, None, place(azimuth, distance), size, turn)
    bushes = [plants.bush(rng, 1.0, leaf) for leaf in (green, green, amber)]
    for _ in range(90):
        azimuth, distance = rng.uniform(78, 282), 8 + 40 * rng.random() ** 1.5
        if shore(azimuth) < distance + 3 or (abs((azimuth - 220 + 180) % 360 - 180) < 30 and distance < 16):
            continue
        g.add(
            bushes[rng.integers(3)], "bush", place(azimuth, distance, -0.05), rng.uniform(0.5, 1.7), rng.uniform(0, 360)
        )

    blade = m.foliage("grass", (0.055, 0.13, 0.012), (0.24, 0.32, 0.05), 0.5)
    straw = m.foliage("straw", (0.20, 0.19, 0.05), (0.46, 0.40, 0.14), 0.5)

    def meadow(count: int, near: float, far: float, inland: float):
        r = near * (far / near) ** rng.random(count)
        a = rng.uniform(-180, 180, count)
        x, y = r * np.sin(np.radians(a)), r * np.cos(np.radians(a))
        p = np.stack([x, y, height(x, y)], -1)
        patch = g.noise(np.stack([x, y, 0 * x], -1) * 0.35, 71)
        keep = (shore(a) - r > inland + 0.6 * patch) & (p[:, 2] > WATER + 0.28)
        keep &= np.hypot(x - buildings.RUIN[0], y - buildings.RUIN[1]) > 3.7
        return p[keep], patch[keep], r[keep]

    for k in range(6):
        tall = k >= 4
        v, f = plants.blades(rng, 70 if not tall else 26, 1.0, 0.22, 0.016)
        p, patch, r = meadow(6500 if not tall else 1000, 0.55, 90, 1.3)
        size = (
            (0.26 if not tall else 0.55)
            * (0.75 + 0.5 * patch)
            * rng.uniform(0.6, 1.25, len(p))
            * (0.55 + 0.45 * g.smoothstep(0.7, 4, r))
        )
        size *= 1 + g.smoothstep(15, 60, r)
        g.scatter(g.mesh(f"tuft {k}", v, f, straw if tall else blade), p, np.maximum(size, 0.05), 0.12, rng)
    for name, color in (("poppy", (0.75, 0.06, 0.03)), ("daisy", (0.85, 0.78, 0.60)), ("bluet", (0.20, 0.16, 0.62))):
        p, patch, _ = meadow(1300, 1.5, 26, 1.6)
        p = p[(patch > 0.05) & (g.noise(p * 0.5 + len(name) * 3.7, 91) > 0.12)]
        bloom = m.foliage(name, color, tuple(min(1.0, 1.2 * c) for c in color), 0.4)
        g.scatter(plants.flower(rng, bloom, blade), p, rng.uniform(0.6, 1.1, len(p)), 0.15, rng)


def birds(rng) -> None:
    """A loose skein of birds beside the sun."""
    dark = m.bark("feather", (0.02, 0.02, 0.025), (0.05, 0.05, 0.06))
    wing = np.array(
        [
            [0, 0.25, 0],
            [0, -0.25, 0],
            [0.55, 0.02, 0.22],
            [0.5, 0.2, 0.22],
            [1.2, -0.15, 0.08],
            [-0.55, 0.02, 0.22],
            [-0.5, 0.2, 0.22],
            [-1.2, -0.15, 0.08],
        ]
    )
    quads = [np.array([[0, 1, 2, 3], [1, 0, 6, 5]]), np.array([[3, 2, 4], [5, 6, 7]])]
    data = g.mesh("bird", wing, quads, dark, smooth=False)
    for k in range(11):
        side = (k % 2) * 2 - 1
        azimuth, distance = -2 + side * k * 0.55 + rng.normal() * 0.25, 62 + 1.6 * k
        tall = math.tan(math.radians(15.5 + 0.25 * k + rng.normal() * 0.25)) * distance
        g.add(data, "bird", g.place(azimuth, distance, tall), rng.uniform(0.75, 1.0), rng.uniform(30, 60))


def build(seed: int = 7) -> None:
    """Model everything into an empty file."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    rng = np.random.default_rng(seed)
    m.sky()
    land.ground(rng)
    land.towers(rng)
    buildings.add_all(rng)
    vegetation(rng)
    birds(rng)


def render(file: Path, width: int, samples: int, margin: int) -> None:
    """Render the panorama to a linear EXR, ``margin`` columns wider on both sides than the circle.

    The denoiser does not know that the picture is a circle: what it does at the two ends is cut away afterwards.
    """
    scene = bpy.context.scene
    data = bpy.data.cameras.new("eye")
    data.type, data.panorama_type = "PANO", "EQUIRECTANGULAR"
    data.longitude_max = math.pi * (1 + 2 * margin / width)
    data.longitude_min = -data.longitude_max
    data.clip_end = 20000
    camera = bpy.data.objects.new("eye", data)
    camera.rotation_euler = (math.pi / 2, 0, 0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y = width + 2 * margin, width // 2
    scene.render.threads_mode, scene.render.threads = "FIXED", 2
    scene.render.film_transparent = False
    cycles = scene.cycles
    cycles.samples, cycles.use_adaptive_sampling, cycles.adaptive_threshold = samples, True, 0.02
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 4, 2, 2
    cycles.transmission_bounces, cycles.transparent_max_bounces, cycles.volume_bounces = 3, 8, 0
    cycles.sample_clamp_indirect, cycles.sample_clamp_direct = 5.0, 60.0
    cycles.caustics_reflective = cycles.caustics_refractive = False
    settings = scene.render.image_settings
    settings.file_format, settings.color_depth, settings.color_mode = "OPEN_EXR", "16", "RGB"
    scene.render.filepath = str(file)
    bpy.ops.render.render(write_still=True)
