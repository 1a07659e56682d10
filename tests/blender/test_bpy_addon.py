"""The extension itself: registering, what it loads, its zip, and cameras."""

import json
import math
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import bpy
import numpy as np
import pytest

pytestmark = pytest.mark.bpy

PRESET_OPERATORS = ("name", "remove_name", "remove_active")  # of Blender's own base class
OPERATORS = {
    "add_shadow_catcher",
    "clear_strokes",
    "estimate_light",
    "export_ply",
    "export_scene",
    "forget_finished",
    "make_panorama",
    "mark_camera",
    "motion_brush",
    "move_job",
    "open_report",
    "paint_freeze_mask",
    "relink_scene",
    "retry_job",
    "select_camera",
    "select_scene",
    "setup_compositing",
    "setup_vr",
    "show_preferences",
    "strokes_from_annotations",
    "write_scene",
    "view_from_eye",
    "setup_sidecar",
    "connect",
    "disconnect",
    "start_sidecar",
    "generate",
    "cancel_job",
    "import_result",
    "import_scene",
    "keep_beside",
    "set_world_clip",
    "add_camera_path",
    "render_vr",
}


def test_every_operator_is_there(holotime):
    assert set(dir(bpy.ops.holotime)) >= OPERATORS
    for name in OPERATORS:
        assert getattr(bpy.ops.holotime, name).get_rna_type().description


def test_every_property_has_a_tooltip(holotime):
    classes = [cls for cls in holotime.CLASSES if hasattr(cls, "bl_rna")]
    for cls in classes:
        rna = getattr(bpy.types, cls.__name__, cls).bl_rna
        for prop in rna.properties:
            ours = any(prop.identifier in vars(base).get("__annotations__", {}) for base in cls.__mro__)
            if ours and not prop.is_hidden and prop.identifier not in ("filter_glob", *PRESET_OPERATORS):
                internal = cls.__name__ == "HoloTimeCameraParameter" and prop.identifier != "value"
                assert internal or prop.description, f"{cls.__name__}.{prop.identifier}"


def test_unregister_and_register_again(holotime):
    bpy.ops.preferences.addon_disable(module="bl_ext.user_default.holotime")
    assert not hasattr(bpy.types.Scene, "holotime")
    assert "generate" not in dir(bpy.ops.holotime)
    bpy.ops.preferences.addon_enable(module="bl_ext.user_default.holotime")
    assert bpy.context.scene.holotime.frames == 24


