"""Camera paths: presets as data, evaluated to poses.

A preset is a TOML file (presets/cameras). It adds simple motions together on named channels; there are no expressions
and nothing is executed. Wherever a number is expected, the name of a parameter or a list may stand: a list is the
product of its items, so ``to = [360, "turns"]`` is 360 times the parameter ``turns``.

    channels   right, forward, up        metres along the world's axes (turned by ``heading``)
               truck, dolly, pedestal    metres along the camera's own axes: right, forward, up
               yaw, pitch, roll          degrees: turn right, look up, tilt clockwise
               fov                       degrees added to the lens
               position                  for keys only: [right, forward, up] at once
    kinds      hold    ``value``
               ramp    ``from``, ``to``, ``ease`` (linear, smooth, in, out), ``start``, ``end`` (fractions of the path)
               wave    ``amplitude``, ``cycles`` over the path, ``phase`` in degrees, ``envelope`` (constant, swell)
               keys    ``times`` (fractions), ``values``, ``interpolation`` (smooth, spline, linear)
               noise   ``amplitude``, ``frequency`` in Hz (the fastest wobble), ``seed``; periodic, so loops stay loops
    [aim]      kind = "point" with ``target`` [right, forward, up] keeps a point centred;
               kind = "travel" with ``ahead`` (fraction of the path) looks where the camera goes.
               yaw, pitch and roll are added to the aim.

Every preset also has the parameters ``scale`` (times every distance travelled), ``heading`` (degrees, turns the whole
path to the right) and ``fov`` (horizontal, degrees; default from ``[lens]``).

Frames: world right-handed, Z up, metres, the eye at the origin; cameras are 4x4 camera-to-world with OpenCV axes
(x right, y down, z forward). With everything at zero the camera looks along +Y.

This file uses the standard library only and stands alone: the Blender add-on carries a copy of it. That is also why
reading, evaluating, composing and exchanging paths live together here.
"""

from __future__ import annotations

import bisect
import itertools
import json
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

Vector = tuple[float, float, float]
Matrix3 = tuple[Vector, Vector, Vector]  # rows
Matrix4 = tuple[tuple[float, float, float, float], ...]  # 4 rows
Value = float | str | tuple[float | str, ...]  # a number, a parameter's name, or a product of those
Lookup = Callable[[Value], float]  # a Value to its number under the parameters in use

WORLD_CHANNELS = ("right", "forward", "up")
CAMERA_CHANNELS = ("truck", "dolly", "pedestal")
ANGLE_CHANNELS = ("yaw", "pitch", "roll")
CHANNELS = (*WORLD_CHANNELS, *CAMERA_CHANNELS, *ANGLE_CHANNELS, "fov")
UNITS = ("m", "deg", "Hz", "turns", "cycles", "factor", "seed")
FOV_LIMITS = (1.0, 170.0)  # degrees: beyond these a flat picture is useless
MAX_FRAMES = 1_000_000

# OpenCV axes of the camera that looks along +Y with Z up; columns are its right, down and forward.
_UPRIGHT: Matrix3 = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))


class PathError(ValueError):
    """A camera path, preset or parameter cannot be used. The text says which and what to do."""


@dataclass(frozen=True)
class Pose:
    """One camera: where it is, where it looks, how wide it sees."""

    matrix: Matrix4  # camera-to-world, OpenCV axes, metres
    fov_x: float  # horizontal field of view of the lens without shift, radians
    shift: tuple[float, float] = (0.0, 0.0)  # of the lens, in widths of the picture: to the right, up
    clip: tuple[float, float] | None = None  # metres, nearest and farthest that is seen; None: no matter

    @property
    def position(self) -> Vector:
        """The camera's centre in the world, metres."""
        return (self.matrix[0][3], self.matrix[1][3], self.matrix[2][3])

    @property
    def rotation(self) -> Matrix3:
        """Camera-to-world rotation, rows."""
        return tuple(row[:3] for row in self.matrix[:3])  # type: ignore[return-value]


@dataclass(frozen=True)
class Parameter:
    """What an artist may turn on a preset."""

    name: str  # identifier used in the motions
    title: str  # label in a panel
    unit: str  # one of UNITS
    default: float
    minimum: float
    maximum: float
    tooltip: str  # one sentence
    integer: bool = False  # whole numbers only


# --- motions ----------------------------------------------------------------------------------------------------------


def _smooth(x: float) -> float:
    return x * x * (3.0 - 2.0 * x)


EASES: dict[str, Callable[[float], float]] = {
    "linear": lambda x: x,
    "smooth": _smooth,
    "in": lambda x: x * x,
    "out": lambda x: x * (2.0 - x),
}


@dataclass(frozen=True)
class Hold:
    """A constant offset."""

    value: Value  # channel's unit

    def at(self, t: float, get: Lookup, seconds: float) -> float:
        return get(self.value)


@dataclass(frozen=True)
class Ramp:
    """From one value to another between two moments; constant before and after."""

    start_value: Value  # channel's unit
    end_value: Value  # channel's unit
    ease: str = "linear"  # one of EASES
    start: float = 0.0  # fraction of the path
    end: float = 1.0  # fraction of the path, > start

    def at(self, t: float, get: Lookup, seconds: float) -> float:
        a, b = get(self.start_value), get(self.end_value)
        x = min(1.0, max(0.0, (t - self.start) / (self.end - self.start)))
        return a + (b - a) * EASES[self.ease](x)


@dataclass(frozen=True)
class Wave:
    """A sine: amplitude * sin(2 pi cycles t + phase)."""

    amplitude: Value  # channel's unit
    cycles: Value = 1.0  # over the whole path
    phase: Value = 0.0  # degrees
    swell: bool = False  # grow from nothing and die away again: times sin^2(pi t)

    def at(self, t: float, get: Lookup, seconds: float) -> float:
        y = get(self.amplitude) * math.sin(2 * math.pi * get(self.cycles) * t + math.radians(get(self.phase)))
        return y * math.sin(math.pi * t) ** 2 if self.swell else y


