#!/usr/bin/env python3
"""Times of the Blender extension: register, import, frame change, splat preview, Cycles. Prints one JSON line.

Run with a Python that has bpy: ``python benchmarks/blender.py --zip dist/holotime-VERSION.zip``. Render times are also
given as processor seconds (of all threads together), which other work on the machine disturbs less than wall time.
"""

import argparse
import json
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "blender"))


def processor_seconds() -> float:
    """Processor time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def timed(action: Callable[[], object]) -> float:
    """Wall seconds of a call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def frame_change_ms(scene, update: Callable[[], object]) -> float:
    """Median milliseconds to go to another frame and evaluate it."""
    times = []
    for frame in range(2, 14):
        start = time.perf_counter()
        scene.frame_set(frame)
        update()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def preview_ms(count: int) -> dict[str, float]:
    """The splat preview without a window: upload of a scene (once), and sort with upload of the order (every frame)."""
    import gpu
    from bl_ext.user_default.holotime.viewport.splat_gpu import SplatArrays, SplatDrawer, Upload

    if not hasattr(gpu, "init"):
        return {}  # before 5.2 a Blender without a window has no graphics
    gpu.init()
    tensors = {k: v.astype(np.float32) for k, v in moving_scene(count).items()}
    arrays = SplatArrays.of(tensors)
    drawer, pieces = SplatDrawer(), []
    for _ in range(3):
        drawer.replace(Upload.of(arrays))
        more = True
        while more:
            start = time.perf_counter()
            more = drawer.upload()
            pieces.append(time.perf_counter() - start)
    times = [timed(lambda t=t: drawer.sort(np.eye(4), t)) for t in np.linspace(0, 0.9, 12)]
    beside = []
    for t in np.linspace(0, 0.9, 12):  # as the draw handler does it: begun in one redraw, taken over in a later one
        start = time.perf_counter()
        drawer.sort(np.eye(4), t, wait=False)
        begun = time.perf_counter() - start
        while drawer.pending:
            start = time.perf_counter()
            drawer.sort(np.eye(4), t, wait=False)
            beside.append(begun + time.perf_counter() - start)
            time.sleep(0.001)
    ms = {
        "upload_once": 1000 * sum(pieces) / 3,
        "upload_worst_piece": 1000 * max(pieces),
        "sort_and_upload": 1000 * statistics.median(times),
        "sort_on_the_main_thread": 1000 * max(beside),
    }
    return {"splats": len(arrays), **{k: round(v, 2) for k, v in ms.items()}}


def import_ticks(path: Path) -> dict[str, float]:
    """An import as the window's timer does it: wall seconds in all, and milliseconds of the pumps that had work."""
    from bl_ext.user_default.holotime import client
    from bl_ext.user_default.holotime.client import tasks
    from bl_ext.user_default.holotime.scene_import.importer import import_steps

    failures: list[Exception] = []
    begin, ticks, busy = time.perf_counter(), [], []
    tasks.start("Importing", import_steps(bpy_scene_name(), path, []), failures.append)
    while tasks.running:
        waits = tasks.running[0].step.idle
        start = time.perf_counter()
        client.pump()
        if not waits:
            ticks.append(1000 * (time.perf_counter() - start))
            busy.append(client.pump_milliseconds[-1])
        time.sleep(0.001)  # a window has other things to do between two ticks
    if failures:
        raise failures[0]
    total = time.perf_counter() - begin
    return {
        "seconds": total,
        "ticks": len(ticks),
        "median_ms": statistics.median(ticks),
        "worst_ms": max(ticks),
        "over_8_ms": sum(tick > 8 for tick in ticks),
        "worst_processor_ms": max(busy),
    }


def bpy_scene_name() -> str:
    """Name of the scene of the open file."""
    import bpy

    return bpy.context.scene.name


def moving_scene(count: int) -> dict[str, np.ndarray]:
    """A sphere of splats, a third of which move and have a window, as a lifted clip has."""
    import scenes

    height = round(math.sqrt(count / 2))
    tensors = scenes.panorama_scene(scenes.ramps(height))
    total = len(tensors["means"])
    rng = np.random.default_rng(0)
    moving = rng.random(total) < 1 / 3
    tensors["motion"][moving] = rng.normal(size=(int(moving.sum()), 3, 3)) * 0.05
    tensors["t_centers"][moving] = rng.random(int(moving.sum()))
    tensors["t_log_scales"][moving] = -1.0
    return tensors


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zip", type=Path, required=True, help="the extension")
    parser.add_argument("--splats", type=int, nargs="+", default=[150_000, 500_000])
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="holotime_benchmark_"))
    os.environ["BLENDER_USER_RESOURCES"] = str(folder)
    import bpy
    import scenes

    bpy.ops.extensions.package_install_files(filepath=str(options.zip), repo="user_default", enable_on_install=False)
    module = "bl_ext.user_default.holotime"
    enable = f"import bpy; bpy.ops.preferences.addon_enable(module={module!r})"
    subprocess.run(
        [sys.executable, "-c", enable],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
    )  # leaves bytecode, as a first use does
    result: dict = {"blender": bpy.app.version_string, "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    result["register_ms"] = 1000 * timed(lambda: bpy.ops.preferences.addon_enable(module=module))
    result["preview_ms"] = preview_ms(200_000)
    for count in options.splats:
        path = scenes.write_scene(folder / f"{count}.safetensors", moving_scene(count))
        entry: dict = {"splats": count}
        bpy.ops.wm.read_homefile(use_empty=True)
        in_steps = import_ticks(path)
        bpy.ops.wm.read_homefile(use_empty=True)
        scene = bpy.context.scene
        entry["import_s"] = timed(lambda path=path: bpy.ops.holotime.import_scene(filepath=str(path)))
        graph = bpy.context.evaluated_depsgraph_get()
        entry["frame_change_ms"] = frame_change_ms(scene, graph.update)
        data = bpy.data.cameras.new("eye")
        data.type, data.panorama_type, data.clip_end = "PANO", "EQUIRECTANGULAR", 10_000
        eye = bpy.data.objects.new("eye", data)
        eye.rotation_euler = (math.pi / 2, 0, 0)
        scene.collection.objects.link(eye)
        scene.camera = eye
        scene.render.resolution_x, scene.render.resolution_y = 512, 256
        busy = processor_seconds()
        entry["cycles_512x256_s"] = timed(bpy.ops.render.render)
        entry["cycles_512x256_processor_s"] = processor_seconds() - busy
        entry["memory_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        entry = {k: round(v, 3) for k, v in entry.items()}
        entry["import_in_steps"] = {k: round(v, 3) for k, v in in_steps.items()}
        result.setdefault("scenes", []).append(entry)
    shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
