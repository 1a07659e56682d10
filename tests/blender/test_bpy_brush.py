"""The motion brush: strokes and masks become the hint image that the animator reads."""

import json
import math
import os
import subprocess

import bpy
import numpy as np
import pytest
from mathutils import Vector

pytestmark = pytest.mark.bpy


def look(lam: float, phi: float) -> Vector:
    """Direction of a longitude and latitude in degrees."""
    a, b = math.radians(lam), math.radians(phi)
    return Vector((math.cos(b) * math.sin(a), math.cos(b) * math.cos(a), math.sin(b)))


def hint_of(image, lam: float, phi: float) -> np.ndarray:
    height, width = image.shape[:2]
    return image[int((0.5 - phi / 180) * height), int((lam / 360 + 0.5) * width) % width].astype(int)


@pytest.fixture
def drawn(holotime):
    """``drawn(strokes)``: the hint image of strokes [(points in degrees, freeze)]."""
    from bl_ext.user_default.holotime.motion_brush import hint, sources

    def draw(strokes):
        settings = bpy.context.scene.holotime
        settings.strokes.clear()
        settings.brush_speed = 10.0
        for points, freeze in strokes:
            sources.add_stroke(settings, [look(*p) for p in points], freeze)
        return hint.draw([sources._stroke(s) for s in settings.strokes], sources.frozen(bpy.context.scene), 256, 512)

    return draw


def test_a_stroke_has_its_direction_speed_and_place(drawn):
    image = drawn([([(-20, 0), (20, 0)], False), ([(90, -10), (90, 30)], False)])
    right, up, away = hint_of(image, 0, 0), hint_of(image, 90, 10), hint_of(image, -90, 0)
    assert right[0] == pytest.approx(128 + 127 * 10 / 20, abs=2)  # half of full scale, to the right
    assert right[1] == pytest.approx(128, abs=2)
    assert up[0] == pytest.approx(128, abs=2)
    assert up[1] == pytest.approx(128 + 63.5, abs=2)
    assert right[2] == up[2] == 255
    assert tuple(away) == (128, 128, 0, 0)
    assert hint_of(image, 0, 7)[2] == 0  # outside of the brush's radius of 6 degrees


def test_strokes_cross_the_seam_and_the_pole(drawn):
    image = drawn([([(170, 0), (-170, 0)], False)])
    assert hint_of(image, 179, 0)[0] > 180
    assert hint_of(image, -179, 0)[0] > 180
    turned = drawn([([(-10, 0), (10, 0)], False)])
    assert np.abs(np.roll(image, 256, 1).astype(int) - turned.astype(int)).max() <= 2
    pole = drawn([([(0, 80), (180, 80)], False)])
    assert (pole[:4, :, 2] == 255).all()  # the whole cap around the zenith
    assert pole[2, 256, 1] > 180  # in front of the pole it goes up,
    assert pole[2, 0, 1] < 76  # behind it down


def test_freezing(drawn):
    image = drawn([([(30, 10)], True)])
    assert hint_of(image, 30, 10)[3] == 255
    assert hint_of(image, 30, 14)[3] == 255
    assert hint_of(image, 30, 20)[3] == 0


def test_an_object_freezes_what_it_covers(holotime):
    from bl_ext.user_default.holotime.motion_brush import sources

    bpy.ops.mesh.primitive_cube_add(size=2, location=(0, 5, 0))
    cube = bpy.context.object
    bpy.context.view_layer.update()
    mask = sources.silhouette(cube, Vector())
    ys, xs = np.nonzero(mask)
    half = math.degrees(math.atan(1 / 4)) * 512 / 360
    assert xs.min() == pytest.approx(256 - half, abs=1.5)
    assert xs.max() == pytest.approx(255 + half, abs=1.5)
    assert abs(ys.mean() - 127.5) < 1
    behind = bpy.data.objects.new("behind", cube.data)
    behind.location = (0, -5, 0)
    bpy.context.scene.collection.objects.link(behind)
    bpy.context.view_layer.update()
    other = sources.silhouette(behind, Vector())
    assert np.array_equal(other, np.roll(mask, 256, 1))  # over the seam


def test_a_painted_mask_freezes(holotime):
    from bl_ext.user_default.holotime.motion_brush import sources

    assert bpy.ops.holotime.paint_freeze_mask(enter=False) == {"FINISHED"}
    image = bpy.context.scene.holotime.freeze_image
    width, height = image.size
    pixels = np.zeros((height, width, 4), np.float32)
    pixels[: height // 2, : width // 4] = (1, 0, 0, 1)  # rows begin at the bottom
    image.pixels.foreach_set(pixels.ravel())
    mask = sources.frozen(bpy.context.scene)
    assert mask[-1, 0]
    assert not mask[0, 0]
    assert not mask[-1, -1]
    assert mask.mean() == pytest.approx(1 / 8, abs=0.01)
    sphere = bpy.context.object
    assert sphere.hide_render
    assert len(sphere.data.uv_layers) == 1


def test_annotations_become_strokes(holotime):
    scene = bpy.context.scene
    with pytest.raises(RuntimeError, match="no annotation strokes"):
        bpy.ops.holotime.strokes_from_annotations()
    if not hasattr(bpy.data, "annotations") and not hasattr(bpy.data, "grease_pencils"):
        pytest.skip("this Blender keeps annotations elsewhere")
    pencils = bpy.data.annotations if hasattr(bpy.data, "annotations") else bpy.data.grease_pencils
    pencil = pencils.new("Notes")
    if hasattr(scene, "annotation"):
        scene.annotation = pencil
    else:
        scene.grease_pencil = pencil
    for name in ("flow", "Freeze"):
        layer = pencil.layers.new(name)
        frame = layer.frames.new(scene.frame_current)
        if not hasattr(frame.strokes, "new"):
            pytest.skip("strokes of annotations can only be drawn by hand in this Blender")
        stroke = frame.strokes.new()
        stroke.display_mode = "3DSPACE"
        stroke.points.add(3)
        for i, point in enumerate(stroke.points):
            point.co = (0.2 * i, 2.0, 0.0)
    bpy.ops.holotime.strokes_from_annotations()
    assert [s.kind for s in scene.holotime.strokes] == ["MOVE", "FREEZE"]
    bpy.ops.holotime.clear_strokes()
    assert len(scene.holotime.strokes) == 0


def test_the_library_reads_the_hint(drawn, tmp_path):
    """The PNG goes through the library's own reader, and comes out as the motion that was drawn."""
    from bl_ext.user_default.holotime.motion_brush import hint

    python = os.environ.get("HOLOTIME_PYTHON")
    if not python:
        pytest.skip("set HOLOTIME_PYTHON to a Python in which the library is installed")
    path = tmp_path / "hint.png"
    hint.write_png(path, drawn([([(-20, 0), (20, 0)], False), ([(90, 0), (95, 0)], True)]))
    code = """
import json, sys, numpy as np
from pathlib import Path
from holotime.clip import read_image_with_alpha
from holotime.animate.hint import read_hint
h = read_hint(read_image_with_alpha(Path(sys.argv[1])), 256, 512)
values = [h.weight[128, 256], h.free[128, 386], h.free[128, 256]]
print(json.dumps([np.degrees(h.velocity[128, 256]).tolist(), *map(float, values)]))
"""
    run = subprocess.run([python, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    velocity, weight, frozen, free = json.loads(run.stdout)
    assert velocity == pytest.approx([10, 0, 0], abs=0.5)  # degrees a second, east
    assert (weight, frozen, free) == pytest.approx((1, 0, 1), abs=0.02)
