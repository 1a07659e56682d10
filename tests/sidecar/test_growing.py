"""Scenes that grow while they are trained: a real server, the real trainer on the CPU, clients that come and go."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from holotime.reconstruct.training.growing import apply, decode
from holotime.scene4d import Scene4D
from sidecar import protocol
from sidecar.client import Client, Refused

REAL = ("--runner", "holotime.jobs:run_job")
SMALL = {"width": 128, "frames": 2, "budget": 1500, "sweeps": 0, "recipe": "lite", "train_steps": 200}


@pytest.fixture(scope="module")
def panorama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sky over waves."""
    import cv2

    path = tmp_path_factory.mktemp("panorama") / "sea.png"
    rows, columns = np.mgrid[0:64, 0:128]
    waves = 30 * np.sin(columns * 2 * np.pi / 32 + rows * 0.7) * (rows > 32)
    picture = np.stack([200 - rows + waves, 120 + waves + 0.6 * rows, 60 + rows + waves], -1)
    assert cv2.imwrite(str(path), np.clip(picture, 0, 255).astype(np.uint8))
    return path


class Watcher:
    """A receiver: what it has of a growing scene."""

    def __init__(self, client: Client, folder: Path) -> None:
        self.client, self.folder = client, folder
        self.run, self.number, self.arrays, self.step = "", -1, {}, -1
        self.wholes = self.deltas = self.gone = 0

    def take(self, event: protocol.Growing) -> bool:
        """Go on to what the event says; False when a part was gone already."""
        for part in event.missing(self.run, self.number):
            try:
                path = self.client.fetch(part.sha256, self.folder / f"{part.number}.part", part.size)
            except Refused as error:
                if error.code != "unknown_blob":
                    raise
                self.gone += 1
                return False
            delta = decode(path.read_bytes())
            path.unlink()
            assert (delta.number, path.name) == (part.number, f"{part.number}.part")
            assert delta.whole or (self.run == event.run and delta.number == self.number + 1)
            self.arrays = apply({} if delta.whole else self.arrays, delta)
            self.run, self.number, self.step = event.run, delta.number, delta.step
            self.wholes, self.deltas = self.wholes + delta.whole, self.deltas + (not delta.whole)
        assert (self.step, len(self.arrays["means"])) == (event.step, event.splats)
        return True


def kept_bytes(server) -> int:
    """What growing scenes take on the server's disk."""
    total = 0
    for path in (server.root / "live").rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # it has just served
            total += path.stat().st_size if path.is_file() else 0
    return total


def growing(client: Client, job: str) -> Iterator[protocol.Growing]:
    """The events about a job's growing scene, to its end."""
    for event in client.events(job, 120, growing=True):
        if isinstance(event, protocol.Growing):
            yield event


@pytest.mark.slow
def test_the_scene_grows_and_nothing_of_it_stays(own_server, panorama: Path, tmp_path: Path) -> None:
    server = own_server(*REAL)
    for steps in (200, 1000, 5000, 25_000):  # a fast machine has to train longer to be seen at it
        if grows(server, panorama, tmp_path / str(steps), steps):
            break
    else:
        pytest.fail("no training was long enough to be watched")
    assert kept_bytes(server) == 0
    assert not list((server.root / "jobs").rglob("growing-*"))


def grows(server, panorama: Path, tmp_path: Path, steps: int) -> bool:
    """Watch a training from its beginning, and from the middle, to its end; False when that comes too early."""
    with server.client(local=False) as client, server.client() as late:
        job = client.submit("generate", {**SMALL, "train_steps": steps}, {"panorama": panorama})
        near, far = Watcher(late, tmp_path / "near"), Watcher(client, tmp_path / "far")
        most = 0
        for event in growing(client, job):
            far.take(event)
            kept = list((server.root / "live").rglob("*.*")) + [
                path for path in (server.root / "live").rglob("*") if path.is_file()
            ]
            most = max(most, sum(path.stat().st_size for path in kept))
            if far.deltas >= 2 and near.number < 0:  # a second client comes late, and takes what is there at once
                assert near.take(next(growing(late, job)))
                assert near.wholes == 1
                assert all(np.array_equal(near.arrays[n], far.arrays[n]) for n in far.arrays) or near.step > far.step
        info = client.wait(job, timeout=60)
        assert info.attempts == 1
        if near.wholes < 1:
            return False
        assert far.deltas >= 2
        scene = Scene4D.load(client.fetch_all(job, tmp_path)["scene.safetensors"])
        assert len(scene) == len(far.arrays["means"])
        # it was on its way: nearer to the trained scene in the end than the first part was
        assert np.abs(far.arrays["colors"] - scene.colors).mean() < 0.02
        assert most < 3.5 * 64 * len(scene) + 20_000, "bounded, whatever the number of parts"
    return True


