"""Camera paths: the release's formulas, what every preset promises, the format's errors, composing and exchanging."""

import ast
import itertools
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from holotime import camera_path as cp
from holotime.presets import presets_root

GOLDEN = load_file(Path(__file__).parents[1] / "goldens" / "trajectories.safetensors")
PRESETS = cp.load_presets(presets_root() / "cameras")
LOOPS = [name for name, p in PRESETS.items() if p.loop]
AIMED = [name for name, p in PRESETS.items() if p.aim is not None and p.aim.kind == "point"]

MINIMAL = """
name = "mine"
title = "Mine"
description = "A path."
duration = 2.0
loop = false
[lens]
fov = 60.0
[parameters.reach]
title = "Reach"
unit = "m"
default = 0.2
range = [0.0, 1.0]
tooltip = "How far"
[[motion]]
channel = "forward"
kind = "ramp"
from = 0.0
to = "reach"
"""


def matrices(poses: list[cp.Pose]) -> np.ndarray:
    return np.array([p.matrix for p in poses])


def assert_cameras(poses: list[cp.Pose]) -> None:
    m = matrices(poses)
    r = m[:, :3, :3]
    np.testing.assert_allclose(r @ r.transpose(0, 2, 1), np.broadcast_to(np.eye(3), r.shape), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(r), 1.0, atol=1e-9)
    np.testing.assert_array_equal(m[:, 3], np.broadcast_to([0, 0, 0, 1], (len(m), 4)))


@st.composite
def preset_and_params(draw: st.DrawFn) -> tuple[cp.Preset, dict[str, float]]:
    preset = PRESETS[draw(st.sampled_from(sorted(PRESETS)))]
    params = {}
    for p in preset.parameters.values():
        if draw(st.booleans()):
            params[p.name] = float(
                draw(st.integers(math.ceil(p.minimum), math.floor(p.maximum)))
                if p.integer
                else draw(st.floats(p.minimum, p.maximum))
            )
    params.pop("fov", None)  # added to the preset's own zoom it may leave the allowed lens, which is tested below
    return preset, params


# --- the release ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", cp.ORIGINALS)
def test_compat_matches_the_recorded_trajectories(name: str) -> None:
    ours = np.array(cp.compat_trajectory(name))
    assert ours.shape == GOLDEN[name].shape
    np.testing.assert_allclose(ours, GOLDEN[name], rtol=0, atol=6e-8 * max(1.0, np.abs(GOLDEN[name]).max()))


@pytest.mark.parametrize("name", cp.ORIGINALS)
def test_compat_poses_are_the_same_cameras_in_our_world(name: str) -> None:
    golden = GOLDEN[name].astype(float)
    poses = cp.evaluate(PRESETS[name], len(golden), {"fov": 70.0}, compat=True)
    assert_cameras(poses)
    assert all(p.fov_x == math.radians(70.0) for p in poses)
    to_ours = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])  # x right, y down, z forward -> x right, y forward, z up
    rotation, t = golden[:, :, :3], golden[:, :, 3:]
    np.testing.assert_allclose(matrices(poses)[:, :3, :3], to_ours @ rotation, atol=1e-6)
    np.testing.assert_allclose(matrices(poses)[:, :3, 3:], to_ours @ (-rotation @ t), atol=3e-6)


def test_compat_resamples_to_any_count_and_knows_only_its_five() -> None:
    poses = cp.evaluate(PRESETS["llff"], 57, compat=True)
    assert len(poses) == 57
    assert_cameras(poses)
    with pytest.raises(cp.PathError, match="rotate360, rotateshow, back_and_forth, headbanging, llff"):
        cp.evaluate(PRESETS["crane"], 10, compat=True)


# --- what presets promise ---------------------------------------------------------------------------------------------


def test_the_presets_are_there() -> None:
    wanted = {*cp.ORIGINALS, "dolly", "orbit", "crane", "figure_eight", "handheld", "reveal", "flythrough"}
    assert wanted <= set(PRESETS)
    for preset in PRESETS.values():
        assert all(p.tooltip and not p.tooltip.endswith(".") for p in preset.parameters.values())


