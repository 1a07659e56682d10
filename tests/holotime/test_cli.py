"""The command line as a user meets it: real processes, exit codes, one-line errors, JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from holotime import samples
from tests.holotime.test_scene4d import random_scene


def holotime(*arguments: object, home: Path) -> subprocess.CompletedProcess:
    code = "import sys; from holotime.cli import main; sys.argv[0] = 'holotime'; main()"
    environment = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "COLUMNS": "100"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)


@pytest.mark.parametrize(
    "command", ["panorama", "animate", "perceive", "reconstruct", "render", "export", "run", "report", "doctor"]
)
def test_every_command_explains_itself(command, tmp_path):
    done = holotime(command, "--help", home=tmp_path)
    assert done.returncode == 0
    assert "--json" in done.stdout


def test_bad_input_is_one_line_code_two_and_writes_nothing(tmp_path):
    square = tmp_path / "square.png"
    cv2.imwrite(str(square), np.zeros((100, 100, 3), np.uint8))
    out = tmp_path / "out"
    for arguments, match in (
        (("run", square, "-o", out), "--fit pad"),
        (("run", tmp_path, "-o", out), "--fit pad"),
        (("run", tmp_path / "none.png", "-o", out), "does not exist"),
        (("animate", square, "-o", tmp_path / "a.txt"), "must end in .mp4"),
        (("perceive", square, "-o", tmp_path / "p.npz"), "twice as wide"),
        (("reconstruct", square, "-o", tmp_path / "s.safetensors"), "twice as wide"),
        (("render", square, "-o", tmp_path / "r.mp4"), "not a readable HoloTime scene"),
        (("report", tmp_path), "report.json is missing"),
    ):
        done = holotime(*arguments, home=tmp_path)
        assert done.returncode == 2, (arguments, done.stderr)
        assert match in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert "Traceback" not in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "cache") == ["square.png"]


def test_from_panorama_to_frames_by_commands(tmp_path):
    panorama = samples.path(samples.names()[0])
    clip, scene = tmp_path / "clip.mp4", tmp_path / "scene.safetensors"
    done = holotime("animate", panorama, "-o", clip, "--width", 128, "--frames", 3, "--json", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == 3
    done = holotime("perceive", clip, "-o", tmp_path / "pred.npz", "--json", home=tmp_path)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "pred.npz") as file:
        assert file["distance"].shape == (3, 64, 128)
    done = holotime(
        *("reconstruct", clip, "--distance", tmp_path / "pred.npz", "--budget", 5000, "-o", scene, "--json"),
        home=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["distance"] == "given (pred.npz)"
    done = holotime("render", scene, "-o", tmp_path / "frames", "--size", 64, "--frames", "0:2", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "frames").iterdir()) == ["00000.png", "00001.png"]


def test_moved_eyes_of_a_ground_truth_set(tmp_path):
    scene = random_scene(200, fps=8.0, duration=3 / 8).save(tmp_path / "s.safetensors")
    eyes = tmp_path / "views.json"
    eyes.write_text(json.dumps({"views": {"left": [-0.25, 0, 0], "up": [0, 0, 0.2]}, "frames": [0, 3]}))
    done = holotime("render", scene, "--eyes", eyes, "--size", 64, "-o", tmp_path / "n", "--json", home=tmp_path)
    assert done.returncode == 0, done.stderr
    names = sorted(p.name for p in (tmp_path / "n").iterdir())
    assert names == ["left_00.png", "left_03.png", "up_00.png", "up_03.png"]
    assert cv2.imread(str(tmp_path / "n" / "up_00.png")).shape == (32, 64, 3)


def test_export_and_doctor(tmp_path):
    scene = random_scene(50, fps=4.0, duration=0.5, loop=True).save(tmp_path / "s.safetensors")
    done = holotime("export", scene, "-o", tmp_path / "seq", "--json", home=tmp_path)
    assert json.loads(done.stdout)["files"] == 2
    done = holotime("doctor", "--json", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["renderer"] == "draws"
