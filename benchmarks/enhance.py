"""How good frames in between are, how long they take, and how steady super-resolution is. Prints JSON.

    python benchmarks/enhance.py FOLDER [FOLDER ...] [--middles 3] [--model NAME]

Each folder holds the numbered frames of a panoramic clip (``frames/`` below it is looked at first). Every middle frame
that is left out is made again from its neighbours, by every interpolator that is here and by a plain cross-fade; so
are frames turned by known angles. With ``--model``, noisy copies of one frame are enlarged: flicker is the mean
difference of neighbouring results in grey levels, against that of the same frames enlarged by Lanczos.
"""

import argparse
import itertools
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from holotime import quality, sphere
from holotime.clip import read_clip
from holotime.enhance.charts import sample_cubic
from holotime.enhance.config import INTERPOLATORS, Choice, load_engine, load_enlarger
from holotime.enhance.motion import Engine, Pair
from holotime.enhance.paint import paint
from holotime.enhance.steady import steady
from holotime.enhance.superres import lanczos
from holotime.weights import locate, status

Frame = NDArray[np.uint8]
TURNS = ((0.0, 2.0), (0.0, 6.0), (0.0, 15.0), (90.0, 2.0), (90.0, 6.0), (90.0, 15.0))  # tilt of the axis, degrees


def turned(frame: Frame, tilt: float, degrees: float) -> Frame:
    """The panorama [H, 2H, 3] turned about an axis that is tilted from the vertical towards +X."""
    a, t = np.radians(tilt), np.radians(degrees)
    x, z = np.sin(a), np.cos(a)
    cross = np.array([[0, -z, 0], [z, 0, -x], [0, x, 0]])
    matrix = np.eye(3) + np.sin(t) * cross + (1 - np.cos(t)) * cross @ cross
    directions = sphere.directions(frame.shape[0]).astype(np.float64) @ matrix
    return sample_cubic(frame, *sphere.to_pixels(directions, frame.shape[0]))


def made(engine: Engine | None, first: Frame, second: Frame) -> Frame:
    """The picture in the middle; a cross-fade without an engine."""
    if engine is None:
        return ((first.astype(np.uint16) + second + 1) // 2).astype(np.uint8)
    return paint(first, second, Pair(engine, first, second).at(0.5), 0.5)


def engines() -> dict[str, Engine | None]:
    """Every interpolator that is here."""
    found: dict[str, Engine | None] = {"cross-fade": None, "dis": load_engine(Choice("dis"))}
    for name in INTERPOLATORS:
        if status(name).present:
            found[name] = load_engine(Choice(name, locate(name)))
    return found


def middles(frames: Frame, count: int) -> dict[str, dict[str, float]]:
    """PSNR (dB, by solid angle) of frames that were left out, seam, and seconds a frame.

    Seam: the ratio at +-180 degrees over that of the same columns where they are made in the middle of the picture.
    """
    chosen = np.linspace(1, len(frames) - 2, count).round().astype(int)
    result = {}
    for name, engine in engines().items():
        made(engine, frames[0], frames[2])  # compiles
        start = time.perf_counter()
        out = [made(engine, frames[i - 1], frames[i + 1]) for i in chosen]
        seconds = (time.perf_counter() - start) / count
        truth, half, i = frames[chosen], frames.shape[2] // 2, chosen[0]
        middle = np.roll(made(engine, *(np.roll(frames[k], half, 1) for k in (i - 1, i + 1))), -half, 1)
        result[name] = {
            "psnr_db": round(float(np.mean([quality.psnr(a, b) for a, b in zip(out, truth, strict=True)])), 2),
            "seam": round(quality.seam_ratio(out[0][None]) / quality.seam_ratio(middle[None]), 3),
            "seconds": round(seconds, 2),
        }
    return result


def turns(frame: Frame) -> dict[str, dict[str, float]]:
    """PSNR of the half of a known turn."""
    result: dict[str, dict[str, float]] = {}
    for tilt, degrees in TURNS:
        second, truth = turned(frame, tilt, degrees), turned(frame, tilt, degrees / 2)
        for name, engine in engines().items():
            key = f"{'yaw' if tilt == 0 else 'pitch'} {degrees:g}"
            result.setdefault(name, {})[key] = round(quality.psnr(made(engine, frame, second), truth), 1)
    return result


def flicker(frames: list[Frame]) -> float:
    """Mean difference of neighbouring frames, grey levels."""
    return float(np.mean([np.abs(b.astype(np.float32) - a).mean() for a, b in itertools.pairwise(frames)]))


def steadiness(frame: Frame, model: str, scale: int) -> dict[str, float]:
    """Flicker of a still scene under noise of two grey levels, and seconds a frame."""
    rng = np.random.default_rng(0)
    small = [np.clip(frame + rng.normal(0, 2, frame.shape), 0, 255).astype(np.uint8) for _ in range(4)]
    enlarger = load_enlarger(Choice(model, None if model == "lanczos" else locate(model)), scale)
    start = time.perf_counter()
    large = [enlarger.enlarge(f, lambda share: None) for f in small]
    seconds = (time.perf_counter() - start) / len(small)
    calm = [steady(large[i], small[i], [(large[j], small[j]) for j in (i - 1, i + 1)]) for i in (1, 2)]
    base = flicker([lanczos(f, scale) for f in small])
    half = frame.shape[1] // 2
    middle = np.roll(enlarger.enlarge(np.roll(small[0], half, 1), lambda share: None), -scale * half, 1)
    return {
        "flicker_lanczos": round(base, 3),
        "flicker_each_frame_alone": round(flicker(large) / base, 3),
        "flicker_steadied": round(flicker(calm) / base, 3),
        "seam": round(quality.seam_ratio(large[0][None]) / quality.seam_ratio(middle[None]), 3),
        "seconds": round(seconds, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--middles", type=int, default=3)
    parser.add_argument("--width", type=int, default=0, help="resize the frames; 0: as they are")
    parser.add_argument("--turns", action="store_true", help="also frames turned by known angles")
    parser.add_argument("--model", help="super-resolution whose steadiness is measured")
    parser.add_argument("--scale", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
    result: dict = {"threads": torch.get_num_threads(), "load": os.getloadavg()[0]}
    for folder in args.folders:
        frames = read_clip(folder / "frames" if (folder / "frames").is_dir() else folder).frames
        if args.width:
            frames = np.stack([sphere.resize(f, args.width // 2) for f in frames])
        one = result[folder.name] = {"size": [frames.shape[2], frames.shape[1]]}
        if args.middles:
            one["left_out"] = middles(frames, args.middles)
        if args.turns:
            one["turned"] = turns(frames[0])
        if args.model:
            one["super_resolution"] = {args.model: steadiness(frames[0], args.model, args.scale)}
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
