"""The Blender half of the demo: installs the extension as a user would, and uses nothing but its operators.

Runs under a Python that has bpy. Prints JSON lines: {"stage", "fraction", "eta", "note"} while it works, at the end
{"files", "seconds", "blender"}, or {"error"} with exit code 1.
"""

import argparse
import importlib
import json
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

STILL_SIZE = (960, 540)  # pixels
CONNECT_SECONDS, JOB_SECONDS = 60.0, 3600.0
FETCH_SECONDS = 300.0


_reply: TextIO = sys.stdout  # where the JSON lines go


class DemoError(Exception):
    """The demo cannot go on. The text says why."""


def tell(**values: Any) -> None:
    """One JSON line."""
    print(json.dumps(values), file=_reply, flush=True)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="The Blender half of the demo.")
    parser.add_argument("--zip", type=Path, required=True, help="the extension")
    parser.add_argument("--connection", type=Path, required=True, help="the sidecar's connection file")
    parser.add_argument("--input", type=Path, required=True, help="the panorama")
    parser.add_argument("--prompt", default="", help="what it shows")
    parser.add_argument("--frames", type=int, default=24, help="frames of the clip")
    parser.add_argument("--size", type=int, default=1024, help="width of the clip in pixels")
    parser.add_argument("--fit", default="refuse", help="for a picture that is not 2:1")
    parser.add_argument("--camera", default="orbit", help="preset path of the camera")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    return parser.parse_args()


