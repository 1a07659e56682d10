""".4dgs, a container for moving splats (the ``fourdgs`` package, model gaussian-birth): the whole scene in one file.

Each splat has a birth time, a Gaussian window and a linear motion there, so linear motion and the windows of a lite
scene arrive within the format's own quantization. Bent paths and turning are not in the model: a splat keeps the line
that its path follows best while it is seen, and the rotation of its centre; what that costs is reported.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotime.errors import BackendUnavailable, InputError
from holotime.files import whole_file
from holotime.scene4d import ALWAYS, Scene4D

CUTOFF = 1 / 255  # a splat whose window is fainter than this is not drawn
FOREVER = 6.0  # log width of a window, in clips, from which it is flat


def _package() -> Any:
    try:
        import fourdgs
    except ImportError as error:
        raise BackendUnavailable(
            ".4dgs needs the package fourdgs. Install holotime with its extra 'export'."
        ) from error
    return fourdgs


def linear_motion(scene: Scene4D) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Means [N, 3] and velocities [N, 3] (metres per unit t) of the best straight paths, and the largest error (m).

    Least squares over the part of the clip where each splat's window is above a half.
    """
    half = np.exp(np.minimum(scene.t_log_scales, ALWAYS)) * math.sqrt(math.log(2))
    low = np.clip(scene.t_centers - half, 0, 1) - scene.t_centers
    high = np.clip(scene.t_centers + half, 0, 1) - scene.t_centers
    u = np.linspace(0, 1, 9)[:, None]
    dt = (low + u * (high - low)).astype(np.float64)  # [9, N]
    m = scene.motion.astype(np.float64)
    path = dt[..., None] * (m[:, 0] + dt[..., None] * (m[:, 1] + dt[..., None] * m[:, 2]))  # [9, N, 3]
    centre = dt.mean(0)
    spread = ((dt - centre) ** 2).sum(0)
    slope = ((dt - centre)[..., None] * path).sum(0) / np.maximum(spread, 1e-12)[:, None]
    bent = np.abs(scene.motion[:, 1:]).max((1, 2)) > 0
    slope = np.where(bent[:, None], slope, m[:, 0])  # a straight path is kept as it is
    start = np.where(bent[:, None], path.mean(0) - slope * centre[:, None], 0)
    error = np.linalg.norm(start + dt[..., None] * slope - path, axis=-1).max(initial=0.0)
    return (scene.means + start).astype(np.float32), slope.astype(np.float32), float(error)


def write_4dgs(path: Path | str, scene: Scene4D) -> tuple[Path, list[str]]:
    """Write a scene; returns the path and notes on what the format cannot hold."""
    package = _package()
    means, slope, error = linear_motion(scene)
    quats = scene.quats / np.maximum(np.linalg.norm(scene.quats, axis=1, keepdims=True), 1e-9)
    always = scene.t_log_scales >= FOREVER
    sigma = np.where(always, np.inf, np.exp(np.minimum(scene.t_log_scales, FOREVER)) * scene.duration / math.sqrt(2))
    opacity = 1 / (1 + np.exp(-scene.opacity_logits))
    count = len(scene)
    splats = package.GaussianSet(
        positions=means,
        scales=np.exp(scene.log_scales),
        rotations=np.ascontiguousarray(quats[:, [1, 2, 3, 0]]),
        colors=np.concatenate([scene.colors, opacity[:, None]], axis=1).astype(np.float32),
        motions=slope / np.float32(scene.duration),
        mu_t=scene.t_centers * np.float32(scene.duration),
        sigma_t=sigma.astype(np.float32),
        win_lo=np.zeros(count),
        win_hi=np.full(count, np.inf),
    )
    metadata = {"fps": repr(scene.fps), "loop": str(scene.loop).lower(), "generator": "holotime"}
    options = package.WriteOptions(cutoff=CUTOFF, profile="fine", metadata=metadata)
    path = Path(path)
    try:
        with whole_file(path) as partial:
            package.write(str(partial), splats, float(scene.duration), options=options)
    except package.FourdgsError as problem:
        raise InputError(f"The scene cannot be written as .4dgs ({problem}).") from problem
    notes = []
    if error > 1e-3:
        notes.append(f"bent paths became straight, up to {error:.3f} m beside their way")
    turning = float(np.abs(scene.omegas).max(initial=0.0))
    if turning > 1e-3:
        notes.append("splats that turn keep one rotation")
    return path, notes


def read_4dgs(path: Path | str) -> Scene4D:
    """A .4dgs file (model gaussian-birth) as a scene."""
    package = _package()
    path = Path(path)
    try:
        file = package.read(str(path))
    except (OSError, package.FourdgsError) as error:
        raise InputError(f"{path} is not a readable .4dgs file ({error}).") from error
    g, duration = file.gaussians, float(file.duration_sec) or 1.0
    count = g.count
    opacity = np.clip(g.colors[:, 3].astype(np.float64), 1e-6, 1 - 1e-6)
    motion = np.zeros((count, 3, 3), np.float32)
    motion[:, 0] = g.motions * duration
    notes = file.header.attributes
    with np.errstate(divide="ignore"):
        width = np.where(np.isfinite(g.sigma_t), np.log(g.sigma_t * math.sqrt(2) / duration), ALWAYS)
    return Scene4D(
        means=g.positions,
        motion=motion,
        quats=g.rotations[:, [3, 0, 1, 2]],
        omegas=np.zeros((count, 4), np.float32),
        log_scales=np.log(np.maximum(g.scales, 1e-9)),
        opacity_logits=np.log(opacity / (1 - opacity)),
        t_centers=g.mu_t / duration,
        t_log_scales=width,
        colors=g.colors[:, :3],
        duration=duration,
        fps=float(notes.get("fps", 12.0)),
        loop=notes.get("loop") == "true",
        provenance={"source": path.name},
    )
