"""A sound track that goes along with a video: passed through, or encoded to AAC where the file cannot hold it."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from holotime.errors import InputError

PASSED = {  # file ending -> codecs that players expect in it
    ".mp4": {"aac", "mp3", "ac3", "eac3", "opus", "alac", "flac"},
    ".mov": {"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le", "pcm_s16be", "pcm_s24be", "pcm_f32le"},
}
BIT_RATE = 256_000  # of AAC, for two channels


@dataclass(frozen=True)
class AudioTrack:
    """The first audio track of a file, up to a length."""

    path: Path
    codec: str  # FFmpeg's name
    passed: bool  # packets go through as they are
    length: Fraction  # seconds after which it is cut

    @classmethod
    def open(cls, path: Path, suffix: str, length: Fraction) -> "AudioTrack":
        """Look at a file before any work. InputError when it is missing or has no sound."""
        if not path.is_file():
            raise InputError(f"The sound {path} does not exist. Give an audio or video file.")
        try:
            with av.open(str(path)) as container:
                if not container.streams.audio:
                    raise InputError(f"{path} has no audio track. Give a file with sound.")
                codec = container.streams.audio[0].codec_context.name
        except av.error.FFmpegError as error:
            raise InputError(f"The sound {path} cannot be read ({error.strerror}). Give a file that plays.") from error
        name = {"mp3float": "mp3", "libopus": "opus", "libfdk_aac": "aac"}.get(codec, codec)
        return cls(path, codec, name in PASSED.get(suffix, set()), length)

    @property
    def note(self) -> str:
        """What becomes of it, for the report."""
        return f"{self.codec}, passed through" if self.passed else f"aac, encoded from {self.codec}"

    def add_to(self, container: Any) -> Iterator[tuple[float, Any]]:
        """Add the stream to ``container``; (seconds, packet) of it in order, made as they are taken."""
        source: Any = av.open(str(self.path))
        stream = source.streams.audio[0]
        if self.passed:
            target = container.add_stream_from_template(stream)
            return self._copy(source, stream, target)
        target = container.add_stream("aac", rate=stream.codec_context.sample_rate)
        channels = stream.codec_context.layout.nb_channels
        # a WAV may name no places for its channels, which AAC needs
        target.codec_context.layout = {1: "mono", 2: "stereo"}.get(channels, stream.codec_context.layout)
        target.codec_context.bit_rate = BIT_RATE * max(1, channels) // 2
        return self._encode(source, stream, target)

    def _copy(self, source: Any, stream: Any, target: Any) -> Iterator[tuple[float, Any]]:
        with source:
            start = None
            packet: Any
            for packet in source.demux(stream):
                if packet.dts is None or packet.pts is None:
                    continue
                start = packet.pts if start is None else start
                seconds = (packet.pts - start) * packet.time_base
                if seconds >= self.length:
                    return
                packet.pts, packet.dts = packet.pts - start, packet.dts - start
                packet.stream = target
                yield float(seconds), packet

    def _encode(self, source: Any, stream: Any, target: Any) -> Iterator[tuple[float, Any]]:
        with source:
            context = target.codec_context
            resampler = av.AudioResampler(format="fltp", layout=context.layout, rate=context.sample_rate)
            for packet in self._packets(source, stream, resampler, target):
                seconds = packet.pts * packet.time_base
                if seconds >= self.length:
                    return
                yield float(seconds), packet

    @staticmethod
    def _packets(source: Any, stream: Any, resampler: Any, target: Any) -> Iterator[Any]:
        samples = 0
        for frame in source.decode(stream):
            for piece in resampler.resample(frame):
                piece.pts, piece.time_base = samples, Fraction(1, target.codec_context.sample_rate)
                samples += piece.samples
                yield from target.encode(piece)
        for piece in resampler.resample(None):
            piece.pts, piece.time_base = samples, Fraction(1, target.codec_context.sample_rate)
            samples += piece.samples
            yield from target.encode(piece)
        yield from target.encode(None)