class Demo:
    """The steps, in order; each is timed."""

    def __init__(self, options: argparse.Namespace) -> None:
        import bpy

        self.bpy, self.options, self.out = bpy, options, options.out.resolve()
        self.seconds: dict[str, float] = {}
        self.addon: Any = None

    @contextmanager
    def step(self, name: str, note: str) -> Iterator[None]:
        """Time a step and say when it begins and ends."""
        start = time.perf_counter()
        tell(stage=name, fraction=0.0, eta=None, note=note)
        yield
        self.seconds[name] = time.perf_counter() - start
        tell(stage=name, fraction=1.0, eta=0.0, note=note)

    def run(self) -> dict[str, Any]:
        """All of it; what the last line says."""
        bpy, out = self.bpy, self.out
        out.mkdir(parents=True, exist_ok=True)
        with self.step("install", "installing the extension"):
            bpy.ops.extensions.package_install_files(
                filepath=str(self.options.zip), repo="user_default", enable_on_install=True
            )
            self.addon = importlib.import_module("bl_ext.user_default.holotime")
            bpy.ops.wm.read_homefile(use_empty=True)
            bpy.context.preferences.filepaths.save_version = 0  # no scene.blend1 beside the results
            bpy.ops.wm.save_as_mainfile(filepath=str(out / "scene.blend"))
        client = self.addon.client
        with self.step("connect", "connecting to the sidecar"):
            bpy.ops.holotime.connect(connection_file=str(self.options.connection))
            if not client.wait(client.connected, CONNECT_SECONDS):
                raise DemoError(f"No connection to the sidecar: {client.link_text}")
        try:
            self._generate(client)
            self._compose(client)
        finally:
            bpy.ops.holotime.disconnect()
        with self.step("still", "rendering a still with Cycles"):
            self._still()
        with self.step("save", "saving the .blend"):
            bpy.ops.wm.save_as_mainfile(filepath=str(out / "scene.blend"))
        made = ("scene.blend", "scene.safetensors", "clip.mp4", "vr_360_TB.mp4", "still.png", "report.json")
        files = {name: str(out / name) for name in made if (out / name).is_file()}
        seconds = {name: round(s, 3) for name, s in self.seconds.items()}
        return {"files": files, "seconds": seconds, "blender": bpy.app.version_string}

    def _generate(self, client: Any) -> None:
        settings = self.bpy.context.scene.holotime
        settings.panorama, settings.prompt = str(self.options.input.resolve()), self.options.prompt
        settings.frames, settings.width, settings.fit = self.options.frames, self.options.size, self.options.fit
        settings.auto_import = False
        with self.step("generate", "sending the job"):
            self.bpy.ops.holotime.generate()
            self._follow(client, client.jobs[client.latest_job], "generate")

    def _compose(self, client: Any) -> None:
        """Scene, world, camera and video."""
        bpy, results = self.bpy, self.addon.results
        with self.step("import", "importing the scene"):
            bpy.ops.holotime.import_result(directory=str(self.out))
            if not client.wait(lambda: results.last_import or results.last_error, FETCH_SECONDS) or results.last_error:
                raise DemoError(f"The result could not be imported: {results.last_error or 'no answer'}")
            bpy.ops.holotime.set_world_clip()
            # A wide lens: a panorama 1024 pixels wide holds no more detail than that shows well.
            bpy.ops.holotime.add_camera_path(preset=self.options.camera, parameters='{"fov": 95}')
        with self.step("vr", "rendering the VR video"):
            bpy.context.scene.holotime.vr_width = self.options.size
            bpy.ops.holotime.render_vr(filepath=str(self.out / "vr_360_TB.mp4"))
            self._follow(client, client.jobs[client.latest_job], "vr")
            if not client.wait(lambda: results.last_video or results.last_error, FETCH_SECONDS) or results.last_error:
                raise DemoError(f"The video could not be fetched: {results.last_error or 'no answer'}")

    def _follow(self, client: Any, job: Any, step: str) -> None:
        """Pump until a job is done, telling how far ``step`` is; DemoError unless it succeeded."""
        shown: list[tuple] = [()]

        def done() -> bool:
            now = (job.stage, round(job.fraction, 3), job.note)
            if job.status == "running" and job.stage and now != shown[0]:
                shown[0] = now
                tell(stage=step, fraction=job.fraction, eta=job.eta, note=f"{job.stage}: {job.note}".rstrip(": "))
            return job.done

        if not client.wait(done, JOB_SECONDS):
            raise DemoError(f"The sidecar did not finish: {client.link_text}")
        if job.status != "succeeded":
            raise DemoError(job.error or f"The job was {job.status}.")

    def _still(self) -> None:
        """The frame in which the camera is furthest from the eye: that is where a panorama alone would fail."""
        scene = self.bpy.context.scene
        scene.frame_set(furthest_frame(scene))
        scene.render.resolution_x, scene.render.resolution_y = STILL_SIZE
        scene.render.resolution_percentage = 100
        settings = scene.render.image_settings
        if hasattr(settings, "media_type"):  # since 5.0, and to be set before the format
            settings.media_type = "IMAGE"
        settings.file_format = "PNG"
        path = scene.render.filepath
        scene.render.filepath = str(self.out / "still.png")
        self.bpy.ops.render.render(write_still=True)
        scene.render.filepath = path


def furthest_frame(scene: Any) -> int:
    """The frame at which the scene's camera is furthest from the eye; the middle for one that only turns."""
    frames = range(scene.frame_start, scene.frame_end + 1)
    lengths = []
    for frame in frames:
        scene.frame_set(frame)
        lengths.append(scene.camera.matrix_world.translation.length)
    if math.isclose(max(lengths), min(lengths), abs_tol=1e-3):
        return frames[len(frames) // 2]
    return frames[lengths.index(max(lengths))]


def claim_output() -> None:
    """Keep standard output for our JSON lines; what Blender and its operators print goes to standard error."""
    global _reply
    _reply = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)


def main() -> int:
    """Run the demo; 0 or 1."""
    options = parse()
    resources = tempfile.mkdtemp(prefix="holotime_demo_")
    os.environ["BLENDER_USER_RESOURCES"] = resources  # read when bpy is imported
    try:
        claim_output()
        tell(**Demo(options).run())
    except (DemoError, RuntimeError, OSError) as error:  # RuntimeError: what an operator reported
        tell(error=str(error).removeprefix("Error: ").strip())
        return 1
    finally:
        shutil.rmtree(resources, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
