#!/usr/bin/env python3
"""Sets up HoloTime and runs it; needs nothing but Python.

    python3 run.py demo [--input PANORAMA] [--prompt TEXT] [--out DIR]     a panorama becomes a 4D scene in Blender
    python3 run.py test [PYTEST ARGUMENTS]                                 installs what the tests need, runs them all
    python3 run.py setup                                                   only installs

Two private environments beside this file: .venv (the library, the sidecar, the tests) and .venv-blender (Blender as a
Python module, which wants an older numpy and never sees torch); for the tests also .venv-blender-VERSION with other
Blenders. Nothing is installed anywhere else, nothing is done twice, nothing is asked.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
LIBRARY, BLENDER = ROOT / ".venv", ROOT / ".venv-blender"
PYTHONS = ("3.11", "3.13")  # versions that have a Blender module; the first is preferred
BLENDERS = {"5.0.1": "3.11", "5.2.3": "3.13", "4.5.15": "3.11"}  # Blender's module -> its Python; first: see above
VERSION_TESTS = [f"tests/blender/test_bpy_{name}.py" for name in ("whole", "scene", "native", "preview")]
ROOM = 3 << 30  # bytes that must be free to install another Blender
DEBIAN_LIBRARIES = "libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libice6 libgl1 libegl1"


class SetupError(Exception):
    """Something that the user must do; the text says what."""


class NotHere(SetupError):
    """This machine has no such Python, or no room: nothing is wrong, but something is left out."""


def interpreter(environment: Path) -> Path:
    """The Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def find_python(versions: tuple[str, ...] = PYTHONS) -> tuple[str, str]:
    """(path, version) of a Python that fits: this one, PATH, the Windows launcher, pyenv, or the usual places."""
    for version in versions:
        candidates: list[list[str]] = []
        if sys.version_info[:2] == tuple(map(int, version.split("."))):
            candidates.append([sys.executable])
        candidates += [[f"python{version}"], ["python3"], ["python"]]
        if os.name == "nt":
            candidates.append(["py", f"-{version}"])
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        exe = "python.exe" if os.name == "nt" else "bin/python"
        candidates += [[str(place / exe)] for place in sorted(pyenv.glob(f"{version}.*"), reverse=True)]
        candidates += [[f"{place}/python{version}"] for place in ("/usr/local/bin", "/opt/homebrew/bin", "/usr/bin")]
        for command in candidates:
            found = _probe(command, version)
            if found:
                return found, version
    wanted = " or ".join(versions)
    raise NotHere(
        f"No Python {wanted} with venv was found. Install Python {versions[0]} (on Debian and Ubuntu: "
        f"python{versions[0]} python{versions[0]}-venv; on Windows and macOS: the installer of python.org; or pyenv), "
        "then run this again."
    )


def _probe(command: list[str], version: str) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2]); print(sys.executable)"
    try:
        out = subprocess.run([*command, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = out.stdout.split("\n")
    return lines[1].strip() if out.returncode == 0 and lines[0].strip() == version else None


class Line:
    """One status line that is rewritten in place on a terminal and printed sparsely elsewhere."""

    def __init__(self, title: str, expected: int) -> None:
        self.title, self.expected, self.start, self.seen = title, expected, time.monotonic(), 0
        self.live, self.last = sys.stderr.isatty(), 0.0
        print(f"{title} ...", file=sys.stderr, end="" if self.live else "\n", flush=True)

    def show(self, text: str) -> None:
        """Show what happens now, with elapsed time and an estimate from the packages seen so far."""
        now = time.monotonic()
        if now - self.last < (0.1 if self.live else 10):
            return
        self.last = now
        share = min(self.seen / max(self.expected, 1), 1.0)
        bar = "#" * round(20 * share) + "." * (20 - round(20 * share))
        left = f", about {(now - self.start) * (1 - share) / share:.0f} s left" if share > 0.05 else ""
        columns = shutil.get_terminal_size().columns - 1
        line = f"{self.title} [{bar}] {now - self.start:.0f} s{left}  {text}"[:columns]
        print(f"\r{line:<{columns}}" if self.live else line, file=sys.stderr, end="" if self.live else "\n", flush=True)

    def done(self) -> None:
        """Finish the line."""
        text = f"{self.title}: ready in {time.monotonic() - self.start:.0f} s"
        print(f"\r{text:<{shutil.get_terminal_size().columns - 1}}" if self.live else text, file=sys.stderr, flush=True)


def install(
    environment: Path,
    title: str,
    constraints: str,
    requirements: list[str],
    inputs: list[str],
    pythons: tuple[str, ...] = PYTHONS,
) -> Path:
    """Make ``environment`` with ``requirements`` unless it has them; ``inputs`` are files whose change redoes it."""
    stamp = environment / "holotime-installed.txt"
    digest = hashlib.sha256("\n".join(requirements).encode())
    for name in [constraints, *inputs]:
        digest.update((ROOT / name).read_bytes())
    wanted = digest.hexdigest()
    python = interpreter(environment)
    if python.is_file() and stamp.is_file() and wanted in stamp.read_text().split():
        return python
    base, version = find_python(pythons)
    if python.is_file() and _probe([str(python)], version) is None:
        shutil.rmtree(environment)  # made by a Python that is gone, or of another version
    if not python.is_file():
        print(f"{title}: Python {version} ({base})", file=sys.stderr)
        subprocess.run([base, "-m", "venv", str(environment)], check=True)
    pins = [line for line in (ROOT / constraints).read_text().splitlines() if line and not line.startswith("#")]
    line = Line(title, 2 * len(pins))
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    command += ["-c", str(ROOT / constraints), *requirements]
    log = environment / "install.log"
    with (
        open(log, "w", encoding="utf-8") as file,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
    ):
        assert process.stdout is not None
        for text in process.stdout:
            file.write(text)
            if re.match(r"\s*(Collecting|Downloading|Using cached|Processing|Installing)", text):
                line.seen += 1
                line.show(" ".join(text.split())[:80])
    if process.returncode:
        tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-12:])
        raise SetupError(f"The installation of {title} failed:\n{tail}\nThe whole log is in {log}. Run this again.")
    line.done()
    with open(stamp, "a", encoding="utf-8") as file:
        file.write(wanted + "\n")
    return python


