"""Loading a panorama: sizes, proportions, notes."""

import cv2
import numpy as np
import pytest

from holotime.errors import InputError
from holotime.panorama import load_panorama
from holotime.quality import seam_ratio


def write(path, height, width):
    y, x = np.mgrid[:height, :width] / np.array([height, width])[:, None, None]
    wave = np.stack([np.sin(2 * np.pi * x), y, np.cos(4 * np.pi * x) * np.sin(np.pi * y)], -1)
    image = np.round(127 + 120 * np.clip(wave, -1, 1)).astype(np.uint8)
    cv2.imwrite(str(path), image)
    return path


def test_the_right_size_is_untouched(tmp_path):
    path = write(tmp_path / "a.png", 128, 256)
    loaded = load_panorama(path, 256)
    np.testing.assert_array_equal(loaded.image[..., ::-1], cv2.imread(str(path)))
    assert loaded.notes == []


def test_a_large_picture_is_downscaled_with_a_note(tmp_path):
    loaded = load_panorama(write(tmp_path / "a.jpg", 1000, 2000), 256)
    assert loaded.image.shape == (128, 256, 3)
    assert any("downscaled from 2000 x 1000" in note for note in loaded.notes)


def test_wrong_proportions_are_refused_with_the_way_out(tmp_path):
    with pytest.raises(InputError, match="--fit pad"):
        load_panorama(write(tmp_path / "a.png", 300, 400), 256)


@pytest.mark.parametrize(("height", "width"), [(300, 400), (100, 400), (200, 200), (64, 600)])
def test_pad_and_stretch_make_a_whole_sphere(tmp_path, height, width):
    path = write(tmp_path / "a.png", height, width)
    for fit in ("pad", "stretch"):
        loaded = load_panorama(path, 256, fit)
        assert loaded.image.shape == (128, 256, 3)
        assert any(f"from {width} x {height}" in note for note in loaded.notes)
    # What was not there is continued around the back without an edge.
    assert seam_ratio(load_panorama(path, 256, "pad").image[None]) < 1.05


def test_edges_that_do_not_meet_are_healed_with_a_note(tmp_path):
    image = np.repeat(np.linspace(0, 200, 256)[None, :, None], 128, 0).repeat(3, -1).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    loaded = load_panorama(tmp_path / "a.png", 256)
    assert np.abs(loaded.image[:, 0].astype(int) - loaded.image[:, -1]).max() <= 2  # it was 200
    assert any("did not meet" in note for note in loaded.notes)


def test_sizes_that_cannot_be_had(tmp_path):
    path = write(tmp_path / "a.png", 128, 256)
    for width in (100, 32, 16384):
        with pytest.raises(InputError, match="multiple of 32"):
            load_panorama(path, width)
    with pytest.raises(InputError, match="only 40 x 20"):
        load_panorama(write(tmp_path / "b.png", 20, 40), 256)
    with pytest.raises(InputError, match="Unknown fit"):
        load_panorama(path, 256, "squash")
