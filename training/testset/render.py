"""Models and renders the test set. Run from the root of the repository with a Python that has bpy:

    python -m training.testset.render --out FOLDER [--scenes greenhouse library] [--width 1024] [--samples 20]

Writes FOLDER/<scene>/{0,1}.exr (colour, distance and object index of two frames) and labels.json. Colour is denoised;
distance and index are those of the first sample of each pixel and so belong to one surface.
"""

import argparse
import json
import math
import time
from importlib import import_module
from pathlib import Path

import bpy
import numpy as np

from training.testset.kit import Kit
from training.testset.scenes import NAMES

SEED = 20261123
MARGIN = 16  # columns rendered twice, so that the denoiser sees no end of the picture


def render(file: Path, width: int, samples: int, threads: int) -> None:
    """Render the open scene to a multilayer EXR, ``MARGIN`` columns wider on both sides than the circle."""
    scene = bpy.context.scene
    data = bpy.data.cameras.new("eye")
    data.type, data.panorama_type, data.clip_start, data.clip_end = "PANO", "EQUIRECTANGULAR", 0.01, 20000
    data.longitude_max = math.pi * (1 + 2 * MARGIN / width)
    data.longitude_min = -data.longitude_max
    camera = bpy.data.objects.new("eye", data)
    camera.rotation_euler = (math.pi / 2, 0, 0)
    scene.collection.objects.link(camera)
    scene.camera, scene.render.engine = camera, "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y = width + 2 * MARGIN, width // 2
    scene.render.threads_mode, scene.render.threads = "FIXED", threads
    layer = bpy.context.view_layer
    layer.use_pass_z = layer.use_pass_object_index = True
    cycles = scene.cycles
    cycles.samples, cycles.use_adaptive_sampling, cycles.seed = samples, False, 0
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 3, 2, 2
    cycles.transmission_bounces, cycles.transparent_max_bounces, cycles.volume_bounces = 1, 4, 0
    cycles.sample_clamp_indirect, cycles.sample_clamp_direct = 4.0, 40.0
    cycles.caustics_reflective = cycles.caustics_refractive = False
    settings = scene.render.image_settings
    settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format, settings.color_depth, settings.exr_codec = "OPEN_EXR_MULTILAYER", "32", "ZIP"
    scene.render.filepath = str(file)
    bpy.ops.render.render(write_still=True)


def make(name: str, out: Path, width: int, samples: int, threads: int) -> None:
    """Both frames of a scene. The second gets half the samples: it only tells how steady an answer is."""
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    for frame in (0, 1):
        if (folder / f"{frame}.exr").exists():
            continue
        start = time.time()
        bpy.ops.wm.read_factory_settings(use_empty=True)
        kit = Kit(np.random.default_rng([SEED, NAMES.index(name)]), frame)
        import_module(f"training.testset.scenes.{name}").build(kit)
        modelled = time.time() - start
        render(folder / f"{frame}.exr", width, samples if frame == 0 else samples // 2, threads)
        about = {"labels": kit.labels, "wind": kit.wind, "exposure": kit.exposure, "margin": MARGIN, "seed": SEED}
        (folder / "labels.json").write_text(json.dumps(about))
        print(f"{name} {frame}: modelled in {modelled:.0f} s, {time.time() - start:.0f} s in all", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scenes", nargs="*", default=NAMES, choices=NAMES)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    for name in args.scenes:
        make(name, args.out, args.width, args.samples, args.threads)


if __name__ == "__main__":
    main()
