"""USD points with time samples (the ``usd-core`` package): a cache that Blender, Houdini and others play.

One UsdGeomPoints prim; every sample has its own number of points. ``widths`` are twice the mean standard deviation,
``displayColor`` and ``displayOpacity`` colour and opacity; primvars ``scale``, ``rotation`` and ``opacity`` hold the
splats for shaders and node trees. Z up, metres; time codes count frames at the scene's rate, starting with 1.
"""

from pathlib import Path
from typing import Any

import numpy as np

from holotime.errors import BackendUnavailable
from holotime.export.frames import chosen_frames
from holotime.files import whole_file
from holotime.progress import Progress, no_progress, track
from holotime.scene4d import Scene4D

PRIM = "/holotime/points"


def _package() -> Any:
    try:
        from pxr import Gf, Sdf, Usd, UsdGeom, Vt
    except ImportError as error:
        raise BackendUnavailable("USD needs the package usd-core. Install holotime with its extra 'export'.") from error
    return Gf, Sdf, Usd, UsdGeom, Vt


def write_usd(
    path: Path | str, scene: Scene4D, frames: range | None = None, *, progress: Progress = no_progress
) -> Path:
    """Write frames of a scene (all if None) as one .usd, .usdc or .usda; it appears when it is complete."""
    _, sdf, usd, geom, vt = _package()
    chosen = chosen_frames(scene, frames)
    path = Path(path)
    with whole_file(path) as partial:  # it has the ending, which tells USD the encoding
        stage = usd.Stage.CreateNew(str(partial))
        geom.SetStageUpAxis(stage, geom.Tokens.z)
        geom.SetStageMetersPerUnit(stage, 1.0)
        stage.SetTimeCodesPerSecond(scene.fps)
        stage.SetFramesPerSecond(scene.fps)
        stage.SetStartTimeCode(1)
        stage.SetEndTimeCode(len(chosen))
        root = geom.Xform.Define(stage, PRIM.rsplit("/", 1)[0])
        stage.SetDefaultPrim(root.GetPrim())
        points = geom.Points.Define(stage, PRIM)
        primvars = geom.PrimvarsAPI(points)
        types = sdf.ValueTypeNames
        vertex = geom.Tokens.vertex
        colour = points.CreateDisplayColorPrimvar(vertex)
        display = points.CreateDisplayOpacityPrimvar(vertex)
        scale = primvars.CreatePrimvar("scale", types.Float3Array, vertex)
        rotation = primvars.CreatePrimvar("rotation", types.QuatfArray, vertex)
        opacity = primvars.CreatePrimvar("opacity", types.FloatArray, vertex)
        points.SetWidthsInterpolation(vertex)
        times = scene.frame_times()
        for code, frame in enumerate(track(chosen, progress, "writing USD"), start=1):
            g = scene.at(float(times[frame]))
            means = vt.Vec3fArray.FromNumpy(np.ascontiguousarray(g.means))
            points.GetPointsAttr().Set(means, code)
            widths = (2 * np.exp(np.log(np.maximum(g.scales, 1e-9)).mean(1))).astype(np.float32)
            points.GetWidthsAttr().Set(vt.FloatArray.FromNumpy(widths), code)
            colour.Set(vt.Vec3fArray.FromNumpy(np.ascontiguousarray(g.colors)), code)
            display.Set(vt.FloatArray.FromNumpy(g.opacities), code)
            opacity.Set(vt.FloatArray.FromNumpy(g.opacities), code)
            scale.Set(vt.Vec3fArray.FromNumpy(np.ascontiguousarray(g.scales)), code)
            xyzw = np.ascontiguousarray(g.quats[:, [1, 2, 3, 0]])
            rotation.Set(vt.QuatfArray.FromNumpy(xyzw), code)
            reach = 3 * g.scales.max(initial=0.0)
            low, high = (g.means.min(0) - reach, g.means.max(0) + reach) if len(g) else (np.zeros(3), np.zeros(3))
            extent = np.stack([low, high]).astype(np.float32)
            points.GetExtentAttr().Set(vt.Vec3fArray.FromNumpy(extent), code)
        stage.GetRootLayer().Save()
        del stage
    return path
