"""How good and how fast the reconstruction is: one JSON object a scene and recipe.

    python benchmarks/reconstruct.py gt4d SCENE_DIR...     frames/, novel/, views.json, depth.npz: true distance
    python benchmarks/reconstruct.py clip CLIP...          a video or a folder of frames; distance from the network
    python benchmarks/reconstruct.py panorama IMAGE...     animated by the flow animator first (24 frames)
    python benchmarks/reconstruct.py scaling SCENE_DIR...  a gt4d scene as 25 frames at twice the size and as 100 frames
    python benchmarks/reconstruct.py everything SCENE_DIR...    all that is published of a GPU, in one call

``everything``: with the true distance the lift, lite after 15 s and 60 s and the published recipe; with the network's
distance lite after 60 s; then the scaling.

``--recipes`` is a list of lift, lite, full and holotime; the trained ones take their time from ``--seconds`` (a list:
one run each) or, on a CPU, their steps from ``--steps``. ``--distance network`` uses the embedded network where the
truth is known. ``--budget N`` and ``--sweeps N`` as in LiftConfig; ``--densify`` and ``--set name=value`` change the
training. ``--pictures DIR`` writes the displaced views (gt4d) or the eye's view (others) as PNG, ``--scenes DIR`` the
scenes. Seconds are those of the training, or of the lift, after one warm-up that loads compiled kernels; the training's
``lift_seconds`` come on top. All pictures are drawn and scored by the CPU rasterizer.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import quality, sphere
from holotime.clip import Clip, read_clip, read_image
from holotime.perceive import ClipPerception, perceive_clip
from holotime.reconstruct import LiftConfig, coverage, eye_psnr, lift
from holotime.reconstruct.training import TrainConfig, Trainer
from holotime.render import EquirectCamera, rasterize, upright
from holotime.scene4d import Scene4D


def load(kind: str, path: Path, distance: str) -> tuple[Clip, ClipPerception]:
    """The clip and what is known about it."""
    from holotime.perceive import perceive_image

    if kind in ("gt4d", "scaling"):
        views = json.loads((path / "views.json").read_text())
        clip = read_clip(path / "frames", fps=views["fps"])
        found = perceive_clip(clip)
        if distance == "network":
            return clip, found
        truth = np.load(path / "depth.npz")["depth"].astype(np.float32)
        return clip, replace(found, distance=truth, backend="truth")
    if kind == "clip":
        clip = read_clip(path)
        return clip, perceive_clip(clip)
    from holotime.animate.flow import FlowConfig, animate

    image = read_image(path)
    still = perceive_image(image)
    clip = animate(image, still, FlowConfig()).clip
    return clip, perceive_clip(clip, still=still)


def enlarged(clip: Clip, found: ClipPerception, frames: int, height: int) -> tuple[Clip, ClipPerception]:
    """The clip back and forth to ``frames`` frames at ``height`` rows: as much work as a real one of that size."""
    there = list(range(len(clip)))
    order = ((there + there[-2:0:-1]) * frames)[:frames]
    pictures = np.stack([np.clip(sphere.resize(clip.frames[i], height), 0, 255) for i in order])
    rows = ((np.arange(height) + 0.5) * clip.height / height).astype(int)
    columns = ((np.arange(2 * height) + 0.5) * clip.width / (2 * height)).astype(int)
    distance = np.stack([found.distance[i][rows[:, None], columns[None]] for i in order])
    large = Clip(pictures, clip.fps)
    return large, replace(perceive_clip(large, backend="prior"), distance=distance, backend=found.backend)


def view(scene: Scene4D, t: float, clip: Clip, position: tuple[float, float, float]) -> NDArray[np.uint8]:
    """[H, W, 3] what an eye at ``position`` (metres) sees."""
    color = rasterize(scene.at(t), EquirectCamera(clip.width, clip.height, upright(position))).color
    return np.round(255 * np.clip(color, 0, 1)).astype(np.uint8)


def novel_psnr(scene: Scene4D, clip: Clip, path: Path, pictures: Path | None) -> dict[str, float]:
    """PSNR of every displaced view of a gt4d folder, by name."""
    views = json.loads((path / "views.json").read_text())
    out = {}
    for name, position in views["views"].items():
        for frame in views["frames"]:
            truth = path / "novel" / f"{name}_{frame:02d}.png"
            if not truth.is_file():
                continue
            picture = view(scene, float(clip.times[frame]), clip, tuple(position))
            out[f"{name}_{frame:02d}"] = quality.psnr(picture, read_image(truth))
            if pictures:
                pictures.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(pictures / f"{name}_{frame:02d}.png"), picture[..., ::-1])
    return out


def halved(scene: Scene4D) -> Scene4D:
    """The scene as half-precision floats keep it."""
    arrays = {n: getattr(scene, n).astype(np.float16).astype(np.float32) for n in Scene4D.TENSORS}
    return replace(scene, **arrays)


def scenes(
    args: argparse.Namespace, clip: Clip, found: ClipPerception, path: Path
) -> Iterator[tuple[dict[str, Any], Scene4D]]:
    """(what is known about the run, scene) for every recipe that was asked for."""
    config = LiftConfig(budget=args.budget, sweeps=args.sweeps)
    start = time.perf_counter()
    lifted = lift(clip, found, config)
    lifting = round(time.perf_counter() - start, 2)
    if "lift" in args.recipes:
        yield {"recipe": "lift", "seconds": lifting}, lifted
    for recipe in (r for r in args.recipes if r in ("lite", "full")):
        for seconds in args.seconds or [None]:
            extra = {"steps": args.steps} if seconds is None else {"steps": 10**6, "seconds": float(seconds)}
            settings: dict[str, Any] = {"model": recipe, "densify": args.densify, **extra, **args.set}
            trainer = Trainer(lifted, clip, found, TrainConfig(**settings))
            result = trainer.run()
            note = {"recipe": recipe, "seconds": round(result.seconds, 2), "lift_seconds": lifting}
            note |= {"steps": result.steps, "rasterizer": result.backend, "densify": args.densify}
            yield note | {"peak_gib": round(result.peak_bytes / 2**30, 2)}, result.scene
    if "holotime" in args.recipes:
        import torch

        from holotime.reconstruct.training.recipe import Recipe, RecipeConfig

        torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        run = Recipe(clip, found, RecipeConfig(seconds=args.recipe_seconds))
        made = round(time.perf_counter() - start, 1)
        curve: list[dict[str, float]] = []

        def watch(state: Recipe) -> None:
            scene = state.scene()
            novel = novel_psnr(scene, clip, path, None) if args.kind == "gt4d" else {}
            entry = {"iterations": state.steps, "seconds": round(state.spent, 1)}
            entry["eye_psnr_db"] = round(eye_psnr(scene, clip), 2)
            curve.append(entry | ({"novel_psnr_db": round(float(np.mean(list(novel.values()))), 2)} if novel else {}))

        scene = run.run(watch=watch, every=args.every)
        peak = round(torch.cuda.max_memory_allocated() / 2**30, 2)
        note = {"recipe": "holotime", "iterations": run.steps, "seconds": round(run.spent, 1), "inputs_seconds": made}
        yield note | {"peak_gib": peak, "curve": curve}, scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("gt4d", "clip", "panorama", "scaling", "everything"))
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--budget", type=int, default=LiftConfig.budget)
    parser.add_argument("--sweeps", type=int, default=LiftConfig.sweeps)
    parser.add_argument("--recipes", type=lambda s: s.split(","), default=["lift"])
    parser.add_argument("--seconds", type=lambda s: s.split(","), default=[])
    parser.add_argument("--steps", type=int, default=TrainConfig.steps)
    parser.add_argument("--recipe-seconds", type=float, default=None, help="stop the published recipe after this time")
    parser.add_argument("--every", type=int, default=5000, help="iterations of the published recipe between two scores")
    parser.add_argument("--distance", choices=("truth", "network"), default="truth")
    parser.add_argument("--densify", default="none")
    parser.add_argument("--set", type=json.loads, default={}, help="JSON of further TrainConfig fields")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--scenes", type=Path)
    args = parser.parse_args()
    if args.kind != "everything":
        run(args)
        return
    seconds = args.recipe_seconds or 60.0
    for kind, distance, recipes, marks in (
        ("gt4d", "truth", ["lift", "lite", "holotime"], ["15", "60"]),
        ("gt4d", "network", ["lite"], ["60"]),
        ("scaling", "truth", ["lite"], ["15"]),
    ):
        given = {"kind": kind, "distance": distance, "recipes": recipes, "seconds": marks, "recipe_seconds": seconds}
        run(argparse.Namespace(**{**vars(args), **given}))


def run(args: argparse.Namespace) -> None:
    """Every path, size and recipe of ``args``; one JSON line each."""
    for n, path in enumerate(args.paths):
        clip, found = load(args.kind, path, args.distance)
        if n == 0:
            lift(clip, found, LiftConfig(budget=50_000, sweeps=1))
        sizes = [(25, 2 * clip.height), (100, clip.height)] if args.kind == "scaling" else [(len(clip), clip.height)]
        for frames, height in sizes:
            work = (clip, found) if args.kind != "scaling" else enlarged(clip, found, frames, height)
            for note, scene in scenes(args, *work, path):
                print(json.dumps(describe(args, path, *work, note, scene)), flush=True)


def describe(
    args: argparse.Namespace, path: Path, clip: Clip, found: ClipPerception, note: dict[str, Any], scene: Scene4D
) -> dict[str, Any]:
    """The JSON object of one run."""
    name = f"{path.stem}_{note['recipe']}_{note['seconds']:.0f}"
    pictures = args.pictures / name if args.pictures else None
    if args.scenes:
        scene.save(args.scenes / f"{name}.safetensors")
    result = {
        "scene": path.stem,
        **note,
        "frames": len(clip),
        "size": [clip.width, clip.height],
        "distance": found.backend,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "eye_psnr_db": round(eye_psnr(scene, clip, None if args.kind == "scaling" else range(len(clip))), 2),
        "coverage": round(coverage(scene, clip.height)[1], 5),
        "splats": len(scene),
        "kinds": scene.provenance.get("splats"),
        "file_mb": round(sum(getattr(scene, name).nbytes for name in Scene4D.TENSORS) / 1e6, 1),
        "file_mb_half": round(sum(getattr(scene, name).nbytes for name in Scene4D.TENSORS) / 2e6, 1),
    }
    if args.kind == "gt4d":
        novel = novel_psnr(scene, clip, path, pictures)
        result["novel_psnr_db"] = round(float(np.mean(list(novel.values()))), 2)
        result["novel_worst_db"] = round(min(novel.values()), 2)
        half = novel_psnr(halved(scene), clip, path, None)
        result["novel_psnr_db_half"] = round(float(np.mean(list(half.values()))), 2)
    elif args.kind != "scaling":
        eye = np.stack([view(scene, float(t), clip, (0.0, 0.0, 0.0)) for t in clip.times])
        result["loop_ratio"] = round(quality.loop_ratio(eye), 3) if clip.loop else None
        if pictures:
            pictures.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(pictures / "eye.png"), eye[len(eye) // 3][..., ::-1])
            cv2.imwrite(str(pictures / "beside.png"), view(scene, 0.3, clip, (0.3, 0.0, 0.0))[..., ::-1])
    return result


if __name__ == "__main__":
    main()
