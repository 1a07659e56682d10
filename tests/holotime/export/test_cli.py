"""Exchange with other programs on the command line."""

import json
import sys

import pytest

from holotime import cli
from holotime.scene4d import Scene4D

from .test_formats import needs, solid_scene


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a command in this process: exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["holotime", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            cli.main()
        told = capsys.readouterr()
        return int(done.value.code or 0), told.out, told.err

    return run


@pytest.fixture
def scene(tmp_path):
    return solid_scene(20, duration=0.75, fps=4.0).save(tmp_path / "scene.safetensors")


@pytest.mark.parametrize("format", ["ply", "spz", "splat"])
def test_frames_into_a_folder_and_one_time_into_a_file(command, scene, tmp_path, format):
    code, out, _ = command("export", scene, "--format", format, "--frames", "1:3", "-o", tmp_path / "frames", "--json")
    assert code == 0
    assert json.loads(out)["files"] == 2
    assert sorted(p.name for p in (tmp_path / "frames").iterdir()) == [f"frame_000{i}.{format}" for i in (1, 2)]
    one = tmp_path / f"one.{format}"
    assert command("export", scene, "--format", format, "--time", 0.5, "-o", one)[0] == 0
    back = tmp_path / "back.safetensors"
    code, out, _ = command("import", one, "-o", back, "--json")
    assert code == 0
    assert json.loads(out)["splats"] == len(Scene4D.load(back)) == len(Scene4D.load(scene).at(0.5))


@pytest.mark.parametrize(("format", "package"), [("4dgs", "fourdgs"), ("usd", "pxr")])
def test_moving_formats(command, scene, tmp_path, format, package):
    pytest.importorskip(package)
    code, out, err = command("export", scene, "--format", format, "-o", tmp_path / f"a.{format}", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["files"] == 1
    assert told["notes"] == []
    assert (tmp_path / f"a.{format}").stat().st_size > 100


@needs("fourdgs")
def test_a_moving_scene_comes_back_moving(command, scene, tmp_path):
    assert command("export", scene, "--format", "4dgs", "-o", tmp_path / "a.4dgs")[0] == 0
    assert command("import", tmp_path / "a.4dgs", "-o", tmp_path / "b.safetensors")[0] == 0
    back = Scene4D.load(tmp_path / "b.safetensors")
    assert back.duration == 0.75
    assert abs(back.motion[:, 0]).max() > 0.1


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("--format", "gif", "-o", "a.gif"), "Unknown format 'gif'"),
        (("--format", "usd", "-o", "folder"), "must end in .usd"),
        (("--format", "4dgs", "--frames", "0:2", "-o", "a.4dgs"), "whole scene"),
        (("--format", "spz", "--frames", "0:9", "-o", "folder"), "frames 0 to 3"),
        (("--format", "spz", "--frames", "0:2", "-o", "a.spz"), "give a folder"),
    ],
)
def test_a_wrong_export_is_one_line(command, scene, tmp_path, monkeypatch, arguments, match):
    monkeypatch.chdir(tmp_path)
    code, _, err = command("export", scene, *arguments)
    assert code == 2
    lines = [line for line in err.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1
    assert match in lines[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scene.safetensors"]


def test_a_wrong_import_is_one_line(command, tmp_path):
    (tmp_path / "a.spz").write_bytes(b"nothing")
    for source, match in (("a.spz", "not a readable SPZ"), ("none.ply", "does not exist"), ("a.fbx", "Known endings")):
        code, _, err = command("import", tmp_path / source, "-o", tmp_path / "s.safetensors")
        assert code == 2
        assert match in err
    assert not (tmp_path / "s.safetensors").exists()
