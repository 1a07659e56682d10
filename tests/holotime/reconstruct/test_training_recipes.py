"""Which recipe runs where, the whole way from a clip to a scene, and running out of memory."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from holotime.clip import Clip
from holotime.config import from_params
from holotime.errors import BackendUnavailable, Cancelled, InputError, OutOfMemory
from holotime.reconstruct import LiftConfig, eye_psnr, lift
from holotime.reconstruct.training import (
    ReconstructConfig,
    TrainConfig,
    Trainer,
    available,
    backend_of,
    reconstruct,
    run,
)

from .conftest import perception_of, room

here = "gsplat" if available() else "cpu"


@pytest.fixture(scope="module", name="still")
def _still():
    color, distance = room(height=64)
    clip = Clip(color[None])
    return clip, perception_of(clip, distance)


def test_the_default_trains_only_where_a_gpu_allows_it(monkeypatch):
    monkeypatch.setattr(run, "available", lambda: False)
    assert backend_of(ReconstructConfig()) == "lift"
    assert backend_of(ReconstructConfig(refine=20)) == "lite (cpu)"
    assert backend_of(ReconstructConfig(recipe="full", refine=20)) == "full (cpu)"
    for recipe in ("lite", "holotime"):
        with pytest.raises(BackendUnavailable):
            backend_of(ReconstructConfig(recipe=recipe))
    with pytest.raises(InputError, match="does not train"):
        backend_of(ReconstructConfig(recipe="lift", refine=20))
    monkeypatch.setattr(run, "available", lambda: True)
    assert backend_of(ReconstructConfig()) == "lite (gsplat)"
    assert backend_of(ReconstructConfig(recipe="lift")) == "lift"
    assert backend_of(ReconstructConfig(recipe="holotime")) == "holotime (gsplat)"


def test_unknown_recipe_is_refused():
    with pytest.raises(InputError, match="recipe"):
        from_params(ReconstructConfig, {"recipe": "magic"})


def test_one_still_panorama_is_refined(still):
    """T = 1: a static scene, better from the eye than its lift."""
    clip, perception = still
    config = ReconstructConfig(recipe="lite", refine=15, budget=3000, sweeps=1)
    scene = reconstruct(clip, perception, config, train=TrainConfig(steps=15, device="cpu"))
    assert scene.provenance["backend"] == f"lite ({here})"
    assert scene.provenance["recipe"] == "lite"
    assert eye_psnr(scene, clip) > eye_psnr(lift(clip, perception, LiftConfig(budget=3000, sweeps=1)), clip) + 0.5
    assert np.abs(scene.motion).max() == 0


def test_distance_of_another_size_is_fitted(still):
    clip, perception = still
    coarse = replace(perception, distance=perception.distance[:, ::2, ::2])
    config = ReconstructConfig(recipe="lite", refine=2, budget=3000, sweeps=0)
    scene = reconstruct(clip, coarse, config, train=TrainConfig(steps=2, device="cpu"))
    assert any("resized" in note for note in scene.provenance["notes"])


@pytest.mark.parametrize("recipe", ["lite", "holotime"])
def test_a_distance_that_is_not_a_number_is_refused_by_every_recipe(still, monkeypatch, recipe):
    clip, perception = still
    monkeypatch.setattr(run, "available", lambda: True)
    distance = perception.distance.copy()
    distance[0, 5, 7] = np.nan
    with pytest.raises(InputError, match="1 pixels"):
        reconstruct(clip, replace(perception, distance=distance), ReconstructConfig(recipe=recipe, refine=2))


def test_nothing_but_sky_is_trained(still):
    clip, perception = still
    sky = replace(perception, distance=np.full_like(perception.distance, np.inf))
    config = ReconstructConfig(recipe="lite", refine=12, budget=3000, sweeps=1)
    scene = reconstruct(clip, sky, config, train=TrainConfig(steps=12, device="cpu"))
    assert np.isfinite(scene.means).all()
    assert np.linalg.norm(scene.means, axis=1).min() > 60
    assert eye_psnr(scene, clip) > eye_psnr(lift(clip, sky, LiftConfig(budget=3000, sweeps=1)), clip)


def test_out_of_memory_halves_the_budget_and_says_so(still, monkeypatch):
    clip, perception = still
    first = run.lift
    budgets = []

    def greedy(clip, perception, config, **rest):
        budgets.append(config.budget)
        if config.budget > 3000:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return first(clip, perception, config, **rest)

    monkeypatch.setattr(run, "lift", greedy)
    scene = reconstruct(clip, perception, ReconstructConfig(recipe="lift", budget=8000, sweeps=0))
    assert budgets == [8000, 4000, 2000]
    assert any("2000" in note for note in scene.provenance["notes"])

    def never(*args, **rest):
        raise MemoryError

    monkeypatch.setattr(run, "lift", never)
    with pytest.raises(OutOfMemory):
        reconstruct(clip, perception, ReconstructConfig(recipe="lift", budget=8000))


def test_a_cancelled_run_goes_on_from_its_checkpoint(still, tmp_path):
    clip, perception = still
    config = ReconstructConfig(recipe="lite", refine=20, budget=3000, sweeps=0)
    settings = TrainConfig(steps=20, device="cpu")
    kept = tmp_path / "run.checkpoint"

    def stop(fraction, note=""):
        if "step 10" in note:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        reconstruct(clip, perception, config, train=settings, checkpoint=kept, progress=stop)
    notes = []
    again = reconstruct(
        clip, perception, config, train=settings, checkpoint=kept, progress=lambda f, note="": notes.append(note)
    )
    assert "training, step 10" not in notes
    whole = reconstruct(clip, perception, config, train=settings)
    for name in whole.TENSORS:
        assert getattr(whole, name).tobytes() == getattr(again, name).tobytes(), name


def test_command_line(still, tmp_path):
    import cv2

    from holotime.cli import make_app

    clip, perception = still
    picture = tmp_path / "room.png"
    cv2.imwrite(str(picture), clip.frames[0][..., ::-1])
    np.savez(tmp_path / "distance.npz", distance=perception.distance)
    args = ["reconstruct", str(picture), "-o", str(tmp_path / "scene.safetensors"), "--budget", "3000", "--json"]
    args += ["--distance", str(tmp_path / "distance.npz"), "--recipe", "lite", "--refine", "3", "--backend", "prior"]
    result = CliRunner().invoke(make_app(), args)
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout.strip().splitlines()[-1])
    assert answer["reconstruct"] == f"lite ({here})"
    assert (tmp_path / "scene.safetensors").is_file()


@pytest.mark.gpu
@pytest.mark.skipif(not available(), reason="needs a CUDA device and gsplat")
def test_gpu_training_is_better_than_the_lift_and_resumes_within_a_tenth_of_a_decibel(still, tmp_path):
    clip, perception = still
    scene = lift(clip, perception, LiftConfig(budget=3000, sweeps=1))
    settings = TrainConfig(steps=200, device="cuda")
    whole = Trainer(scene, clip, perception, settings).run()
    assert whole.backend == "gsplat"
    assert whole.peak_bytes > 0
    assert eye_psnr(whole.scene, clip) > eye_psnr(scene, clip) + 1
    kept = replace(settings, checkpoint=tmp_path / "run.checkpoint")
    assert Trainer(scene, clip, perception, kept).run(stop=0.5).stopped
    second = Trainer(scene, clip, perception, kept)
    assert second.resume()
    resumed = second.run()
    assert resumed.steps == 200
    assert abs(eye_psnr(resumed.scene, clip) - eye_psnr(whole.scene, clip)) < 0.1


@pytest.mark.gpu
@pytest.mark.skipif(not available(), reason="needs a CUDA device and gsplat")
def test_the_published_recipe_learns(still):
    from holotime.reconstruct.training.recipe import Recipe, RecipeConfig

    clip, perception = still
    recipe = Recipe(clip, perception, RecipeConfig(size=128))
    assert recipe.guided.farthest.shape == (120,)
    before = eye_psnr(recipe.scene(), clip)
    for _ in range(400):
        recipe.advance()
    assert eye_psnr(recipe.scene(), clip) > before + 3
