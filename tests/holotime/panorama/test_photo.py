"""A photo on the sphere, and a panorama drawn round it."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from holotime import sphere
from holotime.errors import InputError
from holotime.panorama import blend
from holotime.panorama.config import PanoramaConfig
from holotime.panorama.make import make
from holotime.panorama.photo import Photo, place, read_photo
from tests.holotime.panorama import tiny


def scene(height, width, seed=0):
    """A smooth picture [h, w, 3] with something everywhere."""
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3)).astype(np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), 6)
    return cv2.normalize(soft, None, 0, 255, cv2.NORM_MINMAX)


def write(path, image, **exif):
    tags = Image.Exif()
    if "orientation" in exif:
        tags[0x0112] = exif["orientation"]
    if "focal" in exif:
        tags.get_ifd(0x8769)[0xA405] = exif["focal"]
    Image.fromarray(image).save(path, exif=tags, quality=95)
    return path


def test_the_field_of_view_comes_from_the_file_the_user_or_is_stated_as_assumed(tmp_path):
    image = scene(96, 144)
    photo, notes = read_photo(write(tmp_path / "a.jpg", image, focal=36))
    # 36 mm on the long side of 36 x 24 mm, 3:2 as the photo is.
    assert photo.fov == pytest.approx(2 * math.degrees(math.atan(0.5)), abs=0.01)
    assert "36 mm" in notes[0]
    photo, notes = read_photo(tmp_path / "a.jpg", 80.0)
    assert photo.fov == 80
    assert "as given" in notes[0]
    photo, notes = read_photo(write(tmp_path / "b.png", image))
    assert photo.fov == pytest.approx(65)
    assert "assumed" in notes[0]
    tall, _ = read_photo(write(tmp_path / "c.png", image.transpose(1, 0, 2).copy()))
    assert tall.focal == pytest.approx(photo.focal), "upright, the longer side sees as much"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_as_their_file_says(tmp_path, orientation):
    path = write(tmp_path / "a.png", scene(32, 48), orientation=orientation)
    with Image.open(path) as file:
        wanted = np.asarray(ImageOps.exif_transpose(file))
    np.testing.assert_array_equal(read_photo(path, 60)[0].image, wanted)


def test_what_cannot_be_a_photo_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_photo(tmp_path / "none.jpg")
    with pytest.raises(InputError, match="at least 16"):
        read_photo(write(tmp_path / "a.png", scene(8, 40)))
    with pytest.raises(InputError, match="smaller fov"):
        read_photo(write(tmp_path / "b.png", scene(200, 40)), 150)


@settings(max_examples=20, deadline=None)
@given(
    yaw=st.floats(-180, 180),
    pitch=st.floats(-90, 90),
    fov=st.floats(25, 110),
    size=st.tuples(st.integers(40, 120), st.integers(40, 120)),
)
def test_a_photo_lies_where_it_looks_and_reads_back(yaw, pitch, fov, size):
    height = 128
    photo = Photo(scene(*size), fov)
    placed, covered = place(photo, yaw, pitch, height)
    y, p = math.radians(yaw), math.radians(pitch)
    ahead = np.array([math.sin(y) * math.cos(p), math.cos(y) * math.cos(p), math.sin(p)])
    d = sphere.directions(height).astype(np.float64)
    angle = np.arccos(np.clip(d @ ahead, -1, 1))
    half = 0.5 * min(size) / photo.focal
    assert covered[angle < math.atan(half) - 0.06].all(), "everything within the shorter side is covered"
    assert not covered[angle > math.atan(0.5 * math.hypot(*size) / photo.focal) + 1e-6].any()
    # Through the middle of the sphere and back: the photo itself, away from its border.
    right = np.array([math.cos(y), -math.sin(y), 0.0])
    rotation = np.stack([right, np.cross(ahead, right), ahead], axis=1)
    back = sphere.to_perspective(placed, size[1], size[0], math.radians(photo.fov), rotation)
    h, w = size
    middle = (slice(h // 3, h - h // 3), slice(w // 3, w - w // 3))
    assert np.abs(back[middle].astype(float) - photo.image[middle]).mean() < 25


def test_a_photo_turned_by_columns_is_the_panorama_turned(tmp_path):
    photo = Photo(scene(60, 90), 70.0)
    for columns in (1, 37, 128):
        one, covered = place(photo, 10.0, 25.0, 128)
        other, also = place(photo, 10.0 + columns * 360 / 256, 25.0, 128)
        np.testing.assert_array_equal(also, np.roll(covered, columns, 1))
        assert np.abs(other.astype(int) - np.roll(one, columns, 1)).max() <= 1
    _, up = place(photo, 0.0, 90.0, 128)
    assert up[0].all(), "straight up, the whole first row is seen"


def test_the_join_keeps_the_photo_and_leads_the_colours_to_it():
    photo = Photo(np.full((60, 90, 3), 200, np.uint8), 70.0)
    placed, covered = place(photo, 175.0, 0.0, 128)
    joined = blend.join(np.full((128, 256, 3), 100, np.uint8), placed, covered)
    np.testing.assert_array_equal(joined[covered], placed[covered])
    step = np.abs(np.diff(joined[64, :, 0].astype(int), append=joined[64, :1, 0].astype(int)))
    assert step.max() < 40, "no edge of 100 levels is left, and none at the seam that the photo crosses"
    assert joined[64, 100, 0] == 100, "far away nothing changes"
    assert np.array_equal(blend.join(placed, placed, np.ones_like(covered)), placed)


def test_enlarging_goes_round_the_seam():
    image = scene(64, 128)
    large = blend.lanczos(image, 100)
    turned = blend.lanczos(np.roll(image, 32, 1), 100)
    assert large.shape == (100, 200, 3)
    assert np.abs(turned.astype(int) - np.roll(large, 50, 1)).max() <= 1
    assert blend.lanczos(image, 32).shape == (32, 64, 3)


@pytest.mark.parametrize("kind", ["sd", "sd-inpaint", "flux", "flux-fill"])
def test_known_pixels_are_kept_to_the_bit(tmp_path, kind):
    pytest.importorskip("diffusers")
    folder = tiny.make(kind, tmp_path / kind, size=64)
    photo = Photo(scene(60, 90), 75.0)
    more = {"yaw": 170.0, "pitch": 40.0}  # across the seam, and near a pole
    config = PanoramaConfig(prompt="a sea", model=str(folder), width=128, steps=2, device="cpu", **more)
    seen = []
    image, how = make(config, photo, progress=lambda f, note="": seen.append(note), preview=lambda p: None)
    placed, covered = place(photo, 170.0, 40.0, 64)
    assert covered.sum() > 300
    np.testing.assert_array_equal(image[covered], placed[covered])
    assert image[~covered].std() > 3
    assert any("kept exactly" in note for note in how.notes)
    other, _ = make(config, Photo(scene(60, 90, 3), 75.0))
    assert np.abs(other[~covered].astype(int) - image[~covered]).mean() > 0.5, "what is made depends on the photo"
    larger, _ = make(PanoramaConfig(prompt="", model=str(folder), width=256, steps=2, device="cpu", **more), photo)
    placed, covered = place(photo, 170.0, 40.0, 128)
    np.testing.assert_array_equal(larger[covered], placed[covered])
