"""Makes, updates, checks or removes the sidecar's private environment. Runs under the artist's Python, not Blender's.

    python install.py make --folder DIR --package PATH [--device cpu|cuda]
    python install.py check --folder DIR
    python install.py remove --folder DIR

Standard library only. Prints JSON lines: {"step", "text"} on the way, then {"done": {...}} or {"error": text}. Only a
folder that carries MARKER is ever changed or removed, so nothing but what was made here can be lost.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

MARKER = "holotime-environment.json"
OLDEST = (3, 11)
# A splat drawn by the compiled renderer, the perception network, and a product on the GPU if there is to be one.
KERNEL = """
import json, torch
from importlib.metadata import version
import numpy as np
from holotime.render import EquirectCamera, rasterize
from holotime.scene4d import Gaussians
one = Gaussians(means=np.array([[0, 2, 0]], np.float32), quats=np.array([[1, 0, 0, 0]], np.float32),
                scales=np.full((1, 3), 0.5, np.float32), opacities=np.ones(1, np.float32),
                colors=np.ones((1, 3), np.float32))
drawn = float(rasterize(one, EquirectCamera(64, 32)).color[16, 32].mean())
assert drawn > 0.9, f"the renderer draws wrongly: {drawn}"
import sidecar.protocol
out = {"holotime": version("holotime"), "torch": torch.__version__, "device": "cpu", "gpu": "", "memory_gb": 0}
if DEVICE == "cuda":
    assert torch.cuda.is_available(), "torch finds no CUDA device: choose CPU, or update the graphics driver"
    x = torch.full((64, 64), 2.0, device="cuda")
    assert float((x @ x).sum()) == 64 * 64 * 64 * 4.0, "the GPU calculates wrongly"
    properties = torch.cuda.get_device_properties(0)
    out |= {"device": "cuda", "gpu": properties.name, "memory_gb": round(properties.total_memory / 1e9, 1)}
print("RESULT" + json.dumps(out))
"""


class SetupError(Exception):
    """It cannot be done. The text says why and what to do."""


def tell(**values) -> None:
    """One JSON line."""
    print(json.dumps(values), flush=True)


def python_of(folder: Path) -> Path:
    """The environment's interpreter."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make(folder: Path, package: str, device: str) -> dict:
    """Make the environment, or bring it up to date; then check it."""
    if sys.version_info[:2] < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise SetupError(f"Python {sys.version.split()[0]} is too old; HoloTime needs {wanted} or newer.")
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise SetupError(f"{folder} holds other things. Choose an empty folder for the sidecar's environment.")
    if not Path(package).exists():
        raise SetupError(f"{package} does not exist. Choose the folder or the wheel of the HoloTime library.")
    folder.mkdir(parents=True, exist_ok=True)
    note = {"python": sys.executable, "package": str(package), "device": device, "complete": False}
    (folder / MARKER).write_text(json.dumps(note))
    if not python_of(folder).is_file():
        tell(step="environment", text=f"Making an environment with Python {sys.version.split()[0]}")
        venv.EnvBuilder(with_pip=True, clear=False).create(folder)
        (folder / MARKER).write_text(json.dumps(note))
    tell(step="install", text="Installing the library and what it needs")
    wanted = f"{Path(package).resolve()}[cuda]" if device == "cuda" else str(Path(package).resolve())
    constraints = Path(__file__).parents[1] / "vendor" / "constraints.txt"  # versions that were tested together
    pip = [str(python_of(folder)), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    if constraints.is_file():
        pip += ["-c", str(constraints)]
    _run([*pip, "--upgrade", wanted], "pip could not install the library. Check the network, then repair")
    found = check(folder, device)
    (folder / MARKER).write_text(json.dumps(note | {"complete": True, "found": found}))
    return found


def check(folder: Path, device: str) -> dict:
    """Run a real kernel in the environment; what it found."""
    tell(step="check", text="Drawing a splat, to see that it works")
    code = f"DEVICE = {device!r}\n{KERNEL}"
    said = _run([str(python_of(folder)), "-c", code], "The environment does not work. Repair it")
    return json.loads(next(line for line in said if line.startswith("RESULT")).removeprefix("RESULT"))


def remove(folder: Path) -> dict:
    """Remove the environment."""
    if not (folder / MARKER).is_file():
        raise SetupError(f"{folder} was not made by this set-up; it stays as it is.")
    tell(step="remove", text=f"Removing {folder}")
    shutil.rmtree(folder)
    return {"removed": str(folder)}


def _run(command: list[str], problem: str) -> list[str]:
    """Run a command and pass its lines on; SetupError with the last ones when it fails."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    lines: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=clean
    ) as process:
        for line in process.stdout:
            lines.append(line.rstrip())
            if not line.startswith("RESULT"):
                tell(step="log", text=line.rstrip()[:300])
    if process.returncode:
        raise SetupError("\n".join([f"{problem}:", *lines[-4:]]))
    return lines


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("make", "check", "remove"))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--package", default="")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    try:
        if options.action == "make":
            done = make(options.folder, options.package, options.device)
        else:
            done = check(options.folder, options.device) if options.action == "check" else remove(options.folder)
    except (SetupError, OSError, subprocess.SubprocessError) as error:
        tell(error=str(error))
        return 1
    tell(done=done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
