"""Configuration dataclasses from untrusted dictionaries, checked field by field.

A field says what it accepts in its metadata: ``help`` (shown to people), ``range`` (lowest, highest) or ``choices``.
"""

import dataclasses
import difflib
import math
import types
import typing
from typing import Any, TypeVar

from holotime.errors import InputError

T = TypeVar("T")


def setting(default: Any, help: str, *, range: tuple[float, float] | None = None, choices: tuple = ()) -> Any:
    """A dataclass field with what it means and what it accepts."""
    return dataclasses.field(default=default, metadata={"help": help, "range": range, "choices": choices})


def from_params(cls: type[T], params: dict[str, Any]) -> T:
    """Make ``cls`` (a dataclass of settings) from ``params``; InputError names the first wrong entry and what fits."""
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    values = {}
    for name, value in params.items():
        if name not in fields:
            close = difflib.get_close_matches(str(name), fields, 1)
            known = f"Did you mean '{close[0]}'?" if close else f"Known are {', '.join(fields)}."
            raise InputError(f"Unknown setting '{name}'. {known}")
        values[name] = _checked(name, value, hints[name], fields[name].metadata)
    return cls(**values)


def _checked(name: str, value: Any, hint: Any, metadata: Any) -> Any:
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in allowed:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and int not in allowed and float in allowed:
        value = float(value)
    if type(value) not in allowed:
        want = " or ".join("nothing" if a is type(None) else a.__name__ for a in allowed)
        raise InputError(f"The setting '{name}' is {value!r}; it must be {want}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"The setting '{name}' is {value}; it must be a finite number.")
    limits, choices = metadata.get("range"), metadata.get("choices")
    if limits and not limits[0] <= value <= limits[1]:
        raise InputError(f"The setting '{name}' is {value}; it must lie between {limits[0]:g} and {limits[1]:g}.")
    if choices and value not in choices:
        raise InputError(f"The setting '{name}' is {value!r}; it must be one of {', '.join(map(str, choices))}.")
    return value
