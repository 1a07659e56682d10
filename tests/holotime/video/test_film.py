"""From a scene and a wish to files: projections, cameras, safe volume, stills, sequences, and what is refused."""

import json
import math

import av
import cv2
import numpy as np
import OpenEXR
import pytest

from holotime import camera_path
from holotime.camera_path import Pose
from holotime.cli.render import frame_range
from holotime.clip import read_clip
from holotime.errors import Cancelled, InputError
from holotime.presets import presets_root
from holotime.render.views import PROJECTIONS, View, renderer
from holotime.safe_walk import SafeWalk, walk_directions
from holotime.scene4d import ALWAYS, Scene4D
from holotime.video.config import RenderConfig
from holotime.video.film import CameraPath, plan, read_camera, turned_caps
from holotime.video.write import read_eyes, render_eyes, render_to


def make_scene(loop=True, duration=1.0, fps=6.0, reach=1.0) -> Scene4D:
    """A shell of coloured splats with a white ball that rises in front; the eye may go ``reach`` metres."""
    n = 2000
    i = np.arange(n) + 0.5
    z = 1 - 2 * i / n
    azimuth = math.pi * (1 + 5**0.5) * i
    d = np.stack([np.sqrt(1 - z * z) * np.cos(azimuth), np.sqrt(1 - z * z) * np.sin(azimuth), z], -1)
    means = np.concatenate([4 * d, [[0, 1.0, -0.4]]])
    motion = np.zeros((n + 1, 3, 3))
    motion[-1, 0] = (0, 0, 0.8)
    walk = SafeWalk(walk_directions(), np.full(14, reach))
    return Scene4D(
        means=means,
        motion=motion,
        quats=np.tile([1.0, 0, 0, 0], (n + 1, 1)),
        omegas=np.zeros((n + 1, 4)),
        log_scales=np.log(np.concatenate([np.full((n, 3), 0.14), np.full((1, 3), 0.08)])),
        opacity_logits=np.full(n + 1, 4.0),
        t_centers=np.zeros(n + 1),
        t_log_scales=np.full(n + 1, ALWAYS),
        colors=np.concatenate([0.5 + 0.3 * d, [[1, 1, 1]]]),
        duration=duration,
        fps=fps,
        loop=loop,
        safe_walk=walk.as_dict(),
    )


def wish(**settings) -> RenderConfig:
    return RenderConfig(**{"hardware": "off", "backend": "cpu", **settings})


@pytest.mark.parametrize(
    ("projection", "width", "size"),
    [
        ("ods", 64, (64, 64)),
        ("equirect", 64, (64, 32)),
        ("vr180", 32, (64, 32)),
        ("fisheye", 48, (48, 48)),
        ("cubemap", 48, (48, 32)),
        ("perspective", 64, (64, 36)),
    ],
)
def test_every_projection_becomes_a_video(tmp_path, projection, width, size):
    scene, path = make_scene(), tmp_path / "v.mp4"
    made = render_to(scene, wish(projection=projection, width=width, crf=4), path)
    assert [f.name for f in tmp_path.iterdir()] == ["v.mp4"]
    assert (made.pictures, made.size, made.video["encoder"]) == (6, size, "libx264")
    assert made.backend.startswith("cpu")
    clip = read_clip(path)
    assert clip.frames.shape == (6, size[1], size[0], 3)
    assert clip.loop
    assert clip.fps == pytest.approx(6)
    view = View(projection, size, fov=math.radians(75), fit="horizontal")
    for k in (0, 4):
        drawn = renderer("cpu", scene).draw(view, k / 6).color
        drawn = turned_caps(drawn) if projection == "cubemap" else drawn
        assert np.abs(clip.frames[k] - 255.0 * drawn).mean() < 4
    sphere = {"ods": b"sv3d", "equirect": b"sv3d", "vr180": b"sv3d", "cubemap": b"cbmp"}.get(projection)
    assert (b"sv3d" in path.read_bytes()) == (sphere is not None)
    assert sphere is None or sphere in path.read_bytes()


def test_up_and_down_of_a_cube_map_are_turned_as_the_metadata_wants():
    picture = np.arange(4 * 6).reshape(4, 6, 1)
    turned = turned_caps(picture)
    assert turned[:2, 4:, 0].tolist() == [[11, 10], [5, 4]]  # up
    assert turned[2:, :2, 0].tolist() == [[19, 18], [13, 12]]  # down
    assert np.array_equal(turned[:2, :4], picture[:2, :4])
    assert np.array_equal(turned_caps(turned), picture)


