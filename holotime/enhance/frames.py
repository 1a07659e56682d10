"""The frames of a clip one by one: from a video file that is never in memory as a whole, or from an array."""

import struct
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from holotime.clip import VIDEO_SUFFIXES, Clip
from holotime.errors import InputError
from holotime.video import mp4
from holotime.video.encode import frame_rate
from holotime.video.spherical import Sphere, find_sphere

KEPT = 6  # decoded frames that stay in memory


class Frames(Protocol):
    """A clip."""

    count: int
    rate: Fraction  # frames a second
    loop: bool  # the frame after the last is the first
    width: int
    height: int

    def get(self, index: int) -> NDArray[np.uint8]:
        """Frame [H, W, 3]; quick when indices rise slowly."""
        ...


@dataclass
class ClipFrames:
    """A clip in memory."""

    clip: Clip

    def __post_init__(self) -> None:
        clip = self.clip
        self.count, self.rate, self.loop = len(clip), frame_rate(clip.fps), clip.loop
        self.width, self.height = clip.width, clip.height

    def get(self, index: int) -> NDArray[np.uint8]:
        """Frame [H, W, 3]."""
        return self.clip.frames[index]


class VideoFrames:
    """A video file, decoded as its frames are asked for."""

    def __init__(self, path: Path) -> None:
        """Look at a file. InputError for one that is no video, or has no picture track."""
        self.path = path
        if path.is_dir() or path.suffix.lower() not in VIDEO_SUFFIXES:
            raise InputError(f"{path} is no video. Give a clip: {', '.join(sorted(VIDEO_SUFFIXES))}.")
        if not path.is_file() or path.stat().st_size == 0:
            raise InputError(f"{path} is missing or empty. Give a video that plays.")
        with self._open() as container:
            if not container.streams.video:
                raise InputError(f"{path} holds no picture track. It is cut short, or no video.")
            stream = container.streams.video[0]
            self.rate = frame_rate(float(stream.average_rate or 12))
            self.loop = container.metadata.get("comment") == "holotime loop"
            self.width, self.height = stream.codec_context.width, stream.codec_context.height
            self.sound = bool(container.streams.audio)
            self.count = stream.frames or self._counted(container, stream)
        if not self.count:
            raise InputError(f"{path} holds no frames. It may be cut short.")
        self.sphere = _sphere(path)
        self._kept: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._decoder: Iterator[NDArray[np.uint8]] | None = None
        self._next = 0

    def get(self, index: int) -> NDArray[np.uint8]:
        """Frame [H, W, 3] sRGB. An earlier frame than those that are kept starts the decoding anew."""
        if index in self._kept:
            return self._kept[index]
        if self._decoder is None or index < self._next:
            self._decoder, self._next = self._decode(), 0
        while True:
            frame = next(self._decoder, None)
            if frame is None:
                raise InputError(
                    f"{self.path} says that it has {self.count} frames, and ends after {self._next}. It is cut short: "
                    "copy or export it again."
                )
            self._next += 1
            if self._next > index:
                break
        self._kept[index] = frame
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return frame

    def another(self) -> "VideoFrames":
        """The same file with a decoder of its own."""
        return VideoFrames(self.path)

    def _open(self) -> Any:
        try:
            return av.open(str(self.path))
        except av.error.FFmpegError as error:
            raise InputError(
                f"{self.path} cannot be read as a video ({error.strerror}). It may be cut short."
            ) from error

    def _counted(self, container: Any, stream: Any) -> int:
        """Frames of a file that does not say how many: its packets."""
        return sum(1 for packet in container.demux(stream) if packet.size)

    def _decode(self) -> Iterator[NDArray[np.uint8]]:
        with self._open() as container:
            try:
                for frame in container.decode(video=0):
                    # Through 4:4:4, because FFmpeg's direct conversion to RGB rounds down and darkens the picture.
                    yield frame.reformat(format="yuv444p").to_ndarray(format="rgb24")
            except av.error.FFmpegError as error:
                raise InputError(
                    f"{self.path} cannot be decoded after frame {self._next} ({error.strerror}). It may be cut short."
                ) from error


def _sphere(path: Path) -> Sphere | None:
    """What the file says of the sphere it shows; None when it says nothing, or is no MP4."""
    if path.suffix.lower() not in (".mp4", ".mov", ".m4v"):
        return None
    try:
        with path.open("rb") as file:
            for kind, start, header, end in mp4.top_level(file, path.stat().st_size):
                if kind == b"moov":
                    file.seek(start + header)
                    return find_sphere(file.read(end - start - header))
    except (ValueError, KeyError, struct.error):
        pass
    return None


def check_panorama(name: str, width: int, height: int, sphere: Sphere | None = None) -> None:
    """Refuse what is no mono panorama of the whole sphere."""
    if sphere is not None and (sphere.stereo != "mono" or sphere.shape != "equirect"):
        raise InputError(
            f"{name} is a {sphere.stereo} {sphere.shape} video. Enhance the clip that it was made from instead."
        )
    if width != 2 * height:
        raise InputError(f"{name} is {width} x {height}; a 360-degree panorama is twice as wide as high. Resize it.")
    if width < 64:
        raise InputError(f"{name} is only {width} pixels wide; at least 64 are needed.")
