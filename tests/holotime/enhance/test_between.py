"""Pictures between two frames: where they come from, on the whole sphere."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from holotime import quality, sphere
from holotime.enhance.charts import BAND_EDGE, carry_back, charts_for, look_up, place
from holotime.enhance.dis import DisEngine
from holotime.enhance.ifnet import IFNet
from holotime.enhance.motion import Pair
from holotime.enhance.paint import paint
from holotime.enhance.rife import RifeEngine
from holotime.enhance.splat import splat, splat_plain

from .conftest import randomise, turned

HEIGHT = 128
TILTED = (1.0, 0.4, 0.2)


def between(engine, first: np.ndarray, second: np.ndarray, time: float = 0.5) -> np.ndarray:
    return paint(first, second, Pair(engine, first, second).at(time), time)


def blend(first: np.ndarray, second: np.ndarray, time: float = 0.5) -> np.ndarray:
    return np.round((1 - time) * first + time * second).astype(np.uint8)


@pytest.mark.parametrize("axis", [(0, 0, 1), (1, 0, 0), TILTED])
@pytest.mark.parametrize("time", [0.5, 0.2])
def test_a_turn_is_halved_wherever_one_looks(axis: tuple[float, float, float], time: float) -> None:
    first, second = turned(HEIGHT, 0, axis), turned(HEIGHT, 6, axis)
    truth = turned(HEIGHT, 6 * time, axis)
    made = between(DisEngine(), first, second, time)
    assert quality.psnr(made, truth) > quality.psnr(blend(first, second, time), truth) + 8
    for rows in (slice(0, 12), slice(HEIGHT - 12, HEIGHT)):  # around the poles
        assert np.abs(made[rows].astype(float) - truth[rows]).mean() < 3.5


def test_no_seam_where_a_flat_method_shows_one() -> None:
    first, second = turned(HEIGHT, 0), turned(HEIGHT, 8)
    truth = turned(HEIGHT, 4)
    engine = DisEngine()
    made = between(engine, first, second)
    motion, trust = engine.between(engine.compare(first, second, wrap=False), 0.5)
    column, row = np.meshgrid(np.arange(2 * HEIGHT, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
    import cv2

    flat = [
        cv2.remap(
            f, column + motion[..., k], row + motion[..., k + 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        for f, k in ((first, 0), (second, 2))
    ]
    unwrapped = trust[..., None] * flat[0] + (1 - trust[..., None]) * flat[1]
    expected = quality.seam_ratio(truth[None])
    assert quality.seam_ratio(made[None]) / expected == pytest.approx(1, abs=0.05)
    assert quality.seam_ratio(unwrapped[None]) / expected > 1.2


def test_rolling_the_frames_rolls_the_picture() -> None:
    engine = RifeEngine(randomise(IFNet(True, (16, 12, 8, 4))).eval(), "tiny", ())
    first, second = turned(HEIGHT, 0, TILTED), turned(HEIGHT, 3, TILTED)
    made = between(engine, first, second)
    rolled = between(engine, np.roll(first, 64, 1), np.roll(second, 64, 1))
    off = np.abs(np.roll(made, 64, 1).astype(int) - rolled)
    band = np.abs(np.degrees(sphere.latitudes(HEIGHT))) < 44
    assert off[band].max() <= 1, "in the band the circle is exact"
    dis = between(DisEngine(), first, second)
    off = np.abs(np.roll(dis, 37, 1).astype(int) - between(DisEngine(), np.roll(first, 37, 1), np.roll(second, 37, 1)))
    assert off.mean() < 1


@pytest.mark.parametrize("engine", [DisEngine(), RifeEngine(IFNet(True, (16, 12, 8, 4)).eval(), "tiny", ())])
def test_what_stands_still_stays(engine) -> None:
    still = turned(64, 0)
    assert np.array_equal(between(engine, still, still), still)


def test_what_motion_does_not_explain_is_faded() -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 256, (64, 128, 3), np.uint8) for _ in range(2))
    made = between(DisEngine(), first, second)
    faded = blend(first, second).astype(float)
    assert np.abs(made - faded).mean() < 0.4 * np.abs(second - faded).mean()


def test_what_is_uncovered_comes_from_the_frame_that_shows_it() -> None:
    ground = turned(HEIGHT, 0)
    frames = []
    box = np.clip(turned(HEIGHT, 0, seed=1)[50:80, :24] + np.array([90, -60, -60]), 0, 255)
    for x in (100, 104, 108):
        frame = ground.copy()
        frame[50:80, x : x + 24] = box
        frames.append(frame)
    made = between(DisEngine(), frames[0], frames[2])
    truth = frames[1]
    ghost = blend(frames[0], frames[2])
    around = (slice(45, 85), slice(90, 160))
    assert quality.psnr(made, truth) > quality.psnr(ghost, truth) + 3
    error, ghostly = (np.abs(f[around].astype(float) - truth[around]).mean() for f in (made, ghost))
    assert error < 0.5 * ghostly


def test_larger_frames_are_painted_along_the_motion_of_small_ones() -> None:
    pair = Pair(DisEngine(), turned(64, 0, TILTED), turned(64, 5, TILTED))
    first, second, truth = (turned(HEIGHT, d, TILTED) for d in (0, 5, 2.5))
    made = paint(first, second, pair.at(0.5, (HEIGHT, 2 * HEIGHT)), 0.5)
    assert quality.psnr(made, truth) > quality.psnr(blend(first, second), truth) + 5


@pytest.mark.parametrize("height", [32, 33, 50, 75])
def test_any_size(height: int) -> None:
    """Also where the network works at a larger or a smaller size than the frames."""
    first, second = turned(height, 0), turned(height, 4)
    for engine in (DisEngine(), RifeEngine(randomise(IFNet(True, (16, 12, 8, 4)), 0.1).eval(), "tiny", ())):
        made = between(engine, first, second)
        assert made.shape == first.shape
        assert quality.psnr(made, turned(height, 2)) > 20


@given(seed=st.integers(0, 1000))
def test_splatting_is_its_plain_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(7, 9, 3)).astype(np.float32)
    x, y = (rng.uniform(-3, n + 2, size=(7, 9)).astype(np.float32) for n in (9, 7))
    weight = rng.uniform(0, 1, (7, 9)).astype(np.float32)
    for fast, plain in zip(splat(values, x, y, weight), splat_plain(values, x, y, weight), strict=True):
        np.testing.assert_allclose(fast, plain, atol=1e-4)


@pytest.mark.parametrize("step", [8, 32])
@pytest.mark.parametrize("height", [32, 64, 96, 512])
def test_charts_cover_the_sphere(height: int, step: int) -> None:
    height = -(-height // step) * step
    charts = charts_for(height, 2 * height, step)
    assert charts.side % step == 0
    assert (charts.bottom - charts.top) % step == 0
    edge = sphere.latitudes(height)[charts.top] if charts.top else BAND_EDGE
    assert edge >= BAND_EDGE - np.pi / height
    picture = turned(height, 0)
    for cap, north in zip(charts.cut(picture)[1:], (True, False), strict=True):
        at = place(charts, north, height, 2 * height)
        if height >= 96:
            back = look_up(at, cap)
            assert np.abs(back.astype(float) - picture[at.rows]).mean() < 3


def test_motion_over_the_pole_is_carried_back_as_directions() -> None:
    charts = charts_for(64, 128, 8)
    still = np.zeros((charts.side, charts.side, 2), np.float32)
    carried, _ = carry_back(charts, still, True, 64, 128)
    assert np.abs(carried).max() < 1e-3
    still[..., 0] = charts.focal * np.radians(4)  # towards +x of the cap, four degrees: over the pole for some
    carried, _ = carry_back(charts, still, True, 64, 128)
    assert np.abs(carried[..., 0]).max() > 32, "near the pole the way leads round it"
    assert torch.isfinite(torch.from_numpy(carried)).all()