def test_both_eyes_see_the_ball_where_they_should(tmp_path):
    render_to(make_scene(), wish(projection="ods", width=256, ipd=0.2, crf=4), tmp_path / "v_360_TB.mp4")
    white = read_clip(tmp_path / "v_360_TB.mp4").frames[2].astype(float).min(-1) > 180
    left, right = (np.flatnonzero(half.any(0)).mean() for half in (white[:128], white[128:]))
    assert left - right == pytest.approx(2 * math.asin(0.1) / (2 * math.pi) * 256, abs=1.5)


def test_a_loop_repeats_and_anything_else_rests(tmp_path):
    frames = read_clip(render(tmp_path, make_scene(), seconds=2.0)).frames.astype(float)
    assert len(frames) == 12
    assert np.abs(frames[:6] - frames[6:]).mean() < 1.5
    assert np.abs(frames[0] - frames[3]).mean() > 0.2
    once = make_scene(loop=False)
    assert len(read_clip(render(tmp_path, once))) == len(once.frame_times())
    clip = read_clip(render(tmp_path, once, seconds=2.0, fps=10))
    assert not clip.loop
    assert np.abs(clip.frames[-1].astype(int) - clip.frames[11]).max() < 16


def test_ping_pong_is_the_same_both_ways(tmp_path):
    clip = read_clip(render(tmp_path, make_scene(loop=False), repeat="ping-pong", crf=4))
    assert (len(clip), clip.loop) == (12, True)
    frames = clip.frames.astype(int)
    for k in range(1, 6):
        assert np.abs(frames[k] - frames[12 - k]).mean() < 1.5


def render(tmp_path, scene, **settings):
    path = tmp_path / "v_360.mp4"
    render_to(scene, wish(projection="equirect", width=64, **settings), path)
    return path


def test_ten_bits_and_prores_and_what_they_hold(tmp_path):
    scene = make_scene()
    render_to(scene, wish(projection="equirect", width=64, codec="h265", bits=10), tmp_path / "a.mp4")
    moving = wish(projection="equirect", width=64, codec="prores4444", behind="transparent")
    render_to(scene, moving, tmp_path / "b.mov")
    formats = []
    for name in ("a.mp4", "b.mov"):
        with av.open(str(tmp_path / name)) as container:
            formats.append(container.streams.video[0].codec_context.pix_fmt)
    assert formats[0] == "yuv420p10le"
    assert formats[1].startswith("yuva444p1")


def test_a_rotating_path_ends_where_it_began(tmp_path):
    """A whole turn: the frame after the last would be the first, and the picture has gone all the way round."""
    config = wish(projection="equirect", width=64, camera="rotate360", seconds=1.0, fps=8, speed=0, level=False)
    film = plan(make_scene(), config)
    assert film.closes
    assert len(film.poses) == 8
    frames = [f.color for f in film.draw(range(8))]
    for k, frame in enumerate(frames):  # turning right by an eighth moves the picture left by an eighth
        assert np.abs(frame - np.roll(frames[0], -8 * k, axis=1)).max() < 0.02
    step = film.poses[-1], film.poses[0], film.poses[1]
    turns = [math.atan2(p.matrix[0][2], p.matrix[1][2]) for p in step]
    assert turns[1] - turns[0] == pytest.approx(turns[2] - turns[1])


def test_frames_may_be_picked(tmp_path):
    config = wish(projection="equirect", width=64)
    made = render_to(make_scene(), config, tmp_path / "some", frames=range(2, 5))
    assert made.pictures == 3
    assert sorted(f.name for f in (tmp_path / "some").iterdir()) == [f"0000{k}.png" for k in (2, 3, 4)]
    drawn = renderer("cpu", make_scene()).draw(View("equirect", (64, 32)), 3 / 6).color
    read = cv2.imread(str(tmp_path / "some" / "00003.png"))[..., ::-1]
    assert np.abs(read - 255 * drawn.clip(0, 1)).max() <= 0.51
    render_to(make_scene(), config, tmp_path / "v_360.mp4", frames=range(2, 5))
    assert len(read_clip(tmp_path / "v_360.mp4")) == 3
    assert not read_clip(tmp_path / "v_360.mp4").loop


