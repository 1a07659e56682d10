"""Video presets (presets/video/*.toml): what is rendered for a player, and what that player is known not to show."""

import tomllib
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "vendor" / "video"
CUSTOM = "NONE"  # no player in particular


@dataclass(frozen=True)
class Decoder:
    """What a player decodes of one codec; None is as much as there is."""

    bits: tuple[int, ...]  # per channel
    pixels: int | None = None  # of a frame
    side: int | None = None  # longest side in pixels
    rate: int | None = None  # pixels per second


@dataclass(frozen=True)
class Target:
    """A kind of video, and who plays it."""

    name: str  # as the sidecar's job calls the preset
    title: str
    description: str
    projection: str
    width: int  # of the whole frame, pixels
    height: int  # pixels
    codec: str
    bits: int
    crf: int
    player: str  # what errors call it
    fps: float | None  # the most frames per second
    codecs: dict[str, Decoder]

    @property
    def eye_width(self) -> int:
        """Pixels of one eye's picture."""
        return self.width // 2 if self.projection == "vr180" else self.width


@lru_cache(maxsize=1)
def targets() -> dict[str, Target]:
    """Every target by name, in alphabetical order of the files."""
    found = {}
    for path in sorted(FOLDER.glob("*.toml")):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        player = data.pop("player")
        codecs = {name: Decoder(**{**table, "bits": tuple(table["bits"])}) for name, table in player["codecs"].items()}
        found[data["name"]] = Target(**data, player=player["name"], fps=player.get("fps"), codecs=codecs)
    return found


@lru_cache(maxsize=1)
def enum_items() -> list[tuple[str, str, str, str, int]]:
    """For an EnumProperty. Cached: Blender needs the strings to stay alive. Numbers come from the names, so that a file
    keeps its choice when presets are added."""
    custom = (CUSTOM, "Custom", "No player in particular: choose everything yourself", "PREFERENCES", 0)
    rest = targets().values()
    return [custom, *((t.name, t.title, t.description, _ICONS[t.projection], _number(t.name)) for t in rest)]


def _number(name: str) -> int:
    return zlib.crc32(name.encode()) >> 8


_ICONS = {
    "ods": "CAMERA_STEREO",
    "vr180": "CAMERA_STEREO",
    "equirect": "WORLD",
    "perspective": "VIEW_CAMERA",
    "fisheye": "MESH_CIRCLE",
    "cubemap": "MESH_CUBE",
}
