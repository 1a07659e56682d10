"""What Blender's own importers make of our files, in a Blender of its own (never in this process)."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from holotime.export.ply import write_ply
from holotime.export.usd import write_usd
from tests.holotime.export.test_formats import needs, solid_scene

ROOT = Path(__file__).resolve().parents[3]
PYTHON = Path(os.environ.get("HOLOTIME_BLENDER_PYTHON", ROOT / ".venv-blender" / "bin" / "python"))
LOOK = """
import json, sys
import bpy
import numpy as np

path, frames = sys.argv[-2], json.loads(sys.argv[-1])
bpy.ops.wm.read_factory_settings(use_empty=True)
(bpy.ops.wm.ply_import if path.endswith(".ply") else bpy.ops.wm.usd_import)(filepath=path)
shape = {"FLOAT": ("value", 1), "FLOAT_VECTOR": ("vector", 3), "FLOAT_COLOR": ("color", 4), "QUATERNION": ("value", 4)}
things = [o for o in bpy.data.objects if o.type in ("MESH", "POINTCLOUD")]
thing = things[0]
out = {"type": thing.type, "end": bpy.context.scene.frame_end, "matrix": [list(r) for r in thing.matrix_world]}
for frame in frames:
    bpy.context.scene.frame_set(frame)
    found = {}
    for thing in things:
        data = thing.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        for a in data.attributes:
            if a.data_type in shape and a.domain == "POINT":
                name, width = shape[a.data_type]
                values = np.zeros(len(a.data) * width, np.float32)
                a.data.foreach_get(name, values)
                found.setdefault(a.name, []).extend(values.reshape(-1, width).tolist())
    out[str(frame)] = found
print("RESULT " + json.dumps(out))
"""
in_blender = pytest.mark.skipif(
    not PYTHON.is_file() and os.environ.get("CI") != "true", reason="needs .venv-blender (run.py setup)"
)


def look(path: Path, frames: list[int]) -> dict:
    """What Blender holds after importing a file: attributes of every point at some frames."""
    command = [str(PYTHON), "-c", LOOK, str(path), json.dumps(frames)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stdout + done.stderr
    return json.loads(lines[0].removeprefix("RESULT "))


@in_blender
@needs("pxr")
def test_usd_plays_in_blender_with_its_attributes(tmp_path):
    scene = solid_scene(30, duration=0.75, fps=4.0)
    found = look(write_usd(tmp_path / "a.usdc", scene), [1, 3, 4])
    assert found["type"] == "POINTCLOUD"
    np.testing.assert_allclose(found["matrix"], np.eye(4), atol=1e-6)  # metres, upright
    for frame in (1, 3, 4):
        g = scene.at(float(scene.frame_times()[frame - 1]))
        points = {name: np.array(values) for name, values in found[str(frame)].items()}
        seen = points["displayOpacity"][:, 0] > 0
        assert (points["radius"][:, 0] > 0).tolist() == seen.tolist()
        radius = np.exp(np.log(g.scales).mean(1))
        want = np.concatenate([g.means, g.opacities[:, None], g.colors, g.scales, g.quats, radius[:, None]], 1)
        names = ("position", "displayOpacity", "displayColor", "scale", "rotation", "radius")
        got = np.concatenate([points[name][seen, :3] if "Color" in name else points[name][seen] for name in names], 1)
        order = (np.lexsort(got[:, :3].T), np.lexsort(want[:, :3].T))
        np.testing.assert_allclose(got[order[0]], want[order[1]], atol=1e-5, rtol=1e-4)


@in_blender
def test_ply_opens_in_blender_with_every_property(tmp_path):
    g = solid_scene(30).at(0.3)
    points = look(write_ply(tmp_path / "a.ply", g), [1])["1"]
    np.testing.assert_allclose(points["position"], g.means, atol=1e-6)
    np.testing.assert_allclose(1 / (1 + np.exp(-np.array(points["opacity"])[:, 0])), g.opacities, atol=1e-5)
    for i in range(3):
        np.testing.assert_allclose(np.exp(np.array(points[f"scale_{i}"])[:, 0]), g.scales[:, i], rtol=1e-5)
        colour = np.array(points[f"f_dc_{i}"])[:, 0] * 0.28209479177387814 + 0.5
        np.testing.assert_allclose(colour, g.colors[:, i], atol=1e-5)
    for i in range(4):
        np.testing.assert_allclose(np.array(points[f"rot_{i}"])[:, 0], g.quats[:, i], atol=1e-6)
