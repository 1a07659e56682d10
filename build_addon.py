#!/usr/bin/env python3
"""Build the Blender extension: ``python build_addon.py`` writes dist/holotime-VERSION.zip and prints its path.

``--repository DIR`` makes a static extension repository: put DIR on any web server (or disk) and add the address of
its index.json to Blender (Preferences, Get Extensions, Repositories). ``--with-library`` puts the library's sources
into the zip, so that an artist can set up the sidecar with nothing but the extension and a Python.

Into the zip go blender_addon/, copies of what it shares with the sidecar and the library, camera and video presets,
and the wheels of pyzmq and msgpack for the Pythons of Blender 4.5 to 5.2. Wheels are downloaded with pip once and kept
in build/wheels. The same sources give the same bytes. Standard library only.
"""

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ADDON = ROOT / "blender_addon"
WHEEL_CACHE = ROOT / "build" / "wheels"
SHARED = {  # path in the extension -> where it comes from
    "vendor/protocol.py": "sidecar/protocol.py",
    "vendor/camera_path.py": "holotime/camera_path.py",
    "vendor/constraints.txt": "constraints.txt",
}
PRESETS = ("cameras", "video")  # folders of presets/ whose files go to vendor/
LIBRARY = ("holotime", "sidecar", "presets", "pyproject.toml", "README.md", "LICENSE")
LEFT_OUT = {"ruff.toml"}
REQUIREMENTS = ("pyzmq==27.3.0", "msgpack==1.2.4")
PYTHONS = ("3.11", "3.13", "3.14")  # Blender 4.5 and 5.0; 5.1 and 5.2; 5.2 of Linux distributions
# Blender's name of a platform -> pip's, most modern first: pip takes a wheel that fits any of them.
PLATFORMS = {
    "linux-x64": ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
    "macos-arm64": ("macosx_11_0_arm64", "macosx_10_15_universal2"),
    "macos-x64": ("macosx_10_15_x86_64", "macosx_10_15_universal2"),
    "windows-x64": ("win_amd64",),
    "windows-arm64": ("win_arm64",),
}
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class BuildError(Exception):
    """The extension cannot be built. The text says why and what to do."""


@dataclass(frozen=True)
class Built:
    """What a build gives."""

    zip: Path
    sha256: str
    size: int  # bytes
    platforms: tuple[str, ...]
    validated: str  # what Blender's own check said, or why it was not asked