def test_stills_and_sequences_for_compositing(tmp_path):
    scene = make_scene()
    scene = scene.select(np.arange(len(scene)) > 900)  # holes
    render_to(scene, wish(projection="equirect", width=64), tmp_path / "a.png")
    assert b"GPano" in (tmp_path / "a.png").read_bytes()
    render_to(scene, wish(projection="equirect", width=64), tmp_path / "a.jpg")
    render_to(scene, wish(projection="equirect", width=64, behind="transparent"), tmp_path / "t.png")
    assert cv2.imread(str(tmp_path / "t.png"), cv2.IMREAD_UNCHANGED)[..., 3].min() == 0
    flat = wish(projection="perspective", width=64, height=64, behind="transparent", distance="planar")
    render_to(scene, flat, tmp_path / "seq", kind="exr", frames=range(1, 3))
    assert sorted(f.name for f in (tmp_path / "seq").iterdir()) == ["00001.exr", "00002.exr"]
    view = View("perspective", (64, 64), fov=math.radians(75), fit="horizontal")
    frame = renderer("cpu", scene).draw(view, 1 / 6)
    with OpenEXR.File(str(tmp_path / "seq" / "00001.exr"), separate_channels=True) as file:
        pixels = {name: c.pixels.astype(float) for name, c in file.channels().items()}
    np.testing.assert_allclose(pixels["A"], frame.alpha, atol=1e-3)
    y, x = np.mgrid[:64, :64] + 0.5
    along = 1 / np.sqrt(1 + ((x - 32) ** 2 + (y - 32) ** 2) * (math.tan(math.radians(37.5)) / 32) ** 2)
    solid = frame.alpha > 0.5
    np.testing.assert_allclose(pixels["Depth.Z"][solid], (frame.distance * along)[solid], rtol=1e-4)


def test_a_path_beyond_the_safe_volume_is_scaled_clamped_or_warned_about(tmp_path):
    scene = make_scene(reach=0.1)
    base = {"projection": "perspective", "width": 64, "camera": "dolly", "seconds": 1.0}
    far = {safe: plan(scene, wish(safe=safe, **base)) for safe in ("scale", "clamp", "off")}
    reach = {
        safe: max(np.linalg.norm(np.array([p.position for p in film.poses]), axis=1)) for safe, film in far.items()
    }
    assert reach["off"] == pytest.approx(0.3)
    assert reach["scale"] == pytest.approx(0.1, rel=1e-3)
    assert reach["clamp"] == pytest.approx(0.1, rel=1e-3)
    assert "scaled to 0.33" in far["scale"].notes[0]
    assert "clamped" in far["clamp"].notes[0]
    assert "Warning" in far["off"].notes[0]
    assert "0.30 m from the eye" in far["off"].notes[0]
    assert not plan(make_scene(reach=1.0), wish(**base)).notes
    # scaled from within, a path that looks at a point still does
    film = plan(scene, wish(projection="perspective", width=64, camera="llff", seconds=1.0))
    for pose in film.poses:
        x, y, z, _ = np.linalg.inv(np.array(pose.matrix)) @ [0, 2.0, 0, 1]
        assert math.hypot(x, y) < 1e-9 * z
    assert max(np.linalg.norm(p.position) for p in film.poses) <= 0.1001


def test_a_scene_that_was_not_measured_is_measured_once(tmp_path, monkeypatch):
    scene = make_scene()
    scene.safe_walk = None
    config = wish(projection="perspective", width=64, camera="dolly", seconds=0.5)
    first = plan(scene, config, cache=tmp_path)
    assert any("measured" in note for note in first.notes)
    alone = plan(scene, config)
    monkeypatch.setattr("holotime.safe_walk.measure", lambda *_, **__: pytest.fail("measured again"))
    again = plan(scene, config, cache=tmp_path)
    assert any("earlier render" in note for note in again.notes)
    assert first.poses == again.poses == alone.poses
    changed = scene.select(np.arange(len(scene) - 1))
    with pytest.raises(pytest.fail.Exception, match="measured again"):
        plan(changed, config, cache=tmp_path)


