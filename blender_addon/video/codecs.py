"""The codecs that the sidecar writes, as far as a panel has to know them. The numbers are those of holotime.video."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Codec:
    """A way to compress video."""

    name: str  # as the sidecar's job calls it
    title: str  # for people
    description: str  # what it is good for
    bits: tuple[int, ...]  # per channel that can be written
    ending: str  # of the file, with the dot
    alpha: bool  # keeps transparency
    crf: int  # quality that is taken when nobody chooses; smaller is better, 0: it has no such setting
    most_pixels: int | None  # of one picture; None: no limit
    longest: tuple[int, int]  # widest and highest picture


CODECS = {
    codec.name: codec
    for codec in (
        Codec("h264", "H.264", "Plays everywhere", (8, 10), ".mp4", False, 16, 139264 * 256, (16888, 16888)),
        Codec("h265", "H.265", "Smaller; what headsets like", (8, 10), ".mp4", False, 18, 35_651_584, (16888, 16888)),
        Codec("av1", "AV1", "Smallest, for new players", (8, 10), ".mp4", False, 22, 35_651_584, (16384, 8704)),
        Codec("prores", "ProRes 422 HQ", "Large files for editing", (10,), ".mov", False, 0, None, (16384, 16384)),
        Codec("prores4444", "ProRes 4444", "For editing, with alpha", (10,), ".mov", True, 0, None, (16384, 16384)),
    )
}  # fmt: skip
