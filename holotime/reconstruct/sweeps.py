"""Sweeps: fit the colours to the clip as seen from the eye, and measure how well they do.

Splats overlap and the rasterizer's low-pass widens them, so colours taken from pixels render blurred. The picture is
linear in the colours: with the weights A_t of frame t, the sweeps minimise sum_t |A_t c - I_t|^2 + damping |c - c0|^2,
weighted by solid angle, by conjugate gradients with a diagonal preconditioner. The damping keeps what the eye cannot
see (hidden layers, backs of things) at the colour it was given.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.clip import Clip
from holotime.progress import Progress, no_progress
from holotime.quality import psnr
from holotime.render import EquirectCamera, Footprints, prepare, rasterize
from holotime.scene4d import Scene4D

DAMPING = 0.15  # in pixels: a splat that covers less than this keeps most of its first colour
F32 = NDArray[np.float32]


def spread_frames(count: int, wanted: int) -> list[int]:
    """Up to ``wanted`` frame indices spread evenly over ``count`` frames."""
    return sorted({int((i + 0.5) * count / wanted) for i in range(min(wanted, count))}) if count else []


@dataclass(frozen=True)
class _View:
    footprints: Footprints
    index: NDArray[np.int64]  # [M] splats seen in this frame
    target: F32  # [H, W, 3] sRGB


def sweep_colors(
    scene: Scene4D, clip: Clip, sweeps: int, frames: Sequence[int], *, progress: Progress = no_progress
) -> None:
    """Fit ``scene.colors`` in place to the given frames of the clip; ``sweeps`` conjugate-gradient steps."""
    if not sweeps or not len(scene):
        return
    camera = EquirectCamera(clip.width, clip.height)
    weight = (sphere.solid_angles(clip.height, clip.width) / sphere.solid_angles(clip.height, clip.width).max())[
        ..., None
    ]
    weight = weight.astype(np.float32)
    steps = len(frames) * (sweeps + 1)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        progress(done / steps, "fitting colours")

    start = scene.colors.copy()
    gradient = np.zeros_like(start)
    mass = np.full((len(scene), 1), DAMPING, np.float32)
    views = []
    for t in frames:
        time = float(clip.times[t])
        view = _View(prepare(scene.at(time), camera), scene.visible(time), clip.frames[t].astype(np.float32) / 255)
        picture = view.footprints.draw(start[view.index])
        back, total = view.footprints.adjoint((view.target - picture.color) * weight)
        gradient[view.index] += back
        mass[view.index] += total[:, None]
        views.append(view)
        tick()

    x = np.zeros_like(start)
    z = gradient / mass
    direction = z.copy()
    rz = float((gradient * z).sum(dtype=np.float64))
    for _ in range(sweeps):
        image_norm = DAMPING * float((direction * direction).sum(dtype=np.float64))
        product = DAMPING * direction
        for view in views:
            picture = view.footprints.draw(direction[view.index]).color * weight
            product[view.index] += view.footprints.adjoint(picture)[0]
            tick()
        image_norm = float((direction * product).sum(dtype=np.float64))
        if image_norm <= 0 or rz <= 0:
            break
        step = np.float32(rz / image_norm)
        x += step * direction
        gradient -= step * product
        z = gradient / mass
        rz, before = float((gradient * z).sum(dtype=np.float64)), rz
        direction = z + np.float32(rz / before) * direction
    scene.colors = np.clip(start + x, 0, 1)


def eye_psnr(scene: Scene4D, clip: Clip, frames: Sequence[int] | None = None) -> float:
    """PSNR in dB, weighted by solid angle, of the scene seen from the eye against frames of its clip (default: 8)."""
    frames = spread_frames(len(clip), 8) if frames is None else list(frames)
    camera = EquirectCamera(clip.width, clip.height)
    seen = [np.clip(rasterize(scene.at(float(clip.times[t])), camera).color, 0, 1) * 255 for t in frames]
    return psnr(np.stack(seen), clip.frames[frames])


def coverage(scene: Scene4D, height: int = 512, times: Sequence[float] = (0.0, 0.5)) -> tuple[F32, float]:
    """How opaque the world is from the eye: the least alpha over ``times`` [H, W], and its mean over the sphere."""
    camera = EquirectCamera(2 * height, height)
    alpha = np.min([rasterize(scene.at(t), camera).alpha for t in times], axis=0)
    weight = sphere.solid_angles(height)
    return alpha, float((alpha * weight).sum() / (weight.sum() * alpha.shape[1]))
