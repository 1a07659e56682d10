#!/usr/bin/env python3
"""How fast the CPU rasterizer draws, and how near it is to its torch twin. Prints JSON.

    python benchmarks/render.py [--splats 400000] [--width 1024] [--repeat 5]

The scene is a room of splats as a lift makes them: one for each equal share of the sphere, as wide as its share, at the
distance of walls, floor and a few balls. Seconds are the best and the median of ``--repeat`` frames after one warm-up;
"first_frame" is a fresh process without and with kernels compiled before. Read the load average beside the figures.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from holotime.render import EquirectCamera, PerspectiveCamera, fill_holes, jit, prepare, rasterize, upright
from holotime.scene4d import Gaussians


def room(count: int, seed: int = 0) -> Gaussians:
    """``count`` splats on the walls of a box 8 x 8 x 3 m around the eye and on twelve balls inside it."""
    rng = np.random.default_rng(seed)
    i = np.arange(count) + 0.5
    z = 1 - 2 * i / count
    azimuth = math.pi * (1 + math.sqrt(5)) * i
    d = np.stack([np.sqrt(1 - z * z) * np.cos(azimuth), np.sqrt(1 - z * z) * np.sin(azimuth), z], -1)
    distance = (np.array([4, 4, 1.5]) / np.maximum(np.abs(d), 1e-9)).min(-1)
    balls = rng.normal(size=(12, 3)) * [1, 1, 0.3]
    balls *= rng.uniform(1.2, 3, (12, 1)) / np.linalg.norm(balls, axis=1, keepdims=True)
    for ball in balls:
        along = d @ ball
        inside = along**2 - ball @ ball + 0.3**2
        hit = (inside > 0) & (along > 0)
        distance[hit] = np.minimum(distance[hit], along[hit] - np.sqrt(inside[hit]))
    means = d * distance[:, None]
    arrays = {
        "means": means,
        "quats": np.tile([1.0, 0, 0, 0], (count, 1)),
        "scales": np.repeat((0.6 * math.sqrt(4 * math.pi / count) * distance)[:, None], 3, axis=1),
        "opacities": np.full(count, 0.97),
        "colors": 0.5 + 0.4 * np.sin(7 * means),
    }
    return Gaussians(**{name: a.astype(np.float32) for name, a in arrays.items()})


def timed(work: Callable[[], object], repeat: int) -> dict[str, float]:
    """Best and median seconds of ``work`` after one call that does not count."""
    work()
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return {"best": round(min(seconds), 4), "median": round(statistics.median(seconds), 4)}


def first_frames() -> dict[str, float]:
    """Seconds of the first small frame of a fresh process: kernels compiled, then kernels loaded from disk."""
    code = (
        "import time\nfrom benchmarks.render import room\nfrom holotime.render import EquirectCamera, rasterize\n"
        "scene = room(100)\nstart = time.perf_counter()\nrasterize(scene, EquirectCamera(64, 32))\n"
        "print(time.perf_counter() - start)"
    )
    root = str(Path(__file__).resolve().parent.parent)
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"NUMBA_CACHE_DIR": cache, "PYTHONPATH": root}
        found = {}
        for name in ("compiling", "from_cache"):
            run = subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
            )
            found[name] = round(float(run.stdout), 3)
    return found


def twin_difference() -> dict[str, float]:
    """Largest and mean difference of colours to the torch twin, over three cameras and 300 splats."""
    from holotime.render import torch_twin

    scene = room(300)
    differences = []
    for camera in (EquirectCamera(128, 64), EquirectCamera(128, 64, eye=0.032), PerspectiveCamera(96, 64, 1.3)):
        twin = torch_twin.rasterize(torch_twin.Splats.of(scene), camera)[0].numpy()
        differences.append(np.abs(rasterize(scene, camera).color - twin).ravel())
    every = np.concatenate(differences)
    return {"largest": float(every.max()), "mean": float(every.mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splats", type=int, default=400_000)
    parser.add_argument("--width", type=int, default=1024, help="of the panorama; the pinhole is as wide, 16:9")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    scene = room(options.splats)
    width, height = options.width, options.width // 2
    mono = EquirectCamera(width, height)
    footprints = prepare(scene, mono)
    with_holes = rasterize(scene, EquirectCamera(width, height, upright((0.5, 0.0, 0.0))))
    residual = np.zeros((height, width, 3), np.float32)
    cameras = {
        "equirect": mono,
        "stereo_eye": EquirectCamera(width, height, eye=0.032),
        "perspective": PerspectiveCamera(width, width * 9 // 16, 1.3),
    }
    result = {
        "splats": options.splats,
        "size": [width, height],
        "threads": jit.threads(),
        "load_average_before": load,
        "seconds_per_frame": {n: timed(lambda c=c: rasterize(scene, c), options.repeat) for n, c in cameras.items()},
        "seconds_of_parts": {
            "prepare": timed(lambda: prepare(scene, mono), options.repeat),
            "draw": timed(lambda: footprints.draw(scene.colors), options.repeat),
            "adjoint": timed(lambda: footprints.adjoint(residual), options.repeat),
            "fill_holes": timed(lambda: fill_holes(with_holes), options.repeat),
        },
        "first_frame": first_frames(),
        "twin_difference": twin_difference(),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
