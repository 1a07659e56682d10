"""Video presets: what to render for a player, and what that player is known not to show. Data in presets/video."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holotime.errors import InputError
from holotime.presets import presets_root
from holotime.video.codecs import CODECS, find_codec, largest_like

KEYS = ("name", "title", "description", "projection", "width", "height", "codec", "bits", "crf", "player")


@dataclass(frozen=True)
class Decoder:
    """What a player decodes of one codec; None is as much as there is."""

    bits: tuple[int, ...]  # per channel
    pixels: int | None = None  # of a frame
    side: int | None = None  # longest side in pixels
    rate: int | None = None  # pixels per second


@dataclass(frozen=True)
class Player:
    """A headset, a site or a kind of program."""

    name: str  # what errors call it
    codecs: Mapping[str, Decoder]
    fps: float | None = None  # the most frames per second


@dataclass(frozen=True)
class VideoPreset:
    """A named kind of video."""

    name: str  # identifier; the file's name without .toml
    title: str  # label in a panel
    description: str  # one sentence
    projection: str  # see holotime.render.views
    width: int  # of the whole frame, pixels
    height: int  # pixels
    codec: str  # see codecs.CODECS
    bits: int  # per channel
    crf: int  # constant quality
    player: Player

    def check(self, width: int, height: int, fps: float, codec: str, bits: int) -> None:
        """Raise InputError, with the reason and what would do, for a video that the player is known not to show."""
        player, title = self.player, find_codec(codec).title
        if codec not in player.codecs:
            known = ", ".join(CODECS[name].title for name in player.codecs)
            raise InputError(f"{player.name} does not play {title}. Use one of: {known}.")
        decoder = player.codecs[codec]
        if bits not in decoder.bits:
            known = " or ".join(map(str, decoder.bits))
            raise InputError(f"{player.name} decodes {title} with {known} bits per channel, not {bits}.")
        size = f"{width} x {height} pixels"
        if decoder.pixels is not None and width * height > decoder.pixels:
            raise InputError(
                f"{player.name} decodes {title} up to {decoder.pixels / 1e6:.1f} MP a frame; {size} are "
                f"{width * height / 1e6:.1f} MP. Use at most {largest_like(width, height, decoder.pixels)}."
            )
        if decoder.side is not None and max(width, height) > decoder.side:
            raise InputError(f"{player.name} decodes {title} up to {decoder.side} pixels on a side, not {size}.")
        if player.fps is not None and fps > player.fps:
            raise InputError(f"{player.name} shows at most {player.fps:g} frames per second, not {fps:g}.")
        if decoder.rate is not None and width * height * fps > decoder.rate:
            most = decoder.rate / (width * height)
            raise InputError(
                f"{player.name} decodes {title} with {size} up to {most:.0f} frames per second, not {fps:g}. Use fewer "
                "frames or a smaller size."
            )


def load_presets(folder: Path | None = None) -> dict[str, VideoPreset]:
    """Every video preset by name, in alphabetical order. InputError names the file that is wrong."""
    folder = folder if folder is not None else presets_root() / "video"
    return {preset.name: preset for preset in map(_read, sorted(folder.glob("*.toml")))}


def find_preset(name: str) -> VideoPreset:
    """The preset called ``name``; InputError that lists the names when there is none."""
    presets = load_presets()
    if name not in presets:
        raise InputError(f"There is no video preset {name!r}. Choose one of: {', '.join(presets)}.")
    return presets[name]


def _read(path: Path) -> VideoPreset:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        unknown = set(data) - set(KEYS)
        if unknown or data["name"] != path.stem:
            raise ValueError(f"unknown keys {sorted(unknown)}" if unknown else "name is not the file's name")
        player = data.pop("player")
        codecs = {name: _decoder(name, table) for name, table in player["codecs"].items()}
        preset = VideoPreset(**data, player=Player(player["name"], codecs, player.get("fps")))
        preset.check(preset.width, preset.height, 1, preset.codec, preset.bits)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"The video preset {path} cannot be used ({error}). See the README beside it.") from error
    return preset


def _decoder(name: str, table: dict[str, Any]) -> Decoder:
    find_codec(name)
    return Decoder(**{**table, "bits": tuple(table["bits"])})
