"""Perception: seconds per image and per clip, and scores against ground truth. Prints one JSON object.

    python benchmarks/perceive.py [--frames 24] [--height 512] [--gt SCENE_DIR ...]

A scene folder holds frames/ and depth.npz (key ``depth`` [T, H, W], inf = sky). Scores are weighted by solid angle,
with one free scale for the clip.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.clip import Clip, read_clip
from holotime.perceive import perceive_clip, perceive_image


def panorama(height: int, seed: int = 0) -> NDArray[np.uint8]:
    """A drawn landscape with texture everywhere: [H, 2H, 3] sRGB."""
    d = sphere.directions(height)
    rng = np.random.default_rng(seed)
    grain = sum(np.sin(d @ (rng.normal(size=3) * 40) + rng.uniform(0, 6)) for _ in range(30)) / 8
    skyline = 0.15 + 0.1 * np.sin(5 * sphere.longitudes(2 * height))[None]
    phi = sphere.latitudes(height)[:, None]
    kind = np.where(phi > skyline, 0, np.where(phi > 0, 1, 2))
    colour = np.array([[120, 160, 220], [90, 110, 80], [140, 120, 90]])[kind]
    return np.clip(colour + 25 * grain[..., None], 0, 255).astype(np.uint8)


def best_of(call, times: int = 3) -> float:  # type: ignore[no-untyped-def]
    """Least wall seconds of ``call`` after one warm-up."""
    call()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return round(min(seconds), 3)


def scores(predicted: NDArray, truth: NDArray) -> dict[str, float]:
    """Absolute relative error, share within 1.25, IoU of the sky and jitter of still pixels; both [T, H, W]."""
    weight = np.broadcast_to(sphere.solid_angles(*truth.shape[1:]), truth.shape)
    solid, found = np.isfinite(truth), np.isfinite(predicted)
    both = solid & found
    scale = np.median(truth[both] / predicted[both])
    ratio = np.where(found, predicted * scale, 1e3)[solid] / truth[solid]
    w = weight[solid] / weight[solid].sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        steady = both[1:] & both[:-1] & (np.abs(np.log(truth[1:] / truth[:-1])) < 0.005)
        jitter = np.abs(np.log(predicted[1:] / predicted[:-1]))[steady]
    sky_union = (weight * ~both).sum()  # either says sky
    return {
        "abs_rel": float((np.minimum(np.abs(ratio - 1), 10) * w).sum()),
        "delta_1_25": float((np.maximum(ratio, 1 / ratio) < 1.25) @ w),
        "sky_iou": float((weight * ~(solid | found)).sum() / sky_union) if sky_union else 1.0,
        "still_jitter": float(jitter.mean()) if jitter.size else 0.0,
        "scale": float(scale),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--gt", type=Path, nargs="*", default=[], metavar="SCENE_DIR")
    args = parser.parse_args()

    image = panorama(args.height)
    frames = np.stack([np.roll(image, 2 * t, 1) for t in range(args.frames)])
    frames[:, : args.height // 2] = image[: args.height // 2]  # the lower half moves, the rest stands still
    clip = Clip(frames)
    result: dict[str, object] = {
        "size": [2 * args.height, args.height],
        "load": os.getloadavg()[0],
        "cores": os.cpu_count(),
        "image_network_seconds": best_of(lambda: perceive_image(image, backend="network")),
        "image_prior_seconds": best_of(lambda: perceive_image(image, backend="prior")),
    }
    still = perceive_image(image)
    for name, given in (("clip_seconds", None), ("clip_with_still_seconds", still)):
        start = time.perf_counter()
        perceive_clip(clip, still=given)
        result[name] = round(time.perf_counter() - start, 2)
    result["frames"] = args.frames
    for scene in args.gt:
        truth = np.load(scene / "depth.npz")["depth"].astype(np.float64)
        found = perceive_clip(read_clip(scene / "frames"))
        result[scene.name] = {k: round(v, 5) for k, v in scores(found.distance.astype(np.float64), truth).items()}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
