"""Encoding: pictures one after another into a file, in a thread of its own so that drawing goes on meanwhile."""

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from queue import Queue
from typing import Any

import av
from numpy.typing import NDArray

from holotime.errors import InputError
from holotime.video.codecs import Effort, Encoder
from holotime.video.yuv import to_video_frame

WAITING = 2  # pictures between drawing and encoding; a headset's is 100 MB
BT709, LIMITED = 1, 1  # FFmpeg's numbers
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
UNWRITABLE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.EEXIST),
    *(errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG),
}


def frame_rate(fps: float) -> Fraction:
    """The rate as an exact fraction; 23.976, 29.97, 59.94 and their like become n * 1000 / 1001."""
    ntsc = Fraction(round(fps * 1.001) * 1000, 1001)
    if fps != round(fps) and abs(float(ntsc) - fps) < 0.005:
        return ntsc
    return Fraction(fps).limit_denominator(1001)


@contextmanager
def disk_errors(output: Path) -> Iterator[None]:
    """Turn what a disk refuses into one line that says where and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise InputError(
                f"The disk has no room for {output} ({error.strerror}). Free some space and repeat the command: what "
                "is already encoded is kept."
            ) from error
        if error.errno in UNWRITABLE:
            raise InputError(f"Cannot write {output} ({error.strerror}). Choose another place.") from error
        raise


@dataclass(frozen=True)
class EncodeSettings:
    """How every segment of a video is encoded."""

    encoder: Encoder
    width: int  # pixels
    height: int  # pixels
    rate: Fraction  # frames per second
    crf: int  # constant quality
    effort: Effort
    gop: int  # frames from one key frame to the next; groups are closed
    threads: int  # of the encoder
    container: str  # FFmpeg's name of the file format: mp4 or mov
    grain: bool = False  # fine grain is kept


class SegmentWriter:
    """One video file that begins with a key frame and refers to nothing outside itself."""

    def __init__(self, path: Path, settings: EncodeSettings) -> None:
        self.settings, self.frames, self.delay, self._packets = settings, 0, 0, 0
        encoder = settings.encoder
        self.container: Any = av.open(str(path), "w", format=settings.container)
        options = encoder.options(
            settings.crf,
            settings.effort,
            settings.gop,
            settings.width * settings.height,
            settings.threads,
            settings.grain,
        )
        stream: Any = self.container.add_stream(encoder.name, rate=settings.rate, options=options)
        self.stream = stream
        stream.width, stream.height = settings.width, settings.height
        stream.pix_fmt = encoder.pixel_format
        context = stream.codec_context
        context.thread_count = settings.threads
        context.color_range, context.colorspace = LIMITED, BT709
        context.color_primaries, context.color_trc = BT709, BT709
        if encoder.codec.tag is not None:
            context.codec_tag = encoder.codec.tag

    def add(self, picture: NDArray) -> None:
        """Encode the next picture [H, W, 3 or 4] uint8, uint16 or float32."""
        settings = self.settings
        if picture.shape[:2] != (settings.height, settings.width):
            raise InputError(
                f"A frame has {picture.shape[1]} x {picture.shape[0]} pixels; the video has "
                f"{settings.width} x {settings.height}."
            )
        planar = settings.encoder.codec.pixels[settings.encoder.bits]
        frame = to_video_frame(picture, planar)
        if planar != settings.encoder.pixel_format:
            frame = frame.reformat(format=settings.encoder.pixel_format)
        frame.pts, frame.time_base = self.frames, 1 / settings.rate
        self.frames += 1
        self._mux(self.stream.encode(frame))

    def close(self) -> None:
        """Encode what waits and finish the file."""
        self._mux(self.stream.encode())
        self.container.close()

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            # How far decoding order runs ahead of showing order: whoever joins segments needs the largest one.
            shown = round(packet.pts * packet.time_base * self.settings.rate)
            self.delay = max(self.delay, self._packets - shown)
            self._packets += 1
            self.container.mux(packet)


class EncodeThread:
    """Runs ``work(pictures)`` beside the caller, who puts the pictures in; at most ``waiting`` of them wait.

    As a context manager: leaving it normally waits for the work to end, leaving it by an exception makes the pictures
    end early with :class:`Abandoned`. An error of the work is raised in the caller at its next :meth:`put`, or on
    leaving.
    """

    def __init__(self, work: Callable[[Iterator[Any]], None], waiting: int = WAITING) -> None:
        self._queue: Queue[Any] = Queue(waiting)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), name="encode", daemon=True)

    def __enter__(self) -> "EncodeThread":
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        self._queue.put(_END if kind is None else _ABANDON)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def put(self, picture: Any) -> None:
        """Hand over the next picture; waits while too many wait."""
        if self._error is not None:
            raise self._error
        self._queue.put(picture)

    def _run(self, work: Callable[[Iterator[Any]], None]) -> None:
        taken = self._take()
        try:
            work(taken)
        except Abandoned:
            return
        except BaseException as error:  # handed to the caller
            self._error = error
        try:
            for _ in taken:  # a caller that is waiting to put must not wait for ever
                pass
        except Abandoned:
            pass

    def _take(self) -> Iterator[Any]:
        while True:
            item = self._queue.get()
            if item is _END:
                return
            if item is _ABANDON:
                raise Abandoned
            yield item


class Abandoned(Exception):
    """The pictures ended before their time because the caller stopped."""


_END, _ABANDON = object(), object()