def this_platform() -> str:
    """Blender's name of the platform that this runs on."""
    import platform

    system = {"linux": "linux", "darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
    machine = {"x86_64": "x64", "amd64": "x64", "arm64": "arm64", "aarch64": "arm64"}.get(
        platform.machine().lower(), platform.machine()
    )
    name = f"{system}-{machine}"
    if name not in PLATFORMS:
        raise BuildError(f"Blender is not made for {name}. Choose with --platform: {', '.join(PLATFORMS)}.")
    return name


def fetch_wheels(platform: str) -> list[Path]:
    """The wheels of a platform, from the cache or from the registry that pip is set up for."""
    wheels: set[Path] = set()
    for python in PYTHONS:
        folder = WHEEL_CACHE / platform / python
        done = folder / "complete.json"
        if not done.is_file() or json.loads(done.read_text()) != list(REQUIREMENTS):
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.iterdir():
                old.unlink()
            _pip_download(platform, python, folder)
            done.write_text(json.dumps(REQUIREMENTS))
        wheels.update(folder.glob("*.whl"))
    unique = {wheel.name: wheel for wheel in sorted(wheels)}  # an abi3 wheel serves several Pythons
    return list(unique.values())


def _pip_download(platform: str, python: str, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", python]
    for name in PLATFORMS[platform]:
        command += ["--platform", name]
    run = subprocess.run([*command, "--dest", str(folder), *REQUIREMENTS], capture_output=True, text=True)
    if run.returncode:
        last = (run.stderr or run.stdout).strip().splitlines()[-1:] or ["no message"]
        raise BuildError(
            f"pip could not download {', '.join(REQUIREMENTS)} for {platform}, Python {python}: {last[0]} "
            "Check the network and pip's settings, then run this again."
        )


def version() -> str:
    """The project's version."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def manifest(platforms: tuple[str, ...], wheels: list[str]) -> str:
    """blender_manifest.toml with the version, the platforms and the wheels put in."""
    text = (ADDON / "blender_manifest.toml").read_text(encoding="utf-8")
    text = text.replace('version = "0.0.0"', f'version = "{version()}"')
    lines = [f"platforms = {json.dumps(list(platforms))}", "wheels = ["]
    lines += [f'  "./wheels/{name}",' for name in wheels]
    text = text.replace("\n[permissions]", "\n".join(["", *lines, "]", "", "[permissions]"]))
    tomllib.loads(text)
    return text


def contents(platforms: tuple[str, ...], with_library: bool = False) -> dict[str, bytes]:
    """Everything that goes into the zip, by its path there."""
    files: dict[str, bytes] = {}
    for path in sorted(ADDON.rglob("*")):
        name = path.relative_to(ADDON).as_posix()
        if path.is_file() and "__pycache__" not in path.parts and name not in LEFT_OUT and not name.startswith("."):
            files[name] = path.read_bytes()
    sources = {**SHARED, **{f"vendor/{p.parent.name}/{p.name}": p for p in _presets()}}
    for name, source in sources.items():
        files[name] = (ROOT / source).read_bytes()
    wheels = {wheel.name: wheel for platform in platforms for wheel in fetch_wheels(platform)}
    for name in sorted(wheels):
        files[f"wheels/{name}"] = wheels[name].read_bytes()
    if with_library:
        files[f"library/holotime-{version()}.zip"] = library_archive()
    files["blender_manifest.toml"] = manifest(platforms, sorted(wheels)).encode()
    return files


def _presets() -> list[Path]:
    found = []
    for folder in PRESETS:
        presets = sorted((ROOT / "presets" / folder).glob("*.toml"))
        if not presets:
            raise BuildError(f"There are no presets in {ROOT / 'presets' / folder}. Restore them from the repository.")
        found += presets
    return found


def library_archive() -> bytes:
    """The library and the sidecar as a source archive that pip can install: what the project's repository tracks."""
    run = subprocess.run(["git", "ls-files", *LIBRARY], cwd=ROOT, capture_output=True, text=True, check=False)
    names = run.stdout.split("\n")[:-1]
    if run.returncode or "pyproject.toml" not in names:
        raise BuildError("The library's sources are listed by git, which does not work here. Build from a clone.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(names):
            entry = zipfile.ZipInfo(f"holotime-{version()}/{name}", ZIP_TIME)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (ROOT / name).read_bytes(), compresslevel=9)
    return buffer.getvalue()


def write_index(folder: Path, built: list[Built]) -> Path:
    """index.json of an extension repository for zips that lie in its folder (Blender's listing format, version 1)."""
    entries = []
    for item in built:
        with zipfile.ZipFile(item.zip) as archive:
            entry = tomllib.loads(archive.read("blender_manifest.toml").decode())
        del entry["wheels"]
        entry |= {
            "python_versions": list(PYTHONS),
            "archive_url": f"./{item.zip.name}",
            "archive_size": item.size,
            "archive_hash": f"sha256:{item.sha256}",
        }
        entries.append(entry)
    path = folder / "index.json"
    path.write_text(json.dumps({"version": "v1", "blocklist": [], "data": entries}, indent=2) + "\n", encoding="utf-8")
    return path


def write_zip(path: Path, files: dict[str, bytes]) -> None:
    """Write the files in order with fixed times and rights; the zip appears when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    with zipfile.ZipFile(partial, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, ZIP_TIME)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16  # the same on every system
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(".whl") else zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name], compresslevel=9)
    partial.replace(path)


def find_validator(hint: Path | None = None) -> Path | None:
    """Blender's own blender_ext.py: in the environment or installation ``hint``, .venv-blender, or this Python's."""
    places = [hint] if hint else [ROOT / ".venv-blender", Path(sys.prefix)]
    pattern = "bl_pkg/cli/blender_ext.py"
    for place in places:
        for packages in (*place.glob("lib/python*/site-packages/bpy"), place / "Lib" / "site-packages" / "bpy", place):
            for found in packages.glob(f"*/scripts/addons_core/{pattern}"):
                return found
    return None


def validate(path: Path, validator: Path | None) -> str:
    """What Blender's check says about the zip. BuildError when it refuses or warns."""
    if validator is None:
        return "not validated: no bpy environment found (give one with --bpy)"
    with tempfile.TemporaryDirectory() as elsewhere:  # it may write bytecode beside what it runs
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, str(validator), "validate", str(path)]
        run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=elsewhere)
    said = (run.stdout + run.stderr).strip()
    if run.returncode or "warning" in said.lower():
        raise BuildError(f"Blender's validation refuses {path}:\n{said}")
    return said.splitlines()[-1] if said else "valid"


def build(
    platforms: tuple[str, ...],
    out: Path,
    bpy_environment: Path | None = None,
    suffix: str = "",
    with_library: bool = False,
) -> Built:
    """Build one zip that holds the wheels of these platforms."""
    path = out / f"holotime-{version()}{suffix}.zip"
    write_zip(path, contents(platforms, with_library))
    said = validate(path, find_validator(bpy_environment))
    data = path.read_bytes()
    return Built(path, hashlib.sha256(data).hexdigest(), len(data), platforms, said)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Build the HoloTime extension for Blender.")
    parser.add_argument("--all-platforms", action="store_true", help="wheels for every platform that Blender runs on")
    parser.add_argument("--platform", action="append", choices=PLATFORMS, help="this platform; may be given again")
    parser.add_argument("--split-platforms", action="store_true", help="one zip for each platform")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder to write to (default dist)")
    parser.add_argument("--repository", type=Path, metavar="DIR", help="write there, with the index of a repository")
    parser.add_argument("--with-library", action="store_true", help="put the library's sources into the zip (14 MB)")
    parser.add_argument(
        "--bpy", type=Path, help="environment or installation of Blender whose validator checks the zip"
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON line")
    arguments = parser.parse_args()
    try:
        chosen = tuple(PLATFORMS) if arguments.all_platforms else tuple(arguments.platform or (this_platform(),))
        parts = [((p,), f"-{p}") for p in chosen] if arguments.split_platforms else [(chosen, "")]
        out = arguments.repository or arguments.out
        built = [build(p, out, arguments.bpy, suffix, arguments.with_library) for p, suffix in parts]
        if arguments.repository:
            write_index(out, built)
    except BuildError as error:
        print(f"build_addon: {error}", file=sys.stderr)
        return 1
    for item in built:
        if arguments.json:
            print(json.dumps(vars(item) | {"zip": str(item.zip)}))
        else:
            print(f"{item.zip}  {item.size / 1e6:.1f} MB  {', '.join(item.platforms)}\n  {item.validated}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
