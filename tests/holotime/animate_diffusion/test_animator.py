"""The animator end to end on tiny random checkpoints."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from holotime import quality
from holotime.animate.diffusion import AnimatorConfig, animate, backend, run
from holotime.animate.diffusion import stage as stages
from holotime.animate.diffusion.folder import pairs
from holotime.errors import BackendUnavailable, Cancelled, InputError, OutOfMemory


@pytest.fixture(scope="module")
def panorama() -> np.ndarray:
    y, x = np.mgrid[0:64, 0:128]
    waves = [np.sin(2 * np.pi * (k * x / 128 + 0.3 * k)) * np.sin(np.pi * y / 64) for k in (1, 2, 5)]
    return np.stack([127 + 100 * w for w in waves], -1).astype(np.uint8)


def test_a_clip_comes_out(panorama: np.ndarray, config: AnimatorConfig) -> None:
    fractions, notes, previews = [], [], []

    def progress(fraction: float, note: str) -> None:
        fractions.append(fraction)
        notes.append(note)

    config = replace(config, preview_every=2, fps=8.0)
    result = run(panorama, config, progress=progress, preview=previews.append)
    assert result.clip.frames.shape == (3, 128, 256, 3)
    assert result.clip.fps == 8.0
    assert result.clip.frames.std() > 1
    assert fractions[-1] == 1.0
    assert all(b >= a - 1e-9 for a, b in pairwise(fractions))
    assert any("refinement step 3/3" in n for n in notes)
    assert any("s left" in n for n in notes)
    assert {p.shape for p in previews} == {(64, 128, 3), (128, 256, 3)}
    assert any("Lanczos" in n for n in result.notes)
    assert {"guidance sample", "refinement decode"} <= set(result.seconds)
    again = animate(panorama, config)
    assert np.array_equal(again.frames, result.clip.frames)
    other = animate(panorama, replace(config, seed=7))
    assert not np.array_equal(other.frames, result.clip.frames)


def test_the_seam_is_as_smooth_as_the_rest(panorama: np.ndarray, config: AnimatorConfig) -> None:
    """At 512 columns the overlap is whole at every level of the tiny network, as it is in the published refinement."""
    wide = replace(config.refinement, width=512)
    clip = animate(panorama, replace(config, guidance=None, refinement=wide, frames=1))
    # The stretch from 480 to 512 columns repeats every 16, and noise is sharpest where it hits a column exactly (as it
    # does at the seam): such places are compared with each other.
    phases = [quality.seam_ratio(np.roll(clip.frames, 16 * k, axis=2)) for k in range(32)]
    assert phases[0] == pytest.approx(np.mean(phases), rel=0.15)


def test_cancel_and_resume_give_the_same_clip(panorama: np.ndarray, config: AnimatorConfig, tmp_path: Path) -> None:
    whole = animate(panorama, config)
    for stage, fast in (("guidance step 2", False), ("refinement step 2", False), ("refinement step 3", True)):
        mine = replace(config, resume_dir=tmp_path / f"{stage}{fast}", quality="fast" if fast else "exact")
        expected = animate(panorama, replace(mine, resume_dir=None)) if fast else whole

        def stop(fraction: float, note: str, stage: str = stage) -> None:
            if note.startswith(stage):
                raise Cancelled("stopped")

        with pytest.raises(Cancelled):
            run(panorama, mine, progress=stop)
        assert len(list(mine.resume_dir.iterdir())) == 1
        resumed = run(panorama, mine)
        assert any("resumed" in n for n in resumed.notes)
        assert np.array_equal(resumed.clip.frames, expected.frames)
        assert not list(mine.resume_dir.iterdir())


def test_a_damaged_state_is_not_used(panorama: np.ndarray, config: AnimatorConfig, tmp_path: Path) -> None:
    mine = replace(config, refinement=None, resume_dir=tmp_path)

    def stop(fraction: float, note: str) -> None:
        if "step 2" in note:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        run(panorama, mine, progress=stop)
    (state,) = tmp_path.iterdir()
    state.write_bytes(state.read_bytes()[:100])
    result = run(panorama, mine)
    assert any("could not be used" in n for n in result.notes)
    assert np.array_equal(result.clip.frames, animate(panorama, replace(mine, resume_dir=None)).frames)


def test_longer_clips_compat_and_single_stages(panorama: np.ndarray, config: AnimatorConfig) -> None:
    assert len(animate(panorama, replace(config, frames=5, refinement=None))) == 5
    recipe = animate(panorama, replace(config, compat=True, steps=10))
    assert recipe.frames.shape == (3, 128, 256, 3)
    assert animate(panorama, replace(config, guidance=None, frames=2)).frames.shape == (2, 128, 256, 3)


def test_low_memory_changes_nothing_visible(panorama: np.ndarray, config: AnimatorConfig) -> None:
    high = run(panorama, replace(config, refinement=None, memory="high"))
    low = run(panorama, replace(config, refinement=None, memory="low"))
    assert high.plans["guidance"].batched
    assert not low.plans["guidance"].batched
    difference = np.abs(high.clip.frames.astype(int) - low.clip.frames)
    assert difference.max() <= 2


def test_bad_input_is_refused_before_work(panorama: np.ndarray, config: AnimatorConfig, cache: Path) -> None:
    with pytest.raises(InputError, match="twice as wide"):
        animate(panorama[:, :100], config)
    with pytest.raises(InputError, match="uint8"):
        animate(panorama.astype(np.float32), config)
    with pytest.raises(InputError, match="frames is 0"):
        animate(panorama, replace(config, frames=0))
    with pytest.raises(InputError, match="multiple of 128"):
        animate(panorama, replace(config, guidance=replace(config.guidance, width=200)))
    with pytest.raises(InputError, match="switched off"):
        animate(panorama, replace(config, guidance=None, refinement=None))
    with pytest.raises(BackendUnavailable, match=r"holotime_guidance.ckpt .*into"):
        animate(panorama, AnimatorConfig(device="cpu"))


def test_memory_that_runs_out_says_what_to_do(panorama: np.ndarray, config: AnimatorConfig, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    monkeypatch.setattr(stages.Sampler, "run", full)
    with pytest.raises(OutOfMemory, match=r"20.00 GiB.*plan 'low'"):
        animate(panorama, config)


def test_folders_pair_by_natural_order(tmp_path: Path) -> None:
    for name in ("scene_10.png", "scene_2.PNG", "scene_1.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "text_prompts.txt").write_text("one\ntwo\nten\n\n")
    assert [(p.name, t) for p, t in pairs(tmp_path)] == [
        ("scene_1.jpg", "one"),
        ("scene_2.PNG", "two"),
        ("scene_10.png", "ten"),
    ]
    for text in ("one\n\nten\n", "one\ntwo\n", "one\ntwo\nten\nfour\n"):
        (tmp_path / "text_prompts.txt").write_text(text)
        with pytest.raises(InputError, match=r"scene_1.jpg = one"):
            pairs(tmp_path)
    with pytest.raises(InputError, match="needs panoramas"):
        pairs(tmp_path / "nothing")


def test_as_the_backend_of_the_stage(panorama: np.ndarray, config: AnimatorConfig) -> None:
    one = replace(config, refinement=None, frames=2)
    hint = np.zeros((8, 16, 4), np.float32)
    made = backend.animate(panorama, None, one, hint=hint)  # the perception is not looked at
    assert made.clip.frames.shape == (2, 64, 128, 3)
    assert made.moving.shape == (64, 128)
    assert made.backend == "holotime"
    assert made.moving.all()
    assert any("hint was not followed" in n for n in made.notes)
