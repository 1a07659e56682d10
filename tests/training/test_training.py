import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from holotime import sphere
from holotime.perceive import SKY
from holotime.perceive.network import read_weights
from holotime.perceive.sharpnet import Reading, SharpNet
from training.augment import augment
from training.config import TINY, TrainConfig
from training.losses import edge_loss, losses
from training.metrics import Overlap, discontinuities, distance_scores, edge_score
from training.targets import Targets, enlarged, motion_targets, tangent_frame, targets_of
from training.testset import load as testset
from training.train import Trainer


@pytest.fixture(scope="module")
def made(generator):
    return targets_of(generator.render([3, 4, 8], 64, samples=1))


def perfect(truth: Targets) -> Reading:
    """What a network without errors would say."""
    direction, axis, speed, moves = motion_targets(truth.motion.float())
    logits = torch.nn.functional.one_hot(truth.label.long(), 7).permute(0, 3, 1, 2) * 20.0
    light = truth.light[:, None].float() * 40 - 20
    log_distance = truth.log_distance[:, None].float()
    return Reading(log_distance, log_distance * 0 - 5, logits, light, direction * moves[:, None], axis, speed[:, None])


def test_the_tangent_frame_is_that_of_the_sphere():
    east, north = tangent_frame(16)
    d = torch.from_numpy(sphere.directions(16).copy())
    torch.testing.assert_close(torch.cross(east, north, dim=-1), -d, atol=1e-5, rtol=0)
    assert (east[8, 16] - torch.tensor([1.0, 0, 0])).norm() < 0.2
    assert (north[..., 2] > 0).all()


def test_turning_and_mirroring_keep_pictures_and_labels_together(generator):
    seeds = [9]
    straight = targets_of(generator.render(seeds, 32, samples=1))
    turned = targets_of(generator.render(seeds, 32, samples=1, turn=5))
    torch.testing.assert_close(straight.turned(5).motion.float(), turned.motion.float(), atol=2e-3, rtol=1e-2)
    assert torch.equal(straight.turned(5).label, turned.label)
    back = straight.mirrored().mirrored()
    assert torch.equal(back.rgb, straight.rgb)
    assert torch.equal(back.motion, straight.motion)
    assert enlarged(straight).rgb.shape[-2:] == (64, 128)


def test_pictures_are_in_range_and_do_not_move(made):
    torch.manual_seed(0)
    for _ in range(4):
        picture = augment(made.rgb)
        assert picture.shape == made.rgb.shape
        assert torch.isfinite(picture).all()
        assert picture.min() >= 0
        assert picture.max() <= 1


def test_the_loss_is_least_for_the_truth(made):
    weights = torch.ones(7)
    right = losses(perfect(made), made, weights)
    scaled = perfect(made)._replace(log_distance=perfect(made).log_distance + 0.3)
    wrong = perfect(made)._replace(log_distance=torch.rand_like(perfect(made).log_distance) * 3)
    assert max(float(right[k]) for k in ("shape", "scale", "edges", "classes", "light")) < 1e-2
    assert float(losses(scaled, made, weights)["shape"]) < 1e-3 < float(losses(scaled, made, weights)["scale"])
    assert float(losses(wrong, made, weights)["edges"]) > 0.1
    assert float(losses(wrong, made, weights)["confidence"]) > float(right["confidence"])
    turned = losses(perfect(made.turned(17)), made.turned(17), weights)
    for name, value in losses(perfect(made), made, weights).items():
        torch.testing.assert_close(value, turned[name], atol=1e-4, rtol=1e-3)


def test_the_edge_loss_crosses_the_seam():
    residual, known = torch.zeros(1, 32, 64), torch.ones(1, 32, 64, dtype=torch.bool)
    residual[..., 0] = 1.0
    shifted = torch.roll(residual, 32, 2)
    weight = torch.ones(1, 32, 1)
    torch.testing.assert_close(edge_loss(residual, known, weight), edge_loss(shifted, known, weight))


