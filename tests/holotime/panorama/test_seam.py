"""Healing a seam: the step goes, the rest of the picture stays, a good picture is left alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotime import sphere
from holotime.panorama.seam import heal_seam
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
