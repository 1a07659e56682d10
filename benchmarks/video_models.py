"""Clips by a video model made panoramic: ``python benchmarks/video_models.py --animator wan --model FOLDER``.

Each memory plan in turn, through the same function as a job: seconds of loading and of a step, the peak that was
allocated beside the peak that the plan expected, the seam as sampled and in the clip, and the same seam of the
unmodified pipeline. Without --model a tiny random pipeline is written and used. Prints JSON (and writes it to --out).
"""

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from holotime import quality, sphere
from holotime.animate.panoramic import PanoramicConfig, run
from holotime.animate.panoramic import animator as animators
from holotime.animate.panoramic.families import FAMILIES, family_of
from holotime.animate.panoramic.random_model import write
from holotime.errors import HoloTimeError
from holotime.models import Plan, load_pipeline, pick_device
from holotime.models.plan import Residency

PLANS: tuple[Residency, ...] = ("resident", "offload", "quantised", "sequential")


def panorama() -> NDArray[np.uint8]:
    """[512, 1024, 3] soft colours round the seam."""
    coarse = np.random.default_rng(0).integers(0, 256, (16, 32, 3)).astype(np.uint8)
    return sphere.resize(coarse, 512, 1024)


def measure(config: PanoramicConfig, residency: Residency) -> dict[str, Any]:
    """Times, memory and seam of one clip under a plan."""
    device, times = pick_device(config.device), list[float]()
    make, plans = animators.make_plan, list[Plan]()

    def forced(*args: Any, **kwargs: Any) -> Plan:
        plans.append(dataclasses.replace(make(*args, **kwargs), residency=residency))
        return plans[-1]

    def ticked(fraction: float, note: str = "") -> None:
        if "left in this stage" in note and (not times or note != last[0]):
            times.append(time.perf_counter())
        last[0] = note

    last = [""]
    animators.make_plan = forced  # type: ignore[assignment]
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    try:
        made = run(panorama(), config, progress=ticked)
    finally:
        animators.make_plan = make
    steps = np.diff(times)
    return {
        "seconds": round(time.perf_counter() - start, 2),
        "step_seconds": round(statistics.median(steps), 3) if len(steps) else None,
        "peak_gib": round(torch.cuda.max_memory_allocated(device) / 2**30, 2) if device.type == "cuda" else None,
        "expected_gib": round(plans[0].estimate / 2**30, 2),
        "parts": {name: round(value, 2) for name, value in made.seconds.items()},
        "seam": next(note for note in made.notes if note.startswith("Seam ratio")),
    }


def unmodified(config: PanoramicConfig) -> float:
    """The seam ratio of the same model without any of it; nan where it cannot work at that size."""
    from PIL import Image

    family = family_of(config)
    size, device = family.size(config.width), pick_device(config.device)
    half = animators.half_precision(device)
    pipeline = load_pipeline(family.files, family.load_as, family.dtypes(half)).to(device)
    given = family.arguments(config, family.clip_frames(config.frames))
    start = Image.fromarray(sphere.resize(panorama(), size.height, size.width))
    try:
        with family.around(), torch.no_grad():
            made = pipeline(
                image=start,
                height=size.height,
                width=size.width,
                num_inference_steps=animators.steps_of(config, family),
                generator=torch.Generator().manual_seed(config.seed),
                output_type="np",
                **given,
            ).frames[0]
    except ValueError:
        return float("nan")
    return round(quality.seam_ratio(np.round(made * 255).astype(np.uint8)), 3)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--animator", choices=tuple(FAMILIES), default="wan")
    parser.add_argument("--model", default="")
    parser.add_argument("--width", type=int, default=0)
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--device", default=None)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model, width = given.model, given.width
        if not model:
            model = str(write(Path(folder) / given.animator, given.animator))
            width = width or {"wan": 128, "ltx": 256, "svd": 96}.get(given.animator, 0)
        config = PanoramicConfig(given.animator, model, "waves roll in", width=width, device=given.device)
        config = dataclasses.replace(config, frames=given.frames, steps=given.steps)
        plans = PLANS if pick_device(given.device).type == "cuda" else PLANS[:1]
        found: dict[str, Any] = {
            "animator": given.animator,
            "model": given.model or "random",
            "torch": torch.__version__,
        }
        for residency in plans:
            try:
                found[residency] = measure(config, residency)
            except HoloTimeError as error:
                found[residency] = str(error)
        found["unmodified_seam"] = unmodified(config)
    text = json.dumps(found, indent=1)
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