def test_scores_know_the_truth():
    truth = np.full((64, 128), 5.0, np.float32)
    truth[:20], truth[30:50, 40:60] = np.inf, 2.0
    assert distance_scores(truth * 3, truth) == pytest.approx({"abs_rel": 0, "delta": 1, "sky_iou": 1}, abs=1e-6)
    assert edge_score(truth, truth)["f"] == pytest.approx(1)
    assert edge_score(np.roll(truth, 2, 1), truth)["f"] > 0.95
    assert edge_score(np.roll(truth, 9, 1), truth)["recall"] < 0.9
    assert edge_score(np.full_like(truth, 5), truth)["f"] == 0
    plane = 1.6 / np.sin(np.maximum(-sphere.latitudes(64), 0.02))[:, None].repeat(128, 1)
    plane[:32] = np.inf
    assert not discontinuities(plane.astype(np.float32))[36:].any()
    overlap = Overlap()
    overlap.add(np.zeros((8, 16), int), np.zeros((8, 16), int))
    assert overlap.result()["sky"] == pytest.approx(1)
    assert overlap.result()["water"] is None


def test_the_frozen_test_set_is_complete():
    assert len(testset.names()) == 8
    for name in testset.names():
        scene = testset.load(name)
        assert scene.frames.shape == (2, 512, 1024, 3)
        assert np.array_equal(np.isinf(scene.distance), scene.label == SKY)
        assert (scene.distance[-8] > 1.2).all()
        assert (scene.distance[-8] < 2.5).all()
        d = sphere.directions(512)
        assert np.abs((scene.motion * d).sum(-1)).max() < 1e-4


def test_a_changed_test_set_is_refused(tmp_path):
    import shutil

    from training.testset.format import DATA

    shutil.copytree(DATA, tmp_path / "data")
    file = tmp_path / "data" / "library.0.jpg"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ValueError, match="frozen"):
        testset.load("library", tmp_path / "data")


def test_a_tiny_run_learns_writes_and_goes_on(generator, tmp_path):
    config = replace(TINY, learning_rate=3e-3)
    trainer = Trainer(config, tmp_path, "cpu")
    torch.manual_seed(1)
    trainer.run(14)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["final"]
    first = next(entry["total"] for entry in log if "total" in entry)
    from training.feed import Feed

    feed = Feed(trainer.generator, config.phases[0], 1, config.pool_bytes, 0)
    feed.add(6)
    last = float(np.mean([float(trainer.step(feed)["total"]) for _ in range(4)]))
    assert last < 0.8 * first

    with safe_open(tmp_path / "weights.safetensors", "pt") as file:
        about = file.metadata()
    assert about["architecture"] == "sharpnet-1"
    assert json.loads(about["config"])["seed"] == config.seed
    assert about["generator"]
    assert (tmp_path / "weights.safetensors").stat().st_size <= 16 * 2**20
    network = read_weights(tmp_path / "weights.safetensors")
    assert isinstance(network, SharpNet)
    with torch.inference_mode():
        reading = network(torch.rand(1, 3, 64, 128))
    assert all(torch.isfinite(part).all() for part in reading)

    again = Trainer(config, tmp_path, "cpu")
    again.resume()
    assert again.progress.step == 14
    stored = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["averaged"]
    assert all(torch.equal(value, stored[name]) for name, value in again.averaged.state_dict().items())
    other = Trainer(replace(config, seed=9), tmp_path, "cpu")
    with pytest.raises(ValueError, match="seed"):
        other.resume()


def test_the_published_configuration_is_whole():
    config = TrainConfig()
    assert sum(phase.share for phase in config.phases) == pytest.approx(1)
    assert all(phase.height % 32 == 0 for phase in config.phases)
    assert set(config.loss_weights) == {"shape", "scale", "edges", "confidence", "classes", "light", "motion"}
    assert json.loads(json.dumps(config.record()))["seed"] == config.seed