def test_rotate360_turns_in_place_to_the_right() -> None:
    poses = cp.evaluate(PRESETS["rotate360"], 4)
    assert all(p.position == (0.0, 0.0, 0.0) for p in poses)
    looks = [[round(row[2], 9) for row in p.matrix[:3]] for p in poses]
    assert looks == [[0, 1, 0], [1, 0, 0], [0, -1, 0], [-1, 0, 0]]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_default_moves_are_small_and_smooth(name: str) -> None:
    poses = cp.evaluate(PRESETS[name], 240)
    place = matrices(poses)[:, :3, 3]
    assert np.linalg.norm(place, axis=1).max() <= 0.301
    look = matrices(poses)[:, :3, 2]
    assert np.linalg.norm(np.diff(place, axis=0), axis=1).max() < 0.03
    assert np.degrees(np.arccos(np.clip((look[1:] * look[:-1]).sum(1), -1, 1))).max() < 6


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("frames", [1, 7, 24])
def test_loops_close_exactly(name: str, frames: int) -> None:
    once = cp.evaluate(PRESETS[name], frames)
    path = cp._Path(PRESETS[name], PRESETS[name].defaults(), PRESETS[name].duration)
    np.testing.assert_allclose(np.array(path.pose(1.0).matrix), np.array(once[0].matrix), atol=1e-9)
    # the step back to the start is an ordinary step: sampling twice as fine puts a pose halfway
    fine = cp.evaluate(PRESETS[name], 2 * frames)
    np.testing.assert_allclose(matrices(fine)[::2], matrices(once), atol=1e-12)


@pytest.mark.parametrize("name", LOOPS)
def test_loops_do_not_jerk_at_the_join(name: str) -> None:
    m = matrices(cp.evaluate(PRESETS[name], 480))[:, :3].reshape(480, -1)
    steps = np.roll(m, -1, 0) - m
    bends = np.linalg.norm(np.roll(steps, -1, 0) - steps, axis=1)
    assert bends[-3:].max() <= bends.max() + 1e-12
    assert np.linalg.norm(steps[-1]) <= 1.05 * np.linalg.norm(steps, axis=1).max()


@pytest.mark.parametrize("name", AIMED)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_aimed_presets_keep_their_target_centred(name: str, data: st.DataObject) -> None:
    preset = PRESETS[name]
    focus = data.draw(st.floats(3.5, 60.0))
    scale, heading = data.draw(st.floats(0.0, 2.0)), data.draw(st.floats(-180.0, 180.0))
    for pose in cp.evaluate(preset, 40, {"focus": focus, "scale": scale, "heading": heading}):
        a = math.radians(heading)
        target = np.array([focus * math.sin(a), focus * math.cos(a), 0, 1])
        x, y, z, _ = np.linalg.inv(np.array(pose.matrix)) @ target
        assert z > 0
        assert math.hypot(x, y) < 1e-9 * max(1.0, z)


def test_there_are_aimed_presets() -> None:
    assert {"llff", "crane", "figure_eight"} <= set(AIMED)


@given(preset_and_params(), st.integers(1, 30))
@settings(max_examples=150, deadline=None)
def test_every_pose_is_a_rigid_camera(case: tuple[cp.Preset, dict[str, float]], frames: int) -> None:
    preset, params = case
    poses = cp.evaluate(preset, frames, params)
    assert len(poses) == frames
    assert_cameras(poses)


@given(st.floats(40.0, 170.0))
def test_fov_passes_through(fov: float) -> None:
    assert {p.fov_x for p in cp.evaluate(PRESETS["llff"], 5, {"fov": fov})} == {math.radians(fov)}


def test_default_fov_is_the_presets_lens() -> None:
    assert cp.evaluate(PRESETS["crane"], 1)[0].fov_x == pytest.approx(math.radians(60))
    zoomed = cp.evaluate(PRESETS["reveal"], 10)
    assert zoomed[0].fov_x == pytest.approx(math.radians(55))
    assert zoomed[-1].fov_x == pytest.approx(math.radians(75))


@given(st.floats(0.0, 5.0), st.sampled_from(sorted(set(PRESETS) - set(AIMED))))
@settings(max_examples=40, deadline=None)
def test_scale_scales_distances_and_leaves_directions(factor: float, name: str) -> None:
    one, many = cp.evaluate(PRESETS[name], 9), cp.evaluate(PRESETS[name], 9, {"scale": factor})
    np.testing.assert_allclose(matrices(many)[:, :3, 3], factor * matrices(one)[:, :3, 3], atol=1e-12)
    np.testing.assert_allclose(matrices(many)[:, :3, :3], matrices(one)[:, :3, :3], atol=1e-12)


