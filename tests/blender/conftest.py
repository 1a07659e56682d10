"""Blender tests: the extension is built, installed as a user would install it, and used through its operators.

They need the bpy module (any of Blender 4.5 to 5.2) and are skipped without it.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))  # for scenes.py, which works in the bpy environment too

if importlib.util.find_spec("bpy") is None:
    collect_ignore_glob = ["test_bpy_*.py"]


# Blender reads this once, when bpy is imported, which test modules do while they are collected.
RESOURCES = Path(tempfile.mkdtemp(prefix="holotime_blender_user_"))
os.environ["BLENDER_USER_RESOURCES"] = str(RESOURCES)


def pytest_configure(config: pytest.Config) -> None:
    """Blender's own modules warn about things that are not ours to mend."""
    config.addinivalue_line("filterwarnings", "default::DeprecationWarning:bl_.*|bpy.*|cycles.*")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind."""
    shutil.rmtree(RESOURCES, ignore_errors=True)


@pytest.fixture(scope="session")
def addon_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension as build_addon.py makes it."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, str(ROOT / "build_addon.py"), "--out", str(out)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return next(out.glob("holotime-*.zip"))


@pytest.fixture(scope="session")
def installed(addon_zip: Path) -> Iterator[ModuleType]:
    """The installed and enabled extension's package."""
    import bpy

    bpy.ops.extensions.package_install_files(
        filepath=str(addon_zip), repo="user_default", enable_on_install=True, overwrite=True
    )
    import bl_ext.user_default.holotime as addon

    yield addon
    bpy.ops.preferences.addon_disable(module="bl_ext.user_default.holotime")


@pytest.fixture
def holotime(installed: ModuleType) -> ModuleType:
    """The extension, in an empty scene of a new file."""
    import bpy

    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=False)
    bpy.context.scene.frame_set(1)
    return installed
