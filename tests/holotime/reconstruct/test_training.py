"""Training on the CPU: the picture gets better from the eye and beside it, and a run can be cut off and continued."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from holotime import quality
from holotime.clip import Clip
from holotime.errors import HoloTimeError, InputError
from holotime.reconstruct import LiftConfig, eye_psnr, lift
from holotime.reconstruct.training import TrainConfig, Trainer
from holotime.reconstruct.training.model import SpacetimeGaussians
from holotime.render import EquirectCamera, rasterize, upright

from .conftest import moving_disc, perception_of, room

SMALL = TrainConfig(steps=40, device="cpu")
ASIDE = (0.2, -0.1, 0.05)


@pytest.fixture(scope="module", name="pillar")
def _pillar():
    """A clip of one frame with a pillar, its perception, and a coarse lift."""
    color, distance = room(height=64)
    clip = Clip(color[None])
    perception = perception_of(clip, distance)
    return clip, perception, lift(clip, perception, LiftConfig(budget=3000, sweeps=1))


@pytest.fixture(scope="module", name="disc")
def _disc():
    clip, perception = moving_disc(frames=4, height=48)
    return clip, perception, lift(clip, perception, LiftConfig(budget=4000, sweeps=1))


def from_aside(scene) -> float:
    truth, _ = room(ASIDE, height=64)
    seen = rasterize(scene.at(0.0), EquirectCamera(128, 64, upright(ASIDE))).color
    return quality.psnr(np.clip(seen, 0, 1) * 255, truth)


def test_both_pictures_get_better(pillar):
    clip, perception, scene = pillar
    result = Trainer(scene, clip, perception, SMALL).run()
    assert eye_psnr(result.scene, clip) > eye_psnr(scene, clip) + 1.5
    assert from_aside(result.scene) > from_aside(scene) + 0.5
    assert result.backend == "cpu"
    assert result.scene.provenance["training"]["steps"] == 40


def test_moving_scene_gets_better(disc):
    clip, perception, scene = disc
    result = Trainer(scene, clip, perception, replace(SMALL, steps=150)).run()
    assert eye_psnr(result.scene, clip) > eye_psnr(scene, clip) + 0.5


@pytest.mark.parametrize("densify", ["none", "gradient", "mcmc"])
def test_resumed_run_is_byte_identical(disc, tmp_path, densify, monkeypatch):
    monkeypatch.setattr("holotime.reconstruct.training.growth.EVERY", 4)
    clip, perception, scene = disc
    config = replace(SMALL, steps=12, densify=densify, budget=len(scene) + 100)
    whole = Trainer(scene, clip, perception, config).run()
    kept = replace(config, checkpoint=tmp_path / "run.safetensors")
    first = Trainer(scene, clip, perception, kept)
    half = first.run(stop=0.5)
    assert half.stopped
    assert half.steps == 6
    second = Trainer(scene, clip, perception, kept)
    assert second.resume()
    resumed = second.run()
    assert resumed.steps == 12
    for name in scene.TENSORS:
        assert getattr(whole.scene, name).tobytes() == getattr(resumed.scene, name).tobytes(), name
    if densify == "gradient":
        assert len(whole.scene) > len(scene)


def test_checkpoint_of_another_run_is_not_used(disc, tmp_path):
    clip, perception, scene = disc
    path = tmp_path / "run.safetensors"
    Trainer(scene, clip, perception, replace(SMALL, steps=2, checkpoint=path)).run()
    other = Trainer(scene, clip, perception, replace(SMALL, steps=2, seed=5, checkpoint=path))
    assert not other.resume()
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="checkpoint"):
        Trainer(scene, clip, perception, replace(SMALL, steps=2, checkpoint=path)).resume()


def test_full_disk_keeps_the_last_checkpoint(disc, tmp_path, monkeypatch):
    clip, perception, scene = disc
    path = tmp_path / "run.safetensors"
    Trainer(scene, clip, perception, replace(SMALL, steps=2, checkpoint=path)).run()
    before = path.read_bytes()

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    again = Trainer(scene, clip, perception, replace(SMALL, steps=2, checkpoint=path))
    with pytest.raises(HoloTimeError, match="No space left"):
        again.run()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]


def test_cancelling_leaves_a_checkpoint_and_a_valid_scene(disc, tmp_path):
    clip, perception, scene = disc
    trainer = Trainer(scene, clip, perception, replace(SMALL, checkpoint=tmp_path / "run.safetensors"))

    def stop(fraction, note=""):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.run(progress=stop)
    assert (tmp_path / "run.safetensors").is_file()
    assert len(trainer.scene().at(0.5)) > 0


def test_still_splats_stay_and_the_sky_keeps_its_distance():
    from .conftest import drifting_sky

    clip, perception = drifting_sky(frames=4, height=48)
    scene = lift(clip, perception, LiftConfig(budget=4000, sweeps=1))
    result = Trainer(scene, clip, perception, replace(SMALL, steps=30)).run()
    still = scene.t_log_scales > 10
    assert np.array_equal(result.scene.motion[still], scene.motion[still])
    sky = scene.provenance["sky_distance"]
    before = np.linalg.norm(scene.means, axis=1)
    far = before > 0.98 * sky
    assert far.any()
    after = np.linalg.norm(result.scene.means, axis=1)
    assert np.abs(after[far] / before[far] - 1).max() < 1e-4


def test_full_model_begins_as_the_lift_and_learns(pillar):
    clip, perception, scene = pillar
    trainer = Trainer(scene, clip, perception, replace(SMALL, model="full", steps=6))
    baked = trainer.model.scene(scene)
    assert np.abs(baked.colors - scene.colors).max() < 0.01
    losses = [trainer.advance() for _ in range(6)]
    assert np.isfinite(losses[0])
    assert trainer.model.colors.shape[1] == 6
    assert len(trainer.scene()) == len(scene)


def test_snapshots_show_the_growing_scene(pillar):
    clip, perception, scene = pillar
    seen = []
    Trainer(scene, clip, perception, replace(SMALL, steps=2)).run(
        snapshot=lambda model, step: seen.append((len(model), step))
    )
    assert seen[0] == (len(scene), 0)


def test_bad_settings_are_refused(pillar):
    clip, perception, scene = pillar
    for wrong in (
        {"steps": 0},
        {"seconds": 0.0},
        {"displaced": 0.8, "between": 0.5},
        {"device": "tpu"},
        {"reach": -1.0},
    ):
        with pytest.raises(InputError):
            TrainConfig(**wrong)
    small = replace(perception, distance=perception.distance[:, ::2, ::2])
    with pytest.raises(InputError, match="distance"):
        Trainer(scene, clip, small, SMALL)


def test_scene_survives_the_way_through_the_model(pillar):
    scene = pillar[2]
    model = SpacetimeGaussians.of(scene)
    back = model.scene(scene)
    for name in scene.TENSORS:
        assert np.array_equal(getattr(scene, name), getattr(back, name)), name
    at, want = model.at(0.3), scene.at(0.3)
    seen = torch.from_numpy(scene.visible(0.3))
    assert torch.allclose(at.means[seen], torch.from_numpy(want.means), atol=1e-5)
    assert torch.allclose(at.opacities[seen], torch.from_numpy(want.opacities), atol=1e-6)
