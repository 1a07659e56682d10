"""Video models from the command line and through the whole pipeline, and what is refused."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from numpy.typing import NDArray

from holotime.animate.panoramic import stepper
from holotime.cli import make_app
from holotime.clip import read_clip
from holotime.errors import BackendUnavailable, InputError
from holotime.pipeline import GenerateConfig, generate

Models = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLOTIME_WEIGHTS", "")
    monkeypatch.setenv("HOLOTIME_CACHE", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)


@pytest.fixture
def picture(tmp_path: Path, panorama: NDArray[np.uint8]) -> Path:
    cv2.imwrite(str(tmp_path / "sea.png"), panorama[..., ::-1])
    return tmp_path / "sea.png"


def holotime(*arguments: object) -> None:
    make_app()([str(a) for a in arguments], standalone_mode=False)


def options(models: Models, family: str = "ltx", width: int = 128) -> tuple[object, ...]:
    return (
        *("--animator", family, "--model", models(family), "--model-width", width, "--width", 128),
        *("--frames", 3, "--steps", 3, "--device", "cpu", "--json"),
    )


def test_a_clip_with_preview_that_goes_on(
    models: Models, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    given = (*options(models), "--prompt", "waves", "--fps", 7, "--memory", "low", "--preview", tmp_path / "now.jpg")
    holotime("animate", picture, "-o", tmp_path / "whole.mp4", *given)
    said = json.loads(capsys.readouterr().out)
    assert said["frames"] == 3
    assert read_clip(tmp_path / "whole.mp4").fps == 7
    assert cv2.imread(str(tmp_path / "now.jpg")).shape == (64, 128, 3)
    assert "GiB (low)" in " ".join(said["notes"])
    after, steps = stepper.Stepper.after_step, []

    def stopped(self, pipeline, number, timestep, values):
        values = after(self, pipeline, number, timestep, values)
        steps.append(number)
        if len(steps) == 2:
            raise KeyboardInterrupt  # as Ctrl-C does
        return values

    with monkeypatch.context() as patch:
        patch.setattr(stepper.Stepper, "after_step", stopped)
        with contextlib.suppress(typer.Abort):  # or a return, by Typer's version
            holotime("animate", picture, "-o", tmp_path / "clip.mp4", *given)
    assert not (tmp_path / "clip.mp4").exists()
    holotime("animate", picture, "-o", tmp_path / "clip.mp4", *given)
    assert "ltx: resumed at step 3 of 3." in json.loads(capsys.readouterr().out)["notes"]
    assert (tmp_path / "clip.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_from_panorama_to_scene(models: Models, picture: Path, tmp_path: Path) -> None:
    """The real stages; a second job reads the clip, another model or size makes another."""
    stages: list[tuple[str, str]] = []
    settings = {
        "animator": "wan",
        "video_model": str(models("wan")),
        "video_width": 64,
        "width": 128,
        "frames": 3,
        "steps": 2,
        "perceive": "prior",
        "budget": 1000,
        "sweeps": 0,
        "recipe": "lift",
        "loop": "fade",
    }
    made = generate(picture, GenerateConfig(**settings), tmp_path / "stages")
    assert made.report["backends"]["animate"] == "wan"
    assert made.report["loop"]
    assert len(made.scene) > 0
    again = generate(
        picture,
        GenerateConfig(**settings),
        tmp_path / "stages",
        progress=lambda stage, fraction, note="", preview=None: stages.append((stage, note)),
    )
    assert ("animate", "reused") in stages
    assert np.array_equal(again.clip.frames, made.clip.frames)


def test_what_is_refused(models: Models, picture: Path, tmp_path: Path) -> None:
    """Each with what to do, before any work."""

    def refused(kind: type[Exception], words: str, *arguments: object) -> None:
        with pytest.raises(kind, match=words):
            holotime("animate", picture, "-o", tmp_path / "c.mp4", "--width", 128, *arguments)
        assert not (tmp_path / "c.mp4").exists()

    wan = ("--animator", "wan")
    folder = str(tmp_path / "models" / "models" / "Wan-AI" / "Wan2.1-I2V-14B-480P-Diffusers")
    refused(BackendUnavailable, f"Wan-AI/Wan2.1-I2V-14B-480P-Diffusers.*into {folder}", *wan)
    refused(BackendUnavailable, "licence has to be accepted", "--animator", "svd")
    refused(
        BackendUnavailable, "Did you mean|did you mean Wan-AI/Wan2.1", *wan, "--model", "Wan-AI/Wan2.1-I2V-14B-480P"
    )
    refused(InputError, "Did you mean svd", "--animator", "svd", "--model", "svdd")
    refused(InputError, "lacks model_index.json", *wan, "--model", tmp_path)
    refused(InputError, "choose the animator ltx", *wan, "--model", models("ltx"))
    refused(InputError, "one of flow, holotime, wan", "--animator", "wand")
    refused(InputError, "one of none, fade, bounce", *wan, "--model", models("wan"), "--loop", "round")
    refused(InputError, "always loops", "--animator", "flow", "--loop", "fade")
    refused(InputError, "uses none", "--animator", "flow", "--model", "svd")
    refused(InputError, "of the animator holotime", *wan, "--model", models("wan"), "--compat")
    refused(InputError, "at no other", "--animator", "cogvideox", "--model", models("cogvideox"), "--model-width", 512)
    refused(InputError, "device warp", *options(models, "wan", 64)[:6], "--device", "warp")
    refused(InputError, "steps is 1", "--animator", "ltx", "--model", models("ltx"), "--steps", 1)
    refused(InputError, "between 32", *wan, "--model", models("wan"), "--model-width", 5)
    damaged = tmp_path / "damaged"
    _copy(models("ltx"), damaged)
    weights = damaged / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:50])
    refused(InputError, "damaged", "--animator", "ltx", "--model", damaged)
    weights.unlink()
    refused(InputError, "lacks the weights of its transformer", "--animator", "ltx", "--model", damaged)


def _copy(source: Path, target: Path) -> None:
    import shutil

    shutil.copytree(source, target)
