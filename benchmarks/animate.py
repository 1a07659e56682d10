"""Seconds and loop quality of the flow animator; prints JSON.

usage: python benchmarks/animate.py [PANORAMA ...] [--frames N] [--width W] [--prompt TEXT] [--threads N] [--repeat N]

Without a panorama a synthetic one is used: clouds over the sea, all of it moving, which is the dearest case.
``seconds`` is the best of ``repeat`` runs after one that compiles; ``cpu_seconds`` is the processor time of the same
run over all threads, which a loaded machine disturbs less.
"""

import argparse
import json
import os
import time
from pathlib import Path

import cv2
import numpy as np

from holotime import quality, sphere
from holotime.animate.flow import FlowConfig, animate
from holotime.clip import read_image
from holotime.perceive import SKY, WATER, ImagePerception


def clouds_over_sea(height: int) -> tuple[np.ndarray, ImagePerception]:
    """A textured panorama [H, 2H, 3] whose upper half is sky and lower half water."""
    rng = np.random.default_rng(0)
    d = sphere.directions(height)
    texture = sum(np.cos(d @ (rng.normal(size=3) * s).astype(np.float32) + s) for s in np.linspace(3, 60, 40)) / 6
    up = d[..., 2] > 0
    colour = np.where(up[..., None], [0.6, 0.7, 0.85], [0.15, 0.35, 0.45]) + 0.06 * texture[..., None]
    classes = np.zeros((*up.shape, 7), np.float32)
    classes[..., SKY], classes[..., WATER] = up, ~up
    distance = np.where(up, np.inf, 5).astype(np.float32)
    image = np.round(np.clip(colour, 0, 1) * 255).astype(np.uint8)
    return image, ImagePerception(distance, classes, np.full(up.shape, 0.1, np.float32), "network")


def measure(image: np.ndarray, perception: ImagePerception, config: FlowConfig, threads: int, repeat: int) -> dict:
    """Run the animator on one panorama."""
    start = time.perf_counter()
    result = animate(image, perception, config, threads=threads)
    first = time.perf_counter() - start
    runs = []
    for _ in range(repeat):
        start, cpu = time.perf_counter(), time.process_time()
        result = animate(image, perception, config, threads=threads)
        runs.append((time.perf_counter() - start, time.process_time() - cpu))
    seconds, cpu = min(runs)
    frames = result.clip.frames
    return {
        "size": [image.shape[1], image.shape[0]],
        "frames": len(frames),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "first_run_seconds": round(first, 2),
        "seam_ratio_input": round(quality.seam_ratio(image[None]), 3),
        "seam_ratio": round(quality.seam_ratio(frames), 3),
        "loop_ratio": round(quality.loop_ratio(frames), 3),
        "moving_share": round(float(result.moving.mean()), 3),
        "notes": result.notes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("panoramas", nargs="*", type=Path)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--prompt", default="")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=2)
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    config = FlowConfig(frames=options.frames, prompt=options.prompt)
    results = {}
    if not options.panoramas:
        scene = clouds_over_sea(options.width // 2)
        results["clouds_over_sea"] = measure(*scene, config, options.threads, options.repeat)
    for path in options.panoramas:
        from holotime.perceive import perceive_image

        image = sphere.resize(read_image(path), options.width // 2, options.width)
        results[path.name] = measure(image, perceive_image(image), config, options.threads, options.repeat)
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    print(json.dumps({"threads": options.threads, "load_average": load, "animate": results}, indent=2))


if __name__ == "__main__":
    main()
