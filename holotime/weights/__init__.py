"""Model files: what there is, where it comes from, where it lies, and how it is read without running its code."""

from holotime.weights.registry import MODELS, Model, ModelFile
from holotime.weights.store import Status, cache_dir, get, locate, remove, status, verify

__all__ = [
    "MODELS",
    "Model",
    "ModelFile",
    "Status",
    "cache_dir",
    "get",
    "locate",
    "remove",
    "status",
    "verify",
]
