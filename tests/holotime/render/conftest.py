"""Synthetic scenes for the render tests: random splats around the eye."""

import numpy as np
import pytest

from holotime.scene4d import ALWAYS, Gaussians, Scene4D


def make_splats(
    count: int,
    seed: int = 0,
    *,
    sizes: tuple[float, float] = (0.02, 0.12),
    distances: tuple[float, float] = (1.0, 6.0),
    opacities: tuple[float, float] = (0.3, 1.0),
) -> Gaussians:
    """``count`` splats all over the sphere; ``sizes`` are standard deviations as a share of the distance."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    r = rng.uniform(*distances, (count, 1))
    quats = rng.normal(size=(count, 4))
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    arrays = {
        "means": directions * r,
        "quats": quats,
        "scales": r * rng.uniform(*sizes, (count, 3)),
        "opacities": rng.uniform(*opacities, count),
        "colors": rng.uniform(0, 1, (count, 3)),
    }
    return Gaussians(**{name: a.astype(np.float32) for name, a in arrays.items()})


def one_splat(position, size: float = 0.1, opacity: float = 0.8, color=(1.0, 0.5, 0.25)) -> Gaussians:
    """A round splat at ``position`` (metres)."""
    return Gaussians(
        means=np.array([position], np.float32),
        quats=np.array([[1, 0, 0, 0]], np.float32),
        scales=np.full((1, 3), size, np.float32),
        opacities=np.array([opacity], np.float32),
        colors=np.array([color], np.float32),
    )


def make_scene(count: int, seed: int = 0, *, moving: bool = True, **options) -> Scene4D:
    """``make_splats`` as a scene of two seconds; moving, with windows for half of the splats, or still."""
    splats = make_splats(count, seed, **options)
    rng = np.random.default_rng(seed + 1)
    opacity = np.clip(splats.opacities, 0.01, 0.99)
    windows = np.where(rng.random(count) < 0.5, ALWAYS, -0.5) if moving else np.full(count, ALWAYS)
    return Scene4D(
        means=splats.means,
        motion=rng.normal(size=(count, 3, 3)) * (0.2 if moving else 0.0),
        quats=splats.quats,
        omegas=rng.normal(size=(count, 4)) * (0.3 if moving else 0.0),
        log_scales=np.log(splats.scales),
        opacity_logits=np.log(opacity / (1 - opacity)),
        t_centers=rng.random(count),
        t_log_scales=windows,
        colors=splats.colors,
        duration=2.0,
    )


@pytest.fixture(scope="session", name="make_scene")
def _make_scene():
    return make_scene


@pytest.fixture(scope="session", name="make_splats")
def _make_splats():
    return make_splats


@pytest.fixture(scope="session", name="one_splat")
def _one_splat():
    return one_splat