@given(st.floats(-360.0, 360.0), st.sampled_from(sorted(PRESETS)))
@settings(max_examples=40, deadline=None)
def test_heading_turns_the_whole_path(heading: float, name: str) -> None:
    c, s = math.cos(math.radians(heading)), math.sin(math.radians(heading))
    turn = np.array([[c, s, 0, 0], [-s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    turned = matrices(cp.evaluate(PRESETS[name], 6, {"heading": heading}))
    np.testing.assert_allclose(turned, turn @ matrices(cp.evaluate(PRESETS[name], 6)), atol=1e-12)


def test_paths_that_do_not_loop_reach_their_end() -> None:
    poses = cp.evaluate(PRESETS["dolly"], 5, {"start": -0.1, "end": 0.4})
    assert poses[0].position[1] == pytest.approx(-0.1)
    assert poses[-1].position[1] == pytest.approx(0.4)
    assert poses[2].position[1] == pytest.approx(0.15)


def test_orbit_looks_through_the_middle_of_its_ring() -> None:
    for pose in cp.evaluate(PRESETS["orbit"], 12, {"radius": 0.4}):
        look = np.array(pose.matrix)[:3, 2]
        np.testing.assert_allclose(np.array(pose.position), -0.4 * look, atol=1e-12)


def test_flythrough_passes_its_points_and_looks_along_its_way() -> None:
    preset = PRESETS["flythrough"]
    poses = cp.evaluate(preset, 101, {"bank": 0.0})
    place = matrices(poses)[:, :3, 3]
    for t, point in (
        (0, (-0.06, -0.29, -0.03)),
        (32, (0.05, -0.1, 0.03)),
        (66, (-0.05, 0.1, 0.05)),
        (100, (0.06, 0.29, 0)),
    ):
        np.testing.assert_allclose(place[t], point, atol=1e-9)
    for i in range(15, 86):
        step = place[i + 10] - place[i - 10]
        assert np.array(poses[i].matrix)[:3, 2] @ step / np.linalg.norm(step) > 0.999


def test_handheld_is_a_seeded_take() -> None:
    preset = PRESETS["handheld"]
    assert cp.evaluate(preset, 50, {"seed": 3}) == cp.evaluate(preset, 50, {"seed": 3})
    assert cp.evaluate(preset, 50, {"seed": 3}) != cp.evaluate(preset, 50, {"seed": 4})
    drift = np.concatenate([matrices(cp.evaluate(preset, 64, {"seed": s}))[:, 0, 3] for s in range(20)])
    assert np.std(drift) == pytest.approx(0.03, rel=0.05)  # half the amplitude, as documented

    def busy(seconds):  # turns of direction
        return np.sum(np.diff(np.sign(np.diff(matrices(cp.evaluate(preset, 400, seconds=seconds))[:, 0, 2]))) != 0)

    assert busy(20.0) > 2 * busy(4.0)


def test_noise_keeps_one_preset_on_every_machine() -> None:
    values = [cp._hash01(1, 1), cp._hash01(1, 2), cp._hash01(2, 1)]
    assert len(set(values)) == 3
    sample = np.array([cp._hash01(s, k) for s, k in itertools.product(range(40), range(50))])
    assert 0 <= sample.min() < 0.01
    assert 0.99 < sample.max() < 1
    assert np.histogram(sample, 4, (0, 1))[0] == pytest.approx(500, rel=0.15)


# --- errors -----------------------------------------------------------------------------------------------------------


def test_unknown_preset_lists_the_names() -> None:
    with pytest.raises(cp.PathError, match=r"'spiral'.*back_and_forth, crane, dolly"):
        cp.find(PRESETS, "spiral")
    assert cp.find(PRESETS, "dolly") is PRESETS["dolly"]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"radius": -0.1}, r"Radius \(radius\).*from 0 to 1 m"),
        ({"radius": math.nan}, "from 0 to 1 m"),
        ({"radius": "far"}, "'far'"),
        ({"rounds": 2.5}, "whole number from 1 to 30 cycles"),
        ({"rounds": True}, "whole number"),
        ({"speed": 1.0}, "no parameter 'speed'. It has: scale, heading, fov, radius"),
        ({"fov": 0.0}, "Field of view.*from 1 to 170 deg"),
    ],
)
def test_bad_parameters_say_what_is_allowed(params: dict, words: str) -> None:
    with pytest.raises(cp.PathError, match=words):
        cp.evaluate(PRESETS["llff"], 5, params)


