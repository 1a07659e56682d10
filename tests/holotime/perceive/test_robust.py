"""Pictures that nobody should give: a sensible answer or a clear refusal, never NaN."""

import cv2
import numpy as np
import pytest

from holotime import sphere
from holotime.errors import InputError
from holotime.perceive import perceive_image
from holotime.perceive.predict import facing, read_coarse


def check(image, seen):
    assert seen.distance.shape == image.shape[:2]
    for values in (seen.distance, seen.classes, seen.log_error):
        assert not np.isnan(values).any()
    assert (seen.distance > 0).all()
    np.testing.assert_allclose(seen.classes.sum(-1), 1, atol=1e-2)
    assert (seen.classes >= 0).all()


def pictures(field):
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, 128, dtype=np.uint8)
    photo = np.zeros((128, 256, 3), np.uint8)
    cv2.circle(photo, (90, 60), 40, (200, 120, 30), -1)
    return {
        "tiny": sphere.resize(field, 16),
        "grey": np.repeat(field.mean(-1, keepdims=True), 3, -1).astype(np.uint8),
        "upside down": np.ascontiguousarray(field[::-1]),
        "mid grey": np.full((64, 128, 3), 128, np.uint8),
        "noise": rng.integers(0, 256, (64, 128, 3), dtype=np.uint8),
        "ramp": np.repeat(np.stack([ramp] * 3, -1)[None], 64, 0),
        "not a panorama": photo,
        "one pixel": np.where(np.arange(64 * 128).reshape(64, 128, 1) == 4000, np.uint8(255), np.uint8(0)).repeat(
            3, -1
        ),
    }


@pytest.mark.parametrize("backend", ["network", "prior"])
def test_odd_pictures_are_answered(field_image, backend):
    for name, image in pictures(field_image).items():
        try:
            check(image, perceive_image(image, backend=backend))
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


def test_a_huge_picture_is_refused_before_any_work():
    view = np.broadcast_to(np.zeros(3, np.uint8), (16384, 32768, 3))  # takes no memory
    with pytest.raises(InputError, match="larger than 8192 x 4096"):
        perceive_image(view)


@pytest.mark.parametrize("turn", [1, 133])
def test_any_turn_turns_the_reading_exactly(field_image, turn):
    (a, _), (b, _) = read_coarse(field_image, "network"), read_coarse(np.roll(field_image, turn, 1), "network")
    for name in ("log_distance", "classes", "log_error"):
        np.testing.assert_array_equal(np.roll(getattr(a, name), turn, 1), getattr(b, name))


def test_any_turn_turns_the_result(field_image):
    a, b = perceive_image(field_image, backend="network"), perceive_image(np.roll(field_image, 7, 1), backend="network")
    # Medians and thresholds of the rules may fall either way where rounding decides.
    same = np.isclose(np.roll(a.distance, 7, 1), b.distance, rtol=1e-2) | (np.roll(a.distance, 7, 1) == b.distance)
    assert same.mean() > 0.998
    assert np.isclose(np.roll(a.classes, 7, 1), b.classes, atol=1e-2).mean() > 0.998


def test_the_facing_column_turns_with_the_picture():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (16, 32, 3), dtype=np.uint8)
    first = facing(image)
    assert [facing(np.roll(image, k, 1)) for k in range(32)] == [(first + k) % 32 for k in range(32)]
