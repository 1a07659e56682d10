"""A folder of work: panoramas, prompts (a .txt file with one a line), or panoramas with a prompt each."""

import re
from dataclasses import dataclass
from pathlib import Path

from holotime.animate.diffusion.folder import natural_key, pairs
from holotime.clip import IMAGE_SUFFIXES
from holotime.errors import InputError

NAME_LENGTH = 40  # characters of a prompt in a folder's name


@dataclass(frozen=True)
class Task:
    """One world of a folder."""

    name: str  # of the folder for its results
    image: Path | None  # None: the panorama comes from the prompt
    prompt: str


def tasks(folder: Path) -> list[Task]:
    """What a folder asks for, in natural order.

    Images alone have no prompt; lines alone become panoramas; both belong together in their order. Raises InputError,
    with the pairs listed, when there are not as many lines as images, and for a folder with neither.
    """
    files = sorted((f for f in folder.iterdir() if f.is_file() and f.name[0] != "."), key=natural_key)
    images = [f for f in files if f.suffix.lower() in IMAGE_SUFFIXES]
    texts = [f for f in files if f.suffix.lower() == ".txt"]
    if images:
        both = pairs(folder) if texts else [(image, "") for image in images]
        return _named([(image.stem, image, text) for image, text in both])
    if not texts:
        raise InputError(f"{folder} holds neither images nor a .txt file with one prompt a line.")
    lines = [line.strip() for line in texts[0].read_text(encoding="utf-8-sig").splitlines()]
    prompts = [line for line in lines if line]
    if not prompts:
        raise InputError(f"{texts[0]} is empty. Write one prompt a line.")
    return _named([(_name(prompt), None, prompt) for prompt in prompts])


def _name(prompt: str) -> str:
    """A prompt as the name of a folder."""
    words = re.sub(r"[^\w]+", "-", prompt.casefold()).strip("-")
    return words[:NAME_LENGTH].rstrip("-") or "panorama"


def _named(found: list[tuple[str, Path | None, str]]) -> list[Task]:
    """Tasks whose names differ, also where upper and lower case do not count."""
    taken: set[str] = set()
    made = []
    for name, image, prompt in found:
        own, number = name, 2
        while own.casefold() in taken:
            own, number = f"{name}-{number}", number + 1
        taken.add(own.casefold())
        made.append(Task(own, image, prompt))
    return made
