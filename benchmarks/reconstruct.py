"""How good and how fast the reconstruction is: one JSON object a scene.

    python benchmarks/reconstruct.py gt4d SCENE_DIR...     frames/, novel/, views.json, depth.npz: true distance
    python benchmarks/reconstruct.py clip CLIP...          a video or a folder of frames; distance from the network
    python benchmarks/reconstruct.py panorama IMAGE...     animated by the flow animator first (24 frames)

``--budget N`` and ``--sweeps N`` as in LiftConfig; ``--pictures DIR`` writes the displaced views (gt4d) or the eye's
view (others) as PNG. Seconds are those of the reconstruction alone, after one warm-up that loads compiled kernels.
"""

import argparse
import json
import os
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import quality
from holotime.clip import Clip, read_clip, read_image
from holotime.perceive import ClipPerception
from holotime.reconstruct import LiftConfig, coverage, eye_psnr, lift
from holotime.render import EquirectCamera, rasterize, upright
from holotime.scene4d import Scene4D


def load(kind: str, path: Path) -> tuple[Clip, ClipPerception]:
    """The clip and what is known about it."""
    from dataclasses import replace

    from holotime.perceive import perceive_clip, perceive_image

    if kind == "gt4d":
        views = json.loads((path / "views.json").read_text())
        clip = read_clip(path / "frames", fps=views["fps"])
        distance = np.load(path / "depth.npz")["depth"].astype(np.float32)
        return clip, replace(perceive_clip(clip), distance=distance, backend="truth")
    if kind == "clip":
        clip = read_clip(path)
        return clip, perceive_clip(clip)
    from holotime.animate.flow import FlowConfig, animate

    image = read_image(path)
    still = perceive_image(image)
    clip = animate(image, still, FlowConfig()).clip
    return clip, perceive_clip(clip, still=still)


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
            picture = view(scene, float(clip.times[frame]), clip, tuple(position))
            out[f"{name}_{frame:02d}"] = quality.psnr(picture, read_image(path / "novel" / f"{name}_{frame:02d}.png"))
            if pictures:
                pictures.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(pictures / f"{name}_{frame:02d}.png"), picture[..., ::-1])
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("gt4d", "clip", "panorama"))
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--budget", type=int, default=LiftConfig.budget)
    parser.add_argument("--sweeps", type=int, default=LiftConfig.sweeps)
    parser.add_argument("--pictures", type=Path)
    args = parser.parse_args()
    config = LiftConfig(budget=args.budget, sweeps=args.sweeps)
    for n, path in enumerate(args.paths):
        clip, perception = load(args.kind, path)
        if n == 0:
            lift(clip, perception, LiftConfig(budget=50_000, sweeps=1))
        start = time.perf_counter()
        scene = lift(clip, perception, config)
        seconds = time.perf_counter() - start
        pictures = args.pictures / path.stem if args.pictures else None
        result = {
            "scene": path.stem,
            "recipe": "lift",
            "frames": len(clip),
            "size": [clip.width, clip.height],
            "distance": perception.backend,
            "seconds": round(seconds, 2),
            "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
            "eye_psnr_db": round(eye_psnr(scene, clip, range(len(clip))), 2),
            "coverage": round(coverage(scene, clip.height)[1], 5),
            "splats": len(scene),
            "kinds": scene.provenance["splats"],
            "file_mb": round(sum(getattr(scene, name).nbytes for name in Scene4D.TENSORS) / 1e6, 1),
        }
        if args.kind == "gt4d":
            novel = novel_psnr(scene, clip, path, pictures)
            result["novel_psnr_db"] = round(float(np.mean(list(novel.values()))), 2)
            result["novel_worst_db"] = round(min(novel.values()), 2)
        else:
            eye = np.stack([view(scene, float(t), clip, (0.0, 0.0, 0.0)) for t in clip.times])
            result["loop_ratio"] = round(quality.loop_ratio(eye), 3) if clip.loop else None
            if pictures:
                pictures.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(pictures / "eye.png"), eye[len(eye) // 3][..., ::-1])
                cv2.imwrite(str(pictures / "beside.png"), view(scene, 0.3, clip, (0.3, 0.0, 0.0))[..., ::-1])
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
