# ruff: noqa: RUF005 (sums of arrays, not of lists)
"""Turns the renders of ``render.py`` into the small files of ``data``. Needs OpenEXR and OpenCV, not Blender.

    python -m training.testset.pack RENDERS [--data FOLDER]

Each scene becomes <scene>.0.jpg and <scene>.1.jpg (the two pictures, sRGB) and <scene>.truth.png: 16 bits, three
channels: log distance in steps of ``STEP`` above ``NEAREST`` (65535 = sky), class + 8 x light, and the number of the
object's drift in index.json, which also holds the digests of all files.
"""

import argparse
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
from numpy.typing import NDArray

from training.testset.format import DATA, JPEG_QUALITY, NEAREST, NO_SURFACE, STEP, develop
from training.testset.scenes import NAMES


def read(file: Path, margin: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
    """Colour [H, W, 3], distance [H, W] and object index [H, W] of a render, cut to the circle."""
    with OpenEXR.File(str(file)) as opened:
        named = {part.name().split(".")[-1]: next(iter(part.channels.values())).pixels for part in opened.parts}
    inside = np.s_[:, margin:-margin]
    index = np.rint(named["Object Index"][inside]).astype(np.int32)
    return named["Combined"][inside][..., :3], named["Depth"][inside], index


def pack(folder: Path, data: Path) -> dict:
    """One scene; returns its entry of index.json."""
    about = json.loads((folder / "labels.json").read_text())
    files = []
    for frame in (0, 1):
        colour, distance, index = read(folder / f"{frame}.exr", about["margin"])
        name = f"{folder.name}.{frame}.jpg"
        options = [
            cv2.IMWRITE_JPEG_QUALITY,
            JPEG_QUALITY,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ]
        cv2.imwrite(str(data / name), develop(colour, about["exposure"])[..., ::-1], options)
        files.append(name)
        if frame == 0:
            labels = about["labels"]
            drifts = [(0.0, 0.0, 0.0)] + sorted({tuple(label["drift"]) for label in labels} - {(0.0, 0.0, 0.0)})
            kind = np.array([0] + [label["class"] + 8 * label["light"] for label in labels], np.uint16)
            drift = np.array([0] + [drifts.index(tuple(label["drift"])) for label in labels], np.uint16)
            steps = np.rint(np.log(distance.clip(NEAREST, 1e6) / NEAREST) / STEP)
            steps = np.where(index == 0, NO_SURFACE, steps.clip(0, NO_SURFACE - 1)).astype(np.uint16)
            name = f"{folder.name}.truth.png"
            truth = np.stack([steps, kind[index], drift[index]], -1)
            cv2.imwrite(str(data / name), truth[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
            files.append(name)
    digests = {name: hashlib.sha256((data / name).read_bytes()).hexdigest() for name in files}
    return {"files": digests, "drifts": [list(d) for d in drifts], "wind": about["wind"], "seed": about["seed"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("renders", type=Path)
    parser.add_argument("--data", type=Path, default=DATA)
    args = parser.parse_args()
    args.data.mkdir(parents=True, exist_ok=True)
    index = {name: pack(args.renders / name, args.data) for name in NAMES if (args.renders / name / "1.exr").exists()}
    (args.data / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    print(f"{len(index)} scenes, {sum(f.stat().st_size for f in args.data.iterdir()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
