"""The growing scene: deltas are small, bring a receiver to what is being trained, and cost the training little."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotime.clip import Clip
from holotime.errors import InputError
from holotime.reconstruct import LiftConfig, lift
from holotime.reconstruct.training import TrainConfig, Trainer, live
from holotime.reconstruct.training.growing import UNSEEN, Delta, Sender, apply, decode, encode
from holotime.reconstruct.training.live import LiveScene
from holotime.scene4d import Scene4D

from .conftest import perception_of, room


@pytest.fixture(scope="module")
def setting():
    """(clip, perception, lifted scene) of a small room."""
    color, distance = room(height=48)
    clip = Clip(color[None])
    perception = perception_of(clip, distance)
    return clip, perception, lift(clip, perception, LiftConfig(budget=2000, sweeps=0))


def random_scene(count: int, seed: int) -> Scene4D:
    """Values of every size, some zero."""
    rng = np.random.default_rng(seed)
    arrays = {name: rng.normal(size=(count, *tail)) * 10.0 ** rng.integers(-3, 3) for name, tail in TENSORS.items()}
    arrays["motion"] *= (rng.random(count) < 0.5)[:, None, None]
    return Scene4D(**arrays)


TENSORS = Scene4D.TENSORS


def test_deltas_lead_to_the_trained_scene(setting):
    clip, perception, scene = setting
    trainer = Trainer(scene, clip, perception, TrainConfig(steps=9, device="cpu"))
    sender, deltas = Sender(), []
    for _ in range(3):
        deltas.append(sender.update(trainer.scene(), trainer.step_number))
        for _ in range(3):
            trainer.advance()
    deltas.append(sender.update(trainer.scene(), trainer.step_number))
    deltas.append(sender.update(trainer.scene(), trainer.step_number))
    assert [d.number for d in deltas] == [0, 1, 2, 3, 4]
    assert [d.whole for d in deltas] == [True, False, False, False, False]
    assert deltas[-1].changes == {}, "nothing has changed"
    assert deltas[1].nbytes < 0.8 * deltas[0].nbytes
    got: dict = {}
    for delta in deltas:
        got = apply(got, decode(encode(delta, scene)))
    want = trainer.scene()
    far = np.linalg.norm(want.means, axis=1)
    for name in TENSORS:
        away = np.abs(got[name] - getattr(want, name)).reshape(len(want), -1).max(1)
        rounding = 1e-3 * np.abs(getattr(want, name)).reshape(len(want), -1).max(1)
        assert (away <= UNSEEN[name] * (far if name in ("means", "motion") else 1) + rounding + 1e-6).all(), name
    Scene4D(**got)
    late = apply({}, sender.whole())
    assert all(np.array_equal(late[name], got[name]) for name in TENSORS), "who comes late has the same"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(0, 1000))
def test_any_way_through_a_file_gives_what_the_sender_remembers(counts: list[int], seed: int):
    sender, got = Sender(), {}
    for i, count in enumerate(counts):
        scene = random_scene(count, seed + i)
        got = apply(got, decode(encode(sender.update(scene, i), scene)))
        assert all(np.array_equal(got[name], sender.sent[name]) for name in TENSORS)
    assert all(np.array_equal(apply({}, decode(encode(sender.whole(), scene)))[n], got[n]) for n in TENSORS)


def test_a_gap_is_noticed(setting):
    scene = setting[2]
    sender = Sender()
    sender.update(scene, 0)
    delta = sender.update(replace(scene, colors=scene.colors * 0.5), 1)
    assert set(delta.changes) == {"colors"}
    with pytest.raises(InputError, match="whole scene"):
        apply({}, delta)


def test_files_that_are_no_part_are_refused(setting):
    scene = setting[2]
    sender = Sender()
    sender.update(scene, 0)
    data = encode(sender.update(replace(scene, colors=scene.colors * 0.5), 1), scene)
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])

    def again(change) -> bytes:
        altered = json.loads(json.dumps(header))
        change(altered)
        text = json.dumps(altered).encode()
        return len(text).to_bytes(8, "little") + text + data[8 + size :]

    decode(again(lambda h: None))
    wrong = [b"", data[:-1], data[:9], b"\0" * 64, again(lambda h: h.pop("__metadata__"))]
    wrong += [
        again(lambda h: h["__metadata__"].update(version="2")),
        again(lambda h: h["__metadata__"].update(format="x")),
    ]
    wrong += [again(lambda h: h["__metadata__"].update(splats="7")), again(lambda h: h["colors"].update(dtype="F64"))]
    for bad in wrong:
        with pytest.raises(InputError):
            decode(bad)


def replay(parts) -> dict:
    """What a receiver of all parts has; checks that they follow each other."""
    got, number = {}, -1
    for part in parts:
        delta: Delta = decode(part.data)
        assert (delta.number, delta.whole, delta.count) == (part.number, part.whole, part.splats)
        assert delta.number == number + 1 or (delta.whole and delta.number == number)
        got, number = apply({} if delta.whole else got, delta), delta.number
    return got


def test_a_live_scene_gives_parts_from_its_own_thread(setting, monkeypatch):
    clip, perception, scene = setting
    monkeypatch.setattr(live, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(live, "SHARE", 1e9)
    monkeypatch.setattr(live, "MAX_PARTS", 2)
    trainer = Trainer(scene, clip, perception, TrainConfig(steps=12, device="cpu"))
    parts, threads = [], set()

    def publish(part) -> None:
        parts.append(part)
        threads.add(threading.current_thread())

    with LiveScene(publish, duration=clip.duration, fps=clip.fps, loop=clip.loop) as shown:
        for _ in range(6):
            shown(trainer.model, trainer.step_number)
            shown._thread.join()
            trainer.advance()
    assert parts[0].whole
    assert parts[0].step == 0
    assert parts[-1].step == 5
    assert sum(part.whole for part in parts) >= 2, "a new whole one comes in time"
    assert threading.current_thread() not in threads
    replay(parts)
    assert shown.paused > 0
    assert shown.busy > 0


def test_a_part_that_takes_long_is_followed_late(setting, monkeypatch):
    clip, perception, scene = setting
    trainer = Trainer(scene, clip, perception, TrainConfig(steps=3, device="cpu"))
    monkeypatch.setattr(live, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(live, "SHARE", 1e-6)
    parts = []
    with LiveScene(parts.append, duration=1.0, fps=12.0, loop=True) as shown:
        for _ in range(3):
            shown(trainer.model, 0)
            shown._thread.join()
    assert len(parts) == 1


def test_a_full_disk_ends_the_showing_and_not_the_training(setting, monkeypatch):
    clip, perception, scene = setting
    monkeypatch.setattr(live, "LEAST_SECONDS", 0.0)
    calls = []

    def publish(part) -> None:
        calls.append(part)
        raise OSError(28, "No space left on device")

    with LiveScene(publish, duration=1.0, fps=12.0, loop=True) as shown:
        Trainer(scene, clip, perception, TrainConfig(steps=2, device="cpu")).run(snapshot=shown)
        shown._thread.join()
        shown(None, 3)  # nothing is looked at any more
    assert len(calls) == 1


def test_being_watched_changes_nothing(setting, monkeypatch):
    clip, perception, scene = setting
    monkeypatch.setattr(live, "LEAST_SECONDS", 0.0)
    config = TrainConfig(steps=4, device="cpu")
    alone = Trainer(scene, clip, perception, config).run().scene
    with LiveScene(lambda part: None, duration=1.0, fps=12.0, loop=True) as shown:
        watched = Trainer(scene, clip, perception, config).run(snapshot=shown).scene
    assert all(np.array_equal(getattr(alone, n), getattr(watched, n)) for n in TENSORS)
