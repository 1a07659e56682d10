"""Which encoders there are, what each is asked for, and how large a picture its decoders take.

Limits: H.264 (ITU-T H.264 table A-1, level 6.2), H.265 (ITU-T H.265 table A.8, level 6.2) and AV1 (specification annex
A.3, level 6.x) all end near 35.65 million pixels a picture; no decoder has to take more.
"""

import errno
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import av

from holotime.errors import InputError

Effort = Literal["fast", "balanced", "best"]
EFFORTS: tuple[Effort, ...] = ("fast", "balanced", "best")
Hardware = Literal["auto", "off", "only"]
LARGE = 4096 * 2304  # pixels beyond which an encoder's frame queues are kept short: they would cost gigabytes


@dataclass(frozen=True)
class Codec:
    """A way to compress video, with the encoders that can write it."""

    name: str  # what users type
    title: str  # what users read
    software: str  # FFmpeg's encoder
    hardware: str | None  # FFmpeg's NVENC encoder; None where there is none
    pixels: dict[int, str]  # bits per channel -> FFmpeg's pixel format
    containers: tuple[str, ...]  # file endings that players accept it in
    tag: str | None  # sample entry that players look for; None: FFmpeg's choice
    crf: int  # constant quality where a loss is hard to see; 0 where the codec has no such setting
    effort: dict[Effort, str]  # the encoder's preset for each effort
    most_pixels: int | None  # of one picture, by the highest level; None without a limit
    longest_side: tuple[int, int] | None  # widest and highest picture by the highest level

    def check(self, width: int, height: int, bits: int, suffix: str) -> None:
        """Raise InputError, with what would do, when this codec cannot hold such a picture in such a file."""
        if bits not in self.pixels:
            known = " or ".join(str(b) for b in self.pixels)
            raise InputError(f"{self.title} is written with {known} bits per channel here, not {bits}.")
        if suffix not in self.containers:
            endings = " or ".join(self.containers)
            raise InputError(f"{self.title} does not go into a {suffix or 'file without ending'}; name it {endings}.")
        if width % 2 or height % 2:
            raise InputError(f"A video needs even sides, got {width} x {height} pixels. Change the size by one pixel.")
        if self.most_pixels is not None and width * height > self.most_pixels:
            raise InputError(
                f"A frame of {width} x {height} pixels ({width * height / 1e6:.1f} MP) is beyond the highest level of "
                f"{self.title} ({self.most_pixels / 1e6:.1f} MP): no player has to show it. "
                f"Use at most {largest_like(width, height, self.most_pixels)}, or write an EXR or PNG sequence."
            )
        if self.longest_side is not None and (width > self.longest_side[0] or height > self.longest_side[1]):
            raise InputError(
                f"A frame of {width} x {height} pixels is longer than the highest level of {self.title} allows "
                f"({self.longest_side[0]} x {self.longest_side[1]}). Use a smaller size."
            )


def largest_like(width: int, height: int, pixels: int, step: int = 8) -> str:
    """The largest "W x H" of about the same shape with at most ``pixels``, sides multiples of ``step``."""
    scale = (pixels / (width * height)) ** 0.5
    return f"{int(width * scale) // step * step} x {int(height * scale) // step * step}"


CODECS = {
    codec.name: codec
    for codec in (
        Codec(
            name="h264",
            title="H.264",
            software="libx264",
            hardware="h264_nvenc",
            pixels={8: "yuv420p", 10: "yuv420p10le"},
            containers=(".mp4", ".mov"),
            tag="avc1",
            crf=16,
            effort={"fast": "veryfast", "balanced": "medium", "best": "slow"},
            most_pixels=139264 * 256,
            longest_side=(16888, 16888),
        ),
        Codec(
            name="h265",
            title="H.265",
            software="libx265",
            hardware="hevc_nvenc",
            pixels={8: "yuv420p", 10: "yuv420p10le"},
            containers=(".mp4", ".mov"),
            tag="hvc1",
            crf=18,
            effort={"fast": "superfast", "balanced": "fast", "best": "slow"},
            most_pixels=35_651_584,
            longest_side=(16888, 16888),
        ),
        Codec(
            name="av1",
            title="AV1",
            software="libsvtav1",
            hardware="av1_nvenc",
            pixels={8: "yuv420p", 10: "yuv420p10le"},
            containers=(".mp4",),
            tag="av01",
            crf=22,
            effort={"fast": "10", "balanced": "8", "best": "5"},
            most_pixels=35_651_584,
            longest_side=(16384, 8704),
        ),
        Codec(
            name="prores",
            title="ProRes 422 HQ",
            software="prores_ks",
            hardware=None,
            pixels={10: "yuv422p10le"},
            containers=(".mov",),
            tag="apch",
            crf=0,
            effort={"fast": "3", "balanced": "3", "best": "3"},
            most_pixels=None,
            longest_side=(16384, 16384),
        ),
        Codec(
            name="prores4444",
            title="ProRes 4444 with alpha",
            software="prores_ks",
            hardware=None,
            pixels={10: "yuva444p10le"},
            containers=(".mov",),
            tag="ap4h",
            crf=0,
            effort={"fast": "4", "balanced": "4", "best": "4"},
            most_pixels=None,
            longest_side=(16384, 16384),
        ),
    )
}


