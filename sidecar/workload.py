"""How much a job is to do: pixels counted as the library will draw them, known from the job's settings alone.

The server must not load the library for that (it takes a second and 200 MB), so only the preset files are read.
Settings come from clients: what is no sensible number counts as if it were not there.
"""

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

from holotime.errors import InputError
from holotime.presets import presets_root

USUAL = {"width": 1024.0, "frames": 24.0, "seconds": 2.0, "fps": 12.0, "budget": 400_000.0}  # of settings left out
CUBE_WIDTH = 1536.0  # of a cube map whose width is left out
# Height of a frame for its width, both eyes together; VR180 is as wide as two of what its width says.
SHAPES = {"equirect": 0.5, "ods": 1.0, "vr180": 2.0, "fisheye": 1.0, "cubemap": 2 / 3, "perspective": 9 / 16}
MEGA = 1e-6


def workload(kind: str, params: dict[str, Any]) -> float:
    """How much a job is to do, in megapixels over all frames; stages take about in proportion to it."""
    if kind == "generate":
        return _number(params, "width") ** 2 * _number(params, "frames") * _enhanced(params) * MEGA
    if kind == "render":
        return frame_megapixels(params) * _seconds(params) * _number(params, "fps")
    if kind == "panorama":
        return _number(params, "width", 2048.0) ** 2 / 2 * MEGA
    return MEGA


def _enhanced(params: dict[str, Any]) -> float:
    """How many times the pixels that the clip has when it is made, after it is enhanced."""
    fps = _number(params, "enhance_fps", 0.0)
    return _number(params, "enhance_scale", 1.0) ** 2 * (fps / _number(params, "fps", 12.0) if fps > 0 else 1.0)


def frame_megapixels(params: dict[str, Any]) -> float:
    """Megapixels of one frame of a render, both eyes or all faces together."""
    preset = _presets("video").get(str(params.get("preset") or ""), {})
    given = "width" in params and _number(params, "width", 0.0) > 0
    if preset and not given:
        return preset["width"] * preset["height"] * MEGA
    projection = projection_of(params)
    width = _number(params, "width", CUBE_WIDTH if projection == "cubemap" else USUAL["width"])
    shape = preset["height"] / preset["width"] if preset and projection == "perspective" else SHAPES[projection]
    height = _number(params, "height", width * shape) if projection == "perspective" else width * shape
    return width * height * MEGA


def projection_of(params: dict[str, Any]) -> str:
    """The projection that a render's settings mean."""
    preset = _presets("video").get(str(params.get("preset") or ""), {})
    chosen = preset.get("projection") or params.get("projection")
    return chosen if isinstance(chosen, str) and chosen in SHAPES else "ods"


def codec_of(params: dict[str, Any]) -> str:
    """The codec that a render's settings mean."""
    preset = _presets("video").get(str(params.get("preset") or ""), {})
    return str(params.get("codec") or preset.get("codec") or "h264")


def budget_of(params: dict[str, Any]) -> float:
    """Splats that a generate job makes at most."""
    return _number(params, "budget")


def _seconds(params: dict[str, Any]) -> float:
    """Length of a render: as asked, else of its camera path, else of a usual scene."""
    path = _presets("cameras").get(str(params.get("camera") or ""), {})
    return _number(params, "seconds", float(path.get("duration", USUAL["seconds"])))


def _number(params: dict[str, Any], name: str, usual: float | None = None) -> float:
    value = params.get(name)
    sensible = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e8
    return float(value) if sensible else USUAL[name] if usual is None else usual  # type: ignore[arg-type]


@lru_cache(maxsize=4)
def _presets(folder: str) -> dict[str, dict[str, Any]]:
    """name -> the preset files of a folder; one that cannot be read is left out, for the job itself will say so."""
    found = {}
    try:
        files: list[Path] = sorted((presets_root() / folder).glob("*.toml"))
    except InputError:
        return {}
    for path in files:
        try:
            found[path.stem] = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
            continue
    return found