def test_stereo_keeps_the_horizon_level_unless_the_path_was_keyed_by_hand():
    scene = make_scene()
    for camera in ("reveal", "flythrough"):
        stereo = plan(scene, wish(projection="ods", width=64, camera=camera, seconds=1.0))
        assert all(abs(p.matrix[2][2]) < 1e-12 and abs(p.matrix[2][0]) < 1e-12 for p in stereo.poses)
    tilted = plan(scene, wish(projection="ods", width=64, camera="reveal", seconds=1.0, level=False))
    assert min(p.matrix[2][2] for p in tilted.poses) < -0.3
    keyed = CameraPath(tilted.poses)
    assert plan(scene, wish(projection="ods", width=64), path=keyed).poses == tilted.poses


def test_cameras_from_files(tmp_path):
    poses = camera_path.evaluate(camera_path.load_presets(presets_root() / "cameras")["llff"], 6)
    (tmp_path / "ours.json").write_text(camera_path.to_json(poses))
    (tmp_path / "nerf.json").write_text(camera_path.to_nerfstudio(poses, 64, 36, 6.0))
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\ntitle = "Mine"\ndescription = "Up."\nduration = 1.0\nloop = false\n[lens]\nfov = 60\n'
        '[[motion]]\nchannel = "up"\nkind = "ramp"\nfrom = 0.0\nto = 0.2\n'
    )
    scene, config = make_scene(), wish(projection="perspective", width=64)
    ours, nerf = (plan(scene, config, path=read_camera(tmp_path / n)).poses for n in ("ours.json", "nerf.json"))
    np.testing.assert_allclose([p.matrix for p in ours], [p.matrix for p in poses], atol=1e-12)
    np.testing.assert_allclose([p.matrix for p in nerf], [p.matrix for p in poses], atol=1e-9)
    assert plan(scene, config, path=read_camera(tmp_path / "mine.toml")).poses[-1].position[2] == pytest.approx(0.2)
    assert (
        len(
            plan(
                scene, wish(projection="perspective", width=64, fps=12), path=read_camera(tmp_path / "nerf.json")
            ).poses
        )
        == 12
    )
    (tmp_path / "bad.json").write_text("[]")
    for name, words in (("none.json", "cannot be read"), ("bad.json", "0 poses")):
        with pytest.raises(InputError, match=words):
            read_camera(tmp_path / name)


def test_a_lens_with_shift_and_clip_reaches_the_picture():
    scene, config = make_scene(), wish(projection="perspective", width=64, height=64)
    plain = Pose(camera_path.still(1.0).matrix, 1.0)
    shifted = Pose(plain.matrix, 1.0, shift=(0.25, 0.0))
    near = Pose(plain.matrix, 1.0, clip=(0.01, 2.0))
    film = plan(scene, config, path=CameraPath([plain, shifted, near]))
    film.playback = type(film.playback)(speed=0)
    a, b, c = (f for f in film.draw([0, 1, 2]))
    assert np.abs(a.color[:, 16:] - b.color[:, :-16]).max() < 0.06  # a quarter of the width to the right
    assert np.abs(a.color - c.color).max() > 0.2  # the shell, 4 m away, is gone


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_every_projection_has_a_size_that_a_video_takes(projection):
    width, height = wish(projection=projection).size()
    assert width % 2 == height % 2 == 0
    View(projection, (width, height))


