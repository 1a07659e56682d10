"""A video in segments: an interrupted render goes on where it was and ends in the very same file.

Every segment is encoded by itself, from a fresh encoder, into the parts folder beside the output; a small JSON file
with its digest appears when it is complete. At the end the segments are joined packet by packet. So a render that was
killed and begun again writes what an undisturbed one writes, byte for byte, as long as its pictures are the same.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
from numpy.typing import NDArray

from holotime.cache import digest_of
from holotime.errors import Cancelled, InputError
from holotime.files import digest_file, file_to_disk, write_whole
from holotime.progress import Progress, no_progress, part
from holotime.video import mp4
from holotime.video.audio import AudioTrack
from holotime.video.codecs import Effort, Encoder, Hardware, choose, default_threads, find_codec, lanes
from holotime.video.encode import WAITING, EncodeSettings, EncodeThread, SegmentWriter, disk_errors, frame_rate
from holotime.video.join import join_segments
from holotime.video.spherical import Sphere, tag

LAYOUT = 1  # of the parts folder; another number begins anew
JOINING = 0.03  # share of the progress

# Called with the indices of the frames that are still wanted, in order; gives their pictures [H, W, 3] (or [H, W, 4]
# with straight alpha) one by one, uint8, uint16 or float32 in [0, 1], sRGB.
FrameSource = Callable[[Sequence[int]], Iterator[NDArray]]


@dataclass(frozen=True)
class VideoSpec:
    """What file is written."""

    width: int  # pixels of the frame, both eyes together
    height: int  # pixels
    frames: int  # number of frames
    fps: float  # frames per second
    codec: str = "h264"  # see codecs.CODECS
    bits: int | None = None  # per channel; the codec's smallest if None
    crf: int | None = None  # constant quality, smaller is better; the codec's own if None
    effort: Effort = "balanced"  # how long the encoder may think
    hardware: Hardware = "auto"  # auto, off, or only
    segment_seconds: float = 2.0  # of film that are lost at most when a render is killed
    key_seconds: float = 1.0  # of film between key frames: a player jumps to these
    grain: bool = False  # keep fine grain: smoothed away everywhere but at the picture's borders it would leave a seam

    def encoder(self, suffix: str) -> Encoder:
        """The encoder for this video in a file with this ending; InputError when the video cannot be written so."""
        codec = find_codec(self.codec)
        bits = self.bits if self.bits is not None else min(codec.pixels)
        if self.frames < 1:
            raise InputError("A video needs at least one frame; there are none. Ask for a longer one.")
        if not 0 < self.fps <= 1000:
            raise InputError(f"A video cannot have {self.fps:g} frames per second. Use 1 to 240.")
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise InputError(f"The quality (crf) is {self.crf}; it must lie between 0 (best) and 51 (63 for AV1).")
        codec.check(self.width, self.height, bits, suffix)
        return choose(codec, self.width, self.height, bits, hardware=self.hardware)


@dataclass(frozen=True)
class VideoReport:
    """What was written and how."""

    path: Path
    frames: int  # in the file
    reused: int  # of them, taken from an earlier run that was cut off
    encoder: str  # FFmpeg's name
    pixel_format: str  # FFmpeg's name
    hardware: bool  # encoded by NVENC
    note: str  # why not by NVENC
    audio: str  # what became of the sound; empty without

    def as_dict(self) -> dict[str, Any]:
        """For a report; ``path`` left out."""
        hidden = ("path", "note" if self.hardware or not self.note else "", "audio" if not self.audio else "")
        return {name: value for name, value in vars(self).items() if name not in hidden}


@dataclass(frozen=True)
class _Segment:
    """Frames [first, first + frames) in a file."""

    first: int
    frames: int
    path: Path

    @property
    def record(self) -> Path:
        return self.path.with_suffix(".json")

    def read(self) -> int | None:
        """The delay of the finished segment (see SegmentWriter), None if it is not there or damaged."""
        try:
            data = json.loads(self.record.read_text(encoding="utf-8"))
            return int(data["delay"]) if data["sha256"] == digest_file(self.path) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def finish(self, unfinished: Path, delay: int) -> None:
        """Give the finished file its name, then its record."""
        file_to_disk(unfinished)
        digest = digest_file(unfinished)
        unfinished.replace(self.path)
        write_whole(self.record, json.dumps({"sha256": digest, "delay": delay}).encode())


def write_video(
    output: Path | str,
    source: FrameSource,
    spec: VideoSpec,
    *,
    identity: Mapping[str, Any],
    sphere: Sphere | None = None,
    audio: Path | None = None,
    comment: str = "",
    parts: Path | None = None,
    progress: Progress = no_progress,
) -> VideoReport:
    """Write the pictures of ``source`` to a video file, or go on with one that was cut off.

    ``identity``: whatever JSON-able the pictures depend on (digest of the scene, cameras, settings): parts of an
    earlier run are used only if it was the same. ``sphere``: spherical metadata to write. ``audio``: a file whose first
    audio track goes along, cut at the video's end. ``comment``: kept in the file. ``parts``: where segments wait, a
    hidden folder beside the output by default; it is removed at the end, or when the work is cancelled, but stays when
    the process dies or the disk is full. The file appears under its name only when it is complete. InputError for what
    cannot be written, before any picture is asked for.
    """
    output = Path(output)
    encoder = spec.encoder(output.suffix.lower())
    rate = frame_rate(spec.fps)
    sound = AudioTrack.open(audio, output.suffix.lower(), spec.frames / rate) if audio is not None else None
    parts = parts if parts is not None else output.with_name(f".{output.name}.parts")
    with disk_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        beside = lanes(encoder, spec.width * spec.height, default_threads())
        key = digest_of(layout=LAYOUT, identity=dict(identity), **_what(spec, encoder))
        threads = _open_parts(parts, key, max(1, default_threads() // beside))
    gop = max(1, round(spec.key_seconds * rate))
    settings = EncodeSettings(
        encoder=encoder,
        width=spec.width,
        height=spec.height,
        rate=rate,
        crf=spec.crf if spec.crf is not None else encoder.codec.crf,
        effort=spec.effort,
        gop=gop,
        threads=threads,
        container=output.suffix.lower()[1:],
        grain=spec.grain,
    )
    length = gop * max(1, round(spec.segment_seconds / spec.key_seconds))
    segments = [
        _Segment(a, min(length, spec.frames - a), parts / f"{a:07d}{output.suffix.lower()}")
        for a in range(0, spec.frames, length)
    ]
    joined = parts / f"joined{output.suffix.lower()}"
    try:
        with disk_errors(output):
            reused = _encode_missing(segments, source, settings, beside, part(progress, 0, 1 - JOINING))
            delay = max(s.read() or 0 for s in segments)
            progress(1 - JOINING, "joining")
            join_segments(joined, [(s.path, s.first) for s in segments], rate, delay, sound=sound, comment=comment)
            mp4.rewrite(joined, output, None if sphere is None else lambda moov: tag(moov, sphere))
            progress(1.0, "joining")
    except Cancelled:
        shutil.rmtree(parts, ignore_errors=True)
        raise
    shutil.rmtree(parts, ignore_errors=True)
    note = sound.note if sound is not None else ""
    return VideoReport(
        output, spec.frames, reused, encoder.name, encoder.pixel_format, encoder.hardware, encoder.note, note
    )


def _what(spec: VideoSpec, encoder: Encoder) -> dict[str, Any]:
    """Everything beside the pictures that decides the bytes of a segment."""
    return {"spec": vars(spec), "encoder": encoder.name, "pixels": encoder.pixel_format, "av": av.__version__}


def _open_parts(parts: Path, key: str, threads: int) -> int:
    """Make the parts folder, or keep the one of an earlier run of the same; the number of encoder threads to use.

    The number of threads decides the bytes, so a resumed render uses the one it began with.
    """
    plan = parts / "plan.json"
    try:
        data = json.loads(plan.read_text(encoding="utf-8"))
        if data["key"] == key:
            for leftover in parts.glob("*.part*"):
                leftover.unlink(missing_ok=True)
            return int(data["threads"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir(parents=True, exist_ok=True)
    plan.write_text(json.dumps({"key": key, "threads": threads}), encoding="utf-8")
    return threads


def _encode_missing(
    segments: list[_Segment], source: FrameSource, settings: EncodeSettings, beside: int, progress: Progress
) -> int:
    """Draw and encode what is not there yet, ``beside`` segments at a time; the number of frames that were."""
    missing = [s for s in segments if s.read() is None]
    lane_of = {s.first: k % beside for k, s in enumerate(missing)}
    wanted = list(_interleaved(missing, beside))
    total = sum(s.frames for s in segments)
    done = reused = total - len(wanted)
    progress(done / total, "rendering")
    if not wanted:
        return reused
    pictures = source([i for _, i in wanted])
    with ExitStack() as stack:
        threads = []
        for lane in range(min(beside, len(missing))):
            work = partial(_encode, missing[lane::beside], settings)
            threads.append(stack.enter_context(EncodeThread(work, WAITING if beside == 1 else 1)))
        for segment, _ in wanted:
            picture = next(pictures, None)
            if picture is None:
                raise InputError(f"There are only {done} frames to write, {total} were promised.")
            threads[lane_of[segment.first]].put(picture)
            done += 1
            progress(done / total, "rendering")
    return reused


def _interleaved(segments: list[_Segment], beside: int) -> Iterator[tuple[_Segment, int]]:
    """(segment, frame) in the order of drawing: a frame of each of ``beside`` segments in turn."""
    for k in range(0, len(segments), beside):
        group = segments[k : k + beside]
        for i in range(max(s.frames for s in group)):
            yield from ((s, s.first + i) for s in group if i < s.frames)


def _encode(segments: list[_Segment], settings: EncodeSettings, pictures: Iterator[NDArray]) -> None:
    """Encode segments one after the other from their pictures."""
    for segment in segments:
        unfinished = segment.path.with_name(f"{segment.path.stem}.{os.getpid()}.part{segment.path.suffix}")
        writer = SegmentWriter(unfinished, settings)
        try:
            for _ in range(segment.frames):
                writer.add(next(pictures))
            writer.close()
        except BaseException:
            writer.container.close()
            unfinished.unlink(missing_ok=True)
            raise
        segment.finish(unfinished, writer.delay)