@pytest.mark.parametrize("frames", [0, -3, 2.5, True, 10**9])
def test_bad_frame_counts_are_refused(frames) -> None:
    with pytest.raises(cp.PathError, match="whole number of frames"):
        cp.evaluate(PRESETS["llff"], frames)


def test_lens_that_leaves_its_limits_is_refused() -> None:
    with pytest.raises(cp.PathError, match=r"reaches -10\.0 degrees"):
        cp.evaluate(PRESETS["reveal"], 5, {"fov": 10.0, "zoom": 20.0})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "mine"', 'name = "yours"', "'yours' but the file is called 'mine'"),
        ("fov = 60.0", "fov = 180.0", r"lens.fov is 180.0; it must be a number between 1 and 170"),
        ("fov = 60.0", 'fov = "wide"', "must be a number"),
        ('to = "reach"', 'to = "reech"', "mentions 'reech', which is no parameter. Known: .*reach"),
        ('to = "reach"', "to = [[1], 2]", "flat list"),
        ('kind = "ramp"', 'kind = "rump"', "'rump'; choose one of: hold, ramp, wave, keys, noise"),
        ('kind = "ramp"', 'kind = "wave"', "unknown key 'from'"),
        ('channel = "forward"', 'channel = "sideways"', "'sideways'; choose one of: right, forward"),
        ('channel = "forward"', 'channel = "position"', "'position'; choose one of"),
        ("loop = false", "loop = true", "does not end where it began"),
        ("loop = false", "loop = 0", "true or false"),
        ("loop = false", "loop = false\nspeed = 3", "unknown key 'speed'"),
        ("duration = 2.0", "duration = 0", "duration is 0"),
        ("duration = 2.0", "duration = nan", "duration is nan"),
        ('title = "Mine"\n', "", "lacks 'title'"),
        ('unit = "m"', 'unit = "yard"', "unit is 'yard'; choose one of: m, deg"),
        ("default = 0.2", "default = 2.0", "default is 2.0; it must be a number between 0 and 1"),
        ("range = [0.0, 1.0]", "range = 1.0", r"write \[lowest, highest\]"),
        ("[parameters.reach]", "[parameters.scale]", "'scale' exists in every preset"),
        ("[lens]", '[aim]\nkind = "point"\ntarget = [0, 0, 0]\n[lens]', "stands exactly on the point"),
        ("[lens]", '[aim]\nkind = "point"\ntarget = 4\n[lens]', "aim.target is 4"),
        ("[lens]", '[aim]\nkind = "sun"\n[lens]', "'sun'; choose one of: point, travel"),
        ("[[motion]]", "[motion]", "two brackets"),
        ("from = 0.0", "from = 0.0\nstart = 0.6\nend = 0.5", "end 0.5 must come after start 0.6"),
        ("[lens]", "[lens", "not valid TOML"),
    ],
)
def test_bad_presets_name_the_file_and_the_fault(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in MINIMAL
    file = tmp_path / "mine.toml"
    file.write_text(MINIMAL.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(cp.PathError, match=words) as caught:
        cp.load_preset(file)
    assert "mine.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("times = [0.0, 0.5]\nvalues = [0, 1]", "increase from 0 to 1"),
        ("times = [0.0, 0.7, 0.6, 1.0]\nvalues = [0, 1, 2, 3]", "increase from 0 to 1"),
        ("times = [0.0, 1.0]\nvalues = [0, 1, 2]", "2 times but 3 values"),
        ("times = [0.0]\nvalues = [0]", "at least two"),
        ("times = [0.0, 1.0]\nvalues = [[], 1]", "flat list"),
    ],
)
def test_bad_keys_are_refused(keys: str, words: str) -> None:
    text = MINIMAL.replace('kind = "ramp"\nfrom = 0.0\nto = "reach"', f'kind = "keys"\n{keys}')
    with pytest.raises(cp.PathError, match=words):
        cp.parse_preset(text, "mine")


