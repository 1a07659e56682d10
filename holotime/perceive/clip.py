"""A panoramic clip to distance that is smooth in time, classes, flow and motion masks.

The world of a clip is still: one static distance, the weighted median of the predictions over time, serves every frame,
also where a texture moves on it (water, sky, foliage, fire, shadows). Only what travels (movers, and solid things that
are carried along by the flow) gets a distance of its own in each frame, followed along the flow in both directions of
time.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.clip import Clip
from holotime.errors import InputError
from holotime.perceive import MOVER, SKY, ClipPerception, ImagePerception, regions
from holotime.perceive.aligned import aligned_distance, default_device
from holotime.perceive.backends import Predictor
from holotime.perceive.coarse import Coarse, apply_rules, small_image
from holotime.perceive.flow import flow_between, grey, speed, visible
from holotime.perceive.large_motion import LargeMotion, find_large_motion
from holotime.perceive.predict import check_backend, check_image, embedded, find_predictor, read_coarse
from holotime.perceive.travel import find_travellers, place_travellers
from holotime.perceive.upsample import upsample
from holotime.progress import Progress, no_progress, part, track

STATIC_FRAMES = 8  # frames read for the static world at most
TRAVEL_FRAMES = 24  # frames read for what travels at most; between them it follows the flow
COLOUR_CHANGE = (10.0, 24.0)  # grey levels over the clip that count as a change: the least, and the most under noise
NOISE_FACTOR = 2.5  # times the change of the stillest quarter of the picture
FLOW_CHANGE = 0.3  # pixels per frame that count as motion


def _pairs(clip: Clip) -> list[tuple[int, int]]:
    """(frame, next frame) of every pair in the clip."""
    last = [(len(clip) - 1, 0)] if clip.loop and len(clip) > 1 else []
    return [(i, i + 1) for i in range(len(clip) - 1)] + last


def clip_flow(
    clip: Clip, progress: Progress = no_progress, matcher: LargeMotion | None = None
) -> tuple[NDArray, NDArray, NDArray]:
    """Flow forward and backward [T, H, W, 2] float16, and what is still seen in the next frame [T, H, W] bool.

    In a clip that does not loop, the flow out of either end is zero and everything counts as seen. ``matcher`` helps
    with pairs of frames whose motion is too large for DIS.
    """
    shape = clip.frames.shape[:3]
    forward = np.zeros((*shape, 2), np.float16)
    backward = np.zeros((*shape, 2), np.float16)
    seen = np.ones(shape, bool)
    greys: dict[int, NDArray[np.uint8]] = {}
    for i, k in track(_pairs(clip), progress, "optical flow"):
        a = greys.pop(i, None)
        a = grey(clip.frames[i]) if a is None else a
        b = greys[k] = grey(clip.frames[k])
        there, back = flow_between(a, b), flow_between(b, a)
        if matcher is not None:
            there, back = matcher.improve(clip.frames[i], clip.frames[k], there, back)
        seen[i] = visible(there, back)
        forward[i], backward[k] = there, back
    return forward, backward, seen


def moving_mask(clip: Clip, forward: NDArray[np.float16]) -> NDArray[np.bool_]:
    """[H, W] pixels that change at some time: by colour, or by flow with at least some change of colour.

    The threshold rises with the noise of the stillest part of the picture, so that compression is no motion.
    """
    low = high = cv2.blur(sphere.pad(clip.frames[0], 1, 1), (3, 3))[1:-1, 1:-1]
    fastest = np.zeros(clip.frames.shape[1:3], np.float32)
    for frame, flow in zip(clip.frames, forward, strict=True):
        soft = cv2.blur(sphere.pad(frame, 1, 1), (3, 3))[1:-1, 1:-1]
        low, high = np.minimum(low, soft), np.maximum(high, soft)
        fastest = np.maximum(fastest, speed(flow))
    change = (high - low).max(-1).astype(np.float32)
    limit = float(np.clip(NOISE_FACTOR * np.percentile(change, 25), *COLOUR_CHANGE))
    moving = (change >= limit) | ((fastest > FLOW_CHANGE) & (change >= 0.5 * limit))
    # Specks are noise; what is left is closed and one pixel wider, so that a soft edge moves with its object.
    kernel = np.ones((3, 3), np.uint8)
    clean = cv2.morphologyEx(sphere.pad(moving.astype(np.uint8), 4, 4), cv2.MORPH_OPEN, kernel)
    clean = cv2.dilate(cv2.morphologyEx(clean, cv2.MORPH_CLOSE, kernel, iterations=2), kernel)
    return clean[4:-4, 4:-4] > 0


def _weighted_median(values: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weighted median [h, w] over the first axis of values [S, h, w]; the mean of the two middle ones on a tie."""
    order = np.argsort(values, axis=0)
    values = np.take_along_axis(values, order, 0)
    share = np.cumsum(np.take_along_axis(weights, order, 0), axis=0)
    half = 0.5 * share[-1]
    lower = np.argmax(share >= half * (1 - 1e-6), axis=0)[None]
    upper = np.argmax(share > half * (1 + 1e-6), axis=0)[None]
    return 0.5 * (np.take_along_axis(values, lower, 0)[0] + np.take_along_axis(values, upper, 0)[0])