def library(extras: str = "") -> Path:
    """The Python of .venv, installed if need be."""
    title = "Library and sidecar"
    return install(LIBRARY, title, "constraints.txt", ["-e", f".{extras}"], ["pyproject.toml"])


def blender() -> Path:
    """The Python of .venv-blender, installed if need be and seen to work."""
    return install_blender(BLENDER, main_blender())


def main_blender() -> str:
    """The version of Blender that goes with the Python that is preferred here."""
    _, found = find_python()
    return next(version for version, python in BLENDERS.items() if python == found)


def install_blender(environment: Path, version: str) -> Path:
    """The Python of an environment that has this Blender."""
    fresh = not (environment / "holotime-installed.txt").is_file()
    packages = [f"bpy=={version}", "pyzmq", "msgpack", "pytest"]
    python = install(environment, f"Blender {version}", "constraints-blender.txt", packages, [], (BLENDERS[version],))
    if fresh:
        check = subprocess.run([str(python), "-c", "import bpy"], capture_output=True, text=True, check=False)
        if check.returncode:
            (environment / "holotime-installed.txt").unlink()
            raise SetupError(
                f"Blender was installed but does not start:\n{check.stderr.strip()[-400:]}\n"
                f"A bare Linux lacks its libraries; on Debian and Ubuntu: apt-get install {DEBIAN_LIBRARIES}"
            )
    return python


def other_blenders() -> list[tuple[str, Path]]:
    """(version, Python) of the other Blenders that the add-on is made for, each in its environment.

    One whose Python is not on this machine, or for which there is no room, is left out with a line that says so: a
    test run must not need what a package registry may have dropped. In CI (CI=true) a Blender that has its Python but
    cannot be installed is an error.
    """
    found = []
    for version in BLENDERS:
        environment = ROOT / f".venv-blender-{version.rpartition('.')[0]}"
        try:
            if version == main_blender():
                continue
            if not environment.is_dir() and shutil.disk_usage(ROOT).free < ROOM:
                raise NotHere(f"Only {shutil.disk_usage(ROOT).free >> 20} MiB are free.")
            found.append((version, install_blender(environment, version)))
        except SetupError as error:
            if os.environ.get("CI") == "true" and not isinstance(error, NotHere):
                raise
            print(f"\nSKIPPED: the tests in Blender {version}. {error}", file=sys.stderr, flush=True)
    return found


def demo(rest: list[str]) -> int:
    """Everything from a panorama to the files in out/demo; the arguments are those of tools/demo.py."""
    if "-h" in rest or "--help" in rest:
        return subprocess.call([str(library()), str(ROOT / "tools" / "demo.py"), *rest])
    python, bpy = library(), blender()
    return subprocess.call([str(python), str(ROOT / "tools" / "demo.py"), "--blender-python", str(bpy), *rest])


def test(rest: list[str]) -> int:
    """All tests: the library and the sidecar in .venv, the add-on inside Blender in .venv-blender.

    What differs between Blenders is tested in the others, too (see other_blenders).
    """
    python = library("[dev,diffusion,export]")
    bpy = blender()
    environment = {**os.environ, "HOLOTIME_PYTHON": str(python), "HOLOTIME_BLENDER_PYTHON": str(bpy)}
    runs = [
        [str(python), "-m", "ruff", "check", "."],
        [str(python), "-m", "ruff", "format", "--check", "."],
        [str(python), "-m", "pytest", "--ignore=tests/blender", "--ignore=tests/gui", *rest],
        [str(bpy), "-m", "pytest", "tests/blender", *rest],
        *([str(other), "-m", "pytest", *VERSION_TESTS, *rest] for _, other in other_blenders()),
        [str(python), "-m", "pytest", "tests/gui", *rest],
    ]
    failed = 0
    for command in runs:
        print(f"\n$ {' '.join(command)}", flush=True)
        failed |= subprocess.call(command, cwd=ROOT, env=environment) != 0
    return int(failed)


def main(arguments: list[str]) -> int:
    """Run one command; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("demo", "test", "setup"))
    if not arguments or arguments[0] in ("-h", "--help"):
        parser.print_help()
        return 0 if arguments else 2
    command = parser.parse_args(arguments[:1]).command
    try:
        if command == "setup":
            library()
            blender()
            return 0
        return demo(arguments[1:]) if command == "demo" else test(arguments[1:])
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
