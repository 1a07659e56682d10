"""Sweeps: fit the colours to the clip as seen from the eye, and measure how well they do.

Splats overlap and the rasterizer's low-pass widens them, so colours taken from pixels render blurred. The picture is
linear in the colours, I_t = A_t c. A sweep visits frames of the clip and adds to every splat the mean residual of the
pixels it shows in: block-iterative SART (Andersen and Kak 1984; Jiang and Wang 2003). A splat's mean is taken over the
mass it would have with its time window fully open, so that frames in which it only fades in or out correct it little;
and what the eye hardly sees (hidden layers, backs of things) keeps the colour it was given.

A picture as fine as the clip is blurred most by the low-pass. Colours that undo all of that look sharpened once a
camera sees more closely: light outlines, a dotted grid. So frames are also fitted at twice the clip's resolution
against the smoothly enlarged clip, whenever the picture at the clip's own resolution is good enough (EYE_GOAL).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.clip import Clip
from holotime.progress import Progress, no_progress
from holotime.quality import psnr
from holotime.render import EquirectCamera, Footprints, prepare, rasterize
from holotime.scene4d import Scene4D

DAMPING = 0.3  # in pixels: a splat that covers less than this keeps most of its first colour
RELAXATION = (1.3, 0.8)  # share of the mean residual that is added, at the first and the last visit
STRIDE = 2  # a sweep visits every second frame, the next sweep the others
LEAST_VISITS = 12  # frames of a sweep at least: a short clip's frames are visited again
EYE_GOAL = 31.5  # dB at the clip's resolution; above it, enlarged pictures count more
CLOSER = 2  # how much finer the enlarged pictures are
CHECK = 3  # every so many visits the eye's own picture is fitted in any case
F32 = NDArray[np.float32]


def spread_frames(count: int, wanted: int) -> list[int]:
    """Up to ``wanted`` frame indices spread evenly over ``count`` frames."""
    wanted = min(wanted, count)
    return [int((i + 0.5) * count / wanted) for i in range(wanted)]


def visits(count: int, sweeps: int) -> list[int]:
    """The frames that ``sweeps`` sweeps over ``count`` frames visit, neighbours in time far apart."""
    stride = min(STRIDE, sweeps)
    out: list[int] = []
    for sweep in range(sweeps):
        frames = list(range(sweep % stride % count, count, stride))
        frames = (frames * LEAST_VISITS)[: max(LEAST_VISITS, len(frames))]
        # Every third first: neighbours in time correct the same splats and should not follow each other.
        out += [f for start in range(3) for f in frames[start::3]]
    return out


def sweep_colors(
    scene: Scene4D,
    clip: Clip,
    sweeps: int,
    *,
    freedom: F32 | None = None,
    twins: NDArray[np.int64] | None = None,
    progress: Progress = no_progress,
) -> None:
    """Fit ``scene.colors`` in place to the frames of the clip, as seen from the eye.

    ``freedom`` [N]: how far a colour may move from its start. What mostly lies behind other things gets little of it,
    or it would take the complement of the things' soft outlines, which shows as a halo once the eye moves.
    ``twins`` [N]: splats that must keep one colour with another one (their own index: none), given equal at first.
    """
    # Splats that are each many pixels large have little to lose to the low-pass.
    closer = CLOSER if clip.width * clip.height <= CLOSER * len(scene) else 1
    order = visits(len(clip), sweeps)
    start = scene.colors.copy()
    bound = None if freedom is None else freedom[:, None]
    kept: dict[tuple[int, int], tuple[Footprints, NDArray[np.int64], F32]] = {}
    good = False  # whether the eye's own picture meets its goal
    for n, t in enumerate(order):
        progress(n / len(order), "fitting colours")
        scale = closer if good and n % CHECK else 1
        height, width = clip.height * scale, clip.width * scale
        if (t, scale) not in kept:
            time = float(clip.times[t])
            index = scene.visible(time)
            kept.clear()
            camera = EquirectCamera(width, height)
            kept[t, scale] = prepare(scene.at(time), camera), index, scene.window(time)[index]
        footprints, index, window = kept[t, scale]
        picture = footprints.draw(scene.colors[index])
        target = clip.frames[t].astype(np.float32) / 255
        if scale > 1:
            target = sphere.resize(target, height, width)
        else:
            good = psnr(picture.color, target, 1.0) >= EYE_GOAL
        weight = sphere.solid_angles(height, width)[..., None]
        back, mass = footprints.adjoint((target - picture.color) * (weight / weight.max()).astype(np.float32))
        first, last = RELAXATION
        step = first + (last - first) * n / max(len(order) - 1, 1)
        change = np.float32(step) * back / (mass / window + DAMPING * scale**2)[:, None]
        if twins is not None:
            paired = twins[index] != index
            change[paired] *= 0.5  # each of the two gets half of what both ask for
            scene.colors[twins[index[paired]]] += change[paired]
        scene.colors[index] += change
        if bound is not None:
            np.clip(scene.colors, start - bound, start + bound, out=scene.colors)
    np.clip(scene.colors, 0, 1, out=scene.colors)


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