def _static(readings: list[Coarse]) -> Coarse:
    """One coarse world from readings of several frames: what stands behind the movers."""
    still = np.stack([(1 - r.classes[..., MOVER]) ** 2 + 1e-3 for r in readings])
    weights = still / still.sum(0)
    log_distance = _weighted_median(np.stack([r.log_distance for r in readings]), weights)
    log_error = np.einsum("shw,shw->hw", weights, np.stack([r.log_error for r in readings]))
    classes = np.zeros_like(readings[0].classes)
    for weight, reading in zip(weights, readings, strict=True):
        classes += weight[..., None] * reading.classes
    return Coarse(log_distance, log_error.astype(np.float32), classes)


def _chosen(count: int, most: int) -> list[int]:
    """At most ``most`` of ``count`` frames, evenly spread."""
    return sorted({int(i) for i in (np.arange(min(count, most)) * count) // min(count, most)})


def _median_picture(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[H, W, 3] median over time of frames [S, H, W, 3]: what is there most of the time."""
    return np.partition(frames, len(frames) // 2, axis=0)[len(frames) // 2]


def perceive_clip(
    clip: Clip,
    *,
    backend: str = "auto",
    progress: Progress = no_progress,
    still: ImagePerception | None = None,
    predictor: Predictor | None = None,
    cache: Path | None = None,
) -> ClipPerception:
    """Distance in every frame, classes, flow, visibility and the motion mask of a clip.

    Args:
        clip: frames [T, H, 2H, 3]; one frame or no motion at all is fine.
        backend: as in :func:`holotime.perceive.perceive_image`.
        progress: called at least once a second; may raise Cancelled.
        still: the perception of the picture that the clip was made from, same size: its static world is then used
            as it is, and only travelling things are read from the frames (by the embedded network).
        predictor: a loaded depth network, instead of one that ``backend`` names.
        cache: folder that keeps what a depth network said of each frame, so that a run that was cut off goes on.

    Raises InputError for a wrong shape or a ``still`` of another size.
    """
    check_image(clip.frames[0])
    check_backend(backend)
    shape = clip.frames.shape[1:3]
    if still is not None and still.distance.shape != shape:
        raise InputError(
            f"The given still perception is {list(still.distance.shape)}, the clip {list(shape)}. Use one size."
        )
    if still is None and predictor is None:
        predictor = find_predictor(backend)  # before any work: it may not load
    matcher = find_large_motion()
    forward, backward, seen = clip_flow(clip, part(progress, 0.0, 0.3), matcher)
    made = f"; flow: {matcher.describe(len(_pairs(clip)))}" if matcher else ""
    moving = moving_mask(clip, forward)

    readings: dict[int, Coarse] = {}
    used = "" if still is None else still.backend

    def read(indices: list[int], progress: Progress) -> None:
        nonlocal used
        for i in track([k for k in indices if k not in readings], progress, "reading frames"):
            readings[i], used = read_coarse(small_image(clip.frames[i]), embedded(backend))

    if still is None:
        chosen = _chosen(len(clip) if moving.any() else 1, STATIC_FRAMES)
        read(chosen, part(progress, 0.3, 0.5))
        picture = _median_picture(clip.frames[chosen])
        small = small_image(picture)
        static = upsample(apply_rules(_static([readings[i] for i in chosen]), small), picture, small)
        sky = static.classes[..., SKY] >= 0.5
    else:
        sky = np.isinf(still.distance)
        log_distance = regions.fill(np.log(np.where(sky, np.float32(1), still.distance)), ~sky)
        static = Coarse(log_distance, still.log_error, still.classes)
    progress(0.55, "static world")
    if predictor is not None:
        world = (static, moving, forward, seen, predictor)
        report = part(progress, 0.55, 1.0)
        distance, text = aligned_distance(clip, *world, cache=cache, device=default_device(), progress=report)
        text = f"{text}; classes: {used}{made}"
        return ClipPerception(distance, static.classes, forward, backward, seen, moving, text)

    distance = np.empty(clip.frames.shape[:3], np.float32)
    distance[:] = np.where(sky, np.float32(np.inf), np.exp(static.log_distance))
    if moving.any() and used.startswith("network"):
        # A few frames tell whether anything travels at all; mostly only textures move, and the rest is not read.
        scouts = _chosen(len(clip), STATIC_FRAMES)
        read(scouts, part(progress, 0.55, 0.6))
        known = (static, sky, moving, forward, backward)
        found = find_travellers(clip, {i: readings[i] for i in scouts}, *known, part(progress, 0.6, 0.65))
        if any(traveller.mask.any() for traveller in found.values()):
            read(_chosen(len(clip), TRAVEL_FRAMES), part(progress, 0.65, 0.8))
            rest = {i: reading for i, reading in readings.items() if i not in found}
            found |= find_travellers(clip, rest, *known, part(progress, 0.8, 0.9))
            place_travellers(distance, found, static, forward, backward, part(progress, 0.9, 1.0))
    progress(1.0, "perceived")
    return ClipPerception(distance, static.classes, forward, backward, seen, moving, f"{used}{made}")
