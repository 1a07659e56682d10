"""Healing a seam: the step goes, the rest of the picture stays, a good picture is left alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotime import sphere
from holotime.panorama.seam import heal_seam, settle_seam
from holotime.quality import seam_ratio


def picture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = sphere.blur(rng.normal(size=(64, 128, 3)).astype(np.float32), 1.5)
    return np.clip(127 + 120 * noise / np.abs(noise).max(), 0, 255).astype(np.uint8)


@given(st.integers(0, 100), st.floats(15, 80), st.integers(-6, 6))
@settings(max_examples=20, deadline=None)
def test_a_broken_seam_is_healed(seed: int, brightness: float, shift: int):
    image = picture(seed).astype(np.float32)
    image[:, 64:] = np.roll(image[:, 64:], shift, 0) - brightness  # another exposure, another horizon
    image = np.clip(image, 0, 255).astype(np.uint8)
    if seam_ratio(image[None]) < 1.3:
        return
    healed, before = heal_seam(image)
    assert before == pytest.approx(seam_ratio(image[None]))
    assert seam_ratio(healed[None]) == pytest.approx(1, abs=0.05)
    np.testing.assert_array_equal(healed[:, 16:112], image[:, 16:112])


def test_a_good_seam_is_left_alone():
    image = picture(3)
    turned = max(range(0, 128, 8), key=lambda n: -abs(seam_ratio(np.roll(image, n, 1)[None]) - 0.95))
    image = np.roll(image, turned, 1)
    healed, ratio = heal_seam(image)
    assert ratio < 1.02
    assert healed is image


def drifting(seed: int, blur: float) -> tuple[np.ndarray, np.ndarray]:
    """Frames [6, 64, 128, 3] whose upper half turns while the lower stays, and what moves [64, 128]."""
    base = picture(seed).astype(np.float32)
    sharp = base.copy()
    sharp[:, 60:68] = sphere.blur(sharp, blur)[:, 60:68]
    frames = np.repeat(np.roll(sharp, 64, 1)[None], 6, 0)
    for i in range(6):
        frames[i, :32] = np.roll(frames[0, :32], 9 * i, 1)
    moving = np.zeros((64, 128), bool)
    moving[:32] = True
    return np.round(frames).astype(np.uint8), moving


@given(st.integers(0, 200), st.floats(0.5, 3))
@settings(max_examples=20, deadline=None)
def test_a_moving_clip_keeps_its_seam(seed: int, blur: float):
    frames, moving = drifting(seed, blur)
    before = frames.copy()
    settle_seam(frames, moving)
    np.testing.assert_array_equal(frames[0], before[0])
    np.testing.assert_array_equal(frames[:, ~moving], before[:, ~moving])
    np.testing.assert_array_equal(frames[:, :, 16:112], before[:, :, 16:112])
    for old, new in zip(before, frames, strict=True):
        was, now = seam_ratio(old[None]), seam_ratio(new[None])
        # Nearer to what a picture has everywhere, and never over the mark.
        assert min(was, 0.95) <= now <= max(was, 1.05)
        assert abs(now - 1) <= abs(was - 1) + 0.02
    assert (
        np.abs(frames.astype(int) - before).max()
        <= 0.5 * np.abs(before[:, :, 0].astype(int) - before[:, :, -1]).max() + 1
    )


def test_settling_does_not_flicker():
    frames, moving = drifting(5, 2.0)
    frames[1:] = frames[1]  # the same picture again and again
    settle_seam(frames, moving)
    assert (frames[2:] == frames[1]).all()
