"""The samples that ship: whole, light, seamless, credited."""

import re

import cv2
import numpy as np
import pytest

from holotime import quality, samples, sphere
from holotime.errors import InputError
from holotime.presets import presets_root


def read(name: str) -> np.ndarray:
    image = cv2.imread(str(samples.path(name)), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def test_the_four_are_there() -> None:
    assert samples.names() == ["forest", "lagoon", "sunrise", "sunset"]


@pytest.mark.parametrize("name", samples.names())
def test_sample_is_a_light_seamless_panorama(name: str) -> None:
    image = read(name)
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    assert image.shape[1] == 2 * image.shape[0] >= 1024
    assert samples.path(name).stat().st_size < 1_000_000
    assert quality.seam_ratio(image[None]) == pytest.approx(1.0, abs=0.05)
    if image.shape[0] > 512:  # and at the size that work is done at by default
        assert quality.seam_ratio(sphere.resize(image, 512)[None]) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("name", samples.names())
def test_sample_is_well_exposed(name: str) -> None:
    """Neither murky nor washed out, and not grey: what a person would see at a glance."""
    image = read(name)
    luminance = image.astype(np.float32) @ np.float32([0.0722, 0.7152, 0.2126])
    assert 60 < luminance.mean() < 170
    assert np.percentile(luminance, 2) < 60
    assert np.percentile(luminance, 99.5) > 200
    assert (image.min(-1) >= 254).mean() < 0.15  # clipped white
    assert cv2.cvtColor(image, cv2.COLOR_BGR2HSV)[..., 1].mean() > 40


@pytest.mark.parametrize("name", samples.names())
def test_rows_at_the_poles_are_nearly_one_point(name: str) -> None:
    """The outermost row is a circle of half a pixel's radius, so neighbours in it hardly differ."""
    image = read(name).astype(np.float32)
    for row in (image[0], image[-1]):
        assert np.abs(row - np.roll(row, 1, 0)).mean() < 12


def test_credits_name_every_file_with_its_licence() -> None:
    text = (presets_root() / "samples" / "CREDITS.md").read_text(encoding="utf-8")
    rows = {m[1]: m[0] for m in re.finditer(r"^\| `([^`]+)` .*$", text, re.MULTILINE)}
    assert sorted(rows) == sorted(samples.path(name).name for name in samples.names())
    assert all("CC0" in row for row in rows.values())


def test_unknown_sample_lists_the_names() -> None:
    with pytest.raises(InputError, match="forest, lagoon, sunrise, sunset"):
        samples.path("atlantis")


def test_presets_root_holds_cameras_and_samples() -> None:
    root = presets_root()
    assert (root / "cameras" / "rotate360.toml").is_file()
    assert (root / "samples" / "CREDITS.md").is_file()