def test_position_keys_need_three_numbers() -> None:
    keys = 'kind = "keys"\ntimes = [0.0, 1.0]\nvalues = [[0, 1], [0, 0, 1]]'
    text = MINIMAL.replace('kind = "ramp"\nfrom = 0.0\nto = "reach"', keys)
    with pytest.raises(cp.PathError, match=r"\[right, forward, up\]"):
        cp.parse_preset(text.replace('"forward"', '"position"'), "mine")


def test_missing_and_unreadable_presets(tmp_path: Path) -> None:
    with pytest.raises(cp.PathError, match="No camera presets"):
        cp.load_presets(tmp_path)
    with pytest.raises(cp.PathError, match="cannot be read"):
        cp.load_preset(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(cp.PathError, match="UTF-8"):
        cp.load_preset(tmp_path / "bytes.toml")


def test_cyclic_spline_passes_its_keys_without_a_corner_at_the_join() -> None:
    keys = 'kind = "keys"\ninterpolation = "spline"\ntimes = [0.0, 0.3, 0.7, 1.0]\nvalues = [0.1, 0.3, -0.2, 0.1]'
    text = MINIMAL.replace('kind = "ramp"\nfrom = 0.0\nto = "reach"', keys).replace("loop = false", "loop = true")
    y = matrices(cp.evaluate(cp.parse_preset(text, "mine"), 1000))[:, 1, 3]
    np.testing.assert_allclose(y[[0, 300, 700]], [0.1, 0.3, -0.2], atol=1e-12)
    speed = np.roll(y, -1) - y
    assert abs(speed[0] - speed[-1]) < 3e-5  # an open spline would rest there
    assert abs(speed[0]) > 3e-4


# --- rotations, composing, exchanging ---------------------------------------------------------------------------------


def rotate(q: cp.Quaternion, v: np.ndarray) -> np.ndarray:
    w, x, y, z = q
    u = np.array([x, y, z])
    return v + 2 * np.cross(u, np.cross(u, v) + w * v)


@given(st.floats(-360, 360), st.floats(-180, 180), st.floats(-180, 180))
@settings(max_examples=80, deadline=None)
def test_quaternion_is_the_rotation(yaw: float, pitch: float, roll: float) -> None:
    r = cp._matmul(cp._matmul(cp._yaw(math.radians(yaw)), cp._pitch(math.radians(pitch))), cp._roll(math.radians(roll)))
    pose = cp._pose(r, (0.0, 0.0, 0.0), 1.0)
    for blender in (False, True):
        q = cp.quaternion(pose, blender=blender)
        m = np.array(cp.blender_matrix(pose) if blender else pose.matrix)[:3, :3]
        assert math.hypot(*q) == pytest.approx(1.0)
        assert q[0] >= 0
        for axis in np.eye(3):
            np.testing.assert_allclose(rotate(q, axis), m @ axis, atol=1e-9)


def test_upright_camera_is_blenders_ninety_degrees_about_x() -> None:
    pose = cp.evaluate(PRESETS["rotate360"], 1)[0]
    half = math.sqrt(0.5)
    assert cp.quaternion(pose, blender=True) == pytest.approx((half, half, 0, 0))


def test_quaternions_of_a_path_never_jump() -> None:
    path = cp.quaternions(cp.evaluate(PRESETS["rotate360"], 90, {"turns": 3}), blender=True)
    assert min(np.dot(a, b) for a, b in itertools.pairwise(path)) > 0.9


def test_resample_keeps_ends_and_counts() -> None:
    poses = cp.evaluate(PRESETS["crane"], 31)
    for n in (1, 2, 31, 100):
        again = cp.resample(poses, n)
        assert len(again) == n
        assert again[0] == poses[0]
        assert n == 1 or again[-1] == poses[-1]
        assert_cameras(again)
    assert cp.resample(poses, 31) == poses
    assert len(cp.resample_fps(poses, 30, 60)) == 62


@pytest.mark.parametrize("name", ["rotateshow", "llff", "figure_eight"])
def test_resampled_loop_is_the_finer_path(name: str) -> None:
    coarse, fine = cp.evaluate(PRESETS[name], 120), cp.evaluate(PRESETS[name], 300)
    again = cp.resample(coarse, 300, loop=True)
    np.testing.assert_allclose(matrices(again), matrices(fine), atol=2e-3)


def test_ease_keeps_the_ends_and_slows_them() -> None:
    poses = cp.evaluate(PRESETS["dolly"], 61)
    eased = cp.ease(poses, "smooth")
    assert (eased[0], eased[-1], len(eased)) == (poses[0], poses[-1], 61)
    assert abs(eased[1].position[1] - eased[0].position[1]) < abs(poses[1].position[1] - poses[0].position[1])
    assert cp.ease(poses, "linear") == poses
    with pytest.raises(cp.PathError, match="linear, smooth, in, out"):
        cp.ease(poses, "bouncy")


def test_scale_about_a_point() -> None:
    poses = cp.evaluate(PRESETS["crane"], 5)
    about = (0.1, 0.2, 0.3)
    scaled = cp.scale(poses, 2.0, about)
    for a, b in zip(poses, scaled, strict=True):
        np.testing.assert_allclose(np.array(b.position) - about, 2 * (np.array(a.position) - about))
        assert (a.rotation, a.fov_x) == (b.rotation, b.fov_x)


def test_sequence_joins_without_stutter() -> None:
    out, back = cp.evaluate(PRESETS["dolly"], 10), cp.evaluate(PRESETS["dolly"], 10)[::-1]
    assert len(cp.sequence(out, back)) == 19
    crane = cp.evaluate(PRESETS["crane"], 8)
    joined = cp.sequence(out, crane, blend=12)
    assert len(joined) == 30
    assert_cameras(joined)
    steps = [math.dist(a.position, b.position) for a, b in itertools.pairwise(joined)]
    assert max(steps) < 0.12
    with pytest.raises(cp.PathError, match="empty"):
        cp.sequence(out, [])


def test_nerfstudio_round_trip() -> None:
    poses = cp.evaluate(PRESETS["reveal"], 12)
    text = cp.to_nerfstudio(poses, 1920, 1080, 24.0)
    back, fps = cp.from_nerfstudio(text)
    assert fps == 24.0
    np.testing.assert_allclose(matrices(back), matrices(poses), atol=1e-12)
    np.testing.assert_allclose([p.fov_x for p in back], [p.fov_x for p in poses], atol=1e-12)
    first = json.loads(text)["camera_path"][0]
    assert len(first["camera_to_world"]) == 16
    vertical = 2 * math.atan(math.tan(math.radians(55) / 2) * 1080 / 1920)
    assert first["fov"] == pytest.approx(math.degrees(vertical))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"render_width": 1, "render_height": 0, "fps": 1, "camera_path": []}']
)
def test_what_is_no_nerfstudio_path(text: str) -> None:
    with pytest.raises(cp.PathError, match="no nerfstudio camera path"):
        cp.from_nerfstudio(text)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"camera_to_world": [1.0] * 15}, "16 numbers"),
        ({"camera_to_world": [2.0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1]}, "unscaled rotation"),
        ({"camera_to_world": "eye"}, "cannot be read"),
        ({"fov": 0}, "fov between 0 and 180"),
    ],
)
def test_bad_nerfstudio_cameras(change: dict, words: str) -> None:
    data = json.loads(cp.to_nerfstudio(cp.evaluate(PRESETS["dolly"], 2), 16, 9, 24))
    data["camera_path"][1].update(change)
    with pytest.raises(cp.PathError, match=f"Camera 1 .*{words}"):
        cp.from_nerfstudio(json.dumps(data))


