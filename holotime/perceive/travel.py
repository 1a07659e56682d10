"""What travels through a clip: found in single frames, then followed along the flow so that its distance is smooth."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.clip import Clip
from holotime.perceive import FIRE, MOVER, SOLID, regions
from holotime.perceive.coarse import Coarse, small_image
from holotime.perceive.flow import sample_along, speed
from holotime.perceive.network import TRAINED_SIZE
from holotime.perceive.upsample import upsample
from holotime.progress import Progress, part, track

TRAVEL_SPEED = 0.3  # pixels per frame from which a solid thing is taken to travel
OFFSET = 0.12  # log distance from the static world; nearer than this the static distance is as good and steadier
BLEND = 0.35  # share of a frame's own reading against what the flow carried from its neighbour


@dataclass(frozen=True)
class Travellers:
    """What travels in one frame."""

    mask: NDArray[np.bool_]  # [H, W]
    offset: NDArray[np.float16]  # [H, W] log distance minus the static world's


def find_travellers(
    clip: Clip,
    readings: Mapping[int, Coarse],
    static: Coarse,
    sky: NDArray[np.bool_],
    moving: NDArray[np.bool_],
    forward: NDArray[np.float16],
    backward: NDArray[np.float16],
    progress: Progress,
) -> dict[int, Travellers]:
    """Movers in motion, and solid things that the flow carries, in every frame that was read.

    readings: frame -> coarse prediction without rules; static: the still world at full size, of which ``sky`` [H, W]
    is sky; moving [H, W]; flow [T, H, W, 2]. Moving textures (water, sky, ground, vegetation) never travel.
    """
    found = {}
    rest = sphere.resize(static.log_distance, *TRAINED_SIZE)  # the still world on the coarse grid
    for t in track(sorted(readings), progress, "finding what travels"):
        reading = readings[t]
        # A frame's own scale wanders a little: it is set by the world that stands still.
        shift = np.median((rest - reading.log_distance)[~reading.sky]) if not reading.sky.all() else 0.0
        reading = replace(reading, log_distance=reading.log_distance + np.float32(shift))
        likely = regions.grow(reading.classes[..., [MOVER, SOLID, FIRE]].max(-1) > 0.25, 0.03)
        likely &= regions.grow(np.abs(reading.log_distance - rest) > 0.5 * OFFSET, 0.03)
        where = moving & (regions.resize_linear(likely.astype(np.float32), *moving.shape) > 0)
        full = upsample(reading, clip.frames[t], small_image(clip.frames[t]), where)
        kind = full.classes.argmax(-1)
        carried = np.maximum(speed(forward[t]), speed(backward[t])) > TRAVEL_SPEED
        offset = full.log_distance - static.log_distance
        thing = (kind == MOVER) | (((kind == SOLID) | (kind == FIRE)) & carried & ~sky)
        found[t] = Travellers(where & thing & (np.abs(offset) > OFFSET), offset.astype(np.float16))
    return found


def _follow(
    found: Mapping[int, Travellers], order: list[int], flow: NDArray[np.float16], progress: Progress
) -> dict[int, Travellers]:
    """Travellers in every frame of ``order``, each carried on along ``flow`` [T, H, W, 2], which points to the frame
    before in that order. Where a frame was read, its own reading says where they are; distance is shared."""
    out = {}
    shape = flow.shape[1:3]
    mask, offset = np.zeros(shape, bool), np.zeros(shape, np.float32)
    for t in track(order, progress, "following what travels"):
        before = np.zeros((*shape, 2), np.float32)
        if mask.any():
            before = sample_along(np.stack([np.where(mask, offset, 0), mask.astype(np.float32)], -1), flow[t])
        if t in found:
            mask = found[t].mask
            own, inherited = BLEND, (1 - BLEND) * before[..., 1]
            mean = (own * found[t].offset.astype(np.float32) + (1 - BLEND) * before[..., 0]) / (own + inherited)
        else:
            mask = before[..., 1] > 0.5
            mean = before[..., 0] / np.maximum(before[..., 1], 0.5)
        offset = np.where(mask, mean, np.float32(0)).astype(np.float32)
        out[t] = Travellers(mask, offset.astype(np.float16))
    return out


def place_travellers(
    distance: NDArray[np.float32],
    found: Mapping[int, Travellers],
    static: Coarse,
    forward: NDArray[np.float16],
    backward: NDArray[np.float16],
    progress: Progress,
) -> None:
    """Write the travellers' distances into ``distance`` [T, H, W], followed from both ends of the clip and averaged."""
    frames = list(range(len(distance)))
    ahead = _follow(found, frames, backward, part(progress, 0.0, 0.5))
    astern = _follow(found, frames[::-1], forward, part(progress, 0.5, 1.0))
    for t in frames:
        weight = ahead[t].mask.astype(np.float32) + astern[t].mask
        here = weight > 0
        offset = (ahead[t].offset.astype(np.float32) + astern[t].offset)[here] / weight[here]
        distance[t][here] = np.exp(static.log_distance[here] + offset)
