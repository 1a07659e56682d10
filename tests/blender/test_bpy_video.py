"""The video panel without a sidecar: its rules are the library's, its settings become the sidecar's parameters."""

import itertools
import json
import os
import subprocess
from pathlib import Path

import bpy
import pytest
import scenes

pytestmark = pytest.mark.bpy

PROJECTIONS = ("ods", "equirect", "perspective", "vr180", "fisheye", "cubemap")
CODECS = ("h264", "h265", "av1", "prores", "prores4444")
TARGETS = ("NONE", "quest3", "mobile360", "vr180", "youtube8k", "desktop360", "desktop4k")


@pytest.fixture
def scene(holotime, tmp_path) -> bpy.types.Scene:
    """A Blender scene with a small HoloTime scene of 2 s in it."""
    path = scenes.write_scene(tmp_path / "scene.safetensors", scenes.random_scene())
    bpy.ops.holotime.import_scene(filepath=str(path))
    return bpy.context.scene


def ask_library(code: str, data: object) -> list:
    """Run Python with the library; it reads ``data`` from standard input and prints JSON."""
    python = os.environ.get("HOLOTIME_PYTHON")
    if not python:
        if os.environ.get("CI") == "true":
            pytest.fail("HOLOTIME_PYTHON must name a Python in which the library is installed")
        pytest.skip("set HOLOTIME_PYTHON to a Python in which the library is installed")
    run = subprocess.run([python, "-c", code], input=json.dumps(data), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_panel_refuses_exactly_what_the_library_refuses(installed):
    """Every projection, codec and depth at sizes around every limit, for every player."""
    from bl_ext.user_default.holotime.video import check, players

    widths = (30, 33, 256, 1023, 2048, 3840, 4096, 4100, 5760, 5954, 5976, 8192, 16384)
    cases = []
    for target, projection, codec, bits in itertools.product(TARGETS, PROJECTIONS, CODECS, (8, 10)):
        wanted = players.targets().get(target)
        if wanted and wanted.projection != projection:
            continue
        for width, fps in itertools.product(widths, (12.0, 30.0, 61.0)):
            height = 2 * round(width * 9 / 32)
            for transparent in (False, True) if width == 2048 else (False,):
                wish = check.Wish(projection, width, height, fps, codec, bits, transparent, wanted)
                cases.append((target, projection, width, height, fps, codec, bits, transparent, check.problem(wish)))
    code = """
import json, sys
from holotime.config import from_params
from holotime.errors import InputError
from holotime.video.codecs import CODECS
from holotime.video.config import RenderConfig
out = []
for target, projection, width, height, fps, codec, bits, transparent, _ in json.load(sys.stdin):
    params = {"projection": projection, "width": width, "fps": fps, "codec": codec, "bits": bits}
    params |= {"preset": target} if target != "NONE" else {}
    params |= {"height": height} if projection == "perspective" else {}
    try:
        config = from_params(RenderConfig, params)
        if transparent and codec != "prores4444":
            raise InputError("no alpha")
        size, preset = config.size(), config.video_preset()
        if preset is not None:
            preset.check(*size, fps, codec, bits)
        CODECS[codec].check(*size, bits, CODECS[codec].containers[0])
        out.append("")
    except InputError as error:
        out.append(str(error))
print(json.dumps(out))
"""
    verdicts = ask_library(code, cases)
    assert len(verdicts) == len(cases) > 2000
    wrong = [(case, said) for case, said in zip(cases, verdicts, strict=True) if bool(case[-1]) != bool(said)]
    assert not wrong, wrong[:5]
    assert sum(not said for said in verdicts) > 300


def test_targets_and_codecs_are_the_librarys(installed):
    from bl_ext.user_default.holotime.video import codecs, players

    code = """
import json
from holotime.video.codecs import CODECS
from holotime.video.presets import load_presets
codecs = {}
for c in CODECS.values():
    codecs[c.name] = [c.title, sorted(c.pixels), c.containers[0], c.crf, c.most_pixels, c.longest_side]
presets = {p.name: [p.title, p.projection, p.width, p.height, p.codec, p.bits, p.crf] for p in load_presets().values()}
print(json.dumps([codecs, presets]))
"""
    theirs, presets = ask_library(code, None)
    ours = {
        c.name: [c.title, list(c.bits), c.ending, c.crf, c.most_pixels, list(c.longest)] for c in codecs.CODECS.values()
    }
    for name, (title, *rest) in theirs.items():
        assert title.startswith(ours[name][0])
        assert ours[name][1:] == rest, name
    assert set(ours) == set(theirs)
    mine = players.targets().values()
    assert {t.name: [t.title, t.projection, t.width, t.height, t.codec, t.bits, t.crf] for t in mine} == presets
    assert set(TARGETS) == {item[0] for item in players.enum_items()}
    assert len({item[4] for item in players.enum_items()}) == len(TARGETS)


def test_a_player_sets_everything_and_says_what_it_cannot_show(scene):
    from bl_ext.user_default.holotime.operators import video

    settings, obj = scene.holotime, scene.objects[0]
    settings.vr_target = "vr180"
    assert (settings.vr_projection, settings.vr_width, settings.vr_codec) == ("vr180", 3840, "h265")
    assert video.wish_of(scene, obj).size == (7680, 3840)
    assert video.why_not(scene, obj) == ""
    params = video.render_params(scene, obj)
    assert (params["preset"], params["width"], params["crf"], params["bits"]) == ("vr180", 3840, 20, 8)
    settings.vr_codec = "prores"
    assert settings.vr_bits == "10"  # the only depth that it has
    assert "does not play ProRes" in video.why_not(scene, obj)
    settings.vr_projection = "equirect"  # another kind of video than the player's: no player any more
    assert settings.vr_target == "NONE"
    assert video.why_not(scene, obj) == ""
    settings.vr_behind = "transparent"
    assert "ProRes 4444" in video.why_not(scene, obj)
    settings.vr_codec = "prores4444"
    assert video.why_not(scene, obj) == ""
    settings.vr_projection = "perspective"
    assert "no camera" in video.why_not(scene, obj)
    settings.vr_projection, settings.vr_audio = "ods", "//missing.wav"
    assert "missing.wav" in video.why_not(scene, obj)


def test_keys_on_the_playback_are_noticed(scene):
    from bl_ext.user_default.holotime.operators import video
    from bl_ext.user_default.holotime.scene_import.splat_object import input_property, scene_modifier

    obj = scene.objects[0]
    obj.keyframe_insert("location", frame=1)
    assert not video.playback_is_keyed(obj)
    owner, prop = input_property(scene_modifier(obj), "Speed")
    owner.keyframe_insert(prop, frame=1)
    assert video.playback_is_keyed(obj)


def test_quality_and_endings(scene):
    from bl_ext.user_default.holotime.operators import video

    settings, obj = scene.holotime, scene.objects[0]
    crf = {}
    for quality in ("DRAFT", "STANDARD", "BEST"):
        settings.vr_quality = quality
        params = video.render_params(scene, obj)
        crf[quality] = params["crf"], params["effort"]
    assert crf == {"DRAFT": (24, "fast"), "STANDARD": (16, "balanced"), "BEST": (12, "best")}
    settings.vr_codec = "prores"
    assert "crf" not in video.render_params(scene, obj)
    assert video.with_ending("/a/clip.mp4", "prores") == str(Path("/a/clip.mov"))
    assert video.with_ending("/a/clip.v2", "h264") == str(Path("/a/clip.v2.mp4"))
    assert video.with_ending("/a/clip.MOV", "av1") == str(Path("/a/clip.mp4"))


@pytest.mark.parametrize("loops", [True, False])
def test_the_video_plays_as_the_scene_plays(holotime, tmp_path, loops):
    """For every way to play, the library shows at each moment the scene time that Blender's node group shows."""
    from bl_ext.user_default.holotime.operators import video
    from bl_ext.user_default.holotime.scene_import.splat_object import scene_modifier, set_input

    path = scenes.write_scene(tmp_path / "s.safetensors", scenes.random_scene(), loop=loops)
    bpy.ops.holotime.import_scene(filepath=str(path))
    scene = bpy.context.scene
    modifier, duration = scene_modifier(scene.objects[0]), 2.0
    scene.frame_start = 7
    start = 7 / 12
    moments = [0.0, 0.3, 0.9, 1.7, 2.9]
    cases, wanted = [], []
    for offset, speed, phase, loop, ping_pong in itertools.product(
        (0.0, 0.25), (1.0, 0.5, -1.0), (0.0, 0.4), (True, False), (True, False)
    ):
        values = {"Offset": offset, "Speed": speed, "Phase": phase, "Loop": loop, "Ping-Pong": ping_pong}
        for name, value in values.items():
            set_input(modifier, name, value)
        params = video.render_params(scene, scene.objects[0])
        if not ping_pong and loop and not loops:
            continue  # the library rests for one frame before it jumps back; Blender jumps at once
        cases.append([params[name] for name in ("repeat", "phase", "speed")])
        row = []
        for moment in moments:
            clips = (start + moment - offset) * speed / duration + phase
            if ping_pong:
                folded = clips % 2.0
                clips = folded if folded <= 1 else 2 - folded
            else:
                clips = clips % 1.0 if loop else min(max(clips, 0.0), 1.0)
            row.append(clips * duration)
        wanted.append(row)
    code = f"""
import json, sys
from types import SimpleNamespace
from holotime.video.playback import Playback
scene = SimpleNamespace(duration=2.0, fps=12.0, loop={loops})
print(json.dumps([[Playback(r, p, s).seconds(scene, m) for m in {moments}] for r, p, s in json.load(sys.stdin)]))
"""
    for case, shown, want in zip(cases, ask_library(code, cases), wanted, strict=True):
        for a, b in zip(shown, want, strict=True):
            apart = abs(a - b)
            assert min(apart, duration - apart if loops else apart) < 1e-5, (case, shown, want)


def test_presets_of_the_menu_set_a_player(scene):
    folder = Path(bpy.utils.preset_paths("holotime/video")[0])
    assert bpy.utils.preset_find("Quest_3_stereo_360", "holotime/video"), folder
    for name, target in (("Quest_3_stereo_360", "quest3"), ("Quick_look", "NONE"), ("Desktop_4K_flat", "desktop4k")):
        found = bpy.utils.preset_find(name, "holotime/video")
        bpy.ops.script.execute_preset(filepath=found, menu_idname="HOLOTIME_PT_video_presets")
        assert scene.holotime.vr_target == target
    scene.holotime.vr_target, scene.holotime.vr_speed = "quest3", 0.5
    bpy.ops.holotime.video_preset_add(name="Slow Quest")
    scene.holotime.vr_target, scene.holotime.vr_speed = "vr180", 1.0
    found = bpy.utils.preset_find("Slow Quest", "holotime/video", display_name=True)
    bpy.ops.script.execute_preset(filepath=found, menu_idname="HOLOTIME_PT_video_presets")
    assert (scene.holotime.vr_target, scene.holotime.vr_speed) == ("quest3", 0.5)
    Path(found).unlink()