@dataclass(frozen=True)
class Keys:
    """Values at moments. ``smooth`` rests at each key, ``spline`` passes through at speed, ``linear`` has corners."""

    times: tuple[float, ...]  # fractions of the path, increasing from 0 to 1
    values: tuple[Value, ...]  # channel's unit, one per time
    interpolation: str = "smooth"  # smooth | spline | linear
    cyclic: bool = False  # the spline's speed at the end runs on into the beginning

    def at(self, t: float, get: Lookup, seconds: float) -> float:
        i = min(len(self.times) - 2, max(0, bisect.bisect_right(self.times, t) - 1))
        width = self.times[i + 1] - self.times[i]
        x = min(1.0, max(0.0, (t - self.times[i]) / width))
        a, b = get(self.values[i]), get(self.values[i + 1])
        if self.interpolation == "linear":
            return a + (b - a) * x
        if self.interpolation == "smooth":
            return a + (b - a) * _smooth(x)
        # cubic Hermite; the two end terms vanish at x = 0 and 1, so keys are hit exactly
        ma, mb = self._slope(i, get) * width, self._slope(i + 1, get) * width
        return a + (b - a) * _smooth(x) + ma * x * (1 - x) ** 2 - mb * x * x * (1 - x)

    def _slope(self, i: int, get: Lookup) -> float:
        """Speed at key ``i``: that of the parabola through it and its neighbours (non-uniform Catmull-Rom)."""
        last = len(self.times) - 1
        if i in (0, last) and not self.cyclic:
            return 0.0  # start and stop at rest
        into, out_of = (last, 0) if i in (0, last) else (i, i)  # the last key is the first one again
        h0, h1 = self.times[into] - self.times[into - 1], self.times[out_of + 1] - self.times[out_of]
        d0 = (get(self.values[into]) - get(self.values[into - 1])) / h0
        d1 = (get(self.values[out_of + 1]) - get(self.values[out_of])) / h1
        return (d0 * h1 + d1 * h0) / (h0 + h1)


@dataclass(frozen=True)
class Noise:
    """Seeded wobble: the harmonics of the path up to ``frequency``, amplitude falling as 1/f, with random phases."""

    amplitude: Value  # channel's unit; the standard deviation is half of it, so it is rarely exceeded
    frequency: Value  # Hz, the fastest harmonic
    seed: Value  # whole number
    salt: int = 0  # keeps the channels of one preset apart

    def at(self, t: float, get: Lookup, seconds: float) -> float:
        count = max(1, min(256, round(get(self.frequency) * seconds)))
        seed = (int(get(self.seed)) * 1_000_003 + self.salt) & 0xFFFFFFFF
        total = sum(math.sin(2 * math.pi * (k * t + _hash01(seed, k))) / k for k in range(1, count + 1))
        power = sum(0.5 / (k * k) for k in range(1, count + 1))
        return 0.5 * get(self.amplitude) * total / math.sqrt(power)


def _hash01(seed: int, index: int) -> float:
    """Uniform in [0, 1), the same on every machine: the SplitMix64 finalizer (Steele, Lea, Flood 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + index * 0xD1342543DE82EF95) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return ((z ^ (z >> 31)) >> 11) / 2**53


Motion = Hold | Ramp | Wave | Keys | Noise


@dataclass(frozen=True)
class Aim:
    """What the camera looks at before yaw, pitch and roll are added."""

    kind: str  # "point" | "travel"
    target: tuple[Value, Value, Value] = (0.0, 1.0, 0.0)  # right, forward, up in metres; for "point"
    ahead: float = 0.05  # fraction of the path looked ahead; for "travel"


@dataclass(frozen=True)
class Preset:
    """A named camera path."""

    name: str  # identifier; the file's name without .toml
    title: str  # label in a panel
    description: str  # one or two sentences for an artist
    duration: float  # seconds the path is meant to last
    loop: bool  # the end runs into the beginning
    parameters: Mapping[str, Parameter]
    motions: tuple[tuple[str, Motion], ...]  # (channel, motion); motions on one channel add up
    aim: Aim | None = None

    def defaults(self) -> dict[str, float]:
        """Every parameter's default."""
        return {p.name: p.default for p in self.parameters.values()}


# --- reading ----------------------------------------------------------------------------------------------------------


def load_preset(path: str | Path) -> Preset:
    """Read one TOML preset. Raises PathError naming the file and what is wrong with it."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise PathError(f"Camera preset {path} cannot be read ({e.strerror or e}). Check the path.") from e
    except UnicodeDecodeError as e:
        raise PathError(f"Camera preset {path} is not UTF-8 text. Save it as a UTF-8 TOML file.") from e
    return parse_preset(text, path.stem, str(path))


def parse_preset(text: str, name: str, source: str = "preset") -> Preset:
    """A preset from TOML text; ``name`` must be the one written inside. ``source`` is what errors call it."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise PathError(f"{source} is not valid TOML: {e}. Correct that line.") from e
    return _Reader(source).preset(data, name)


def load_presets(folder: str | Path) -> dict[str, Preset]:
    """Every ``*.toml`` of a folder by name, in alphabetical order. Raises PathError if there is none or one is bad."""
    files = sorted(Path(folder).glob("*.toml"))
    if not files:
        raise PathError(f"No camera presets (*.toml) in {folder}. Check the folder or reinstall the presets.")
    return {preset.name: preset for preset in map(load_preset, files)}


def find(presets: Mapping[str, Preset], name: str) -> Preset:
    """The preset called ``name``; PathError that lists the names when there is none."""
    if name not in presets:
        raise PathError(f"There is no camera path {name!r}. Choose one of: {', '.join(sorted(presets))}.")
    return presets[name]


