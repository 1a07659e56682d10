"""What may be done with a model and its results, for reports and people."""

from typing import Any

from holotime.weights.registry import MODELS, Model, by_repository

UNKNOWN = "not known here: see where it came from"
EMBEDDED = "holotime-perception"  # the network inside the package
OWN = Model(EMBEDDED, "distance and classes", "this package", "Apache-2.0", (), 0.0, True, "part of HoloTime")


def licence_entry(name: str, stage: str = "") -> dict[str, Any]:
    """``name``, ``licence``, ``commercial_use`` (None: under conditions, or not known), ``terms`` of a model.

    ``name``: of the registry, a hub id, or a file. The folder of a file is left out.
    """
    model = model_of(name)
    entry: dict[str, Any] = {"stage": stage} if stage else {}
    if model is None:
        short = name if _looks_like_hub_id(name) else name.replace("\\", "/").rsplit("/", 1)[-1]
        return entry | {"name": short, "licence": UNKNOWN, "commercial_use": None, "terms": ""}
    return entry | {
        "name": model.name,
        "licence": model.licence,
        "commercial_use": model.commercial_use,
        "terms": model.terms,
    }


def licence_note(name: str) -> str:
    """One sentence on a model's licence, for the notes of a report."""
    entry = licence_entry(name)
    terms = f" ({entry['terms']})" if entry["terms"] else ""
    return f"{entry['name']}: licence {entry['licence']}, {commercial_words(entry['commercial_use'])}{terms}"


def commercial_words(allowed: bool | None) -> str:
    """``commercial_use`` in words."""
    return {True: "commercial use allowed", False: "no commercial use"}.get(allowed, "commercial use: see the terms")  # type: ignore[arg-type]


def model_of(name: str) -> Model | None:
    """The registered model of that name or hub id."""
    return OWN if name == EMBEDDED else MODELS.get(name) or by_repository(name)


def _looks_like_hub_id(name: str) -> bool:
    from holotime.weights.repository import is_hub_id

    return is_hub_id(name)
