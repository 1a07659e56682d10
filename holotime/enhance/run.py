"""Enhancing a video file, which is never in memory as a whole, or a clip in memory."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime.clip import Clip
from holotime.enhance.config import (
    Choice,
    EnhanceConfig,
    choose_interpolator,
    choose_upscaler,
    load_engine,
    load_enlarger,
)
from holotime.enhance.enhancer import Enhancer
from holotime.enhance.frames import ClipFrames, Frames, VideoFrames, check_panorama
from holotime.enhance.rate import Moments, moments
from holotime.enhance.superres import Lanczos
from holotime.errors import InputError
from holotime.files import digest_file, write_whole
from holotime.progress import Progress, no_progress, part
from holotime.video.segments import VideoSpec, write_video

DRAWING = 0.97  # share of the progress; the rest is joining the segments
VERSION = 1  # of what is made; another number makes unfinished and cached results anew
CRF = 7  # finer than clips are written: with more pixels and frames their neighbours differ less


@dataclass(frozen=True)
class Plan:
    """What will be done, known before any work."""

    config: EnhanceConfig
    moments: Moments
    interpolator: Choice | None  # None: no frames in between
    upscaler: Choice | None  # None: as large as it is
    notes: list[str] = field(default_factory=list)  # choices and fallbacks, one sentence each

    @property
    def models(self) -> tuple[str, ...]:
        """Networks that are used, for their licences."""
        return tuple(c.name for c in (self.interpolator, self.upscaler) if c is not None and c.path is not None)

    @property
    def backend(self) -> str:
        """What runs, in a few words."""
        parts = [c.name for c in (self.interpolator, self.upscaler) if c is not None]
        return " + ".join(parts) or "frames taken as they are"

    def stamp(self) -> list[Any]:
        """What the result depends on besides the clip."""
        chosen = [c.stamp() if c else None for c in (self.interpolator, self.upscaler)]
        return [VERSION, str(self.config.rate), self.config.scale, *chosen]

    def enhancer(self, frames: Frames) -> Enhancer:
        """Loads the networks."""
        engine = load_engine(self.interpolator or Choice("dis"))
        enlarger = load_enlarger(self.upscaler, self.config.scale) if self.upscaler else Lanczos(1)
        return Enhancer(frames, self.moments, engine, enlarger)


@dataclass(frozen=True)
class Enhanced:
    """A clip that was enhanced, and how."""

    clip: Clip
    backend: str
    notes: list[str] = field(default_factory=list)
    models: tuple[str, ...] = ()


def plan(config: EnhanceConfig, count: int, rate: Any, loop: bool) -> Plan:
    """Look at what is asked of a clip of ``count`` frames at ``rate``. InputError before any work."""
    wanted = moments(count, rate, config.rate, loop)
    between = wanted.originals < len(wanted.positions)
    interpolator = choose_interpolator(config) if config.fps else None
    upscaler = choose_upscaler(config) if config.scale > 1 else None
    notes = list(wanted.notes)
    if between and interpolator is not None:
        new = len(wanted.positions) - wanted.originals
        notes.append(
            f"{new} of {len(wanted.positions)} frames are new ({interpolator.name}), the others the clip's own."
        )
    used = [c for c in (interpolator if between else None, upscaler) if c is not None]
    notes += [c.note for c in used if c.note]
    return Plan(config, wanted, interpolator if between else None, upscaler, notes)


def enhance_clip(
    clip: Clip, config: EnhanceConfig, progress: Progress = no_progress, keep: Path | None = None
) -> Enhanced:
    """A clip [T, H, 2H, 3] in memory with more frames and pixels. Raises InputError before any work.

    ``keep``: a folder of this very work, where finished pictures wait in case it is cut off; empty afterwards.
    """
    check_panorama("The clip", clip.width, clip.height)
    frames = ClipFrames(clip)
    todo = plan(config, frames.count, frames.rate, frames.loop)
    size = (config.scale * clip.height, config.scale * clip.width)
    out = np.empty((len(todo.moments.positions), *size, 3), np.uint8)
    progress(0.0, "loading")
    enhancer = todo.enhancer(frames)
    for k in range(len(out)):
        told = _within(progress, k, len(out))
        out[k] = _once(keep, k, size, lambda k=k, told=told: enhancer.picture(k, told))  # type: ignore[misc]
    for path in keep.glob("*.png") if keep else ():
        path.unlink()
    fps = config.fps if config.fps and frames.count > 1 else clip.fps
    return Enhanced(Clip(out, fps, clip.loop), todo.backend, todo.notes, todo.models)


def _once(
    keep: Path | None, index: int, size: tuple[int, int], make: Callable[[], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """The picture [H, W, 3] that an earlier attempt has left in ``keep``, or a new one, which is left there."""
    if keep is None:
        return make()
    path = keep / f"{index:06d}.png"
    found = cv2.imread(str(path)) if path.is_file() else None
    if found is not None and found.shape == (*size, 3):
        return found[..., ::-1].astype(np.uint8)
    made = make()
    write_whole(path, cv2.imencode(".png", made[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
    return made


def _within(progress: Progress, done: int, total: int) -> Any:
    """What is told of one picture, seen as progress of all."""
    progress(done / total, f"picture {done + 1} of {total}")
    return lambda share: progress((done + share) / total, f"picture {done + 1} of {total}")


def enhance_video(
    source: Path,
    output: Path,
    config: EnhanceConfig,
    *,
    parts: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Enhance a video file into another (.mp4, .mov): what there is to say about it.

    Spherical metadata, the mark of a loop and the sound go along. ``parts``: where an unfinished video waits, beside
    the output by default; the same call again goes on from there. Raises InputError before any work for what cannot be.
    """
    frames = VideoFrames(source)
    check_panorama(str(source), frames.width, frames.height, frames.sphere)
    if config.off:
        raise InputError("There is nothing to do. Give --fps, --scale, or both.")
    if output.exists() and os.path.samefile(source, output):
        raise InputError(f"The output {output} is the clip itself. Give another name.")
    todo = plan(config, frames.count, frames.rate, frames.loop)
    if config.scale == 1 and config.rate == frames.rate:
        raise InputError(f"{source} has {config.fps:g} frames a second already. Give another --fps, or --scale.")
    size = (config.scale * frames.width, config.scale * frames.height)
    count = len(todo.moments.positions)
    fps = float(config.rate if config.rate and frames.count > 1 else frames.rate)
    spec = VideoSpec(*size, count, fps, crf=CRF, hardware="off", grain=True)
    spec.encoder(output.suffix.lower())
    pictures = part(progress, 0.0, DRAWING)

    def draw(wanted: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        lanes: list[tuple[list[int], Enhancer]] = []
        for n, index in enumerate(wanted):
            enhancer = _lane(lanes, index, todo, frames)
            made = enhancer.picture(index, _within(pictures, count - len(wanted) + n, count))
            yield made

    def joining(fraction: float, note: str = "") -> None:
        if fraction > DRAWING:  # before that, the pictures say more
            progress(fraction, note)

    report = write_video(
        output,
        draw,
        spec,
        identity={"source": digest_file(source), "how": todo.stamp()},
        sphere=frames.sphere,
        audio=source if frames.sound else None,
        comment="holotime loop" if frames.loop else "",
        parts=parts,
        progress=joining,
    )
    return {
        "clip": str(output),
        "frames": count,
        "fps": fps,
        "size": list(size),
        "loop": frames.loop,
        "by": todo.backend,
        "models": list(todo.models),
        "notes": todo.notes,
        **report.as_dict(),
    }


def _lane(lanes: list[tuple[list[int], Enhancer]], index: int, todo: Plan, frames: VideoFrames) -> Enhancer:
    """The one that made the picture before ``index``; large pictures are asked for from two places in turn."""
    for last, enhancer in lanes:
        if last[0] <= index <= last[0] + 2:
            last[0] = index
            return enhancer
    if len(lanes) == 2:
        last, enhancer = lanes.pop(0)
        last[0] = index
    else:
        last = [index]
        enhancer = todo.enhancer(frames if not lanes else frames.another())
    lanes.append((last, enhancer))
    return enhancer
