"""The animator from the command line, on tiny checkpoints that state their own sizes."""

import contextlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer

from holotime.animate.diffusion import stage as stages
from holotime.animate.diffusion.random_checkpoint import TINY, write
from holotime.cli import make_app
from holotime.clip import read_clip
from holotime.errors import BackendUnavailable, InputError

TINY_RUN = ("--animator", "holotime", "--width", 128, "--frames", 3, "--steps", 5, "--json")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both checkpoints under their published names."""
    folder = tmp_path_factory.mktemp("weights")
    sizes = {"height": 64, "width": 128, "window": 3, "overlap": 1}
    write(folder / "holotime_guidance.ckpt", TINY, 0.7, stage=sizes)
    write(folder / "holotime_refinement.ckpt", TINY, 0.3, seed=1, wrap="deepspeed", stage=sizes)
    write(folder / "dynamicrafter_512.ckpt", TINY, 0.7, stage=sizes)
    write(folder / "dynamicrafter_1024.ckpt", TINY, 0.3, stage=sizes | {"window": 2})
    return folder


@pytest.fixture(autouse=True)
def _home(weights: Path, shared_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLOTIME_WEIGHTS", str(weights))
    monkeypatch.setenv("HOLOTIME_CACHE", str(shared_cache))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def panorama(tmp_path: Path) -> Path:
    path = tmp_path / "sea.png"
    rows, columns = np.mgrid[0:64, 0:128]
    waves = 60 * np.sin(columns * 2 * np.pi / 32 + rows * 0.2)
    cv2.imwrite(str(path), np.clip(np.stack([waves + 128, 2.0 * rows, 200 - waves], -1), 0, 255).astype(np.uint8))
    return path


def holotime(*arguments: object) -> None:
    make_app()([str(a) for a in arguments], standalone_mode=False)


def test_a_clip_with_preview_and_notes(panorama: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    clip, preview = tmp_path / "clip.mp4", tmp_path / "now.jpg"
    holotime("animate", panorama, "-o", clip, *TINY_RUN, "--fps", 7, "--preview", preview, "--memory", "low")
    said = json.loads(capsys.readouterr().out)
    assert said["frames"] == 3
    assert read_clip(clip).fps == 7
    assert cv2.imread(str(preview)).shape == (64, 128, 3)
    notes = " ".join(said["notes"])
    assert "GiB (low)" in notes
    assert "doubled by Lanczos" in notes
    assert not list((tmp_path / "cache").rglob("*.safetensors")), "what was kept for going on is gone"


def test_settings_reach_the_network(panorama: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    def made(*more: object) -> np.ndarray:
        holotime("animate", panorama, "-o", tmp_path / "c.mp4", *TINY_RUN, *more)
        return read_clip(tmp_path / "c.mp4").frames.astype(int)

    plain = made()
    assert np.array_equal(made(), plain)
    for more in (
        ("--seed", 5),
        ("--prompt", "a storm"),
        ("--negative-prompt", "fog"),
        ("--guidance-scale", 3.0),
        ("--refine", 0.4),
        ("--quality", "fast"),
        ("--compat", "--steps", 10),
    ):
        assert not np.array_equal(made(*more), plain), more


def test_the_same_command_goes_on(panorama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Also when the process was stopped in the middle of a step."""
    holotime("animate", panorama, "-o", tmp_path / "whole.mp4", *TINY_RUN)
    capsys.readouterr()
    run, steps = stages.Sampler.run, []

    def stopped(self, x, noise, first=0):
        for step in run(self, x, noise, first):
            steps.append(step.number)
            if len(steps) == 7:
                raise KeyboardInterrupt  # as Ctrl-C does
            yield step

    with monkeypatch.context() as patch:
        patch.setattr(stages.Sampler, "run", stopped)
        with contextlib.suppress(typer.Abort):  # or a return, by Typer's version
            holotime("animate", panorama, "-o", tmp_path / "clip.mp4", *TINY_RUN)
    assert not (tmp_path / "clip.mp4").exists()
    holotime("animate", panorama, "-o", tmp_path / "clip.mp4", *TINY_RUN)
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert any("refinement: resumed at step 2 of 4" in note for note in notes), notes
    assert (tmp_path / "clip.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_a_folder(panorama: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = tmp_path / "input"
    folder.mkdir()
    for name in ("scene_10.png", "scene_2.png"):
        (folder / name).write_bytes(panorama.read_bytes())
    (folder / "text_prompts.txt").write_text("calm\n")
    for lines, words in (
        ("calm\n", r"1 lines for 2 panoramas.*scene_2.png = calm; scene_10.png = \(no line\)"),
        ("calm\na storm\nrain\n", r"3 lines for 2 panoramas.*scene_10.png = a storm; \(no image\) = rain"),
        ("calm\n\na storm\n", r"scene_2.png = calm; scene_10.png = \(blank line\); \(no image\) = a storm"),
        ("\ncalm\n", r"a blank line among the others.*scene_2.png = \(blank line\); scene_10.png = calm"),
    ):
        (folder / "text_prompts.txt").write_text(lines)
        with pytest.raises(InputError, match=words):
            holotime("animate", folder, "-o", tmp_path / "out", *TINY_RUN)
        assert not (tmp_path / "out").exists()
    (folder / "text_prompts.txt").write_text("calm\na storm\n")
    holotime("animate", folder, "-o", tmp_path / "out", *TINY_RUN)
    assert len(json.loads(capsys.readouterr().out)["clips"]) == 2
    one, two = (read_clip(tmp_path / "out" / f"scene_{n}.mp4").frames for n in (2, 10))
    assert not np.array_equal(one, two), "each has its own prompt"
    holotime("animate", panorama, "-o", tmp_path / "storm.mp4", *TINY_RUN, "--prompt", "a storm")
    assert np.array_equal(read_clip(tmp_path / "storm.mp4").frames, two), "whatever was made before"


def test_wrong_requests_are_refused(panorama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("HOLOTIME_WEIGHTS", "")
        with pytest.raises(BackendUnavailable, match="holotime weights get holotime-guidance"):
            holotime("animate", panorama, "-o", tmp_path / "c.mp4", *TINY_RUN)
    for more, words in (
        (("--quality", "quick"), "one of exact, fast"),
        (("--memory", "none"), "one of auto"),
        (("--guidance-scale", 0.5), "between 1 and 50"),
        (("--compat",), "10 steps or more"),
        (("--guidance-weights", "nothing.ckpt"), "neither a file nor a known model"),
        (("--checkpoints", "dynamicrafter-512", "--refinement-weights", "x"), "no refinement stage"),
    ):
        with pytest.raises(InputError, match=words):
            holotime("animate", panorama, "-o", tmp_path / "c.mp4", *TINY_RUN, *more)
    assert not (tmp_path / "c.mp4").exists()


@pytest.mark.parametrize("family", ["dynamicrafter-512", "dynamicrafter-1024"])
def test_single_networks_of_another_family(family: str, panorama: Path, tmp_path: Path, capsys) -> None:
    """The second of them makes three frames in windows of two."""
    holotime("animate", panorama, "-o", tmp_path / "c.mp4", *TINY_RUN, "--checkpoints", family)
    said = json.loads(capsys.readouterr().out)
    assert said["frames"] == 3
    assert not any("doubled" in note for note in said["notes"]), "there is no second stage"


def test_a_checkpoint_that_states_nonsense_is_refused(tmp_path: Path, panorama: Path) -> None:
    import torch

    for stated, words in (
        ({"model": {"unet": {}}}, "must be of unet"),
        ({"stage": {"height": "64"}}, "no sensible size"),
        ({"stage": {"height": 64, "steps": 9}}, "nothing else"),
        ([1], "not a dictionary"),
    ):
        torch.save({"state_dict": {}, "holotime": stated}, tmp_path / "odd.ckpt")
        with pytest.raises(InputError, match=words):
            holotime(
                "animate", panorama, "-o", tmp_path / "c.mp4", *TINY_RUN, "--guidance-weights", tmp_path / "odd.ckpt"
            )


def test_from_panorama_to_scene(panorama: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "out"
    more = ("--budget", 1000, "--sweeps", 0, "--backend", "prior", "--no-vr", "--quality", "fast")
    holotime("run", panorama, "-o", out, *TINY_RUN, *more)
    said = json.loads(capsys.readouterr().out)
    assert said["backends"]["animate"] == "holotime"
    assert any("deep features kept" in note for note in said["notes"])
    assert said["splats"] > 0
    settings = json.loads((out / "report.json").read_text())["settings"]
    assert (settings["animator"], settings["quality"], settings["steps"]) == ("holotime", "fast", 5)
