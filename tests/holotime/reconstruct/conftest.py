"""Small synthetic worlds with known distance and motion."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from holotime import sphere
from holotime.clip import Clip
from holotime.perceive import ClipPerception
from holotime.reconstruct import LiftConfig, lift

HEIGHT = 96


def perception_of(clip: Clip, distance: np.ndarray, flow: np.ndarray | None = None) -> ClipPerception:
    """A perception that knows the truth. ``flow`` [H, W, 2] pixels per frame, the same in every frame."""
    shape = clip.frames.shape[:3]
    forward = np.zeros((*shape, 2), np.float16)
    if flow is not None:
        forward[:] = flow
    backward = -forward
    if not clip.loop:
        forward[-1] = 0
        backward[0] = 0
    return ClipPerception(
        distance=np.broadcast_to(distance.astype(np.float32), shape).copy(),
        classes=np.full((*shape[1:], 7), 1 / 7, np.float32),
        flow_forward=forward,
        flow_backward=backward,
        visible_next=np.ones(shape, np.bool_),
        moving=np.ones(shape[1:], np.bool_),
        backend="test",
    )


def texture(points: np.ndarray, scale: float = 2.0) -> np.ndarray:
    """[..., 3] in [0, 1]: smooth waves in space, the same seen from everywhere."""
    x, y, z = (points[..., i] * scale for i in range(3))
    waves = [np.sin(2.1 * x + 0.4 * y) * np.cos(1.7 * y + z), np.cos(1.3 * x - 2.3 * y), np.sin(1.1 * z + 1.9 * x + y)]
    return 0.5 + 0.35 * np.stack(waves, -1)


def room(eye: tuple[float, float, float] = (0.0, 0.0, 0.0), height: int = HEIGHT) -> tuple[np.ndarray, np.ndarray]:
    """A box room with a pillar in front of one wall: colours [H, W, 3] uint8 and distance [H, W], seen from ``eye``."""
    d = sphere.directions(height).astype(np.float64)
    e = np.array(eye)
    low, high = np.array([-4.0, -4.0, -1.6]), np.array([4.0, 5.0, 3.0])
    with np.errstate(divide="ignore"):
        walls = np.where(d > 0, (high - e) / d, (low - e) / d).min(-1)
    # The pillar: a vertical cylinder, radius 0.3 m, at (0, 2).
    c = e[:2] - np.array([0.0, 2.0])
    a, b = (d[..., :2] ** 2).sum(-1), (d[..., :2] * c).sum(-1)
    root = b * b - a * ((c * c).sum() - 0.09)
    with np.errstate(invalid="ignore", divide="ignore"):
        pillar = np.where(root > 0, (-b - np.sqrt(root)) / a, np.inf)
    hit = (pillar > 0) & (pillar < walls)
    distance = np.where(hit, pillar, walls)
    color = texture(e + d * distance[..., None])
    color = np.where(hit[..., None], color * [1.0, 0.25, 0.2], color * 0.8)
    return np.round(color * 255).astype(np.uint8), distance.astype(np.float32)


def drifting_sky(frames: int = 8, shift: int = 2, height: int = HEIGHT) -> tuple[Clip, ClipPerception]:
    """A loop: the upper half turns by ``shift`` columns a frame and cross-fades with its other end; below, a floor."""
    d = sphere.directions(height).astype(np.float64)
    up = d[..., 2:] > 0
    base = np.where(up, texture(d, 5.0), texture(d / np.maximum(-d[..., 2:], 0.3) * 1.6, 0.6) * 0.7)
    out = []
    for t in range(frames):
        u = t / frames
        there, back = np.roll(base, t * shift, 1), np.roll(base, (t - frames) * shift, 1)
        out.append(np.where(up, (1 - u) * there + u * back, base))
    clip = Clip(np.round(np.stack(out) * 255).astype(np.uint8), 8.0, loop=True)
    with np.errstate(divide="ignore"):
        distance = np.where(up[..., 0], np.inf, 1.6 / np.maximum(-d[..., 2], 1e-3))
    flow = np.where(up, [float(shift), 0.0], [0.0, 0.0])
    return clip, perception_of(clip, np.minimum(distance, np.where(up[..., 0], np.inf, 60.0)), flow)


def moving_disc(frames: int = 7, height: int = HEIGHT) -> tuple[Clip, ClipPerception]:
    """A red disc 2 m away crosses a wall 6 m away that is nowhere red, from left to right, one way."""
    d = sphere.directions(height).astype(np.float64)
    wall = texture(6 * d, 1.0) * [0.5, 1.0, 1.0]
    pictures, distances = [], []
    speed = 3
    for t in range(frames):
        lam = 2 * math.pi * (speed * (t - frames // 2)) / (2 * height)
        center = np.array([math.sin(lam), math.cos(lam), 0.0])
        inside = d @ center > math.cos(0.25)
        pictures.append(np.where(inside[..., None], [0.9, 0.1, 0.1], wall))
        distances.append(np.where(inside, 2.0, 6.0))
    clip = Clip(np.round(np.stack(pictures) * 255).astype(np.uint8), 8.0)
    found = perception_of(clip, np.stack(distances))
    for t, distance in enumerate(distances):
        disc = distance < 3
        found.flow_forward[t][disc, 0] = speed if t + 1 < frames else 0
        found.flow_backward[t][disc, 0] = -speed if t else 0
    return clip, found


@dataclass(frozen=True)
class Lifted:
    clip: Clip
    perception: ClipPerception
    scene: object


@pytest.fixture(scope="session")
def lifted_room() -> Lifted:
    color, distance = room()
    clip = Clip(color[None])
    perception = perception_of(clip, distance)
    return Lifted(clip, perception, lift(clip, perception, LiftConfig(budget=20_000)))


@pytest.fixture(scope="session")
def lifted_sky() -> Lifted:
    clip, perception = drifting_sky()
    return Lifted(clip, perception, lift(clip, perception, LiftConfig(budget=20_000)))
