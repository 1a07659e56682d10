"""A camera keyed in Blender: the sidecar's pixels are those that Blender's camera sees.

Blender renders small bright spheres (Cycles, in its own environment); the same spheres as splats are drawn here with
the lens that ``camera_path.blender_lens`` makes of Blender's settings. Their centres are compared in pixels.
"""

import json
import math
import os
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from holotime.camera_path import Pose, blender_lens, from_json, to_json
from holotime.render.views import Output, View, renderer
from holotime.scene4d import ALWAYS, Scene4D
from holotime.video.config import RenderConfig
from holotime.video.film import CameraPath, plan

ROOT = Path(__file__).parents[3]
BLENDER = ROOT / ".venv-blender" / "bin" / "python"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BLENDER.is_file() and not os.environ.get("CI"), reason="no Blender environment"),
]

# Directions in front of a camera that looks along +Y from (0.2, -0.1, 0.1), and their colours.
BALLS = [
    ((-1.2, 4.0, 0.5), (1, 0, 0)),
    ((1.4, 4.5, 0.7), (0, 1, 0)),
    ((0.3, 5.0, -0.8), (0, 0, 1)),
    ((-0.4, 3.0, -0.1), (1, 1, 0)),
    ((0.9, 9.0, 0.2), (1, 0, 1)),
    ((0.5, 1.2, 3.6), (0, 1, 1)),  # 69 degrees up, where the eyes of a panorama draw together
]
RADIUS = 0.012  # of each ball, in distances
SHOTS = {
    "plain": {"size": [320, 180], "lens": 30.0},
    "portrait": {"size": [180, 320], "lens": 30.0},
    "vertical": {"size": [320, 180], "lens": 30.0, "sensor_fit": "VERTICAL", "sensor_height": 20.0},
    "horizontal": {"size": [180, 320], "lens": 24.0, "sensor_fit": "HORIZONTAL", "sensor_width": 32.0},
    "shifted": {"size": [320, 200], "lens": 28.0, "shift": [0.12, -0.07]},
    "shifted portrait": {"size": [200, 320], "lens": 28.0, "shift": [-0.06, 0.1]},
    "turned": {"size": [320, 180], "lens": 26.0, "rotation": [84.0, 7.0, 9.0]},
    "clipped": {"size": [320, 180], "lens": 30.0, "clip": [3.5, 7.0]},
    "panorama": {"size": [512, 256], "panorama": True, "rotation": [84.0, 7.0, 40.0]},
    "dome": {"size": [400, 400], "fisheye": True, "rotation": [84.0, 7.0, 10.0]},
}
STEREO = {"size": [768, 384], "panorama": True, "ipd": 0.5, "rotation": [90.0, 0.0, 25.0]}  # pictures L and R

IN_BLENDER = """
import json, math, sys
import bpy
from mathutils import Vector
balls, radius, shots, out = json.loads(sys.argv[1])
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.seed = 32, False, 1
scene.render.threads_mode, scene.render.threads = "FIXED", 1
scene.render.film_transparent = False
scene.view_settings.view_transform = "Standard"
scene.cycles.pixel_filter_type = "BOX"
scene.render.image_settings.file_format = "PNG"
scene.world = bpy.data.worlds.new("black")
scene.world.use_nodes = True
scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (0, 0, 0, 1)
for place, color in balls:
    size = radius * Vector(place).length
    bpy.ops.mesh.primitive_uv_sphere_add(radius=size, location=place, segments=48, ring_count=24)
    material = bpy.data.materials.new("light")
    material.use_nodes = True
    nodes = material.node_tree.nodes
    nodes.clear()
    light, end = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    light.inputs["Color"].default_value = (*color, 1)
    material.node_tree.links.new(light.outputs[0], end.inputs[0])
    bpy.context.object.data.materials.append(material)
result = {}
for name, shot in shots.items():
    data = bpy.data.cameras.new(name)
    camera = bpy.data.objects.new(name, data)
    scene.collection.objects.link(camera)
    camera.location = (0.2, -0.1, 0.1)
    camera.rotation_euler = [math.radians(a) for a in shot.get("rotation", (90.0, 0.0, 0.0))]
    data.lens = shot.get("lens", 50.0)
    data.sensor_fit = shot.get("sensor_fit", "AUTO")
    data.sensor_width, data.sensor_height = shot.get("sensor_width", 36.0), shot.get("sensor_height", 24.0)
    data.shift_x, data.shift_y = shot.get("shift", (0.0, 0.0))
    data.clip_start, data.clip_end = shot.get("clip", (0.01, 1000.0))
    if shot.get("panorama"):
        data.type, data.panorama_type = "PANO", "EQUIRECTANGULAR"
    if shot.get("fisheye"):
        data.type, data.panorama_type, data.fisheye_fov = "PANO", "FISHEYE_EQUIDISTANT", math.pi
    if shot.get("ipd"):
        scene.render.use_multiview = True
        scene.render.image_settings.views_format = "INDIVIDUAL"
        data.stereo.use_spherical_stereo, data.stereo.convergence_mode = True, "PARALLEL"
        data.stereo.use_pole_merge, data.stereo.interocular_distance = True, shot["ipd"]
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = shot["size"]
    scene.render.filepath = f"{out}/{name}.png"
    bpy.ops.render.render(write_still=True)
    result[name] = [list(row) for row in camera.matrix_world]
json.dump(result, open(f"{out}/matrices.json", "w"))
"""


