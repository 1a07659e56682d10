"""The table of the embedded perception network, with the weights of the package. From the root of the repository:

    python -m training.evaluate OUT [--gt4d FOLDER] [--pictures FOLDER ...] [--procedural 40] [--device cpu]

Distances of the test set and of the ground-truth clips come from the real path (perceive_image, perceive_clip), the
held-out panoramas of the generator are read by the bare network. Writes OUT/scores.json, OUT/test_set.jpg and, of the
folders of pictures, OUT/sheet.jpg. Panoramas in EXR are developed for the screen first.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from holotime import sphere
from holotime.clip import Clip
from holotime.perceive import perceive_clip, perceive_image
from holotime.perceive.network import TRAINED_SIZE, load_network
from training.generator import Generator
from training.metrics import Overlap, distance_scores, edge_score, solid_angle
from training.sheets import class_picture, distance_picture, write_sheet
from training.testset import load as testset
from training.testset.format import develop
from training.validate import held_out, validate

STILL = 0.005  # log distance; a truth that changes less between frames stands still
MOTION_LEAST = 0.004  # radians per second of what counts as moving


def still_jitter(found: NDArray, still: NDArray) -> float:
    """Mean |log ratio| of distances [T, H, W] in successive frames where nothing moves [T - 1, H, W]."""
    both = np.isfinite(found[1:]) & np.isfinite(found[:-1]) & still
    change = np.abs(np.log(np.where(both, found[1:], 1) / np.where(both, found[:-1], 1)))
    return float(change[both].mean()) if both.any() else 0.0


def rounded(scores: dict) -> dict:
    """To four places."""
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in scores.items()}


def score_test_set(out: Path) -> dict:
    """Every scene of the test set: both frames as pictures of their own, so that jitter is the network's own."""
    result, rows = {}, []
    for name in testset.names():
        scene = testset.load(name)
        seen = [perceive_image(frame) for frame in scene.frames]
        overlap = Overlap()
        found = seen[0].classes.argmax(-1)
        overlap.add(found, scene.label)
        still = np.isfinite(scene.distance) & (np.linalg.norm(scene.motion, axis=-1) < MOTION_LEAST)
        result[name] = rounded(
            {
                **distance_scores(seen[0].distance, scene.distance),
                "edge_f": edge_score(seen[0].distance, scene.distance)["f"],
                "jitter": still_jitter(np.stack([s.distance for s in seen]), still[None]),
            }
        )
        result[name]["iou"] = {k: v and round(v, 3) for k, v in overlap.result().items()}
        far, kinds = distance_picture, class_picture
        rows.append([scene.frames[0], far(scene.distance), far(seen[0].distance), kinds(scene.label), kinds(found)])
        print(name, json.dumps(result[name]), flush=True)
    write_sheet(out / "test_set.jpg", rows, width=400, names=list(result))
    keys = ("abs_rel", "delta", "sky_iou", "edge_f", "jitter")
    return {"scenes": result, "mean": {k: round(float(np.mean([r[k] for r in result.values()])), 4) for k in keys}}


def score_clip(folder: Path) -> dict:
    """A ground-truth clip (frames/ and depth.npz) through perceive_clip; one free scale for the whole clip."""
    truth = np.load(folder / "depth.npz")["depth"].astype(np.float64)
    files = sorted((folder / "frames").glob("*.png"))
    clip = Clip(np.stack([cv2.imread(str(f))[..., ::-1] for f in files]))
    found = perceive_clip(clip).distance.astype(np.float64)
    if found.shape != truth.shape:
        found = np.stack([sphere.resize(f.astype(np.float32), *truth.shape[1:]) for f in found])
    solid, sky, found_sky = np.isfinite(truth), ~np.isfinite(truth), ~np.isfinite(found)
    weight = np.broadcast_to(solid_angle(truth.shape[1:]), truth.shape)
    scale = np.median((truth / np.where(found_sky, 1, found))[solid & ~found_sky])
    ratio = np.where(found_sky, 1e3, np.where(found_sky, 1, found) * scale)[solid] / truth[solid]
    w = weight[solid] / weight[solid].sum()
    steady = solid[1:] & solid[:-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        steady &= np.abs(np.log(truth[1:] / truth[:-1])) < STILL
    return rounded(
        {
            "abs_rel": float(np.minimum(np.abs(ratio - 1), 10) @ w),
            "delta": float((np.maximum(ratio, 1 / ratio) < 1.25) @ w),
            "sky_iou": float(weight[sky & found_sky].sum() / max(weight[sky | found_sky].sum(), 1e-9)),
            "jitter": still_jitter(found, steady),
            "edge_f": edge_score(found[0], truth[0])["f"],
        }
    )


def read_picture(file: Path) -> NDArray[np.uint8]:
    """A panorama of a file as [512, 1024, 3] sRGB."""
    if file.suffix == ".exr":
        import OpenEXR  # not on every training machine

        with OpenEXR.File(str(file)) as opened:
            linear = next(iter(opened.channels().values())).pixels[..., :3].astype(np.float32)
        return develop(sphere.resize(linear, 512).clip(0), 0.18)
    return sphere.resize(np.ascontiguousarray(cv2.imread(str(file))[..., ::-1]), 512)


def draw_sheet(files: list[Path], out: Path) -> None:
    """Pictures without truth, to be judged by eye: the picture, distance, classes, and how unsure it is."""
    rows = []
    for file in files:
        picture = read_picture(file)
        seen = perceive_image(picture)
        unsure = cv2.applyColorMap((255 * np.clip(seen.log_error / 0.6, 0, 1)).astype(np.uint8), cv2.COLORMAP_INFERNO)
        rows.append(
            [picture, distance_picture(seen.distance), class_picture(seen.classes.argmax(-1)), unsure[..., ::-1]]
        )
    write_sheet(out / "sheet.jpg", rows, width=400, names=[f.stem for f in files])


def score_procedural(count: int, device: str) -> dict:
    """The bare network on held-out panoramas of the generator, at the network's size."""
    network = load_network().to(device)
    data = held_out(Generator(device), count, TRAINED_SIZE[0], samples=3)
    return validate(network, data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--gt4d", type=Path, help="folder of ground-truth clips")
    parser.add_argument("--pictures", type=Path, nargs="*", default=[], help="folders of panoramas for the sheet")
    parser.add_argument("--procedural", type=int, default=40, help="held-out panoramas; 0 = none")
    parser.add_argument("--device", default="cpu", help="for the held-out panoramas")
    parser.add_argument("--no-test-set", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    scores: dict = {"trained_size": TRAINED_SIZE, "torch": torch.__version__}
    if not args.no_test_set:
        scores["test_set"] = score_test_set(args.out)
    for folder in sorted(args.gt4d.glob("*/depth.npz")) if args.gt4d else []:
        scores[folder.parent.name] = score_clip(folder.parent)
        print(folder.parent.name, json.dumps(scores[folder.parent.name]), flush=True)
    files = sorted(f for folder in args.pictures for f in folder.iterdir() if f.suffix in (".png", ".jpg", ".exr"))
    if files:
        draw_sheet(files, args.out)
    if args.procedural:
        scores["procedural"] = score_procedural(args.procedural, args.device)
        print("procedural", json.dumps(scores["procedural"]), flush=True)
    (args.out / "scores.json").write_text(json.dumps(scores, indent=1) + "\n")


if __name__ == "__main__":
    main()
