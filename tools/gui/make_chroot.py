#!/usr/bin/env python3
"""Makes a folder with a whole Debian in it that has Blender and a virtual screen, for the tests in a real window.

    python3 tools/gui/make_chroot.py FOLDER

Needs Linux, root (or the right to chroot) and a Debian mirror: the one that this machine's apt uses. About two minutes,
290 MB of packages and 1.3 GB of disk; nothing outside FOLDER changes. A finished folder is found again and left alone.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

SUITE = "sid"  # the suite that has a current Blender
# Without the four python3 packages Blender's own extension manager fails to register.
PACKAGES = (
    *("blender", "python3-numpy", "python3-requests", "python3-zstandard", "python3-cattr"),
    *("libgl1-mesa-dri", "libegl1", "libgl1", "libglx-mesa0", "libegl-mesa0", "xvfb", "xauth", "fonts-dejavu-core"),
)
COMPLETE = "holotime-gui-complete"  # a file in the folder, written last: the Blender version
MIRROR = "HOLOTIME_DEBIAN_MIRROR"  # environment variable: the address of a Debian mirror, where apt uses none


class ChrootError(Exception):
    """The folder cannot be made. The text says why."""


def complete(folder: Path) -> str:
    """The Blender version in a finished folder, else an empty text."""
    stamp = folder / COMPLETE
    return stamp.read_text().strip() if stamp.is_file() else ""


def why_not() -> str:
    """Why this machine cannot make or use such a folder; empty when it can."""
    if not sys.platform.startswith("linux"):
        return "a chroot needs Linux"
    if os.geteuid() != 0:
        return "a chroot needs root"
    if not shutil.which("chroot") or not shutil.which("apt-get"):
        return "chroot and apt-get are needed (Debian, Ubuntu)"
    return ""


def mirror() -> str:
    """The Debian mirror that the environment names, else that of this machine's own apt sources. Raises ChrootError."""
    if os.environ.get(MIRROR):
        return os.environ[MIRROR]
    run = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line for line in run.stdout.split() if re.search(r"/debian/?$", line)]
    if not found:
        raise ChrootError(f"apt uses no Debian mirror here. Set {MIRROR} to the address of one.")
    return found[0]


def make(folder: Path, say=print) -> str:
    """Make the folder unless it is complete; the Blender version in it. ChrootError when it cannot be made."""
    version = complete(folder)
    if version:
        return version
    problem = why_not()
    if problem:
        raise ChrootError(problem)
    start = time.monotonic()
    if folder.exists():
        shutil.rmtree(folder)  # one that was cut off
    folder.mkdir(parents=True)
    system = folder / "root"
    source = mirror()
    say(f"Debian {SUITE} from {source} ...")
    _debootstrap(folder, system, source)
    (system / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")  # packages must not start services
    (system / "usr/sbin/policy-rc.d").chmod(0o755)
    (system / "etc/dpkg/dpkg.cfg.d/fast").write_text(
        "force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\npath-exclude=/usr/share/locale/*\n"
    )
    say(f"Blender ... ({time.monotonic() - start:.0f} s so far)")
    # A mirror may lag, and a machine's clock may be ahead of it; the signatures are checked all the same.
    (system / "etc/apt/apt.conf.d/90any-age").write_text('Acquire::Check-Valid-Until "false";\n')
    _inside(system, ["apt-get", "update", "-qq"])
    _inside(system, ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES])
    _inside(system, ["apt-get", "clean"])
    said = _inside(system, ["blender", "--version"])
    version = said.split()[1]
    (folder / COMPLETE).write_text(version + "\n")
    say(f"Blender {version}: ready in {time.monotonic() - start:.0f} s")
    return version


def command(folder: Path, arguments: list[str]) -> list[str]:
    """What runs ``arguments`` inside a finished folder."""
    return ["chroot", str(folder / "root"), *arguments]


def _debootstrap(folder: Path, system: Path, source: str) -> None:
    """Unpack a minimal Debian; debootstrap itself is taken from the archive when the machine lacks it."""
    program, environment = shutil.which("debootstrap"), dict(os.environ)
    if not program:
        tools = folder / "tools"
        tools.mkdir()
        _run(["apt-get", "download", "-q", "debootstrap"], cwd=tools)
        package = next(tools.glob("debootstrap_*.deb"))
        _run(["dpkg-deb", "-x", str(package), str(tools)])
        program = str(tools / "usr/sbin/debootstrap")
        environment["DEBOOTSTRAP_DIR"] = str(tools / "usr/share/debootstrap")
    _run([program, "--variant=minbase", SUITE, str(system), source], env=environment)


def _inside(system: Path, arguments: list[str]) -> str:
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "DEBIAN_FRONTEND": "noninteractive",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        **{k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")},
    }
    return _run(["chroot", str(system), *arguments], env=environment)


def _run(arguments: list[str], **options) -> str:
    run = subprocess.run(arguments, capture_output=True, text=True, errors="replace", check=False, **options)
    if run.returncode:
        tail = "\n".join((run.stdout + run.stderr).strip().splitlines()[-8:])
        raise ChrootError(f"'{' '.join(arguments[:4])}' ended with code {run.returncode}:\n{tail}")
    return run.stdout


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to make it")
    try:
        make(parser.parse_args().folder.resolve())
    except ChrootError as error:
        print(f"make_chroot: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
