"""Tests in a real Blender window: a Debian in a folder of its own (chroot) with Blender, under a virtual screen.

The folder is made once by tools/gui/make_chroot.py (about two minutes) and kept in build/gui, or where the environment
variable HOLOTIME_GUI_CHROOT says. Where it cannot be made the tests are skipped; with CI=true they fail.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCREEN = "900x2300"  # high enough for the whole sidebar without scrolling
SECONDS = 900  # for one scenario, on a machine that does other things too


def _make_chroot() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_chroot", ROOT / "tools" / "gui" / "make_chroot.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def chroot() -> Path:
    """The folder with Debian and Blender."""
    maker = _make_chroot()
    folder = Path(os.environ.get("HOLOTIME_GUI_CHROOT") or ROOT / "build" / "gui").resolve()
    try:
        maker.make(folder, say=lambda text: print(text, file=sys.stderr, flush=True))
    except (maker.ChrootError, OSError) as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"the tests need a Blender window: {error}")
        pytest.skip(f"no Blender window here: {error}")
    return folder / "root"


@pytest.fixture(scope="session")
def addon_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension as build_addon.py makes it."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, str(ROOT / "build_addon.py"), "--out", str(out)], check=True, capture_output=True)
    return next(out.glob("holotime-*.zip"))


@pytest.fixture
def connection_file(tmp_path: Path) -> Iterator[Path]:
    """The connection file of a real sidecar that runs outside."""
    from sidecar.client import start_server

    process, path = start_server(tmp_path / "sidecar")
    yield path
    process.terminate()
    process.wait(20)


@pytest.fixture
def run(chroot: Path, addon_zip: Path) -> Iterator[Callable[..., dict[str, Any]]]:
    """``run(scenario, files={name: path}, **settings)``: a new Blender does the scenario; its notes."""
    inside = Path(tempfile.mkdtemp(prefix="holotime_gui_", dir=chroot / "tmp"))

    def run_scenario(
        scenario: str, files: dict[str, Path] | None = None, screen: str = SCREEN, **settings: Any
    ) -> dict[str, Any]:
        (inside / "out").mkdir()
        (inside / "screen").mkdir()
        here = Path(__file__).parent
        for name, path in {
            "drive.py": here / "drive.py",
            "scenarios.py": here / "scenarios.py",
            addon_zip.name: addon_zip,
            **(files or {}),
        }.items():
            shutil.copyfile(path, inside / name)
            (inside / name).chmod(0o600)  # what a connection file must have
        (inside / "settings.json").write_text(json.dumps(settings))
        folder = f"/tmp/{inside.name}"
        blender = (
            f"blender --factory-startup --gpu-backend opengl --window-geometry 0 0 {screen.replace('x', ' ')} "
            f"--enable-event-simulate --python {folder}/drive.py -- {folder} {scenario} > {folder}/out/log.txt 2>&1"
        )
        # -displayfd: the server chooses a free display and says so when it is ready
        script = (
            f"Xvfb -displayfd 3 -fbdir {folder}/screen -screen 0 {screen}x24 3> {folder}/display 2>/dev/null & "
            "server=$!; "
            f"until [ -s {folder}/display ]; do sleep 0.1; done; "
            f"DISPLAY=:$(cat {folder}/display) {blender}; kill $server"
        )
        environment = {
            "HOME": folder,
            "LANG": "C.UTF-8",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "BLENDER_USER_RESOURCES": f"{folder}/user",
        }
        subprocess.run(["chroot", str(chroot), "sh", "-c", script], env=environment, timeout=SECONDS, check=False)
        log = (inside / "out" / "log.txt").read_text(errors="replace")
        report = inside / "out" / "result.json"
        assert report.is_file(), log[-3000:]
        result = json.loads(report.read_text())
        keep = os.environ.get("HOLOTIME_GUI_SCREENSHOTS")
        if keep:
            Path(keep).mkdir(parents=True, exist_ok=True)
            for picture in (inside / "out").glob("*.png"):
                shutil.copy(picture, Path(keep) / picture.name)
        assert "error" not in result, f"{result['error']}\n{log[-3000:]}"
        assert "Traceback" not in log, log[log.index("Traceback") :][:3000]
        return {**result["notes"], "pictures": {p.stem: p for p in (inside / "out").glob("*.png")}}

    yield run_scenario
    shutil.rmtree(inside, ignore_errors=True)
