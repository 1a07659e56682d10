"""The weights that ship give the figures that are recorded in training/recorded.json and docs/perception.md."""

import hashlib
import json
from pathlib import Path

import pytest

from holotime.perceive import perceive_image
from training.metrics import distance_scores, edge_score
from training.testset import load as testset

ROOT = Path(__file__).resolve().parents[2]
RECORDED = json.loads((ROOT / "training" / "recorded.json").read_text())


def test_the_figures_are_of_the_weights_that_ship():
    weights = ROOT / "holotime" / "perceive" / "data" / "panonet.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == RECORDED["weights"]


@pytest.mark.parametrize("name", ["container_yard", "vineyard"])
def test_the_figures_come_out_again(name):
    scene = testset.load(name)
    seen = perceive_image(scene.frames[0], backend="network")
    found = {**distance_scores(seen.distance, scene.distance), "edge_f": edge_score(seen.distance, scene.distance)["f"]}
    recorded = RECORDED["test_set"]["scenes"][name]
    assert found == pytest.approx({k: recorded[k] for k in found}, abs=0.01)