@pytest.mark.slow
def test_a_killed_worker_and_a_killed_client_begin_again(own_server, panorama: Path, tmp_path: Path, tools) -> None:
    server = own_server(*REAL)
    with server.client() as client:
        job = client.submit("generate", {**SMALL, "train_steps": 100_000}, {"panorama": panorama})
        watcher = Watcher(client, tmp_path)
        killed = False
        for event in growing(client, job):
            if not watcher.take(event):
                continue
            if watcher.deltas and not killed:
                killed, first_run = True, watcher.run
                tools.kill(client.status().workers[0].pid)
                watcher.client = again = server.client()  # and the artist's Blender was closed and opened
                watcher.run, watcher.number, watcher.arrays = "", -1, {}
            elif killed and watcher.run != first_run:
                break
        assert killed
        assert watcher.run != first_run, "the next worker shows it anew"
        assert watcher.wholes >= 2
        assert client.job(job).attempts == 2
        worker = client.status().workers[0].pid
        server.kill()
        assert tools.ended(worker)
        server.start(*REAL)
        assert kept_bytes(server) == 0
        for event in growing(again, job):  # it comes again by itself
            if watcher.take(event):
                break
        again.cancel(job)
        assert list(again.events(job, 30))[-1].info.status == "cancelled"
    assert kept_bytes(server) == 0


def test_who_does_not_ask_is_not_told_and_a_job_may_be_without(own_server, marks: Path) -> None:
    server = own_server()
    with server.client() as client:
        job = client.submit("generate", {"do": "grow", "marks": str(marks), "parts": [["whole", 3], ["delta", 2]]})
        kinds = [event.kind for event in client.events(job, 30) if not (marks / "go").touch()]
        assert "growing" not in kinds


@pytest.mark.parametrize("killed", [False, True])
def test_parts_are_announced_served_and_removed(own_server, marks: Path, tmp_path: Path, killed: bool, tools) -> None:
    server = own_server()
    plan = [["whole", 3], ["delta", 2], ["delta", 1], ["whole", 5], ["delta", 1]]
    with server.client(local=False) as client:
        job = client.submit("generate", {"do": "grow", "marks": str(marks), "parts": plan})
        for event in growing(client, job):
            if [part.size for part in event.parts] == [5, 1]:
                break
        assert [part.number for part in event.parts] == [3, 4]
        assert (event.step, event.splats) == (40, 7)
        first, second = event.parts
        assert client.fetch(first.sha256, tmp_path / "x", first.size).read_bytes() == b"3" * 5
        assert event.missing("", -1) == event.parts
        assert event.missing(event.run, 2) == event.parts
        assert event.missing(event.run, 3) == [second]
        assert event.missing(event.run, 4) == []
        assert event.missing("another", 4) == event.parts
        left = [path.name for path in (server.root / "live").rglob("*") if path.is_file()]
        assert sorted(left) == sorted([first.sha256, second.sha256]), "what has served is gone"
        if killed:
            tools.kill(client.status().workers[0].pid)
        else:
            client.cancel(job)
            assert list(client.events(job, 30))[-1].info.status == "cancelled"
        assert tools.until(lambda: not (server.root / "live" / first.sha256[:2] / first.sha256).exists() or killed)
        if not killed:
            with pytest.raises(Refused, match="not here"):
                client.fetch(first.sha256, tmp_path / "y", first.size)
        client.cancel(job)


def test_the_message_keeps_its_limits() -> None:
    part = protocol.ScenePart(number=1, sha256="a" * 64, size=7)
    item = protocol.Growing(job="12345678", run="1", step=3, splats=4, parts=[part] * protocol.MAX_PARTS)
    assert protocol.decode(protocol.encode(item)) == item
    for wrong in (
        {"parts": [part] * (protocol.MAX_PARTS + 1)},
        {"parts": [protocol.ScenePart(number=1, sha256="a" * 64, size=protocol.MAX_PART + 1)]},
        {"splats": -1},
    ):
        fields = {"job": "12345678", "run": "1", "step": 3, "splats": 4, "parts": [part], **wrong}
        with pytest.raises(protocol.ProtocolError):
            protocol.encode(protocol.Growing(**fields))
    plain = json.loads(json.dumps({"kind": "subscribe", "v": 1, "rid": 1}))
    assert not protocol.decode(protocol.msgpack.packb(plain)).growing, "an older client is not told"
