"""The whole product once, as an artist would use it: the add-on's zip, the sidecar, a job, the results in a .blend.

Run by ``run.py demo``. The sidecar runs as a process of its own; Blender (as a module, without a window) runs
tools/demo_blender.py, which uses nothing but the add-on's own operators. This file starts both, shows their progress
and collects the report.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import numpy as np

from holotime import samples
from holotime.cli.common import console, report_error, stage_bars
from holotime.clip import read_clip
from holotime.errors import HoloTimeError, InputError
from holotime.panorama import FITS, load_panorama
from holotime.report import read_report, write_report
from holotime.report_pictures import jpeg, thumbnail

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".holotime"  # the sidecar's own folder: keys, journal, results
FILES = ("scene.blend", "scene.safetensors", "clip.mp4", "vr_360_TB.mp4", "still.png", "report.json", "report.html")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="run.py demo", description="A panorama becomes a 4D scene in Blender.")
    parser.add_argument("--input", type=Path, help="your panorama (default: a sample that ships)")
    parser.add_argument("--sample", default="lagoon", help="which sample to use without --input")
    parser.add_argument("--prompt", default="", help="what the panorama shows; steers which parts move")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "demo", help="folder for the results")
    parser.add_argument("--frames", type=int, default=24, help="frames of the clip")
    parser.add_argument("--width", type=int, default=1024, help="width of the clip in pixels")
    parser.add_argument("--fit", default="refuse", choices=FITS, help="for a picture that is not 2:1")
    parser.add_argument("--camera", default="dolly", help="preset path of the camera, see presets/cameras")
    parser.add_argument("--blender-python", type=Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


class Sidecar:
    """The sidecar as a separate process for the length of a block; it ends with this process, however that ends."""

    def __enter__(self) -> Path:
        command = [sys.executable, "-m", "sidecar", "serve", "--root", str(STATE), "--parent-pid", str(os.getpid())]
        self.log: IO[bytes] = open(STATE / "demo-sidecar.log", "wb")
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=self.log, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(10)
            tail = Path(self.log.name).read_text(errors="replace").strip().splitlines()[-1:]
            raise HoloTimeError(f"The sidecar did not start: {' '.join(tail)} Its log is {self.log.name}.")
        return Path(json.loads(line)["connection_file"])

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(15)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()


def build_addon(python: Path) -> Path:
    """The extension's zip, built anew."""
    command = [str(python), str(ROOT / "build_addon.py"), "--json"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if built.returncode:
        raise HoloTimeError(f"The add-on could not be built: {built.stderr.strip()[-600:]}")
    return Path(json.loads(built.stdout.strip().splitlines()[-1])["zip"])


def blender_side(options: argparse.Namespace, zip_path: Path, connection: Path, source: Path) -> dict[str, Any]:
    """Run the Blender half and show its progress; its last line is its result."""
    command = [str(options.blender_python), str(ROOT / "tools" / "demo_blender.py")]
    for name, value in {
        "zip": zip_path,
        "connection": connection,
        "input": source.resolve(),
        "prompt": options.prompt,
        "frames": options.frames,
        "size": options.width,
        "fit": options.fit,
        "camera": options.camera,
        "out": options.out.resolve(),
    }.items():
        command += [f"--{name}", str(value)]
    result: dict[str, Any] = {}
    log_path = STATE / "demo-blender.log"
    with (
        open(log_path, "w", encoding="utf-8") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True) as process,
        stage_bars() as bars,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith("{"):
                log.write(line)
                continue
            message = json.loads(line)
            if "stage" in message:
                note = str(message.get("note", ""))
                bars(message["stage"], float(message["fraction"]), note, eta=message.get("eta"))
            else:
                result = message
    if process.returncode or "files" not in result:
        raise HoloTimeError(result.get("error") or f"Blender stopped with code {process.returncode}; see {log_path}.")
    return result


def collect(folder: Path, result: dict[str, Any], seconds: float) -> None:
    """Bring the times of Blender's steps into the report and write its page with all pictures."""
    report = read_report(folder)
    vr = read_clip(folder / "vr_360_TB.mp4").frames
    half = vr.shape[1] // 2
    eyes = np.vstack([thumbnail(vr[0, :half], 1024), thumbnail(vr[0, half:], 1024)])
    (folder / "report_vr.jpg").write_bytes(jpeg(eyes))
    report["stage_seconds"] |= {name: round(s, 3) for name, s in result["seconds"].items() if name != "generate"}
    report["total_seconds"] = round(seconds, 3)
    report["blender"] = result.get("blender", "")
    write_report(folder, report)


def main(arguments: list[str]) -> int:
    """Run the demo; its exit code."""
    options = parse(arguments)
    try:
        source = options.input or samples.path(options.sample)
        # Bad input must cost nothing and write nothing, so it is looked at before anything starts.
        load_panorama(source, options.width, options.fit)
        if options.out.is_file():
            raise InputError(f"{options.out} is a file. Give a folder with --out.")
        options.out.mkdir(parents=True, exist_ok=True)
        STATE.mkdir(exist_ok=True)
        zip_path = build_addon(options.blender_python)
        with Sidecar() as connection:
            start = time.perf_counter()
            result = blender_side(options, zip_path, connection, source)
            seconds = time.perf_counter() - start
        collect(options.out, result, seconds)
    except HoloTimeError as error:
        report_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    missing = [name for name in FILES if not (options.out / name).is_file()]
    if missing:
        console.print(f"Not made: {', '.join(missing)}. The log is {STATE / 'demo-blender.log'}.", style="red")
        return 1
    print(f"\nDone in {seconds:.0f} s:")
    for name in FILES:
        path = options.out / name
        print(f"  {path}  {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
