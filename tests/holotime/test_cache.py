"""Stage results survive crashes, power cuts and each other."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from holotime.cache import MANIFEST, StageCache, is_whole

KEY = "k" * 64


def _make(made: list[int]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        made.append(1)
        (folder / "deep").mkdir()
        (folder / "deep" / "arrays.bin").write_bytes(b"result " * 1000)

    return make


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied", "removed", "added", "manifest", "no manifest"])
def test_a_damaged_result_is_found_out_and_made_again(tmp_path: Path, damage: str) -> None:
    cache, made = StageCache(tmp_path), []
    folder, _ = cache.get("stage", KEY, _make(made))
    file = folder / "deep" / "arrays.bin"
    if damage == "truncated":
        os.truncate(file, 100)
    elif damage == "emptied":
        os.truncate(file, 0)
    elif damage == "flipped":
        data = bytearray(file.read_bytes())
        data[3000] ^= 1
        file.write_bytes(data)
    elif damage == "removed":
        file.unlink()
    elif damage == "added":
        (folder / "stray").write_bytes(b"")
    elif damage == "manifest":
        (folder / MANIFEST).write_text('{"deep/arrays.bin": ')
    else:
        (folder / MANIFEST).unlink()
    assert not is_whole(folder)
    again, was_there = cache.get("stage", KEY, _make(made))
    assert (again, was_there, len(made)) == (folder, False, 2)
    assert file.read_bytes() == b"result " * 1000
    assert cache.get("stage", KEY, _make(made))[1]
    assert [path.name for path in tmp_path.iterdir()] == [folder.name], "nothing half-made stays behind"


def test_what_a_killed_process_was_writing_bears_its_number_and_is_never_read(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, sys\nfrom holotime.cache import StageCache\n"
        "def make(folder):\n    (folder / 'half').write_text('half')\n    os.kill(os.getpid(), 9)\n"
        f"StageCache(pathlib.Path(sys.argv[1])).get('stage', {KEY!r}, make)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) as process:
        process.wait(60)
    (left,) = tmp_path.iterdir()
    assert f"-{process.pid}-" in left.name
    made: list[int] = []
    folder, was_there = StageCache(tmp_path).get("stage", KEY, _make(made))
    assert not was_there
    assert json.loads((folder / MANIFEST).read_text()).keys() == {"deep/arrays.bin"}