def test_the_module_stands_alone() -> None:
    """The Blender add-on carries a copy: nothing but the standard library may be imported."""
    tree = ast.parse(Path(cp.__file__).read_text(encoding="utf-8"))
    imports = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imports |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imports} <= sys.stdlib_module_names


# --- paths keyed in Blender -------------------------------------------------------------------------------------------


@given(preset_and_params(), st.tuples(st.floats(-2, 2), st.floats(-2, 2)), st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_path_survives_its_file(case, shift, clipped) -> None:
    preset, params = case
    poses = [replace(p, shift=shift, clip=(0.1, 50.0) if clipped else None) for p in cp.evaluate(preset, 5, params)]
    assert cp.from_json(cp.to_json(poses)) == poses


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fov_x": 4.0}, "Pose 0 .* 0.01 < fov_x < 3.1"),
        ({"fov_x": None}, "cannot be read"),
        ({"matrix": [[1, 0], [0, 1]]}, "not 4x4"),
        ({"matrix": [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]}, "scaled or sheared"),
        ({"matrix": [[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}, "scaled or sheared"),
        ({"shift": [0, math.nan]}, "lens shift"),
        ({"shift": [1]}, "cannot be read"),
        ({"clip": [5.0, 1.0]}, "the nearer must come first"),
        ({"clip": [0.0, 1.0]}, "above 0"),
    ],
)
def test_bad_path_files_name_the_pose_and_the_fault(change, words) -> None:
    entry = {"matrix": [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]], "fov_x": 1.0} | change
    with pytest.raises(cp.PathError, match=words):
        cp.from_json(json.dumps([entry]))