@dataclass(frozen=True)
class Encoder:
    """The encoder that will be used, and why."""

    codec: Codec
    name: str  # FFmpeg's name
    pixel_format: str  # FFmpeg's name
    bits: int  # per channel
    hardware: bool  # runs on NVENC
    note: str  # why not on hardware; empty if it is, or nobody asked

    def options(
        self, crf: int, effort: Effort, gop: int, pixels: int, threads: int, grain: bool = False
    ) -> dict[str, str]:
        """FFmpeg options for pictures of ``pixels`` pixels, closed groups of ``gop`` frames and a number of threads.

        ``grain``: fine grain is kept rather than smoothed away (x264 and x265).

        All of them are set here, so that a resumed render writes the same bytes: nothing is left to what the machine
        happens to have at that moment.
        """
        preset, large = self.codec.effort[effort], pixels > LARGE
        tune = {"tune": "grain"} if grain else {}
        if self.hardware:
            speed = {"fast": "p2", "balanced": "p5", "best": "p7"}[effort]
            options = {"preset": speed, "rc": "vbr", "cq": str(crf), "b": "0", "g": str(gop), "forced-idr": "1"}
            return options if self.codec.name != "h265" else {**options, "tier": "high"}
        if self.name == "libx264":
            # Headset decoders show garbage when vertical vectors leave the range of level 5.2 (Meta's encoding guide).
            params = "open-gop=0:mvrange=511"
            if large:  # a picture in slices needs one picture's memory; a picture for each thread needs all of theirs
                params += f":sliced-threads=1:slices={threads}:rc-lookahead=8:sync-lookahead=0"
            return {"crf": str(crf), "preset": preset, **tune, "g": str(gop), "x264-params": params}
        if self.name == "libx265":
            params = f"open-gop=0:keyint={gop}:min-keyint=1:frame-threads={2 if large else 3}:pools={threads}"
            params += f":log-level=error:lookahead-slices=0:rc-lookahead={5 if large else 20}"
            if large:  # a headset's picture that waits or is referred to costs 150 to 500 MB
                params += ":bframes=3"
            return {"crf": str(crf), "preset": preset, **tune, "x265-params": params}
        if self.name == "libsvtav1":
            # No lookahead: with one given, SVT-AV1 4.1 wrote other bytes in three runs of ten. "lp" is a level of
            # parallelism from 1 to 6, and of memory.
            params = f"lp={min(threads, 2 if large else 4)}"
            return {"crf": str(crf), "preset": preset, "g": str(gop), "svtav1-params": params}
        return {"profile": preset, "vendor": "apl0", **({"alpha_bits": "16"} if self.alpha else {})}

    @property
    def alpha(self) -> bool:
        """The video keeps transparency."""
        return self.pixel_format.startswith("yuva")


def default_threads() -> int:
    """Threads for an encoder: the cores that this process may use, at most 16."""
    return min(16, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def lanes(encoder: Encoder, pixels: int, threads: int) -> int:
    """How many encoders should work beside each other, each on a segment of its own, for pictures of such a size.

    An encoder prepares a picture (copy, half-size copy, variance of every block) in one thread; for a headset's picture
    that takes longer than the cores need for the rest. x264 costs two gigabytes there, so there are two at most; of
    x265, which costs four, there is one.
    """
    return 2 if pixels > LARGE and threads >= 8 and encoder.name != "libx265" else 1


def find_codec(name: str) -> Codec:
    """The codec called ``name``; InputError that lists the names when there is none."""
    if name not in CODECS:
        raise InputError(f"There is no codec {name!r}. Choose one of: {', '.join(CODECS)}.")
    return CODECS[name]


def choose(codec: Codec, width: int, height: int, bits: int, *, hardware: Hardware = "auto") -> Encoder:
    """The encoder for such a video on this machine: NVENC where it opens, software otherwise, with the reason.

    InputError when neither is here; it names codecs that are.
    """
    reason = ""
    if hardware != "off" and codec.hardware is not None:
        pixels = {8: "yuv420p", 10: "p010le"}.get(bits, "")
        reason = _why_not(codec.hardware, pixels, width, height)
        if not reason:
            return Encoder(codec, codec.hardware, pixels, bits, True, "")
    if hardware == "only":
        why = reason or f"there is no hardware encoder for {codec.title}"
        raise InputError(f"No hardware encoder: {why}. Leave the hardware setting at auto to encode in software.")
    failure = _why_not(codec.software, codec.pixels[bits], 256, 256)
    if failure:
        others = [c.name for c in CODECS.values() if not _why_not(c.software, next(iter(c.pixels.values())), 256, 256)]
        advice = f"Here are: {', '.join(others)}" if others else "Install PyAV again, with its encoders"
        raise InputError(f"This machine cannot write {codec.title} with {bits} bits ({failure}). {advice}.")
    return Encoder(codec, codec.software, codec.pixels[bits], bits, False, reason)


@lru_cache(maxsize=64)
def _why_not(encoder: str, pixel_format: str, width: int, height: int) -> str:
    """Empty if an encoder opens for such pictures here, else why not."""
    try:
        context: Any = av.CodecContext.create(encoder, "w")
    except (ValueError, LookupError):
        return f"this FFmpeg has no {encoder}"
    formats = {f.name for f in context.codec.video_formats or ()}
    if formats and pixel_format not in formats:
        return f"this {encoder} does not write {pixel_format}"
    context.width, context.height, context.pix_fmt = width, height, pixel_format
    context.framerate = 30
    if encoder == "libx265":
        context.options = {"x265-params": "log-level=error"}
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 prints its settings on standard error otherwise; 1 is errors only
    try:
        context.open()
    except (av.error.FFmpegError, OSError) as error:
        missing = "no NVIDIA driver here: " if error.errno == errno.EPERM and encoder.endswith("_nvenc") else ""
        return f"{encoder} does not open for {width} x {height} ({missing}{error.strerror})"
    return ""