def test_presets_give_size_codec_and_quality(tmp_path):
    assert wish(preset="quest3").size() == (5760, 5760)
    assert wish(preset="quest3").encoding() == ("h265", 8, 20)
    assert wish(preset="quest3", width=1024).size() == (1024, 1024)
    assert wish(preset="vr180").size() == (7680, 3840)
    assert wish(preset="desktop4k").shape() == "perspective"
    assert wish(preset="desktop4k", width=1280).size() == (1280, 720)
    assert wish(preset="quest3", codec="av1").encoding() == ("av1", 8, None)
    render_to(make_scene(), wish(preset="quest3", width=128), tmp_path / "q_360_TB.mp4")
    with av.open(str(tmp_path / "q_360_TB.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "hevc"
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


def test_the_name_that_players_want_is_suggested(tmp_path):
    made = render_to(make_scene(), wish(projection="vr180", width=64, seconds=0.3), tmp_path / "v.mp4")
    assert any("_180x180_3dh.mp4" in note for note in made.notes)
    made = render_to(make_scene(), wish(projection="vr180", width=64, seconds=0.3), tmp_path / "v_180x180_3dh.mp4")
    assert not made.notes


@pytest.mark.parametrize(
    ("settings", "name", "words"),
    [
        ({"preset": "quest4"}, "v.mp4", "no video preset 'quest4'. Choose one of: .*quest3"),
        ({"preset": "quest3", "projection": "vr180"}, "v.mp4", "is ods, not vr180"),
        ({"preset": "quest3", "width": 6144}, "v.mp4", r"Meta Quest 3 decodes H\.265 up to 35\.4 MP"),
        ({"preset": "quest3", "codec": "prores"}, "v.mov", "does not play ProRes"),
        ({"projection": "ods", "width": 8192}, "v.mp4", r"67\.1 MP\) is beyond the highest level of H\.264"),
        ({"projection": "ods", "width": 63}, "v.mp4", "multiple of 2: 64, not 63"),
        ({"projection": "equirect", "width": 64, "height": 64}, "v.mp4", "leave out the height"),
        ({"projection": "equirect", "camera": "spin"}, "v.mp4", "no camera path 'spin'. Choose one of: back_and_forth"),
        ({"projection": "equirect", "camera": "llff", "parameters": {"radios": 1}}, "v.mp4", "no parameter 'radios'"),
        ({"projection": "equirect", "behind": "transparent"}, "v.mp4", "h264 keeps no transparency.*prores4444"),
        ({"projection": "equirect", "behind": "transparent"}, "v.jpg", "JPEG keeps no transparency"),
        ({"projection": "equirect", "distance": "ray"}, "v.png", "needs EXR"),
        ({"projection": "equirect", "distance": "planar"}, "v.exr", "no planar depth"),
        ({"projection": "equirect", "codec": "prores"}, "v.mp4", "name it .mov"),
        ({"projection": "perspective", "width": 65, "height": 33}, "v.mp4", "even sides"),
    ],
)
def test_bad_wishes_are_refused_before_work(tmp_path, settings, name, words):
    with pytest.raises(InputError, match=words):
        render_to(make_scene(), wish(**settings), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "words"), [("5:5", "zero frames"), ("7:3", "zero frames"), ("5", "cannot be read"), ("a:b", "0:24")]
)
def test_frames_that_cannot_be_meant(text, words):
    with pytest.raises(InputError, match=words):
        frame_range(text)
    assert frame_range("2:5") == range(2, 5)
    assert frame_range("") is None


def test_frames_that_are_not_there(tmp_path):
    config = wish(projection="equirect", width=64)
    for frames in (range(4, 9), range(3, 3)):
        with pytest.raises(InputError, match="frames 0 to 5"):
            render_to(make_scene(), config, tmp_path / "v.mp4", frames=frames)
    with pytest.raises(InputError, match="is one picture"):
        render_to(make_scene(), config, tmp_path / "v.png", frames=range(2))
    with pytest.raises(InputError, match="no sound"):
        render_to(make_scene(), config, tmp_path / "v.png", audio=tmp_path / "a.wav")


def test_cancel_leaves_nothing(tmp_path):
    def cancel(fraction, note=""):
        if fraction > 0.3:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        render_to(make_scene(), wish(projection="ods", width=64), tmp_path / "v.mp4", progress=cancel)
    assert not list(tmp_path.iterdir())


def test_no_black_is_left_when_the_head_moves(tmp_path):
    path = CameraPath([camera_path.placed(camera_path.still(1.0), (1.5, 0.0, 0.0))] * 2)
    render_to(make_scene(reach=2.0), wish(projection="ods", width=128), tmp_path / "v.mp4", path=path)
    assert read_clip(tmp_path / "v.mp4").frames.max(-1).min() > 40


def test_moved_eyes(tmp_path):
    (tmp_path / "views.json").write_text(json.dumps({"views": {"left": [-0.5, 0, 0]}, "frames": [0, 2]}))
    views, frames = read_eyes(tmp_path / "views.json")
    assert render_eyes(make_scene(), views, frames, tmp_path / "n", width=64, backend="cpu") == 2
    assert sorted(f.name for f in (tmp_path / "n").iterdir()) == ["left_00.png", "left_02.png"]
    with pytest.raises(InputError, match="frames 0 to 5"):
        render_eyes(make_scene(), views, [9], tmp_path / "m", width=64)
