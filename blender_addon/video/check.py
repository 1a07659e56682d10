"""Why a video cannot be made or would not play, before a job is sent. The rules are those of holotime.video."""

from dataclasses import dataclass

from .codecs import CODECS
from .players import Target

SHAPES = {"equirect": (2, 1), "ods": (1, 1), "vr180": (2, 1), "fisheye": (1, 1), "cubemap": (3, 2)}  # width : height
STEPS = {"equirect": 2, "ods": 2, "vr180": 2, "fisheye": 1, "cubemap": 3}  # one eye's width is a multiple of this
STEREO = ("ods", "vr180")
WIDTHS = (32, 16384)  # pixels, of one eye


@dataclass(frozen=True)
class Wish:
    """A video as it is asked for."""

    projection: str
    width: int  # pixels, of one eye
    height: int  # pixels, of a flat picture; otherwise not used
    fps: float
    codec: str
    bits: int
    transparent: bool = False
    target: Target | None = None  # who is to play it

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the whole frame, both eyes together."""
        if self.projection == "perspective":
            return self.width, self.height
        across, down = SHAPES[self.projection]
        whole = 2 * self.width if self.projection == "vr180" else self.width
        return whole, whole * down // across


def problem(wish: Wish) -> str:
    """The first reason against a video, with what would do; empty when there is none."""
    return _size(wish) or _codec(wish) or (_player(wish, wish.target) if wish.target else "")


def _size(wish: Wish) -> str:
    if not WIDTHS[0] <= wish.width <= WIDTHS[1]:
        return f"The width must lie between {WIDTHS[0]} and {WIDTHS[1]} pixels."
    step = STEPS.get(wish.projection, 2)
    if wish.width % step:
        return f"The width must be a multiple of {step}: {max(step, round(wish.width / step) * step)}, for example."
    width, height = wish.size
    if width % 2 or height % 2:
        return f"A video needs even sides, not {width} × {height}. Change the width a little."
    return ""


def _codec(wish: Wish) -> str:
    codec, (width, height) = CODECS[wish.codec], wish.size
    if wish.bits not in codec.bits:
        return f"{codec.title} is written with {_either(codec.bits)} bits, not {wish.bits}."
    if wish.transparent and not codec.alpha:
        able = _either(c.title for c in CODECS.values() if c.alpha)
        return f"{codec.title} keeps no transparency. Choose {able}, or another background."
    if codec.most_pixels is not None and width * height > codec.most_pixels:
        return (
            f"{width} × {height} is more than {codec.title} allows. "
            f"Use at most {largest_like(width, height, codec.most_pixels)}, or ProRes."
        )
    if width > codec.longest[0] or height > codec.longest[1]:
        return f"{width} × {height} is longer than {codec.title} allows ({codec.longest[0]} × {codec.longest[1]})."
    return ""


def _player(wish: Wish, target: Target) -> str:
    codec, player, (width, height) = CODECS[wish.codec], target.player, wish.size
    if wish.codec not in target.codecs:
        return f"{player} does not play {codec.title}. Choose {_either(CODECS[c].title for c in target.codecs)}."
    decoder = target.codecs[wish.codec]
    if wish.bits not in decoder.bits:
        return f"{player} plays {codec.title} with {_either(decoder.bits)} bits, not {wish.bits}."
    if decoder.pixels is not None and width * height > decoder.pixels:
        return (
            f"{width} × {height} is too large for {player} in {codec.title}. "
            f"Use at most {largest_like(width, height, decoder.pixels)}."
        )
    if decoder.side is not None and max(width, height) > decoder.side:
        return f"{player} plays {codec.title} up to {decoder.side} pixels on a side, not {width} × {height}."
    if target.fps is not None and wish.fps > target.fps:
        return f"{player} shows at most {target.fps:g} frames per second, not {wish.fps:g}."
    if decoder.rate is not None and width * height * wish.fps > decoder.rate:
        most = decoder.rate / (width * height)
        return f"{player} plays this size at up to {most:.0f} frames per second, not {wish.fps:g}."
    return ""


def largest_like(width: int, height: int, pixels: int, step: int = 8) -> str:
    """The largest "W × H" of about the same shape with at most ``pixels``, sides multiples of ``step``."""
    scale = (pixels / (width * height)) ** 0.5
    return f"{int(width * scale) // step * step} × {int(height * scale) // step * step}"


def _either(choices) -> str:
    *first, last = map(str, choices)
    return f"{', '.join(first)} or {last}" if first else last