def test_registering_loads_nothing_heavy(holotime):
    """In a fresh Blender that finds the extension enabled."""
    code = """
import bpy, sys
before = set(sys.modules)
bpy.ops.preferences.addon_enable(module="bl_ext.user_default.holotime")
new = set(sys.modules) - before
assert any(name.endswith("holotime.client") for name in new)
print("NEW", sorted(n for n in new if n.split(".")[0] in ("numpy", "zmq", "msgpack", "torch", "pickle", "hashlib")))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert run.returncode == 0, run.stderr
    assert "NEW []" in run.stdout


def test_the_zip_is_deterministic_and_complete(addon_zip, tmp_path):
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, str(root / "build_addon.py"), "--out", str(tmp_path), "--json"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    again = Path(json.loads(run.stdout)["zip"])
    assert again.read_bytes() == addon_zip.read_bytes()
    assert "Success" in json.loads(run.stdout)["validated"]
    with zipfile.ZipFile(again) as archive:
        names = archive.namelist()
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
        assert archive.read("vendor/protocol.py") == (root / "sidecar" / "protocol.py").read_bytes()
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert manifest["version"] == project["version"]
    assert {wheel.removeprefix("./") for wheel in manifest["wheels"]} == {n for n in names if n.startswith("wheels/")}
    assert all(any(f"{package}-" in wheel for wheel in manifest["wheels"]) for package in ("pyzmq", "msgpack"))
    assert not any(text.endswith((".", "!", "?")) for text in manifest["permissions"].values())
    assert "LICENSE" in names


def test_axes():
    from bl_ext.user_default.holotime.cameras import axes

    rng = np.random.default_rng(0)
    for _ in range(50):
        rotation, _r = np.linalg.qr(rng.normal(size=(3, 3)))
        rotation *= np.sign(np.linalg.det(rotation))
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, rng.normal(size=3)
        turned = np.array(axes.opencv_to_blender(pose.tolist()))
        np.testing.assert_allclose(-turned[:3, 2], rotation[:, 2])  # looks along -z
        np.testing.assert_allclose(turned[:3, 1], -rotation[:, 1])  # y is up
        np.testing.assert_allclose(np.linalg.det(turned), 1)
        np.testing.assert_allclose(axes.opencv_to_blender(turned), pose)
        w, x, y, z = axes.quaternion(turned)
        back = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        np.testing.assert_allclose(back, turned[:3, :3], atol=1e-12)
    assert axes.focal_length(math.pi / 2) == pytest.approx(18.0)


def preset_names() -> list[str]:
    return sorted(path.stem for path in (Path(__file__).parents[2] / "presets" / "cameras").glob("*.toml"))


@pytest.mark.parametrize("name", preset_names())
def test_camera_keys_are_the_presets_poses(holotime, name):
    from bl_ext.user_default.holotime.cameras import axes
    from bl_ext.user_default.holotime.cameras.presets import presets
    from bl_ext.user_default.holotime.vendor import camera_path

    scene = bpy.context.scene
    scene.render.fps, scene.frame_start, scene.frame_end = 12, 5, 8
    bpy.ops.holotime.add_camera_path(preset=name)
    camera = scene.camera
    preset = presets()[name]
    frames = round(preset.duration * 12)
    poses = camera_path.evaluate(preset, frames, seconds=preset.duration)
    assert scene.frame_end == 5 + frames - 1
    for i in {0, 1, frames // 3, frames - 1}:
        scene.frame_set(5 + i)
        want = np.array(axes.opencv_to_blender(poses[i].matrix))
        np.testing.assert_allclose(np.array(camera.matrix_world), want, atol=2e-5)
        assert camera.data.angle_x == pytest.approx(poses[i].fov_x, abs=1e-4)
    scene.frame_set(6, subframe=0.5)  # between keys: no quaternion that goes the long way round
    middle = np.array(camera.matrix_world)[:3, 2]
    ends = [np.array(axes.opencv_to_blender(poses[i].matrix))[:3, 2] for i in (1, 2)]
    assert min(middle @ end for end in ends) >= ends[0] @ ends[1] - 1e-4


def test_camera_parameters(holotime):
    settings = bpy.context.scene.holotime
    settings.camera_preset = "dolly"
    values = {item.name: item for item in settings.camera_parameters}
    values["end"].value = 99.0
    assert values["end"].value == values["end"].maximum  # clamped to the preset's range
    values["start"].value, values["end"].value = 0.0, 1.0
    bpy.ops.holotime.add_camera_path()
    scene = bpy.context.scene
    scene.frame_set(scene.frame_end)
    assert tuple(scene.camera.location) == pytest.approx((0, 1, 0), abs=1e-5)
    bpy.ops.holotime.add_camera_path(preset="dolly", parameters='{"start": 0, "end": 0.5}', duration=2.0)
    scene.frame_set(scene.frame_start + 2 * scene.render.fps - 1)
    assert tuple(scene.camera.location) == pytest.approx((0, 0.5, 0), abs=1e-5)
    with pytest.raises(RuntimeError, match="no parameter 'nonsense'"):
        bpy.ops.holotime.add_camera_path(preset="dolly", parameters='{"nonsense": 1}')
    with pytest.raises(RuntimeError, match="There is no camera path"):
        bpy.ops.holotime.add_camera_path(preset="nothing")


def test_a_repository_lists_the_zip(tmp_path):
    root = Path(__file__).parents[2]
    command = [sys.executable, str(root / "build_addon.py"), "--repository", str(tmp_path), "--json"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    built = json.loads(run.stdout)
    index = json.loads((tmp_path / "index.json").read_text())
    (entry,) = index["data"]
    assert (index["version"], entry["id"], entry["archive_url"]) == ("v1", "holotime", "./holotime-0.1.0.zip")
    assert entry["archive_size"] == Path(built["zip"]).stat().st_size
    assert entry["archive_hash"] == f"sha256:{built['sha256']}"
    # Blender's own generator makes the same list
    own = next(Path(bpy.utils.resource_path("LOCAL")).glob("scripts/addons_core/bl_pkg/cli/blender_ext.py"))
    elsewhere = tmp_path / "own"
    elsewhere.mkdir()
    (elsewhere / Path(built["zip"]).name).write_bytes(Path(built["zip"]).read_bytes())
    command = [sys.executable, str(own), "server-generate", "--repo-dir", str(elsewhere)]
    subprocess.run(command, check=True, capture_output=True)
    theirs = json.loads((elsewhere / "index.json").read_text())["data"][0]
    assert {k: v for k, v in theirs.items() if k in entry} == entry


def test_presets_of_the_panels_are_found_and_run(holotime):
    scene = bpy.context.scene
    for subdir, names in (("motion", 4), ("quality", 3), ("video", 8)):
        folders = [Path(p) for p in bpy.utils.preset_paths(f"holotime/{subdir}")]
        files = sorted(f for folder in folders for f in folder.glob("*.py"))
        assert len(files) == names
        for file in files:
            bpy.ops.script.execute_preset(filepath=str(file), menu_idname=f"HOLOTIME_PT_{subdir}_presets")
    scene.holotime.width = 512
    bpy.ops.holotime.quality_preset_add(name="Mine")
    scene.holotime.width = 1024
    mine = bpy.utils.preset_find("Mine", "holotime/quality")
    bpy.ops.script.execute_preset(filepath=mine, menu_idname="HOLOTIME_PT_quality_presets")
    assert scene.holotime.width == 512


@pytest.mark.parametrize(("size", "fit"), [((960, 540), "AUTO"), ((540, 960), "AUTO"), ((960, 540), "VERTICAL")])
def test_the_sidecar_sees_what_blenders_camera_frames(holotime, size, fit):
    """The corners of the camera's frame, as Blender gives them, are the corners of the picture of the path."""
    from bl_ext.user_default.holotime.operators.camera import camera_poses
    from bl_ext.user_default.holotime.vendor import camera_path

    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = size
    data = bpy.data.cameras.new("lens")
    data.lens, data.sensor_width, data.sensor_height, data.sensor_fit = 28.0, 30.0, 20.0, fit
    data.shift_x, data.shift_y, data.clip_start, data.clip_end = 0.1, -0.05, 0.2, 300.0
    scene.camera = bpy.data.objects.new("lens", data)
    scene.collection.objects.link(scene.camera)
    scene.frame_start = scene.frame_end = 1
    (pose,) = camera_path.from_json(json.dumps(camera_poses(bpy.context, None)))
    assert pose.clip == pytest.approx((0.2, 300.0))
    corners = np.array([np.array(c) / -c[2] for c in data.view_frame(scene=scene)])  # x right, y up, at depth one
    half = math.tan(pose.fov_x / 2)
    middle = 2 * half * np.array(pose.shift)
    aspect = size[1] / size[0]
    np.testing.assert_allclose(corners[:, 0].max(), middle[0] + half, atol=1e-5)
    np.testing.assert_allclose(corners[:, 0].min(), middle[0] - half, atol=1e-5)
    np.testing.assert_allclose(corners[:, 1].max(), middle[1] + half * aspect, atol=1e-5)
    np.testing.assert_allclose(corners[:, 1].min(), middle[1] - half * aspect, atol=1e-5)
