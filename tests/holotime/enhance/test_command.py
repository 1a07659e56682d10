"""``holotime enhance`` as it is typed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from holotime.cli import make_app
from holotime.clip import read_clip
from holotime.errors import HoloTimeError, InputError

runner = CliRunner()


def test_a_clip_becomes_smoother_and_larger(video: Path, no_weights: Path) -> None:
    out = video.with_name("smooth.mp4")
    asked = ["enhance", str(video), "--fps", "24", "--scale", "2", "-o", str(out), "--json"]
    done = runner.invoke(make_app(), asked)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["frames"], said["size"], said["by"]) == (11, [256, 128], "dis + lanczos")
    assert said["models"] == []
    assert read_clip(out).frames.shape == (11, 128, 256, 3)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--scale", "3"], "must be one of 1, 2, 4"),
        (["--fps", "1000"], "between 0 and 240"),
        (["--scale", "2", "--model", "realesrgn-x2plus"], "Did you mean realesrgan-x2plus"),
        ([], "nothing to do"),
    ],
)
def test_mistakes_are_one_line(video: Path, no_weights: Path, more: list[str], said: str) -> None:
    out = video.with_name("out.mp4")
    done = runner.invoke(make_app(), ["enhance", str(video), "-o", str(out), *more])
    assert isinstance(done.exception, InputError)
    assert said in str(done.exception)
    assert not out.exists()


def test_the_output_must_be_a_video(video: Path, no_weights: Path) -> None:
    done = runner.invoke(make_app(), ["enhance", str(video), "--scale", "2", "-o", str(video.with_name("out.png"))])
    assert isinstance(done.exception, HoloTimeError)
    assert ".mp4 or .mov" in str(done.exception)
