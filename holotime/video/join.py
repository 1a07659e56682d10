"""Joining segments to one file, packet by packet: no picture is decoded or encoded again."""

import heapq
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from holotime.errors import HoloTimeError
from holotime.video.audio import AudioTrack


def join_segments(
    output: Path,
    segments: Sequence[tuple[Path, int]],
    rate: Fraction,
    delay: int,
    *,
    sound: AudioTrack | None = None,
    comment: str = "",
) -> None:
    """Write the packets of ``segments`` (file, number of its first frame; in order) to ``output``, with a sound track.

    ``rate``: frames per second. ``delay``: the largest distance in frames by which decoding runs ahead of showing.
    The time stamps are counted anew from the frame numbers, so a joint looks like any other place of the stream.
    """
    with av.open(str(output), "w") as container:
        if comment:
            container.metadata["comment"] = comment
        with av.open(str(segments[0][0])) as first:
            template = first.streams.video[0]
            stream = container.add_stream_from_template(template, opaque=True)  # also what only decodes here (AV1)
            stream.codec_context.codec_tag = template.codec_context.codec_tag
            extradata = template.codec_context.extradata
        stream.time_base = 1 / rate
        packets = _packets(segments, rate, delay, stream, extradata)
        if sound is not None:
            # by time, because a muxer that gets one track after the other keeps the whole film in memory
            packets = heapq.merge(packets, sound.add_to(container), key=lambda item: item[0])
        for _, packet in packets:
            container.mux(packet)


def _packets(
    segments: Sequence[tuple[Path, int]], rate: Fraction, delay: int, stream: Any, extradata: bytes | None
) -> Iterator[tuple[float, Any]]:
    """(seconds, packet) of all segments, in the order of decoding."""
    count = 0
    for path, start in segments:
        with av.open(str(path)) as container:
            source = container.streams.video[0]
            if source.codec_context.extradata != extradata:
                raise HoloTimeError(f"The part {path} was encoded otherwise than the first. Delete its folder, repeat.")
            for packet in container.demux(source):
                if packet.pts is None:
                    continue
                packet.pts = start + round(packet.pts * packet.time_base * rate)
                packet.dts, packet.duration = count - delay, 1
                packet.time_base = 1 / rate
                packet.stream = stream
                count += 1
                yield float(packet.dts / rate), packet
