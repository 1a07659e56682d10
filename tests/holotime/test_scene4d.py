"""Scene4D: the formulas, the file, and what is not a scene."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotime.errors import InputError
from holotime.scene4d import ALWAYS, Scene4D


def random_scene(n: int = 30, seed: int = 0, **more) -> Scene4D:
    rng = np.random.default_rng(seed)

    def f(*shape):
        return rng.normal(size=shape).astype(np.float32)

    arrays = {
        "means": f(n, 3) * 3,
        "motion": f(n, 3, 3),
        "quats": f(n, 4),
        "omegas": f(n, 4) * 0.1,
        "log_scales": f(n, 3) - 3,
        "opacity_logits": f(n),
        "t_centers": rng.random(n, np.float32),
        "t_log_scales": f(n) - 1,
        "colors": rng.random((n, 3), np.float32),
    }
    return Scene4D(**arrays, **more)


@given(st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_evaluation_follows_the_formulas(t: float, seed: int):
    scene = random_scene(seed=seed)
    got = scene.at(t, min_opacity=0.0)
    for i in range(len(scene)):
        dt = np.float64(t) - scene.t_centers[i]
        mean = scene.means[i] + scene.motion[i, 0] * dt + scene.motion[i, 1] * dt**2 + scene.motion[i, 2] * dt**3
        opacity = 1 / (1 + np.exp(-scene.opacity_logits[i])) * np.exp(-((dt / np.exp(scene.t_log_scales[i])) ** 2))
        quat = scene.quats[i] + dt * scene.omegas[i]
        np.testing.assert_allclose(got.means[i], mean, atol=1e-4)
        np.testing.assert_allclose(got.opacities[i], opacity, atol=1e-5)
        np.testing.assert_allclose(got.quats[i], quat / np.linalg.norm(quat), atol=1e-5)


def test_covariance_is_rotation_times_scale():
    got = random_scene().at(0.3, min_opacity=0.0)
    eigen = np.linalg.eigvalsh(got.covariances())
    np.testing.assert_allclose(np.sort(got.scales**2, -1), eigen, rtol=1e-3, atol=1e-6)


def test_invisible_splats_are_left_out_and_a_loop_closes():
    scene = random_scene(loop=True)
    scene.opacity_logits[:10] = -20
    assert len(scene.at(0.5)) < len(scene)
    np.testing.assert_array_equal(scene.at(1.25).means, scene.at(0.25).means)


def test_a_splat_that_is_always_there_keeps_its_opacity():
    scene = random_scene()
    scene.t_log_scales[:] = ALWAYS
    np.testing.assert_allclose(scene.at(0, min_opacity=0).opacities, scene.at(1, min_opacity=0).opacities)


def test_file_round_trip_is_exact(tmp_path):
    scene = random_scene(duration=2.5, fps=10.0, loop=True, provenance={"seed": 3})
    scene.save(tmp_path / "s.safetensors")
    back = Scene4D.load(tmp_path / "s.safetensors")
    for name in Scene4D.TENSORS:
        np.testing.assert_array_equal(getattr(back, name), getattr(scene, name))
    assert (back.duration, back.fps, back.loop, back.provenance) == (2.5, 10.0, True, {"seed": 3})
    assert list(tmp_path.iterdir()) == [tmp_path / "s.safetensors"]


def test_a_scene_saved_again_is_the_same_file(tmp_path):
    files = [random_scene().save(tmp_path / f"{n}.safetensors").read_bytes() for n in range(5)]
    assert len(set(files)) == 1


def test_frame_times_match_the_clip():
    assert len(random_scene(duration=2.0, fps=12.0, loop=True).frame_times()) == 24
    still = random_scene(duration=15 / 8, fps=8.0).frame_times()
    assert len(still) == 16
    assert still[-1] == 1


def test_what_is_not_a_scene_is_refused(tmp_path):
    good = random_scene().save(tmp_path / "good.safetensors").read_bytes()
    for name, data in {"cut": good[: len(good) // 2], "empty": b"", "text": b"hello"}.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(data)
        with pytest.raises(InputError, match=name):
            Scene4D.load(path)
    with pytest.raises(InputError, match="does not exist"):
        Scene4D.load(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="shape"):
        Scene4D(**{n: np.zeros((3, *s), np.float32) for n, s in Scene4D.TENSORS.items()} | {"colors": np.zeros((2, 3))})
