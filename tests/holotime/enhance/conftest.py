"""Small panoramas and clips, and networks with random weights."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from holotime import sphere
from holotime.clip import Clip, write_clip


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """For every test here."""


def texture(directions: np.ndarray, seed: int = 0, fine: float = 1.0) -> np.ndarray:
    """[..., 3] uint8 colours of a smooth random pattern on the sphere, without a seam and without poles."""
    rng = np.random.default_rng(seed)
    waves = rng.normal(size=(24, 3)) * rng.uniform(2, 14, size=(24, 1)) * fine
    phases, colours = rng.uniform(0, 2 * np.pi, 24), rng.uniform(-1, 1, size=(24, 3))
    values = np.sin(directions @ waves.T + phases) @ colours / np.sqrt(24)
    return np.clip(128 + 90 * values, 0, 255).astype(np.uint8)


def rotation(axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    """[3, 3] turns directions (as rows, from the right) about ``axis``."""
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    t = np.radians(degrees)
    return np.eye(3) + np.sin(t) * cross + (1 - np.cos(t)) * cross @ cross


def turned(
    height: int, degrees: float, axis: tuple[float, float, float] = (0, 0, 1), seed: int = 0, fine: float = 1.0
) -> np.ndarray:
    """The pattern [H, 2H, 3] seen after turning by ``degrees``; exact at any angle."""
    return texture(sphere.directions(height).astype(np.float64) @ rotation(axis, degrees), seed, fine)


@pytest.fixture
def clip() -> Clip:
    """Eight frames at 128x64 that turn about the vertical, 45 degrees apart in none: a loop of small steps."""
    return Clip(np.stack([turned(64, 3 * i) for i in range(6)]), 12.0, False)


@pytest.fixture
def video(tmp_path: Path, clip: Clip) -> Path:
    return write_clip(tmp_path / "clip.mp4", clip)


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any network; the folder for them."""
    monkeypatch.setenv("HOLOTIME_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HOLOTIME_WEIGHTS", raising=False)
    folder = tmp_path / "cache" / "models"
    folder.mkdir(parents=True)
    return folder


def randomise(network: torch.nn.Module, gain: float = 1.0) -> torch.nn.Module:
    """The same random weights in every run."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in network.parameters():
            fan = p[0].numel() if p.ndim > 1 else 1
            p.copy_(torch.randn(p.shape, generator=generator) * gain / fan**0.5 if p.ndim > 1 else p * 0 + 0.1)
    return network


def with_sound(path: Path, seconds: float) -> None:
    """Add a tone to a video."""
    silent = path.with_name("silent.mp4")
    path.rename(silent)
    with av.open(str(silent)) as source, av.open(str(path), "w") as target:
        target.metadata["comment"] = source.metadata.get("comment", "")
        template = source.streams.video[0]
        picture = target.add_stream_from_template(template)
        sound = target.add_stream("aac", rate=48000)
        for packet in source.demux(template):
            if packet.dts is not None:
                packet.stream = picture
                target.mux(packet)
        tone = (0.1 * np.sin(np.arange(int(48000 * seconds)) / 20)).astype(np.float32)
        for at in range(0, len(tone) - 1024, 1024):
            frame = av.AudioFrame.from_ndarray(tone[None, at : at + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, at, Fraction(1, 48000)
            target.mux(sound.encode(frame))
        target.mux(sound.encode())


Weights = Callable[[torch.nn.Module, str], Path]
