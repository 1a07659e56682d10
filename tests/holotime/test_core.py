"""Settings, progress, the stage cache, quality numbers and the PLY export."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotime import quality
from holotime.cache import StageCache, digest_of
from holotime.config import from_params, setting
from holotime.errors import InputError
from holotime.export import read_ply, write_ply, write_ply_sequence
from holotime.files import digest_file
from holotime.progress import part, track
from tests.holotime.test_scene4d import random_scene


@dataclass(frozen=True)
class Example:
    count: int = setting(3, "how many", range=(1, 10))
    speed: float = setting(1.0, "how fast", range=(0, 5))
    kind: str = setting("a", "which", choices=("a", "b"))
    angle: float | None = setting(None, "where to")


def test_settings_are_checked_one_by_one():
    assert from_params(Example, {"speed": 2, "angle": None}) == Example(speed=2.0)
    for params, match in (
        ({"cuont": 1}, "Did you mean 'count'"),
        ({"count": 11}, "between 1 and 10"),
        ({"count": 2.5}, "must be int"),
        ({"count": True}, "must be int"),
        ({"kind": "c"}, "one of a, b"),
        ({"speed": float("nan")}, "finite"),
        ({"angle": "left"}, "float or nothing"),
    ):
        with pytest.raises(InputError, match=match):
            from_params(Example, params)


def test_progress_parts_and_tracking():
    seen = []
    report = part(lambda f, n="": seen.append((round(f, 3), n)), 0.5, 1.0)
    assert list(track("ab", report, "x")) == ["a", "b"]
    assert seen == [(0.5, "x"), (0.75, "x"), (1.0, "x")]


def test_cache_makes_once_and_leaves_no_half_result(tmp_path):
    cache = StageCache(tmp_path / "cache")
    made = []

    def make(folder):
        made.append(1)
        (folder / "x").write_text("x")

    for expected in (False, True):
        folder, was_there = cache.get("stage", "k" * 64, make)
        assert was_there is expected
        assert (folder / "x").read_text() == "x"
    assert len(made) == 1

    def broken(folder):
        (folder / "x").write_text("half")
        raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        cache.get("stage", "j" * 64, broken)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_digests_do_not_depend_on_order_but_on_every_value(tmp_path):
    assert digest_of(a=1, b=2.5) == digest_of(b=2.5, a=1) != digest_of(a=1, b=2.6)
    (tmp_path / "f").write_bytes(b"abc")
    assert digest_file(tmp_path / "f").startswith("ba7816bf")


@given(st.integers(0, 63))
@settings(max_examples=10, deadline=None)
def test_seam_ratio_tells_a_seam_from_none(turn: int):
    lam = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    ring = np.repeat((127 + 100 * np.sin(lam))[None, :, None], 32, 0).repeat(3, -1)[None]
    # A sine's steps differ along the circle, so the ratio is only near one where its slope is average.
    noise = np.random.default_rng(0).normal(size=(40, 32, 64, 3))
    assert quality.seam_ratio(np.roll(noise, turn, 2)) == pytest.approx(1, abs=0.1)
    broken = ring + np.where(np.arange(64) < 32, 0, 80)[None, None, :, None]
    assert quality.seam_ratio(broken) > 4


def test_loop_ratio_tells_a_jump_from_a_loop():
    t = np.arange(24) / 24 * 2 * np.pi
    frames = 100 + 50 * np.stack([np.sin(t), np.cos(t)], -1)[:, None, None, :] * np.ones((1, 8, 16, 1))
    frames = np.concatenate([frames, frames[..., :1]], -1)
    assert quality.loop_ratio(frames) == pytest.approx(1, abs=0.15)
    assert quality.loop_ratio(frames[:12]) > 5
    assert quality.loop_ratio(np.zeros((4, 8, 16, 3))) == 1


def test_psnr_weighs_the_poles_less():
    a = np.zeros((64, 128, 3))
    pole, equator = a.copy(), a.copy()
    pole[0], equator[32] = 255, 255
    assert quality.psnr(a, pole) > quality.psnr(a, equator) + 10
    assert quality.psnr(a, a) == 99


def test_ply_round_trip(tmp_path):
    gaussians = random_scene(50).at(0.4)
    back = read_ply(write_ply(tmp_path / "a.ply", gaussians)).at(0)
    for name in ("means", "scales", "colors", "quats", "opacities"):
        np.testing.assert_allclose(getattr(back, name), getattr(gaussians, name), rtol=1e-4, atol=1e-5)


def test_ply_sequence_and_bad_files(tmp_path):
    scene = random_scene(fps=4.0, duration=1.0, loop=True)
    files = write_ply_sequence(tmp_path / "seq", scene, range(1, 3))
    assert [f.name for f in files] == ["frame_0001.ply", "frame_0002.ply"]
    with pytest.raises(InputError, match="0 to 3"):
        write_ply_sequence(tmp_path / "seq", scene, range(2, 9))
    (tmp_path / "cut.ply").write_bytes(files[0].read_bytes()[:-10])
    with pytest.raises(InputError, match=r"cut\.ply"):
        read_ply(tmp_path / "cut.ply")
