"""Lift: a panoramic clip with its distance and flow becomes a Scene4D, analytically.

1. The lasting background of the clip becomes splats that are always there (layers.background).
2. What a step aside would uncover gets a second layer behind it (layers.behind_edges).
3. What changes gets windowed splats at key times that travel with the flow (windows); how many key times, region by
   region, and which pixels share a splat is decided together under one price per splat (budget).
4. Colours are fitted to the clip as seen from the eye (sweeps).
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.clip import Clip
from holotime.errors import InputError
from holotime.perceive import ClipPerception
from holotime.progress import Progress, no_progress, part
from holotime.reconstruct import windows
from holotime.reconstruct.budget import Grid, Layer, node_errors
from holotime.reconstruct.layers import Hidden, background, behind_edges, near_things
from holotime.reconstruct.splats import Discs, Patches, make_discs
from holotime.reconstruct.surface import Surface, invert, measure, snap_edges
from holotime.reconstruct.sweeps import sweep_colors
from holotime.scene4d import ALWAYS, Scene4D

MUST = 1e6  # cost of leaving a pixel of the base without a splat
COVERED = 0.15  # how much the base counts where windowed splats lie in front of it
HIDDEN_SHARE = 0.25  # how much a pixel that only a step aside shows counts
OPAQUE = 0.98
UNDERCOAT_LEVEL = 6  # of the trees: rectangles of 8 x 8 pixels
UNDERCOAT_OVERLAP = 1.1  # times the overlap of other splats
FREE = 0.35  # how far the sweeps may move a colour: more is sharper from the eye, and speckled from nearby
SHADED = 0.1  # the same beside or behind nearer things
GAP = 0.004  # least relative distance between two layers
F32 = NDArray[np.float32]


@dataclass(frozen=True)
class LiftConfig:
    """Settings of the lift."""

    budget: int = 400_000  # most splats in the scene
    sweeps: int = 3  # colour sweeps; 0 keeps the colours of the pixels
    sky_distance: float = 0.0  # metres to the shell of the sky; 0: by the farthest solid thing, see sky_shell
    sidestep: float = 0.5  # metres the eye may move before a hole shows behind an edge
    seed: int = 0  # kept in the provenance; the lift draws no random numbers

    def __post_init__(self) -> None:
        if self.budget < 1000:
            raise InputError(f"A budget of {self.budget} splats is too small for a panorama. Give at least 1000.")
        if self.sweeps < 0:
            raise InputError(f"The number of colour sweeps cannot be negative, got {self.sweeps}.")
        if self.sidestep < 0 or not math.isfinite(self.sidestep):
            raise InputError(f"The side step is a length in metres, got {self.sidestep}.")


@dataclass
class _Part:
    """Splats of one kind, with their time."""

    discs: Discs
    motion: F32  # [N, 2, 3] linear and quadratic, metres per unit t
    freedom: F32  # [N] how far the sweeps may move the colours
    center: float
    log_width: F32  # [N]


def _always(discs: Discs, freedom: F32 | float) -> _Part:
    """Splats that are there all the time and stay where they are."""
    count = len(discs.distance)
    free = np.broadcast_to(np.float32(freedom), (count,))
    return _Part(discs, np.zeros((count, 2, 3), np.float32), free, 0.5, np.full(count, ALWAYS, np.float32))


def lift(
    clip: Clip, perception: ClipPerception, config: LiftConfig | None = None, *, progress: Progress = no_progress
) -> Scene4D:
    """Make a Scene4D of at most ``config.budget`` splats. The same input gives the same bytes.

    Raises InputError when distance and clip do not fit together or the distance is not a number somewhere. A distance
    or flow of another size than the clip is resized, with a note in ``provenance["notes"]``.
    """
    config = config or LiftConfig()
    notes: list[str] = []
    progress(0.0, "looking at the surface")
    perception = fitted(clip, perception, notes)
    sky = config.sky_distance or sky_shell(perception.distance)
    inverse = np.stack([snap_edges(invert(d, sky)) for d in perception.distance])
    if len(inverse) == 1:
        inverse = np.repeat(inverse, len(clip), 0)
    weight = np.repeat(sphere.solid_angles(clip.height, clip.width), clip.width, 1)
    weight = (weight / weight.max()).astype(np.float32)
    grid = Grid(clip.height, clip.width)

    image, plate = background(clip.frames, inverse)
    surface = measure(plate)
    hidden = behind_edges(surface, image, sidestep=config.sidestep)
    progress(0.05, "splitting into layers")
    planner = _Planner(clip, perception, inverse, image, weight, grid, part(progress, 0.05, 0.35))

    # Where the picture changes, windowed splats will cover the base: it counts less there.
    count = len(clip)
    changing = planner.base_error.mean(0) > (4 / 255) ** 2 * 3
    covered = cv2.blur(changing.astype(np.float32), (5, 5)) if count > 1 else np.zeros(weight.shape, np.float32)
    importance = weight * (1 - (1 - COVERED) * covered)
    nothing = grid.tiles(np.zeros(weight.shape, np.float32))
    base = Layer(grid, node_errors(grid, image, plate, importance), count, nothing, grid.tiles(weight * 0 + MUST))
    under = Layer(
        grid,
        node_errors(grid, hidden.image, hidden.inverse, weight * hidden.mask),
        count * HIDDEN_SHARE,
        nothing,
        grid.tiles(hidden.mask * np.float32(MUST)),
    )
    progress(0.36, "spending the budget")
    room = config.budget - len(grid.level(UNDERCOAT_LEVEL))
    price, choice = _spend(room, [base, under], planner, part(progress, 0.36, 0.5))

    parts: list[_Part] = []
    counts = {"background": 0, "hidden": 0, "undercoat": 0, "windowed": 0}
    pairs: list[tuple[int, int]] = []  # parts that show the same at both ends of a loop
    window_mask = np.zeros(weight.shape, np.bool_)
    for number, schedule in enumerate(planner.schedules):
        active = choice == number
        if not active.any():
            continue
        keys = range(len(schedule.frames))
        patches_of = [planner.layer(number, key).patches(price, active) for key in keys]
        masks = [_mark(np.zeros(weight.shape, np.bool_), patches) for patches in patches_of]
        first = len(parts)
        for key in keys:
            progress(0.5 + 0.1 * number / len(planner.schedules), "placing moving splats")
            if len(patches_of[key]):
                parts.append(planner.windowed(schedule, key, patches_of[key], masks))
                counts["windowed"] += len(patches_of[key])
                window_mask |= masks[key]
        if clip.loop and len(patches_of[0]):
            pairs.append((first, len(parts) - 1))
    patches = base.patches(price)
    discs = make_discs(patches, surface, image, weight)
    # Behind windowed splats the base recedes, so that a dip of their opacity shows it but it never covers them.
    middle = (
        np.minimum(patches.y + patches.h // 2, clip.height - 1),
        (patches.x + patches.w // 2) % clip.width,
    )
    share = cv2.blur(window_mask.astype(np.float32), (3, 3))[middle]
    discs.move(1 + share * np.minimum(GAP + 1.25 * discs.depth_extent, 0.12))
    overshadowed = near_things(plate) | (inverse.max(0) > 1.15 * plate)
    parts.append(_always(discs, np.where(overshadowed[middle], SHADED, FREE)))
    counts["background"] = len(patches)
    patches = under.patches(price)
    if len(patches):
        below = make_discs(patches, measure(hidden.inverse), hidden.image, weight * hidden.mask)
        parts.append(_always(below, 0.0))
        counts["hidden"] = len(patches)
    parts.append(_always(_undercoat(grid, plate, image, hidden, weight), 0.0))
    counts["undercoat"] = len(parts[-1].motion)

    provenance = {
        "recipe": "lift",
        "config": dataclasses.asdict(config),
        "perception": perception.backend,
        "sky_distance": sky,
        "splats": counts,
        "schedules": {str(s.intervals): int((choice == n).sum()) for n, s in enumerate(planner.schedules)},
        "notes": notes,
    }
    scene = _assemble(parts, clip, provenance)
    freedom = np.concatenate([p.freedom for p in parts])
    sweep_colors(
        scene, clip, config.sweeps, freedom=freedom, twins=_twins(parts, pairs), progress=part(progress, 0.62, 1.0)
    )
    progress(1.0, "lifted")
    return scene


def _undercoat(grid: Grid, plate: F32, image: F32, hidden: Hidden, weight: F32) -> Discs:
    """Few large splats behind everything, in the colours of what is farthest there.

    Splats overlap like a weave: seen from nearby, or between splats of different sizes, a little shows through. Near
    an edge the undercoat belongs to the background only, also under the foreground: it must not carry the
    foreground's colour out into the open.
    """
    inverse = np.where(hidden.mask, hidden.inverse, plate)
    colors = np.where(hidden.mask[..., None], hidden.image, image)
    # As far as the farthest thing it overlaps, and facing the eye: it can never come in front of anything.
    reach = 12
    wide = sphere.pad(inverse, reach, reach)
    far = cv2.erode(wide, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))[reach:-reach, reach:-reach]
    facing = Surface(np.ascontiguousarray(far), np.zeros((*far.shape, 2), np.float32))
    discs = make_discs(grid.level(UNDERCOAT_LEVEL), facing, colors, weight)
    discs.move(np.full(len(discs.distance), 1.02, np.float32))
    discs.scales *= np.float32(UNDERCOAT_OVERLAP)
    return discs


def _twins(parts: list[_Part], pairs: list[tuple[int, int]]) -> NDArray[np.int64]:
    """[N] for each splat the one that shows the same at the other end of the loop, or itself."""
    start = np.concatenate([[0], np.cumsum([len(p.motion) for p in parts])])
    twins = np.arange(start[-1])
    for a, b in pairs:
        twins[start[a] : start[a + 1]] = np.arange(start[b], start[b + 1])
        twins[start[b] : start[b + 1]] = np.arange(start[a], start[a + 1])
    return twins


def sky_shell(distance: NDArray) -> float:
    """Metres to the shell of the sky for distances in metres (+inf = sky): 1.5 times the farthest, in [100, 150].

    At 100 m a side step of 30 cm moves the sky by half a pixel of a 1024-pixel panorama; a shell much farther than
    150 m would fall behind the far clipping plane of most viewports. What is farther than the shell lies on it.
    """
    solid = distance[np.isfinite(distance)]
    return float(np.clip(1.5 * solid.max(), 100.0, 150.0)) if solid.size else 100.0


def fitted(clip: Clip, perception: ClipPerception, notes: list[str]) -> ClipPerception:
    """The perception at the clip's size; ``notes`` receives what was changed.

    Raises InputError for a clip that is no panorama, a distance that is not a number somewhere, and shapes that do not
    fit together.
    """
    size = (clip.height, clip.width)
    if clip.width != 2 * clip.height:
        raise InputError(f"A panorama is twice as wide as high, got {clip.width} x {clip.height} pixels.")
    distance = perception.distance
    if distance.ndim != 3 or len(distance) not in (1, len(clip)):
        raise InputError(
            f"The distance has shape {list(distance.shape)} for a clip of {len(clip)} frames. "
            "Give [T, H, W] with one map for each frame, or a single one for all."
        )
    bad = ~(distance > 0)
    if bad.any():
        raise InputError(
            f"The distance of {int(bad.sum())} pixels is not a positive number of metres. "
            "Repair the distance map; the sky is +inf."
        )
    flows = {"flow_forward": perception.flow_forward, "flow_backward": perception.flow_backward}
    for name, flow in flows.items():
        if flow.ndim != 4 or len(flow) != len(clip) or flow.shape[-1] != 2:
            raise InputError(f"{name} has shape {list(flow.shape)}, want [{len(clip)}, H, W, 2].")
    if distance.shape[1:] != size:
        notes.append(f"distance resized from {distance.shape[2]} x {distance.shape[1]} to {clip.width} x {clip.height}")
        i = ((np.arange(size[0]) + 0.5) * distance.shape[1] / size[0]).astype(int)
        j = ((np.arange(size[1]) + 0.5) * distance.shape[2] / size[1]).astype(int)
        # The nearest value: a mean of two distances across an edge is a place where nothing is.
        distance = distance[:, i[:, None], j[None, :]]
    changed: dict[str, Any] = {"distance": distance}
    for name, flow in flows.items():
        if flow.shape[1:3] != size:
            ratio = np.array([size[1] / flow.shape[2], size[0] / flow.shape[1]], np.float32)
            changed[name] = np.stack([sphere.resize(f.astype(np.float32), *size) * ratio for f in flow])
    return dataclasses.replace(perception, **changed)


def _mark(mask: NDArray[np.bool_], patches: Patches) -> NDArray[np.bool_]:
    """Set the pixels of the patches in mask [H, W], and return it."""
    for w, h in np.unique(np.stack([patches.w, patches.h], -1), axis=0):
        some = (patches.w == w) & (patches.h == h)
        y = patches.y[some][:, None, None] + np.arange(h)[None, :, None]
        x = patches.x[some][:, None, None] + np.arange(w)[None, None, :]
        mask[np.minimum(y, mask.shape[0] - 1), np.minimum(x, mask.shape[1] - 1)] = True
    return mask


class _Planner:
    """Everything about windowed splats: what each key of each schedule would cost, and how to make its splats."""

    def __init__(
        self,
        clip: Clip,
        perception: ClipPerception,
        inverse: F32,
        base_image: F32,
        weight: F32,
        grid: Grid,
        progress: Progress,
    ) -> None:
        self.clip, self.inverse, self.weight, self.grid = clip, inverse, weight, grid
        self.schedules = windows.schedules(len(clip), clip.loop)
        rest = [(f.astype(np.float32) / 255 - base_image) ** 2 for f in clip.frames]
        self.base_error = np.stack([r.sum(-1) for r in rest])  # [T, H, W] of the base alone
        self.nodes: dict[int, F32] = {}
        self.predicted: list[F32] = []
        if not self.schedules:
            return
        self.half = windows.halve(clip.frames, perception.flow_forward, perception.flow_backward)
        for n, schedule in enumerate(self.schedules):
            progress(0.5 * n / len(self.schedules), "predicting frames from key frames")
            self.predicted.append(windows.prediction_errors(self.half, schedule))
        keys = sorted({f % len(clip) for s in self.schedules for f in s.frames})
        for n, frame in enumerate(keys):
            progress(0.5 + 0.5 * n / len(keys), "measuring detail")
            image = clip.frames[frame].astype(np.float32) / 255
            self.nodes[frame] = node_errors(grid, image, inverse[frame], weight)

    def layer(self, number: int, key: int) -> Layer:
        """The layer of one key of one schedule."""
        schedule = self.schedules[number]
        shares = schedule.shares()[key]
        if schedule.is_twin(key):  # both ends of a loop share their rectangles, or the seam in time would show
            shares = schedule.shares()[[0, -1]].sum(0)
        empty, extra = np.zeros(self.weight.shape, np.float32), np.zeros(self.half.frames.shape[1:3], np.float32)
        for t in np.flatnonzero(shares):
            empty += shares[t] * self.base_error[t]
            extra += shares[t] * self.predicted[number][t]
        size = (self.clip.width, self.clip.height)
        extra = cv2.resize(extra, size, interpolation=cv2.INTER_NEAREST) * self.weight
        nodes = self.nodes[schedule.frames[key] % len(self.clip)]
        return Layer(
            self.grid, nodes, float(shares.sum()), self.grid.tiles(extra), self.grid.tiles(empty * self.weight)
        )

    def windowed(self, schedule: windows.Schedule, key: int, patches: Patches, masks: list[NDArray[np.bool_]]) -> _Part:
        """The splats of one key; ``masks`` [H, W] say for each key of the schedule where it has splats."""
        frame = schedule.frames[key] % len(self.clip)
        image = self.clip.frames[frame].astype(np.float32) / 255
        discs = make_discs(patches, measure(self.inverse[frame]), image, self.weight)
        x = (patches.x + 0.5 * patches.w).astype(np.float32)
        y = np.minimum(patches.y + 0.5 * patches.h, self.clip.height - 0.01).astype(np.float32)
        motion = windows.motions(x, y, schedule, key, self.half, self.inverse)
        width = np.full(len(patches), windows.FRONT_WIDTH, np.float32)
        if schedule.is_back(key):
            covered = np.ones(len(patches), np.bool_)
            for other in (key - 1, key + 1):
                if 0 <= other < len(masks):
                    dt = schedule.time(other) - schedule.time(key)
                    place = discs.direction * discs.distance[:, None] + dt * (motion[:, 0] + dt * motion[:, 1])
                    px, py = sphere.to_pixels(place, self.clip.height)
                    i = np.clip(py.astype(int), 0, self.clip.height - 1)
                    covered &= masks[other][i, px.astype(int) % self.clip.width]
            width[covered] = windows.BACK_WIDTH
        else:
            discs.move(1 - np.minimum(GAP + 0.8 * discs.depth_extent, 0.06))
        # What lies beside something nearer at its own key time would take the complement of that one's soft outline.
        beside = near_things(self.inverse[frame])[y.astype(int), x.astype(int) % self.clip.width]
        free = np.where(beside, np.float32(SHADED), np.float32(FREE))
        return _Part(discs, motion, free, schedule.time(key), np.log(width / schedule.intervals))


def _spend(budget: int, layers: list[Layer], planner: _Planner, progress: Progress) -> tuple[float, NDArray[np.int64]]:
    """The price per splat that meets the budget, and for each tile the number of its schedule [tiles]."""
    tiles = len(layers[0].nodes)
    keys = [[planner.layer(n, k) for k in range(len(s.frames))] for n, s in enumerate(planner.schedules)]

    def at(price: float) -> tuple[int, NDArray[np.int64]]:
        total = sum(int(layer.price(price)[1].sum()) for layer in layers)
        if not keys:
            return total, np.zeros(tiles, np.int64)
        priced = [[layer.price(price) for layer in row] for row in keys]
        costs = np.stack([sum(c for c, _ in row) for row in priced])
        rates = np.stack([sum(r for _, r in row) for row in priced])
        best = costs.argmin(0)
        return total + int(rates[best, np.arange(tiles)].sum()), best

    low, high = 1e-7, 1e4  # splats are cheap, splats are dear
    for step in range(22):
        progress(step / 22, "spending the budget")
        middle = math.sqrt(low * high)
        used, _ = at(middle)
        if used > budget:
            low = middle
        else:
            high = middle
        if used <= budget and used > 0.985 * budget:
            break
    used, best = at(high)
    if used > budget:
        raise InputError(f"A budget of {budget} splats is too small for this clip; it needs {used}. Raise the budget.")
    return high, best


def _assemble(parts: list[_Part], clip: Clip, provenance: dict[str, Any]) -> Scene4D:
    """One scene of all parts."""
    discs = [p.discs for p in parts]
    motion = np.zeros((sum(len(d.distance) for d in discs), 3, 3), np.float32)
    motion[:, :2] = np.concatenate([p.motion for p in parts])
    count = [len(d.distance) for d in discs]
    return Scene4D(
        means=np.concatenate([d.direction * d.distance[:, None] for d in discs]),
        motion=motion,
        quats=np.concatenate([d.quats for d in discs]),
        omegas=np.zeros((len(motion), 4), np.float32),
        log_scales=np.log(np.concatenate([d.scales for d in discs])),
        opacity_logits=np.full(len(motion), math.log(OPAQUE / (1 - OPAQUE)), np.float32),
        t_centers=np.repeat(np.array([p.center for p in parts], np.float32), count),
        t_log_scales=np.concatenate([p.log_width for p in parts]),
        colors=np.concatenate([d.colors for d in discs]),
        duration=clip.duration,
        fps=clip.fps,
        loop=clip.loop,
        provenance=provenance,
    )
