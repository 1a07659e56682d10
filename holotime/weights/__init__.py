"""Model files: what there is, where it comes from, where it lies, and how it is read without running its code."""

from holotime.weights.licences import commercial_words, licence_entry, licence_note
from holotime.weights.registry import MODELS, Model, ModelFile
from holotime.weights.store import Status, cache_dir, folder_of, get, locate, remove, status, verify

__all__ = [
    "MODELS",
    "Model",
    "ModelFile",
    "Status",
    "cache_dir",
    "commercial_words",
    "folder_of",
    "get",
    "licence_entry",
    "licence_note",
    "locate",
    "remove",
    "status",
    "verify",
]
