"""What happens when a job has succeeded: its files are fetched, then they become part of the scene.

These run in the pump, so on Blender's main thread, some time after the operator that asked for them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from . import client, storage

SCENE, CLIP = "scene.safetensors", "clip.mp4"
last_import = ""  # name of the object that was imported last
last_error = ""  # why the last import failed; empty when it did not
last_video = ""  # path of the video that was fetched last


class Import:
    """Fetch a ``generate`` job's files and put its scene and clip into the scene of that name."""

    def __init__(self, scene_name: str, folder: str | Path = "") -> None:
        self._scene_name, self._folder = scene_name, folder

    def __call__(self, job: client.Job) -> None:
        """Begin with a job that has succeeded."""
        global last_error, last_import
        last_error = last_import = ""
        folder = Path(self._folder) if self._folder else storage.results_folder(job.id)
        folder.mkdir(parents=True, exist_ok=True)
        fetch_all(job, list(job.results), folder, self._arrived)

    def _arrived(self, paths: dict[str, Path], problem: str) -> None:
        global last_error, last_import
        from .scene_import.importer import ImportFailed, find_scene_object, import_scene, import_world_clip
        from .scene_import.reader import SceneFileError

        scene = bpy.data.scenes.get(self._scene_name)
        if scene is None and not problem:
            problem = f"The scene '{self._scene_name}' is gone; import {paths[SCENE]} into another one."
        try:
            if not problem:
                obj = import_scene(scene, paths[SCENE])
                last_import = obj.name
                import_world_clip(scene, paths[CLIP], find_scene_object(scene, obj))
                if not bpy.app.background:
                    bpy.ops.ed.undo_push(message="Import HoloTime Scene")
        except (SceneFileError, ImportFailed) as error:
            problem = str(error)
        last_error = problem


class FetchVideo:
    """Fetch the video of a ``render`` job to a path."""

    def __init__(self, path: str | Path = "") -> None:
        self._path = path

    def __call__(self, job: client.Job) -> None:
        """Begin with a job that has succeeded."""
        name = next(name for name in job.results if name.endswith(".mp4"))
        path = Path(self._path) if self._path else storage.results_folder(job.id) / name
        path.parent.mkdir(parents=True, exist_ok=True)

        def arrived(result: Any) -> None:
            global last_error, last_video
            last_error = client.refusal(result)
            last_video = "" if last_error else str(path)

        client.fetch(job, name, path, arrived)


def fetch_all(job: client.Job, names: list[str], folder: Path, then: Callable[[dict[str, Path], str], None]) -> None:
    """Fetch several results into a folder; ``then(paths, problem)`` once, when all are here or one cannot be."""
    paths = {name: folder / name for name in names}
    missing = set(names)

    def arrived(name: str, result: Any) -> None:
        problem = client.refusal(result)
        if not missing:
            return  # another file failed before, and that was told
        if problem:
            missing.clear()
            then(paths, f"'{name}' could not be fetched: {problem}")
            return
        missing.discard(name)
        if not missing:
            then(paths, "")

    for name in names:
        client.fetch(job, name, paths[name], lambda result, name=name: arrived(name, result))
