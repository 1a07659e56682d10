"""USD points with time samples (the ``usd-core`` package): a cache that Blender, Houdini and others play.

Up to three UsdGeomPoints, so that only what changes is written more than once: ``still`` splats are there all the time,
``fading`` ones come and go in their place, ``moving`` ones travel. A splat keeps its index, which motion blur needs;
while it is not to be seen its width and opacity are 0. ``widths`` are twice the mean standard deviation,
``displayColor`` and ``displayOpacity`` colour and opacity; primvars ``scale`` and ``rotation`` hold the splats for
shaders and node trees. (In half precision Blender would not import these.) Z up, metres; time codes count frames at the
scene's rate, starting with 1.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotime.errors import BackendUnavailable
from holotime.export.frames import chosen_frames
from holotime.files import whole_file
from holotime.progress import Progress, no_progress, track
from holotime.scene4d import ALWAYS, Scene4D

ROOT = "/holotime"
LEAST_OPACITY = 1 / 255  # less is not seen


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
    _, _, usd, geom, _ = _package()
    chosen = chosen_frames(scene, frames)
    times = scene.frame_times()[chosen.start : chosen.stop : chosen.step]
    path = Path(path)
    with whole_file(path) as partial:  # it has the ending, which tells USD the encoding
        stage = usd.Stage.CreateNew(str(partial))
        geom.SetStageUpAxis(stage, geom.Tokens.z)
        geom.SetStageMetersPerUnit(stage, 1.0)
        stage.SetTimeCodesPerSecond(scene.fps)
        stage.SetFramesPerSecond(scene.fps)
        stage.SetStartTimeCode(1)
        stage.SetEndTimeCode(len(chosen))
        root = geom.Xform.Define(stage, ROOT)
        stage.SetDefaultPrim(root.GetPrim())
        groups = [_Points(stage, f"{ROOT}/{name}", part) for name, part in _parts(scene, times).items()]
        for code, t in enumerate(track([float(t) for t in times], progress, "writing USD", len(times)), start=1):
            for group in groups:
                group.sample(t, code)
        stage.GetRootLayer().Save()
        del stage, groups
    return path


def _parts(scene: Scene4D, times: NDArray[np.float32]) -> dict[str, Scene4D]:
    """The splats that are seen at any of ``times`` [T], by what changes; a part that would be empty is left out."""
    seen = np.zeros(len(scene), np.bool_)
    for t in times:
        seen[scene.visible(float(t), min_opacity=LEAST_OPACITY)] = True
    moves = scene.motion.any((1, 2)) | scene.omegas.any(1)
    fades = scene.t_log_scales < 0.5 * ALWAYS
    chosen = {"still": ~moves & ~fades, "fading": ~moves & fades, "moving": moves}
    return {name: scene.select(seen & mask) for name, mask in chosen.items() if (seen & mask).any()}


class _Points:
    """A UsdGeomPoints of splats whose number does not change; what does not vary is written once."""

    def __init__(self, stage: Any, path: str, scene: Scene4D) -> None:
        _, sdf, _, geom, vt = _package()
        self._scene, self._vt = scene, vt
        self._moves, self._turns = bool(scene.motion.any()), bool(scene.omegas.any())
        self._fades = bool((scene.t_log_scales < 0.5 * ALWAYS).any())
        self._points = geom.Points.Define(stage, path)
        self._points.SetWidthsInterpolation(geom.Tokens.vertex)
        self._display = self._points.CreateDisplayOpacityPrimvar(geom.Tokens.vertex)
        primvars, types = geom.PrimvarsAPI(self._points), sdf.ValueTypeNames
        scales = np.exp(scene.log_scales)
        self._reach = 3 * float(scales.max())
        self._widths = (2 * np.exp(scene.log_scales.mean(1))).astype(np.float32)
        self._points.CreateDisplayColorPrimvar(geom.Tokens.vertex).Set(vt.Vec3fArray.FromNumpy(scene.colors))
        primvars.CreatePrimvar("scale", types.Float3Array, geom.Tokens.vertex).Set(vt.Vec3fArray.FromNumpy(scales))
        self._rotation = primvars.CreatePrimvar("rotation", types.QuatfArray, geom.Tokens.vertex)
        if not self._moves:
            self._set_places(scene.means)
        if not self._turns:
            self._set_rotations(scene.quats)
        if not self._fades:
            self._set_opacities(scene.opacity(0.0))

    def sample(self, t: float, code: int) -> None:
        """Write what varies, at scene time ``t`` for the time code."""
        if not (self._moves or self._turns or self._fades):
            return
        g = self._scene.at(t, min_opacity=-1.0)  # all of them
        if self._moves:
            self._set_places(g.means, code)
        if self._turns:
            self._set_rotations(g.quats, code)
        if self._fades:
            self._set_opacities(g.opacities, code)

    def _set_places(self, means: NDArray[np.float32], *code: int) -> None:
        """Positions [N, 3] metres and the box around them."""
        self._points.GetPointsAttr().Set(self._vt.Vec3fArray.FromNumpy(np.ascontiguousarray(means)), *code)
        box = np.stack([means.min(0) - self._reach, means.max(0) + self._reach]).astype(np.float32)
        self._points.GetExtentAttr().Set(self._vt.Vec3fArray.FromNumpy(box), *code)

    def _set_rotations(self, quats: NDArray[np.float32], *code: int) -> None:
        """Rotations [N, 4] wxyz, of any length."""
        unit = quats / np.maximum(np.linalg.norm(quats, axis=-1, keepdims=True), 1e-8)
        xyzw = np.ascontiguousarray(unit[:, [1, 2, 3, 0]], np.float32)
        self._rotation.Set(self._vt.QuatfArray.FromNumpy(xyzw), *code)

    def _set_opacities(self, opacities: NDArray[np.float32], *code: int) -> None:
        """Opacities [N] in [0, 1]; widths with them."""
        seen = opacities >= LEAST_OPACITY
        self._display.Set(self._vt.FloatArray.FromNumpy(np.where(seen, opacities, 0).astype(np.float32)), *code)
        widths = np.where(seen, self._widths, 0).astype(np.float32)
        self._points.GetWidthsAttr().Set(self._vt.FloatArray.FromNumpy(widths), *code)
