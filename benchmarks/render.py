#!/usr/bin/env python3
"""How fast pictures are drawn, and how near they are to their references. Prints JSON.

    python benchmarks/render.py [--splats 400000] [--width 1024] [--repeat 5]
    python benchmarks/render.py --backend gpu [--splats 1000000] [--frames 1000] [--video]

The scene is a room of splats as a lift makes them: one for each equal share of the sphere, as wide as its share, at the
distance of walls, floor and a few balls. Seconds are the best and the median of ``--repeat`` frames after one warm-up;
"first_frame" is a fresh process without and with kernels compiled before. Read the load average beside the figures.

On the GPU a third of the splats move and half of those come and go. "rendered" are frames that stay on the card as
bytes, holes filled; "delivered" are frames in the host's memory, as an encoder takes them. Where there are several GPUs
both are measured with one and with all of them; "speedup" is how many times faster all are. ``--video`` goes on with
benchmarks/video.py: files of 5760 x 5760 pixels, drawing, transfer and encoding at once.
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from holotime.render import EquirectCamera, PerspectiveCamera, fill_holes, jit, prepare, rasterize, upright
from holotime.render.views import Output, Projection, Renderer, View, renderer
from holotime.scene4d import ALWAYS, Gaussians, Scene4D

if TYPE_CHECKING:
    from holotime.render.gpu.renderer import DeviceRenderer, GpuRenderer

VIDEO = Output("uint8", alpha=False, distance="none")
GPU_VIEWS: dict[str, tuple[Projection, tuple[int, int]]] = {
    "ods_5760x5760": ("ods", (5760, 5760)),
    "equirect_4096x2048": ("equirect", (4096, 2048)),
    "perspective_1920x1080": ("perspective", (1920, 1080)),
    "vr180_7680x3840": ("vr180", (7680, 3840)),
    "fisheye_4096": ("fisheye", (4096, 4096)),
    "cubemap_6144x4096": ("cubemap", (6144, 4096)),
}
# rendered frames a second of a million splats that an H200 should reach
GOALS = {"ods_5760x5760": 30, "equirect_4096x2048": 200, "perspective_1920x1080": 500}


def room(count: int, seed: int = 0) -> Gaussians:
    """``count`` splats on the walls of a box 8 x 8 x 3 m around the eye and on twelve balls inside it."""
    rng = np.random.default_rng(seed)
    i = np.arange(count) + 0.5
    z = 1 - 2 * i / count
    azimuth = math.pi * (1 + math.sqrt(5)) * i
    d = np.stack([np.sqrt(1 - z * z) * np.cos(azimuth), np.sqrt(1 - z * z) * np.sin(azimuth), z], -1)
    distance = (np.array([4, 4, 1.5]) / np.maximum(np.abs(d), 1e-9)).min(-1)
    balls = rng.normal(size=(12, 3)) * [1, 1, 0.3]
    balls *= rng.uniform(1.2, 3, (12, 1)) / np.linalg.norm(balls, axis=1, keepdims=True)
    for ball in balls:
        along = d @ ball
        inside = along**2 - ball @ ball + 0.3**2
        hit = (inside > 0) & (along > 0)
        distance[hit] = np.minimum(distance[hit], along[hit] - np.sqrt(inside[hit]))
    means = d * distance[:, None]
    arrays = {
        "means": means,
        "quats": np.tile([1.0, 0, 0, 0], (count, 1)),
        "scales": np.repeat((0.6 * math.sqrt(4 * math.pi / count) * distance)[:, None], 3, axis=1),
        "opacities": np.full(count, 0.97),
        "colors": 0.5 + 0.4 * np.sin(7 * means),
    }
    return Gaussians(**{name: a.astype(np.float32) for name, a in arrays.items()})


def moving(gaussians: Gaussians, seed: int = 0) -> Scene4D:
    """A scene of two seconds in which a third of the splats move and half of those are there for a while only."""
    rng = np.random.default_rng(seed)
    count = len(gaussians)
    moves = rng.random(count) < 1 / 3
    window = np.where(moves & (rng.random(count) < 0.5), np.log(0.3), ALWAYS)
    motion = np.where(moves[:, None, None], rng.normal(0, [[[0.2], [0.1], [0.05]]], (count, 3, 3)), 0)
    return Scene4D(
        means=gaussians.means,
        motion=motion * gaussians.scales.mean() / 0.02,
        quats=gaussians.quats,
        omegas=np.where(moves[:, None], rng.normal(0, 0.2, (count, 4)), 0),
        log_scales=np.log(gaussians.scales),
        opacity_logits=np.log(gaussians.opacities / (1 - gaussians.opacities)),
        t_centers=rng.random(count),
        t_log_scales=window,
        colors=gaussians.colors,
        duration=2.0,
        loop=True,
    )


def shots(view: View, count: int) -> Iterator[tuple[View, float]]:
    """``count`` views from a camera that sways by 5 cm, at 30 frames a second."""
    for k in range(count):
        pose = upright((0.05 * math.sin(0.1 * k), 0.05 * math.cos(0.1 * k), 0.0))
        yield View(view.projection, view.size, pose, output=view.output), k / 30


def on_gpu(options: argparse.Namespace) -> dict:
    """Frames per second and memory of ``GPU_VIEWS``."""
    import torch

    from holotime.render.gpu.renderer import GpuRenderer

    scene = moving(room(options.splats))
    every = GpuRenderer(scene)
    one = GpuRenderer(scene, [every.devices[0].device])
    result: dict = {"splats": options.splats, "device": every.note, "devices": len(every.devices), "views": {}}
    for name, (projection, size) in GPU_VIEWS.items():
        view = View(projection, size, output=VIDEO)
        for warm, seconds in shots(view, 4):
            one.devices[0].frame(warm, seconds)
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        found: dict[str, Any] = {"rendered_per_second": rendered(one, view, options.frames)}
        if name in GOALS:
            found["goal_per_second"] = GOALS[name]
        found["delivered_per_second"] = delivered(one, view, options.frames)
        if len(every.devices) > 1:
            found["rendered_per_second_by_all"] = rendered(every, view, options.frames)
            found["delivered_per_second_by_all"] = delivered(every, view, options.frames * len(every.devices))
            found["speedup"] = {
                kind: round(found[f"{kind}_per_second_by_all"] / found[f"{kind}_per_second"], 2)
                for kind in ("rendered", "delivered")
            }
        found["gpu_gib"] = round(torch.cuda.max_memory_reserved() / 2**30, 2)
        found["host_peak_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
        result["views"][name] = found
    result["difference_to_cpu_db"] = {
        name: to_cpu(scene, projection, (size[0] // 8, size[1] // 8)) for name, (projection, size) in GPU_VIEWS.items()
    }
    return result


def rendered(draws: "GpuRenderer", view: View, count: int) -> float:
    """Frames a second that are drawn and stay on their devices, ``count`` on each."""
    import torch

    def work(device: "DeviceRenderer") -> None:
        with torch.cuda.device(device.device):
            for each, seconds in shots(view, count):
                device.frame(each, seconds)
            torch.cuda.synchronize(device.device)

    for device in draws.devices:  # also compiles, and fills the tables of a device that has not drawn yet
        with torch.cuda.device(device.device):
            device.frame(view, 0.0)
            torch.cuda.synchronize(device.device)
    start = time.perf_counter()
    with ThreadPoolExecutor(len(draws.devices)) as pool:
        list(pool.map(work, draws.devices))
    return round(count * len(draws.devices) / (time.perf_counter() - start), 1)


def delivered(draws: Renderer, view: View, count: int) -> float:
    """Frames a second that arrive in the host's memory."""
    for frame in draws.draw_many(shots(view, 8)):
        assert frame.color.shape[1::-1] == view.size
    start = time.perf_counter()
    taken = sum(1 for _ in draws.draw_many(shots(view, count)))
    return round(taken / (time.perf_counter() - start), 1)


