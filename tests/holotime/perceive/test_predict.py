import numpy as np
import pytest

from holotime import sphere
from holotime.errors import BackendUnavailable, InputError
from holotime.perceive import GROUND, perceive_image, predict


@pytest.fixture(scope="module")
def seen(field_image):
    return perceive_image(field_image, backend="network")


def test_the_field_is_read(seen, field_image):
    height = len(field_image)
    phi = np.broadcast_to(sphere.latitudes(height)[:, None], seen.distance.shape)
    assert seen.distance.shape == seen.log_error.shape == field_image.shape[:2]
    assert seen.distance.dtype == seen.classes.dtype == seen.log_error.dtype == np.float32
    assert seen.backend == "network"
    assert np.isinf(seen.distance[phi > 0.5]).mean() > 0.97
    assert np.isfinite(seen.distance[phi < -0.05]).all()
    under = phi < -0.5
    assert seen.classes[under].argmax(-1).tolist().count(GROUND) > 0.9 * under.sum()
    assert abs(np.median(seen.distance[under] * np.sin(-phi[under])) - 1.6) < 0.08
    np.testing.assert_allclose(seen.classes.sum(-1), 1, atol=1e-3)
    assert (seen.distance > 0).all()
    assert (seen.log_error > 0).all()


def test_turning_the_panorama_turns_the_result(seen, field_image):
    turn = 3 * 32
    again = perceive_image(np.roll(field_image, turn, 1), backend="network")
    sky, sky_again = np.isinf(np.roll(seen.distance, turn, 1)), np.isinf(again.distance)
    assert np.mean(sky == sky_again) > 0.999
    both = ~sky & ~sky_again
    ratio = np.abs(np.log(np.roll(seen.distance, turn, 1)[both] / again.distance[both]))
    assert np.quantile(ratio, 0.99) < 0.02


def test_any_size_is_answered_at_its_size(field_image):
    for height in (48, 100, 300):
        out = perceive_image(sphere.resize(field_image, height), backend="prior")
        assert out.distance.shape == (height, 2 * height)
        assert out.backend == "prior"
        assert not np.isnan(out.distance).any()


@pytest.mark.parametrize(
    ("image", "match"),
    [
        (np.zeros((64, 64, 3), np.uint8), "twice as wide"),
        (np.zeros((64, 128), np.uint8), "uint8"),
        (np.zeros((64, 128, 3), np.float32), "float32"),
        (np.zeros((4, 8, 3), np.uint8), "at least"),
    ],
)
def test_wrong_pictures_are_refused(image, match):
    with pytest.raises(InputError, match=match):
        perceive_image(image)


def test_wrong_backend_is_refused():
    with pytest.raises(InputError, match="network, prior"):
        perceive_image(np.zeros((64, 128, 3), np.uint8), backend="magic")


def test_a_missing_network_is_an_error_or_a_visible_fallback(monkeypatch, field_image):
    def missing(_):
        raise BackendUnavailable("no weights")

    monkeypatch.setattr(predict, "read_network", missing)
    with pytest.raises(BackendUnavailable):
        perceive_image(field_image, backend="network")
    assert perceive_image(field_image).backend.startswith("prior (")


@pytest.mark.parametrize("value", [0, 255])
def test_a_blank_picture_gives_finite_or_sky(value):
    out = perceive_image(np.full((64, 128, 3), value, np.uint8))
    assert not np.isnan(out.distance).any()
    assert (out.distance > 0).all()
