"""The growing scene: deltas are small and bring a receiver to what is being trained."""

from dataclasses import replace

import numpy as np
import pytest

from holotime.clip import Clip
from holotime.errors import InputError
from holotime.reconstruct import LiftConfig, lift
from holotime.reconstruct.training import TrainConfig, Trainer
from holotime.reconstruct.training.growing import UNSEEN, Sender, apply
from holotime.scene4d import Scene4D

from .conftest import perception_of, room


def test_deltas_lead_to_the_trained_scene():
    color, distance = room(height=48)
    clip = Clip(color[None])
    perception = perception_of(clip, distance)
    scene = lift(clip, perception, LiftConfig(budget=2000, sweeps=0))
    trainer = Trainer(scene, clip, perception, TrainConfig(steps=9, device="cpu"))
    sender, deltas = Sender(scene), []
    for _ in range(3):
        deltas.append(sender.update(trainer.model, trainer.step_number))
        for _ in range(3):
            trainer.advance()
    deltas.append(sender.update(trainer.model, trainer.step_number))
    deltas.append(sender.update(trainer.model, trainer.step_number))
    assert [d.number for d in deltas] == [0, 1, 2, 3, 4]
    assert len(deltas[0].rows) == len(scene)
    assert len(deltas[-1].rows) == 0, "nothing has changed"
    got: dict = {}
    for delta in deltas:
        got = apply(got, delta)
    want = trainer.scene()
    far = np.linalg.norm(want.means, axis=1)
    for name in Scene4D.TENSORS:
        away = np.abs(got[name] - getattr(want, name)).reshape(len(want), -1).max(1)
        rounding = 1e-3 * np.abs(getattr(want, name)).reshape(len(want), -1).max(1)
        assert (away <= UNSEEN[name] * (far if name in ("means", "motion") else 1) + rounding + 1e-6).all(), name
    Scene4D(**got)


def test_a_gap_is_noticed():
    color, distance = room(height=48)
    clip = Clip(color[None])
    perception = perception_of(clip, distance)
    scene = lift(clip, perception, LiftConfig(budget=2000, sweeps=0))
    trainer = Trainer(scene, clip, perception, TrainConfig(steps=3, device="cpu"))
    sender = Sender(scene)
    sender.update(trainer.model, 0)
    delta = replace(sender.update(trainer.model, 0), rows=np.zeros(1, np.int32))
    with pytest.raises(InputError, match="whole scene"):
        apply({}, delta)