@pytest.fixture(scope="module")
def blender(tmp_path_factory):
    """Folder with what Blender rendered, and its cameras."""
    out = tmp_path_factory.mktemp("blender")
    job = json.dumps([BALLS, RADIUS, {**SHOTS, "stereo": STEREO}, str(out)])
    done = subprocess.run([str(BLENDER), "-c", IN_BLENDER, job], capture_output=True, text=True, timeout=300)
    assert (out / "matrices.json").is_file(), done.stderr[-2000:]
    return out, json.loads((out / "matrices.json").read_text())


def splats() -> Scene4D:
    """The same balls as splats of about their size."""
    means = np.array([place for place, _ in BALLS], float)
    n = len(means)
    return Scene4D(
        means=means,
        motion=np.zeros((n, 3, 3)),
        quats=np.tile([1.0, 0, 0, 0], (n, 1)),
        omegas=np.zeros((n, 4)),
        log_scales=np.log(np.repeat(0.5 * RADIUS * np.linalg.norm(means, axis=1)[:, None], 3, 1)),
        opacity_logits=np.full(n, 5.0),
        t_centers=np.zeros(n),
        t_log_scales=np.full(n, ALWAYS),
        colors=np.array([color for _, color in BALLS], float),
    )


def pose_of(shot: dict, matrix: list) -> Pose:
    """What an exporter makes of a Blender camera: OpenCV axes, horizontal field of view, shift in widths."""
    turned = tuple((r[0], -r[1], -r[2], r[3]) for r in matrix)
    width, height = shot["size"]
    options = {k: shot[k] for k in ("sensor_width", "sensor_height", "sensor_fit") if k in shot}
    fov, shift = blender_lens(
        width, height, lens=shot.get("lens", 50.0), shift=tuple(shot.get("shift", (0.0, 0.0))), **options
    )
    return Pose(turned, fov, shift, tuple(shot["clip"]) if "clip" in shot else None)


def centres(image: np.ndarray) -> list[tuple[float, float] | None]:
    """(x, y) of the middle of each ball's colour in a linear image [H, W, 3], None where it is not seen."""
    found = []
    for _, color in BALLS:
        want = np.array(color, bool)
        light = image[..., want].min(-1) - image[..., ~want].max(-1)
        light = np.where(light > 0.1 * max(light.max(), 0.3), light, 0)
        if light.sum() < 0.5:
            found.append(None)
            continue
        y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
        found.append((float((x * light).sum() / light.sum()), float((y * light).sum() / light.sum())))
    return found


def linear(path: Path) -> np.ndarray:
    """[H, W, 3] linear light of a picture that Blender wrote."""
    seen = cv2.imread(str(path))[..., ::-1] / 255.0
    return np.where(seen <= 0.04045, seen / 12.92, ((seen + 0.055) / 1.055) ** 2.4)


def test_both_eyes_of_a_panorama_see_what_blenders_see(blender):
    """Blender's spherical stereo with parallel eyes: the same disparity at every ball."""
    out, matrices = blender
    width = STEREO["size"][0]
    pose = pose_of(STEREO, matrices["stereo"])
    black = Output(behind=(0.0, 0.0, 0.0))
    view = View("ods", (width, width), np.array(pose.matrix), ipd_m=STEREO["ipd"], output=black)
    drawn = renderer("cpu", splats()).draw(view, 0).color.clip(0, 1)
    middles = {}
    for eye, letter in enumerate("LR"):
        ours = centres(drawn[eye * width // 2 :][: width // 2])
        theirs = centres(linear(out / f"stereo_{letter}.png"))
        assert all(c is not None for c in (*ours, *theirs))
        assert max(math.dist(a, b) for a, b in zip(ours, theirs, strict=True)) < 0.3
        middles[letter] = ours
    apart = [left[0] - right[0] for left, right in zip(middles["L"], middles["R"], strict=True)]
    assert min(apart) > 3, "the eyes see something else"


@pytest.mark.parametrize("name", sorted(SHOTS))
def test_the_same_pixels_as_blenders_camera(blender, name):
    out, matrices = blender
    shot = SHOTS[name]
    (pose,) = from_json(to_json([pose_of(shot, matrices[name])]))  # through the file that travels
    projection = "equirect" if shot.get("panorama") else "fisheye" if shot.get("fisheye") else "perspective"
    size = {"width": shot["size"][0]} | ({"height": shot["size"][1]} if projection == "perspective" else {})
    config = RenderConfig(projection=projection, dome="front", backend="cpu", behind="black", safe="off", **size)
    film = plan(splats(), config, path=CameraPath([pose]))
    (frame,) = film.draw([0])
    ours, theirs = centres(frame.color.clip(0, 1)), centres(linear(out / f"{name}.png"))
    assert [c is None for c in ours] == [c is None for c in theirs]
    apart = [math.dist(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    assert len(apart) >= (2 if "clip" in shot else 4)
    assert max(apart) < 0.25, apart


def test_the_check_can_fail(blender):
    """Without the shift the same comparison is tens of pixels off."""
    _, matrices = blender
    pose = pose_of(SHOTS["shifted"], matrices["shifted"])
    draws = renderer("cpu", splats())
    views = [
        View("perspective", (320, 200), np.array(pose.matrix), fov=pose.fov_x, fit="horizontal", shift=shift)
        for shift in (pose.shift, (0.0, 0.0))
    ]
    a, b = (centres(draws.draw(view, 0).color.clip(0, 1)) for view in views)
    assert math.dist(a[2], b[2]) > 20