def test_files_that_are_no_path() -> None:
    for text, words in (("[]", "0 poses"), ("{}", "0 poses"), ("no", "cannot be read"), ("[1]", "cannot be read")):
        with pytest.raises(cp.PathError, match=words):
            cp.from_json(text)


@given(st.integers(16, 4000), st.integers(16, 4000), st.floats(8, 200), st.floats(10, 70))
def test_a_blender_lens_sees_its_sensor_on_the_side_that_fits(width, height, lens, sensor) -> None:
    def seen(fit):
        fov_x, shift = cp.blender_lens(
            width, height, lens=lens, sensor_width=sensor, sensor_height=sensor / 2, sensor_fit=fit, shift=(0.25, -0.5)
        )
        across = 2 * lens * math.tan(fov_x / 2)  # millimetres of film that the picture is wide
        return across, shift

    (wide, a), (high, b), (auto, c) = seen("HORIZONTAL"), seen("VERTICAL"), seen("AUTO")
    assert wide == pytest.approx(sensor)
    assert high * height / width == pytest.approx(sensor / 2)
    assert max(auto, auto * height / width) == pytest.approx(sensor)
    assert a == (0.25, -0.5)
    assert b == pytest.approx((0.25 * height / width, -0.5 * height / width))
    assert c == (pytest.approx(b) if height > width else a)


def test_a_lens_without_a_picture_is_refused() -> None:
    with pytest.raises(cp.PathError, match="above zero"):
        cp.blender_lens(100, 100, lens=0.0)


@given(st.floats(-3.1, 3.1), st.floats(-1.2, 1.2), st.floats(-3.0, 3.0))
def test_levelling_keeps_place_and_heading(yaw, pitch, roll) -> None:
    turn = cp._matmul(cp._UPRIGHT, cp._matmul(cp._matmul(cp._yaw(yaw), cp._pitch(pitch)), cp._roll(roll)))
    (flat,) = cp.level([cp._pose(turn, (1.0, 2.0, 3.0), 1.0)])
    assert flat.position == (1.0, 2.0, 3.0)
    assert_cameras([flat])
    look, down = matrices([flat])[0, :3, 2], matrices([flat])[0, :3, 1]
    np.testing.assert_allclose(down, (0, 0, -1), atol=1e-12)
    np.testing.assert_allclose(look, (math.sin(yaw), math.cos(yaw), 0), atol=1e-9)


def test_levelling_a_view_straight_down_looks_ahead() -> None:
    (flat,) = cp.level([cp._pose(cp.look_at((0.0, 0.0, -1.0)), (0.0, 0.0, 0.0), 1.0)])
    assert flat.rotation == cp._UPRIGHT


def test_composing_keeps_lens_shift_and_clip() -> None:
    base = cp.evaluate(PRESETS["dolly"], 3)
    poses = [replace(p, shift=(0.1 * i, 0.0), clip=(0.1, 10.0 + i)) for i, p in enumerate(base)]
    middle = cp.resample(poses, 5)[1]
    assert middle.shift == pytest.approx((0.05, 0.0))
    assert middle.clip == pytest.approx((0.1, 10.5))
    assert [p.shift for p in cp.scale(poses, 2.0)] == [p.shift for p in poses]
    assert [p.clip for p in cp.level(poses)] == [p.clip for p in poses]
    assert cp.placed(poses[1], (1.0, 2.0, 3.0)).shift == poses[1].shift
