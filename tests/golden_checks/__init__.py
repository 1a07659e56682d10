"""Comparisons with recorded numbers, found by the names of the files that hold them.

A check takes one file and yields its cases. To add a group of goldens, add a module here whose functions carry
``@golden("prefix")``: every file of the folder whose name starts with the prefix is handed to it. The longest fitting
prefix wins.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open

SINGLE = 1e-4  # tolerance of a single forward pass
RUN = 5e-4  # tolerance of a complete sampling run


@dataclass(frozen=True)
class Case:
    """One comparison."""

    name: str  # within the file
    error: float  # largest absolute difference; nan when shapes differ or something is not a number
    tolerance: float  # largest difference that passes

    @property
    def ok(self) -> bool:
        """Whether the case passes (a nan does not)."""
        return self.error <= self.tolerance


Check = Callable[[Path], Iterator[Case]]
CHECKS: dict[str, Check] = {}


def golden(*prefixes: str) -> Callable[[Check], Check]:
    """Register a check for the files whose names start with one of the prefixes."""

    def register(check: Check) -> Check:
        CHECKS.update(dict.fromkeys(prefixes, check))
        return check

    return register


def check_for(path: Path) -> Check | None:
    """The check for a file, or None."""
    fitting = [p for p in CHECKS if path.name.startswith(p)]
    return CHECKS[max(fitting, key=len)] if fitting else None


def compare(name: str, got: Any, expected: Any, tolerance: float) -> Case:
    """The largest absolute difference of two arrays or tensors of one shape."""
    a, b = (torch.as_tensor(np.asarray(x)).double() for x in (got, expected))
    if a.shape != b.shape or not a.numel():
        return Case(f"{name} (shape {list(a.shape)}, expected {list(b.shape)})", float("nan"), tolerance)
    return Case(name, (a - b).abs().max().item(), tolerance)


def load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors of a file, and its metadata with JSON values parsed."""
    with safe_open(str(path), "pt") as f:
        tensors = {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118 - safe_open is no mapping
        metadata = dict(f.metadata() or {})
    return tensors, {k: _parsed(v) for k, v in metadata.items()}


def partner(path: Path, stem: str) -> Path:
    """The file ``stem*`` that belongs to ``path``: with the longest common ending of the name, else the first."""
    files = sorted(path.parent.glob(f"{stem}*.safetensors"))
    if not files:
        raise FileNotFoundError(f"{path.name} needs a file {stem}*.safetensors beside it")

    def common(other: Path) -> int:
        pairs = zip(reversed(path.stem), reversed(other.stem), strict=False)
        return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(path.stem), len(other.stem)))

    return max(files, key=common)


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value
