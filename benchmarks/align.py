"""Alignment of perspective predictions: error and seconds with a predictor that is right up to scale and shift.

    python benchmarks/align.py --gt SCENE_DIR [SCENE_DIR ...] [--frames 16] [--kind distance] [--ratio 1.3]
                               [--bump 0.05] [--noise 0.02] [--device cuda]

A scene folder holds frames/ and depth.npz (key ``depth`` [T, H, W], inf = sky). The stub returns the true value of
every view with a random scale and shift of its own (and, on request, a smooth distortion and noise of the given
standard deviations, in log). Prints one JSON object: mean relative error with one scale for the clip and frame-to-frame
jitter of still pixels, both weighted by solid angle, seconds of alignment and of fusion, and the error of what was
known before (the embedded network). ``--precomputed FILE.npz`` takes flow and the rough world from a file that
``--prepare FILE.npz`` wrote, for machines without OpenCV.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from holotime import sphere
from holotime.perceive.align import align
from holotime.perceive.fuse import fuse
from holotime.perceive.observe import Scene
from holotime.perceive.views import VIEWS, Views, sample_panorama


def known_before(scene: Path, frames: int) -> dict[str, NDArray]:
    """What perception knows before any depth network runs: flow, motion, and the embedded network's rough world."""
    from holotime.clip import Clip, read_clip
    from holotime.perceive import GROUND, SKY, WATER, perceive_image, regions
    from holotime.perceive.clip import clip_flow, moving_mask

    clip = Clip(read_clip(scene / "frames").frames[:frames], 8.0)
    start = time.perf_counter()
    forward, _, seen = clip_flow(clip)
    look = perceive_image(clip.frames[0])
    sky = look.classes[..., SKY] >= 0.5
    rough = np.exp(regions.fill(np.log(np.where(sky, np.float32(1), look.distance)), ~sky))
    return {
        "distance": rough,
        "sky": sky,
        "ground": look.classes[..., GROUND],
        "water": look.classes[..., WATER],
        "moving": moving_mask(clip, forward),
        "flow": forward,
        "seen": seen,
        "found": look.distance,
        "seconds": np.array(time.perf_counter() - start),
    }


def stub(truth: NDArray, views: Views, args: argparse.Namespace) -> list[torch.Tensor]:
    """[20, s, s] of each frame [T, H, W]."""
    generator = torch.Generator().manual_seed(args.seed)
    directions, length = views.directions(), views.rays().norm(dim=-1)
    out = []
    for frame in truth:
        d = sample_panorama(torch.from_numpy(frame)[None], directions, nearest=True)[0]
        value = {"distance": d, "depth": d / length, "disparity": length / d}[args.kind]
        for size, strength in ((4, args.bump), (64, args.noise)):
            if strength:
                grid = strength * torch.randn(VIEWS, 1, size, size, generator=generator)
                value = value * F.interpolate(grid, 2 * [views.size], mode="bicubic")[:, 0].exp()
        scale = torch.exp(3 * torch.rand(VIEWS, 1, 1, generator=generator) - 1.5)
        out.append(value * scale + 10 * torch.rand(VIEWS, 1, 1, generator=generator) - 5)
    return out


def scores(found: NDArray, truth: NDArray) -> dict[str, float]:
    """Mean relative error and jitter of still pixels; both [T, H, W]."""
    weight = np.broadcast_to(sphere.solid_angles(*truth.shape[1:]), truth.shape)
    both = np.isfinite(truth) & np.isfinite(found)
    scale = float(np.median(truth[both] / found[both]))
    error = float(np.average(np.abs(found[both] * scale / truth[both] - 1), weights=weight[both]))
    pair = both[1:] & both[:-1]
    change = np.log(np.where(pair, truth[1:], 1) / np.where(pair, truth[:-1], 1))
    still = pair & (np.abs(change) < 0.005)
    jitter = np.abs(np.log(np.where(still, found[1:], 1) / np.where(still, found[:-1], 1)))[still]
    return {
        "mean_relative_error": round(error, 5),
        "still_jitter": round(float(np.average(jitter, weights=weight[1:][still])), 6) if jitter.size else 0.0,
        "scale": round(scale, 4),
        "solid_called_sky": round(float((np.isfinite(truth) & ~np.isfinite(found)).mean()), 6),
    }


def measure(known: dict[str, NDArray], truth: NDArray, args: argparse.Namespace) -> dict[str, object]:
    """One scene."""
    device = torch.device(args.device)
    views = Views.icosahedron(args.size, args.ratio)
    predictions = stub(truth, views, args)
    names = ("distance", "sky", "ground", "water", "moving", "flow", "seen")
    scene = Scene(*(torch.from_numpy(np.ascontiguousarray(known[n])).to(device) for n in names))
    rays = torch.from_numpy(sphere.directions(truth.shape[1]).copy()).to(device)

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    seconds = []
    for _ in range(2 if device.type == "cuda" else 1):  # the first pass on a GPU pays for its start
        start = now()
        found = align(predictions, args.kind, views, scene)
        aligned = now()
        log = fuse(predictions, found, views, rays, scene.moving)
        seconds.append({"align": round(aligned - start, 2), "fuse": round(now() - aligned, 2)})
    distance = log.exp().numpy()
    if args.kind == "disparity":
        distance[:, known["sky"]] = np.inf
    before = np.broadcast_to(known["found"], truth.shape)
    result: dict[str, object] = scores(distance.astype(np.float64), truth.astype(np.float64))
    return result | {
        "seconds": seconds[-1],
        "first_seconds": seconds[0],
        "views_differ_by": round(found.disagreement, 5),
        "network_before": scores(before.astype(np.float64), truth.astype(np.float64))["mean_relative_error"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gt", type=Path, nargs="*", default=[], metavar="SCENE_DIR")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--kind", default="distance", choices=("distance", "depth", "disparity"))
    parser.add_argument("--ratio", type=float, default=1.3)
    parser.add_argument("--size", type=int, default=518)
    parser.add_argument("--bump", type=float, default=0.0)
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--prepare", type=Path, help="write what is known before, and the truth, of one scene")
    parser.add_argument("--precomputed", type=Path, nargs="*", default=[], help="files written by --prepare")
    args = parser.parse_args()
    cases = []
    for scene in args.gt:
        truth = np.load(scene / "depth.npz")["depth"][: args.frames].astype(np.float32)
        cases.append((scene.name, known_before(scene, args.frames), truth))
    if args.prepare:
        name, known, truth = cases[0]
        small = {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in known.items()}
        np.savez_compressed(args.prepare, truth=truth.astype(np.float16), name=name, **small)
        return
    for file in args.precomputed:
        with np.load(file) as data:
            known = {k: v.astype(np.float32) if v.dtype == np.float16 and k != "flow" else v for k, v in data.items()}
        cases.append((str(known.pop("name")), known, known.pop("truth")[: args.frames]))
    gpu = torch.cuda.get_device_name() if args.device.startswith("cuda") else None
    settings = {k: getattr(args, k) for k in ("frames", "kind", "ratio", "size", "bump", "noise", "seed")}
    result: dict[str, object] = {**settings, "gpu": gpu, "threads": torch.get_num_threads(), "load": os.getloadavg()[0]}
    for name, known, truth in cases:
        result[name] = {"panorama": list(truth.shape), **measure(known, truth, args)}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