class _Reader:
    """TOML tables to dataclasses; refuses what it does not know, so that a misspelt key is never silently ignored."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.names: set[str] = set()  # parameters that motions may mention

    def fail(self, problem: str) -> PathError:
        return PathError(f"{self.source}: {problem}")

    def only(self, table: Any, where: str, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Any]:
        if not isinstance(table, dict):
            raise self.fail(f"{where} must be a table.")
        for key in table:
            if key not in (*required, *optional):
                raise self.fail(f"{where} has an unknown key {key!r}. Known: {', '.join((*required, *optional))}.")
        for key in required:
            if key not in table:
                raise self.fail(f"{where} lacks {key!r}. Add it.")
        return table

    def number(self, x: Any, where: str, low: float = -math.inf, high: float = math.inf) -> float:
        if isinstance(x, bool) or not isinstance(x, int | float) or not math.isfinite(x) or not low <= x <= high:
            span = "" if low == -math.inf and high == math.inf else f" between {low:g} and {high:g}"
            raise self.fail(f"{where} is {x!r}; it must be a number{span}.")
        return float(x)

    def text(self, x: Any, where: str, choices: Sequence[str] = ()) -> str:
        if not isinstance(x, str) or not x.strip():
            raise self.fail(f"{where} is {x!r}; it must be text.")
        if choices and x not in choices:
            raise self.fail(f"{where} is {x!r}; choose one of: {', '.join(choices)}.")
        return x.strip()

    def value(self, x: Any, where: str) -> Value:
        if isinstance(x, list):
            if not x or any(isinstance(item, list) for item in x):
                raise self.fail(f"{where} is {x!r}; a product is a flat list of numbers and parameter names.")
            return tuple(self.value(item, where) for item in x)  # type: ignore[misc]
        if isinstance(x, str):
            if x not in self.names:
                raise self.fail(
                    f"{where} mentions {x!r}, which is no parameter. Known: {', '.join(sorted(self.names))}."
                )
            return x
        return self.number(x, where)

    def flag(self, x: Any, where: str) -> bool:
        if not isinstance(x, bool):
            raise self.fail(f"{where} is {x!r}; write true or false.")
        return x

    def preset(self, data: Any, name: str) -> Preset:
        keys = ("name", "title", "description", "duration", "loop", "lens")
        self.only(data, "the preset", keys, ("parameters", "aim", "motion"))
        if self.text(data["name"], "name") != name:
            raise self.fail(f"name is {data['name']!r} but the file is called {name!r}. Make them equal.")
        fov = self.number(self.only(data["lens"], "[lens]", ("fov",))["fov"], "lens.fov", *FOV_LIMITS)
        parameters = {p.name: p for p in _standard_parameters(fov)}
        for key, table in self.only(
            data.get("parameters", {}), "[parameters]", (), tuple(data.get("parameters", {}))
        ).items():
            if key in parameters:
                raise self.fail(f"parameter {key!r} exists in every preset already. Choose another name.")
            parameters[key] = self.parameter(key, table)
        self.names = set(parameters)
        loop = self.flag(data["loop"], "loop")
        motions: list[tuple[str, Motion]] = []
        if not isinstance(data.get("motion", []), list):
            raise self.fail("motions are written as [[motion]], with two brackets.")
        for i, table in enumerate(data.get("motion", [])):
            motions += self.motion(table, f"motion {i + 1}", i, loop)
        preset = Preset(
            name=name,
            title=self.text(data["title"], "title"),
            description=self.text(data["description"], "description"),
            duration=self.number(data["duration"], "duration", 0.1, 86400),
            loop=loop,
            parameters=parameters,
            motions=tuple(motions),
            aim=self.aim(data["aim"]) if "aim" in data else None,
        )
        try:
            evaluate(preset, 2)
        except PathError as e:
            raise self.fail(str(e)) from e
        return preset

    def parameter(self, name: str, data: Any) -> Parameter:
        where = f"[parameters.{name}]"
        self.only(data, where, ("title", "unit", "default", "range", "tooltip"), ("integer",))
        span = data["range"]
        if not isinstance(span, list) or len(span) != 2:
            raise self.fail(f"{where} range is {span!r}; write [lowest, highest].")
        low, high = (self.number(x, f"{where} range") for x in span)
        return Parameter(
            name=name,
            title=self.text(data["title"], f"{where} title"),
            unit=self.text(data["unit"], f"{where} unit", UNITS),
            default=self.number(data["default"], f"{where} default", low, high),
            minimum=low,
            maximum=high,
            tooltip=self.text(data["tooltip"], f"{where} tooltip"),
            integer=self.flag(data.get("integer", False), f"{where} integer"),
        )

    def motion(self, data: Any, where: str, index: int, loop: bool) -> list[tuple[str, Motion]]:
        if not isinstance(data, dict):
            raise self.fail(f"{where} must be a table.")
        kind = self.text(data.get("kind"), f"{where}: kind", tuple(_FIELDS))
        required, optional = _FIELDS[kind]
        self.only(data, f"{where} ({kind})", ("kind", "channel", *required), optional)
        channels = (*CHANNELS, "position") if kind == "keys" else CHANNELS
        channel = self.text(data["channel"], f"{where}: channel", channels)

        def value(key: str, default: float = 0.0) -> Value:
            return self.value(data.get(key, default), f"{where}: {key}")

        if kind == "hold":
            return [(channel, Hold(value("value")))]
        if kind == "ramp":
            ease = self.text(data.get("ease", "linear"), f"{where}: ease", tuple(EASES))
            start = self.number(data.get("start", 0.0), f"{where}: start", 0.0, 1.0)
            end = self.number(data.get("end", 1.0), f"{where}: end", 0.0, 1.0)
            if end <= start:
                raise self.fail(f"{where}: end {end:g} must come after start {start:g}.")
            return [(channel, Ramp(value("from"), value("to"), ease, start, end))]
        if kind == "wave":
            envelope = self.text(data.get("envelope", "constant"), f"{where}: envelope", ("constant", "swell"))
            return [(channel, Wave(value("amplitude"), value("cycles", 1.0), value("phase"), envelope == "swell"))]
        if kind == "noise":
            return [(channel, Noise(value("amplitude"), value("frequency"), value("seed"), salt=index + 1))]
        return self.keys(data, where, channel, loop)

    def keys(self, data: dict[str, Any], where: str, channel: str, loop: bool) -> list[tuple[str, Motion]]:
        for key in ("times", "values"):
            if not isinstance(data[key], list) or len(data[key]) < 2:
                raise self.fail(f"{where}: {key} must be a list of at least two.")
        times = tuple(self.number(x, f"{where}: times", 0.0, 1.0) for x in data["times"])
        if times[0] != 0 or times[-1] != 1 or any(b <= a for a, b in itertools.pairwise(times)):
            raise self.fail(f"{where}: times must increase from 0 to 1, they are {data['times']}.")
        if len(data["values"]) != len(times):
            raise self.fail(f"{where}: {len(times)} times but {len(data['values'])} values. Give one value per time.")
        interpolation = self.text(
            data.get("interpolation", "smooth"), f"{where}: interpolation", ("smooth", "spline", "linear")
        )
        rows = data["values"] if channel == "position" else [[x] for x in data["values"]]
        names = WORLD_CHANNELS if channel == "position" else (channel,)
        if any(not isinstance(row, list) or len(row) != len(names) for row in rows):
            raise self.fail(f"{where}: every value of a position key is [right, forward, up].")
        columns = [tuple(self.value(x, f"{where}: values") for x in column) for column in zip(*rows, strict=True)]
        return [(n, Keys(times, c, interpolation, cyclic=loop)) for n, c in zip(names, columns, strict=True)]

    def aim(self, data: Any) -> Aim:
        kind = self.text(data.get("kind") if isinstance(data, dict) else None, "aim.kind", ("point", "travel"))
        if kind == "travel":
            self.only(data, "[aim]", ("kind",), ("ahead",))
            return Aim(kind, ahead=self.number(data.get("ahead", 0.05), "aim.ahead", 0.001, 0.5))
        self.only(data, "[aim]", ("kind", "target"))
        target = data["target"]
        if not isinstance(target, list) or len(target) != 3:
            raise self.fail(f"aim.target is {target!r}; write [right, forward, up] in metres.")
        right, forward, up = (self.value(x, "aim.target") for x in target)
        return Aim(kind, target=(right, forward, up))


_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # kind: (required, optional) beside kind and channel
    "hold": (("value",), ()),
    "ramp": (("from", "to"), ("ease", "start", "end")),
    "wave": (("amplitude",), ("cycles", "phase", "envelope")),
    "keys": (("times", "values"), ("interpolation",)),
    "noise": (("amplitude", "frequency", "seed"), ()),
}


def _standard_parameters(fov: float) -> tuple[Parameter, ...]:
    return (
        Parameter("scale", "Scale", "factor", 1.0, 0.0, 10.0, "Times every distance the camera moves"),
        Parameter("heading", "Heading", "deg", 0.0, -360.0, 360.0, "Turns the whole path to the right"),
        Parameter("fov", "Field of view", "deg", fov, *FOV_LIMITS, "Horizontal field of view of the lens"),
    )


# --- evaluating -------------------------------------------------------------------------------------------------------


def check_params(preset: Preset, params: Mapping[str, float] | None = None) -> dict[str, float]:
    """All parameters of a preset with ``params`` filled in; PathError for unknown names and values out of range."""
    values = preset.defaults()
    for name, x in (params or {}).items():
        if name not in preset.parameters:
            known = ", ".join(preset.parameters)
            raise PathError(f"Camera path {preset.name!r} has no parameter {name!r}. It has: {known}.")
        p = preset.parameters[name]
        ok = not isinstance(x, bool) and isinstance(x, int | float) and p.minimum <= x <= p.maximum
        if not ok or (p.integer and x != round(x)):
            what = "a whole number" if p.integer else "a number"
            unit = "" if p.unit in ("factor", "seed") else f" {p.unit}"
            raise PathError(
                f"{p.title} ({name}) of camera path {preset.name!r} is {x!r}; "
                f"give {what} from {p.minimum:g} to {p.maximum:g}{unit}."
            )
        values[name] = float(x)
    return values


def evaluate(
    preset: Preset,
    frames: int,
    params: Mapping[str, float] | None = None,
    *,
    seconds: float | None = None,
    compat: bool = False,
) -> list[Pose]:
    """The poses of a path, ``frames`` of them.

    A loop is sampled so that the frame after the last is the first again; any other path reaches its end with the last
    frame. ``seconds`` is how long the frames last (default the preset's duration); only noise depends on it.
    ``compat`` evaluates the formulas of the HoloTime release (see ``compat_trajectory``) at their own count, resampled
    when ``frames`` differs; of the parameters only ``fov`` has a meaning there.
    Raises PathError for bad parameters or a frame count below 1.
    """
    if isinstance(frames, bool) or not isinstance(frames, int) or not 1 <= frames <= MAX_FRAMES:
        raise PathError(f"A camera path needs a whole number of frames from 1 to {MAX_FRAMES}, not {frames!r}.")
    if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
        raise PathError(f"A camera path must last longer than nothing; seconds is {seconds!r}.")
    values = check_params(preset, params)
    if compat:
        return resample(_compat_poses(preset.name, math.radians(values["fov"])), frames)
    path = _Path(preset, values, seconds or preset.duration)
    if not preset.loop:
        return [path.pose(i / (frames - 1) if frames > 1 else 0.0) for i in range(frames)]
    first, last = path.pose(0.0), path.pose(1.0)
    gap = max(abs(a - b) for r, s in zip(first.matrix, last.matrix, strict=True) for a, b in zip(r, s, strict=True))
    if max(gap, abs(first.fov_x - last.fov_x)) > 1e-6:
        raise PathError(
            f"Camera path {preset.name!r} is marked as a loop but does not end where it began with these parameters. "
            "Use whole turns and cycles, or set loop = false in the preset."
        )
    return [path.pose(i / frames) for i in range(frames)]


class _Path:
    """A preset with its parameters put in: a pose for every moment."""

    def __init__(self, preset: Preset, values: Mapping[str, float], seconds: float) -> None:
        self.preset, self.values, self.seconds = preset, values, seconds

    def get(self, value: Value) -> float:
        if isinstance(value, tuple):
            return math.prod(self.get(item) for item in value)
        return self.values[value] if isinstance(value, str) else value

    def channels(self, t: float, only: Sequence[str] = CHANNELS) -> dict[str, float]:
        """Every channel at fraction ``t``: metres and degrees, not yet scaled."""
        out = dict.fromkeys(only, 0.0)
        for channel, motion in self.preset.motions:
            if channel in out:
                out[channel] += motion.at(t, self.get, self.seconds)
        return out

    def pose(self, t: float) -> Pose:
        """The camera at fraction ``t`` of the path."""
        c, scale = self.channels(t), self.values["scale"]
        place: Vector = (scale * c["right"], scale * c["forward"], scale * c["up"])
        yaw, pitch, roll = (math.radians(c[name]) for name in ANGLE_CHANNELS)
        turn = _matmul(_matmul(_yaw(yaw), _pitch(pitch)), _roll(roll))
        rotation = _matmul(self.aim(t, place), turn)
        move = (scale * c["truck"], -scale * c["pedestal"], scale * c["dolly"])  # OpenCV: y points down
        place = _add(place, _apply(rotation, move))
        fov = self.values["fov"] + c["fov"]
        if not FOV_LIMITS[0] <= fov <= FOV_LIMITS[1]:
            raise PathError(
                f"The lens of camera path {self.preset.name!r} reaches {fov:.1f} degrees; keep the field of view "
                f"between {FOV_LIMITS[0]:g} and {FOV_LIMITS[1]:g}."
            )
        heading = _about_z(math.radians(self.values["heading"]))
        return _pose(_matmul(heading, rotation), _apply(heading, place), math.radians(fov))

    def aim(self, t: float, place: Vector) -> Matrix3:
        """Rotation before yaw, pitch and roll, for the camera at ``place``."""
        aim = self.preset.aim
        if aim is None:
            return _UPRIGHT
        if aim.kind == "point":
            x, y, z = (self.get(v) for v in aim.target)
            return look_at((x - place[0], y - place[1], z - place[2]))
        before, after = t - aim.ahead / 2, t + aim.ahead / 2
        if self.preset.loop:
            before, after = before % 1.0, after % 1.0
        else:
            before, after = max(0.0, before), min(1.0, after)
        # unscaled, so that a path scaled to nothing still turns
        a, b = (self.channels(x, WORLD_CHANNELS) for x in (before, after))
        step: Vector = (b["right"] - a["right"], b["forward"] - a["forward"], b["up"] - a["up"])
        return look_at(step) if math.hypot(*step) > 1e-9 else _UPRIGHT  # standing still looks forward


def look_at(forward: Vector) -> Matrix3:
    """Rotation (rows) of a level camera that looks along ``forward`` (any length > 0), Z up.

    Straight up or down has no level; the top of the picture then points along -Y or +Y. PathError for no direction.
    """
    x, y, z = forward
    length = math.hypot(x, y, z)
    if length < 1e-9:
        raise PathError("The camera stands exactly on the point it should look at. Move the target away from the path.")
    x, y, z = x / length, y / length, z / length
    flat = math.hypot(x, y)
    right: Vector = (y / flat, -x / flat, 0.0) if flat > 1e-9 else (1.0, 0.0, 0.0)
    down: Vector = (y * right[2] - z * right[1], z * right[0] - x * right[2], x * right[1] - y * right[0])
    return tuple(zip(right, down, (x, y, z), strict=True))  # type: ignore[return-value]


def _yaw(a: float) -> Matrix3:
    c, s = math.cos(a), math.sin(a)
    return ((c, 0.0, s), (0.0, 1.0, 0.0), (-s, 0.0, c))


def _pitch(a: float) -> Matrix3:
    c, s = math.cos(a), math.sin(a)
    return ((1.0, 0.0, 0.0), (0.0, c, -s), (0.0, s, c))


def _roll(a: float) -> Matrix3:
    c, s = math.cos(a), math.sin(a)
    return ((c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0))


def _about_z(a: float) -> Matrix3:
    """World rotation that turns +Y towards +X: to the right, seen from above clockwise."""
    c, s = math.cos(a), math.sin(a)
    return ((c, s, 0.0), (-s, c, 0.0), (0.0, 0.0, 1.0))


def _matmul(a: Matrix3, b: Matrix3) -> Matrix3:
    columns = tuple(zip(*b, strict=True))
    return tuple(tuple(_dot(r, c) for c in columns) for r in a)  # type: ignore[return-value,misc]


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _apply(m: Matrix3, v: Vector) -> Vector:
    return (_dot(m[0], v), _dot(m[1], v), _dot(m[2], v))


def _add(a: Vector, b: Vector) -> Vector:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def _pose(rotation: Matrix3, position: Vector, fov_x: float) -> Pose:
    rows = tuple((*row, p) for row, p in zip(rotation, position, strict=True))
    return Pose((*rows, (0.0, 0.0, 0.0, 1.0)), fov_x)


def _moved(pose: Pose, rotation: Matrix3, position: Vector) -> Pose:
    """The same lens elsewhere."""
    return replace(pose, matrix=_pose(rotation, position, pose.fov_x).matrix)


def still(fov_x: float) -> Pose:
    """The camera at the eye of the panorama: at the origin, level, looking along +Y."""
    return _pose(_UPRIGHT, (0.0, 0.0, 0.0), fov_x)


def placed(pose: Pose, position: Vector) -> Pose:
    """The same camera at another place (metres)."""
    return _moved(pose, pose.rotation, position)


# --- rotations as quaternions -----------------------------------------------------------------------------------------

Quaternion = tuple[float, float, float, float]  # w, x, y, z; unit


def blender_matrix(pose: Pose) -> Matrix4:
    """Camera-to-world with the axes of a Blender (and OpenGL) camera: x right, y up, looking along -z."""
    return (*((r[0], -r[1], -r[2], r[3]) for r in pose.matrix[:3]), pose.matrix[3])


def quaternion(pose: Pose, *, blender: bool = False) -> Quaternion:
    """Unit quaternion (w, x, y, z), w >= 0, of the rotation; ``blender``: in the axes of ``blender_matrix``."""
    m = blender_matrix(pose) if blender else pose.matrix
    # Shepperd 1978: divide by the largest component, which is never small
    squares = (
        1 + m[0][0] + m[1][1] + m[2][2],
        1 + m[0][0] - m[1][1] - m[2][2],
        1 - m[0][0] + m[1][1] - m[2][2],
        1 - m[0][0] - m[1][1] + m[2][2],
    )
    largest = max(range(4), key=squares.__getitem__)
    wx, wy, wz = m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]
    xy, xz, yz = m[1][0] + m[0][1], m[0][2] + m[2][0], m[2][1] + m[1][2]
    rows = ((squares[0], wx, wy, wz), (wx, squares[1], xy, xz), (wy, xy, squares[2], yz), (wz, xz, yz, squares[3]))
    q = rows[largest]
    length = math.copysign(math.hypot(*q), q[0])
    return (q[0] / length, q[1] / length, q[2] / length, q[3] / length)


def quaternions(poses: Sequence[Pose], *, blender: bool = False) -> list[Quaternion]:
    """Quaternions of a path with signs chosen so that neighbours are close: keyframes then turn the short way."""
    out: list[Quaternion] = []
    for pose in poses:
        q = quaternion(pose, blender=blender)
        if out and sum(a * b for a, b in zip(out[-1], q, strict=True)) < 0:
            q = (-q[0], -q[1], -q[2], -q[3])
        out.append(q)
    return out


def _slerp(a: Quaternion, b: Quaternion, x: float) -> Quaternion:
    dot = sum(p * q for p, q in zip(a, b, strict=True))
    if dot < 0:
        b, dot = (-b[0], -b[1], -b[2], -b[3]), -dot
    angle = math.acos(min(1.0, dot))
    if angle < 1e-6:
        u, v = 1 - x, x
    else:
        u, v = math.sin((1 - x) * angle) / math.sin(angle), math.sin(x * angle) / math.sin(angle)
    q = tuple(u * p + v * r for p, r in zip(a, b, strict=True))
    length = math.hypot(*q)
    return (q[0] / length, q[1] / length, q[2] / length, q[3] / length)


def _rotation(q: Quaternion) -> Matrix3:
    w, x, y, z = q
    return (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )


# --- composing --------------------------------------------------------------------------------------------------------


def _between(poses: Sequence[Pose], u: float, loop: bool) -> Pose:
    """The pose at fractional index ``u``: positions by Catmull-Rom, rotations by slerp, the lens linearly."""
    n = len(poses)
    if abs(u - round(u)) < 1e-9:
        u = round(u)  # a given pose comes back as it is
    i = math.floor(u) if loop else min(math.floor(u), n - 1)
    x = u - i
    if x == 0.0:
        return poses[i % n]

    def take(k: int) -> Pose:
        return poses[k % n if loop else min(max(k, 0), n - 1)]

    p0, p1, p2, p3 = (take(k).position for k in range(i - 1, i + 3))
    position = tuple(
        b + 0.5 * x * (c - a + x * (2 * a - 5 * b + 4 * c - d + x * (3 * (b - c) + d - a)))
        for a, b, c, d in zip(p0, p1, p2, p3, strict=True)
    )
    here, after = take(i), take(i + 1)
    rotation = _rotation(_slerp(quaternion(here), quaternion(after), x))
    shift = (_mix(here.shift[0], after.shift[0], x), _mix(here.shift[1], after.shift[1], x))
    clip = here.clip
    if here.clip is not None and after.clip is not None:
        clip = (_mix(here.clip[0], after.clip[0], x), _mix(here.clip[1], after.clip[1], x))
    return replace(_pose(rotation, position, _mix(here.fov_x, after.fov_x, x)), shift=shift, clip=clip)  # type: ignore[arg-type]


def _mix(a: float, b: float, x: float) -> float:
    return a + x * (b - a)


def _need_poses(poses: Sequence[Pose]) -> None:
    if not poses:
        raise PathError("The camera path is empty. Evaluate it with at least one frame first.")


def resample(poses: Sequence[Pose], frames: int, *, loop: bool = False) -> list[Pose]:
    """The same path in another number of frames. ``loop``: the step from the last pose to the first belongs to it."""
    _need_poses(poses)
    if frames < 1:
        raise PathError(f"A camera path needs at least one frame, not {frames}.")
    n = len(poses)
    if loop:
        return [_between(poses, i * n / frames, True) for i in range(frames)]
    return [_between(poses, i * (n - 1) / max(1, frames - 1), False) for i in range(frames)]


def resample_fps(poses: Sequence[Pose], fps: float, new_fps: float, *, loop: bool = False) -> list[Pose]:
    """The same path at another frame rate, lasting as long as before (to the nearest frame)."""
    if not (fps > 0 and new_fps > 0):
        raise PathError(f"Frame rates must be above zero, not {fps!r} and {new_fps!r}.")
    return resample(poses, max(1, round(len(poses) * new_fps / fps)), loop=loop)


def ease(poses: Sequence[Pose], kind: str = "smooth") -> list[Pose]:
    """The same path walked at another pace: ``kind`` is one of EASES; first and last poses stay."""
    _need_poses(poses)
    if kind not in EASES:
        raise PathError(f"There is no ease {kind!r}. Choose one of: {', '.join(EASES)}.")
    last = len(poses) - 1
    return [_between(poses, last * EASES[kind](i / last) if last else 0.0, False) for i in range(len(poses))]


def scale(poses: Sequence[Pose], factor: float, about: Vector = (0.0, 0.0, 0.0)) -> list[Pose]:
    """Distances from ``about`` times ``factor``; rotations and lenses as they are."""
    out = []
    for pose in poses:
        p = tuple(a + factor * (x - a) for a, x in zip(about, pose.position, strict=True))
        out.append(_moved(pose, pose.rotation, p))  # type: ignore[arg-type]
    return out


def level(poses: Sequence[Pose]) -> list[Pose]:
    """The same path with an even horizon: only the turn about the vertical is kept. Straight up or down looks ahead.

    Stereo panoramas want this: their eyes lie in a level circle, and a world that tilts makes viewers sick.
    """
    out = []
    for pose in poses:
        x, y = pose.matrix[0][2], pose.matrix[1][2]
        out.append(_moved(pose, look_at((x, y, 0.0)) if math.hypot(x, y) > 1e-9 else _UPRIGHT, pose.position))
    return out


def sequence(*paths: Sequence[Pose], blend: int = 0) -> list[Pose]:
    """Paths one after another, with ``blend`` eased in-between frames at every joint.

    A pose that ends one path and begins the next is kept once, so that nothing stutters.
    """
    out: list[Pose] = []
    for path in paths:
        _need_poses(path)
        if out and out[-1] == path[0]:
            out += path[1:]
            continue
        if out:
            joint = (out[-1], path[0])
            out += [_between(joint, _smooth((i + 1) / (blend + 1)), False) for i in range(blend)]
        out += path
    return out


# --- the HoloTime release ---------------------------------------------------------------------------------------------

Rows34 = tuple[tuple[float, float, float, float], ...]  # 3 rows of [R | t]


def _linspace(a: float, b: float, n: int) -> list[float]:
    return [a + (b - a) * i / (n - 1) for i in range(n)]


def _original(name: str) -> list[tuple[Matrix3, Vector]]:
    """(R camera-to-world, t world-to-camera) of the release's five paths, with their quirks."""
    pitch, rad = _pitch, math.radians

    def yaw(a: float) -> Matrix3:  # positive turns left there
        return _yaw(-a)

    if name == "rotate360":  # 20 units outside the scene, as released
        return [(yaw(rad(i)), (0.0, 0.0, 20.0)) for i in range(360)]
    if name == "rotateshow":
        return [(yaw(rad(360 * i / 540)), (0.0, 0.0, 0.8 * math.sin(4 * math.pi * i / 540))) for i in range(540)]
    if name == "back_and_forth":
        steps = _linspace(0, 1, 101) + _linspace(1, 0, 101)[1:]
        return [(yaw(0.0), (0.0, 0.0, z)) for z in steps]
    if name == "headbanging":
        radius = _linspace(0, 15, 360) + _linspace(15, 0, 360)
        angles = zip(radius, _linspace(0, 8 * math.pi, 720), strict=True)
        return [
            (_matmul(yaw(rad(2.66 * r * math.sin(u))), pitch(rad(r * math.cos(u)))), (0.0, 0.0, 0.0)) for r, u in angles
        ]
    poses = []  # llff: made for world-to-camera matrices, so the target does not stay centred
    d = 2.0
    # the release wrote 2 pi * 4 // 4, which floors to 6.0 and leaves the loop open
    for u, v in zip(_linspace(0, 8 * math.pi, 400), _linspace(0, 2 * math.pi * 4 // 4, 400), strict=True):
        th, ph, z = rad(5 * math.sin(u)), rad(5 * math.cos(u)), d / 15 * math.sin(v)
        t = (d * math.sin(th), d * math.sin(ph), 2 * (d - z) - d * math.cos(th) - d * math.cos(ph))
        poses.append((_matmul(yaw(th), pitch(ph)), t))
    return poses


ORIGINALS = ("rotate360", "rotateshow", "back_and_forth", "headbanging", "llff")


def compat_trajectory(name: str) -> list[Rows34]:
    """A path of the HoloTime release in its own layout: n times [R | t], R camera-to-world, t world-to-camera.

    OpenCV world (x right, y down, z forward). The camera's centre is -R t. PathError for any but ``ORIGINALS``.
    """
    if name not in ORIGINALS:
        raise PathError(f"The HoloTime release has no path {name!r}. Its paths are: {', '.join(ORIGINALS)}.")
    return [tuple((*row, x) for row, x in zip(r, t, strict=True)) for r, t in _original(name)]


def _compat_poses(name: str, fov_x: float) -> list[Pose]:
    poses = []
    for rows in compat_trajectory(name):
        r: Matrix3 = tuple(row[:3] for row in rows)  # type: ignore[assignment]
        centre = _apply(r, (-rows[0][3], -rows[1][3], -rows[2][3]))
        poses.append(_pose(_matmul(_UPRIGHT, r), _apply(_UPRIGHT, centre), fov_x))
    return poses


# --- paths keyed in Blender -------------------------------------------------------------------------------------------


def blender_lens(
    width: int,
    height: int,
    *,
    lens: float,
    sensor_width: float = 36.0,
    sensor_height: float = 24.0,
    sensor_fit: str = "AUTO",
    shift: tuple[float, float] = (0.0, 0.0),
) -> tuple[float, tuple[float, float]]:
    """(fov_x, shift) of a :class:`Pose` for a Blender camera's lens and the size of the render.

    ``lens`` and sensor in millimetres, ``sensor_fit`` AUTO, HORIZONTAL or VERTICAL, ``shift`` as Blender counts it: in
    sides of the picture that the sensor fits (AUTO: the longer one, always measured by the sensor's width). Pixels are
    square. Keys of ``lens`` or ``shift`` need this at every frame.
    """
    vertical = sensor_fit == "VERTICAL" or (sensor_fit == "AUTO" and height > width)
    side = height if vertical else width  # pixels that the sensor covers
    sensor = sensor_height if sensor_fit == "VERTICAL" else sensor_width
    if not (lens > 0 and sensor > 0 and width > 0 and height > 0):
        raise PathError(f"A lens of {lens} mm on a sensor of {sensor} mm has no picture. Both must be above zero.")
    return 2 * math.atan(0.5 * sensor / lens * width / side), (shift[0] * side / width, shift[1] * side / width)


def to_json(poses: Sequence[Pose]) -> str:
    """A path as the sidecar and the command line take it: JSON, one object a frame (see :func:`from_json`)."""
    _need_poses(poses)
    entries = []
    for pose in poses:
        entry: dict[str, Any] = {"matrix": pose.matrix, "fov_x": pose.fov_x}
        if pose.shift != (0.0, 0.0):
            entry["shift"] = pose.shift
        if pose.clip is not None:
            entry["clip"] = pose.clip
        entries.append(entry)
    return json.dumps(entries, allow_nan=False)


def from_json(text: str) -> list[Pose]:
    """Poses from JSON, one {"matrix": 4x4 camera-to-world, OpenCV axes, "fov_x": radians} a frame.

    Each may also have "shift" [right, up] in widths of the picture and "clip" [nearest, farthest] in metres.
    PathError for anything else.
    """
    try:
        poses = [_pose_from(entry) for entry in json.loads(text)]
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise PathError(
            f"The camera path cannot be read ({error}). It is a list with one {{matrix: 4x4, fov_x: radians}} a frame."
        ) from error
    if not 0 < len(poses) <= MAX_FRAMES:
        raise PathError(f"The camera path has {len(poses)} poses; it must have 1 to {MAX_FRAMES}.")
    for i, pose in enumerate(poses):
        columns = list(zip(*pose.rotation, strict=True))
        rigid = all(abs(_dot(columns[a], columns[b]) - (a == b)) < 1e-3 for a in range(3) for b in range(a, 3))
        turned = _dot(columns[0], _cross(columns[1], columns[2])) > 0
        if not (_finite([x for row in pose.matrix for x in row]) and 0.01 < pose.fov_x < 3.1):
            raise PathError(f"Pose {i} of the camera path needs a finite 4x4 matrix and 0.01 < fov_x < 3.1 radians.")
        if not (rigid and turned):
            raise PathError(f"Pose {i} of the camera path is scaled or sheared; a camera may only turn and move.")
        if not (_finite(pose.shift) and max(map(abs, pose.shift)) <= 10):
            raise PathError(f"Pose {i} of the camera path has the lens shift {pose.shift}; keep it within -10 and 10.")
        if pose.clip is not None and not (_finite(pose.clip) and 0 < pose.clip[0] < pose.clip[1]):
            raise PathError(f"Pose {i} of the camera path clips at {pose.clip} m; the nearer must come first, above 0.")
    return poses


def _pose_from(entry: Mapping[str, Any]) -> Pose:
    matrix = tuple(tuple(float(x) for x in row) for row in entry["matrix"])
    if len(matrix) != 4 or any(len(row) != 4 for row in matrix):
        raise ValueError("a matrix is not 4x4")
    right, up = entry.get("shift", (0.0, 0.0))
    clip = entry.get("clip")
    if clip is not None:
        near, far = clip
        clip = (float(near), float(far))
    return Pose(cast(Matrix4, matrix), float(entry["fov_x"]), (float(right), float(up)), clip)


def _cross(a: Sequence[float], b: Sequence[float]) -> Vector:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


# --- nerfstudio -------------------------------------------------------------------------------------------------------


def to_nerfstudio(poses: Sequence[Pose], width: int, height: int, fps: float, *, loop: bool = False) -> str:
    """The path as nerfstudio's camera-path JSON (OpenGL camera axes, vertical field of view in degrees)."""
    _need_poses(poses)
    aspect = width / height
    path = [
        {
            "camera_to_world": [x for row in blender_matrix(p) for x in row],
            "fov": math.degrees(2 * math.atan(math.tan(p.fov_x / 2) / aspect)),
            "aspect": aspect,
        }
        for p in poses
    ]
    data = {
        "camera_type": "perspective",
        "render_width": width,
        "render_height": height,
        "fps": fps,
        "seconds": len(poses) / fps,
        "smoothness_value": 0.0,
        "is_cycle": loop,
        "keyframes": [],
        "crop": None,
        "camera_path": path,
    }
    return json.dumps(data, indent=1, allow_nan=False)


def from_nerfstudio(text: str) -> tuple[list[Pose], float]:
    """(poses, frames per second) from nerfstudio's camera-path JSON. PathError when it is not one."""
    try:
        data = json.loads(text)
        size = float(data["render_width"]) / float(data["render_height"])
        fps, entries = float(data["fps"]), list(data["camera_path"])
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as e:
        raise PathError(
            f"This is no nerfstudio camera path ({type(e).__name__}: {e}). It needs render_width, render_height, fps "
            "and camera_path; export it again from nerfstudio."
        ) from e
    poses = []
    for i, entry in enumerate(entries):
        try:
            m = [float(x) for x in entry["camera_to_world"]]
            fov, aspect = math.radians(float(entry["fov"])), float(entry.get("aspect", size))
            rows = [m[4 * k : 4 * k + 4] for k in range(3)]
        except (ValueError, KeyError, TypeError) as e:
            raise PathError(f"Camera {i} of the nerfstudio path cannot be read ({e}). Export it again.") from e
        columns = list(zip(*rows, strict=True))[:3] if len(m) == 16 else []
        good = len(columns) == 3 and all(
            abs(_dot(columns[a], columns[b]) - (a == b)) < 1e-3 for a in range(3) for b in range(a, 3)
        )
        if not good or not 0 < fov < math.pi or not (math.isfinite(aspect) and aspect > 0) or not _finite(m):
            raise PathError(
                f"Camera {i} of the nerfstudio path is not a rigid camera: camera_to_world must be 16 numbers with an "
                "unscaled rotation, fov between 0 and 180. Remove the scale and export it again."
            )
        matrix = (*((r[0], -r[1], -r[2], r[3]) for r in rows), (0.0, 0.0, 0.0, 1.0))
        poses.append(Pose(matrix, 2 * math.atan(math.tan(fov / 2) * aspect)))
    _need_poses(poses)
    return poses, fps


def _finite(values: Sequence[float]) -> bool:
    return all(map(math.isfinite, values))
