"""Where files go: beside the .blend once it is saved, else into the extension's own folder."""

from pathlib import Path

import bpy


def user_folder(*parts: str) -> Path:
    """A folder under the extension's user folder, made when it is missing."""
    folder = Path(bpy.utils.extension_path_user(__package__, create=True)).joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def beside(*parts: str) -> Path:
    """``holotime/PARTS`` beside a saved .blend, else under the user folder; made when it is missing."""
    if not bpy.data.filepath:
        return user_folder(*parts)
    folder = Path(bpy.data.filepath).parent.joinpath("holotime", *parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def results_folder(job: str) -> Path:
    """Where the results of a job go."""
    return beside(job[:8]) if bpy.data.filepath else beside("results", job[:8])
