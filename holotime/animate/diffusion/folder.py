"""A folder of panoramas with their prompts: images in natural order, and one text file with a line for each."""

import re
from pathlib import Path

from holotime.clip import IMAGE_SUFFIXES
from holotime.errors import InputError


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sorts scene_2 before scene_10."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]


def pairs(folder: Path) -> list[tuple[Path, str]]:
    """(image, prompt) for each image of the folder, from the lines of its first .txt file.

    Raises InputError, listing the pairs, when an image has no line, a line no image, or a line between others is blank.
    """
    files = sorted((f for f in folder.iterdir() if f.is_file()), key=natural_key) if folder.is_dir() else []
    images = [f for f in files if f.suffix.lower() in IMAGE_SUFFIXES]
    texts = [f for f in files if f.suffix.lower() == ".txt"]
    if not images or not texts:
        raise InputError(
            f"{folder} needs panoramas and a .txt file with one prompt a line, in the order of their names."
        )
    prompts = [line.strip() for line in texts[0].read_text(encoding="utf-8-sig").rstrip().splitlines()]
    if len(prompts) != len(images) or not all(prompts):
        count = max(len(prompts), len(images))
        left = [f.name for f in images] + ["(no image)"] * (count - len(images))
        right = [p or "(blank line)" for p in prompts] + ["(no line)"] * (count - len(prompts))
        fault = f"{len(prompts)} lines for {len(images)} panoramas"
        if len(prompts) == len(images):
            fault = "a blank line among the others"
        listing = "; ".join(f"{a} = {b}" for a, b in zip(left, right, strict=True))
        raise InputError(f"{texts[0]} has {fault}. Each panorama needs one line. Now they pair up as: {listing}.")
    return list(zip(images, prompts, strict=True))