def films(options: argparse.Namespace) -> dict:
    """What benchmarks/video.py measures, in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("video.py")), "--backend", options.backend]
    command += ["--splats", str(options.splats), "--frames", str(min(options.frames, 96))]
    root = str(Path(__file__).resolve().parent.parent)
    run = subprocess.run(command, env=os.environ | {"PYTHONPATH": root}, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def to_cpu(scene: Scene4D, projection: Projection, size: tuple[int, int]) -> float:
    """Peak signal-to-noise ratio of the GPU's picture against the CPU's, colours in [0, 1]."""
    view = View(projection, size, upright((0.05, 0.0, 0.0)))
    pictures = [renderer(backend, scene).draw(view, 0.5).color for backend in ("gpu", "cpu")]
    return round(-10 * math.log10(float(np.mean((pictures[0] - pictures[1]) ** 2)) + 1e-20), 1)


def timed(work: Callable[[], object], repeat: int) -> dict[str, float]:
    """Best and median seconds of ``work`` after one call that does not count."""
    work()
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return {"best": round(min(seconds), 4), "median": round(statistics.median(seconds), 4)}


def first_frames() -> dict[str, float]:
    """Seconds of the first small frame of a fresh process: kernels compiled, then kernels loaded from disk."""
    code = (
        "import time\nfrom benchmarks.render import room\nfrom holotime.render import EquirectCamera, rasterize\n"
        "scene = room(100)\nstart = time.perf_counter()\nrasterize(scene, EquirectCamera(64, 32))\n"
        "print(time.perf_counter() - start)"
    )
    root = str(Path(__file__).resolve().parent.parent)
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"NUMBA_CACHE_DIR": cache, "PYTHONPATH": root}
        found = {}
        for name in ("compiling", "from_cache"):
            run = subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
            )
            found[name] = round(float(run.stdout), 3)
    return found


def twin_difference() -> dict[str, float]:
    """Largest and mean difference of colours to the torch twin, over three cameras and 300 splats."""
    from holotime.render import torch_twin

    scene = room(300)
    differences = []
    for camera in (EquirectCamera(128, 64), EquirectCamera(128, 64, eye=0.032), PerspectiveCamera(96, 64, 1.3)):
        twin = torch_twin.rasterize(torch_twin.Splats.of(scene), camera)[0].numpy()
        differences.append(np.abs(rasterize(scene, camera).color - twin).ravel())
    every = np.concatenate(differences)
    return {"largest": float(every.max()), "mean": float(every.mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splats", type=int, default=400_000)
    parser.add_argument("--width", type=int, default=1024, help="of the panorama; the pinhole is as wide, 16:9")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--backend", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--frames", type=int, default=100, help="of each view on the GPU")
    parser.add_argument("--video", action="store_true", help="measure whole films too (benchmarks/video.py)")
    options = parser.parse_args()
    if options.backend == "gpu":
        result = on_gpu(options)
        if options.video:
            result["video"] = films(options)
        print(json.dumps(result, indent=2))
        return
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    scene = room(options.splats)
    width, height = options.width, options.width // 2
    mono = EquirectCamera(width, height)
    footprints = prepare(scene, mono)
    with_holes = rasterize(scene, EquirectCamera(width, height, upright((0.5, 0.0, 0.0))))
    residual = np.zeros((height, width, 3), np.float32)
    cameras = {
        "equirect": mono,
        "stereo_eye": EquirectCamera(width, height, eye=0.032),
        "perspective": PerspectiveCamera(width, width * 9 // 16, 1.3),
    }
    result = {
        "splats": options.splats,
        "size": [width, height],
        "threads": jit.threads(),
        "load_average_before": load,
        "seconds_per_frame": {n: timed(lambda c=c: rasterize(scene, c), options.repeat) for n, c in cameras.items()},
        "seconds_of_parts": {
            "prepare": timed(lambda: prepare(scene, mono), options.repeat),
            "draw": timed(lambda: footprints.draw(scene.colors), options.repeat),
            "adjoint": timed(lambda: footprints.adjoint(residual), options.repeat),
            "fill_holes": timed(lambda: fill_holes(with_holes), options.repeat),
        },
        "first_frame": first_frames(),
        "twin_difference": twin_difference(),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
