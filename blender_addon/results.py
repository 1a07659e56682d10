"""What happens when a job has succeeded: its files are fetched, then they become part of the scene.

These run in the pump, so on Blender's main thread, some time after the operator that asked for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from . import client, storage
from .cameras import safe_walk
from .client import tasks

SCENE, CLIP, REPORT, NUMBERS = "scene.safetensors", "clip.mp4", "report.html", "report.json"
last_import = ""  # name of the object that was imported last
last_error = ""  # why the last import failed; empty when it did not
last_video = ""  # path of the video that was fetched last


class Import:
    """Fetch a ``generate`` job's files and put its scene and clip into the scene of that name."""

    def __init__(self, scene_name: str, folder: str | Path = "") -> None:
        self._scene_name, self._folder, self._job = scene_name, folder, ""
        self._made = ""  # what the report says about how it was made

    def __call__(self, job: client.Job) -> None:
        """Begin with a job that has succeeded."""
        global last_error, last_import
        last_error = last_import = ""
        self._job = job.id
        try:
            folder = Path(self._folder) if self._folder else storage.results_folder(job.id)
            folder.mkdir(parents=True, exist_ok=True)
            fetch_all(job, list(job.results), folder, self._arrived)
        except OSError as error:
            self._failed(
                f"The results cannot be written to {error.filename} ({error.strerror}). Choose another folder."
            )
        except client.ClientError as error:
            self._failed(str(error))

    def _arrived(self, paths: dict[str, Path], problem: str) -> None:
        global last_error
        from .scene_import.importer import import_steps

        if not problem and bpy.data.scenes.get(self._scene_name) is None:
            problem = f"The scene '{self._scene_name}' is gone; import {paths[SCENE]} into another one."
        if problem:
            self._failed(problem)
        else:
            last_error = ""
            self._made = summary_of(paths.get(NUMBERS))
            clip = paths.get(CLIP)
            then = [lambda obj: self._set_world(obj, clip)] if clip else []
            work = import_steps(self._scene_name, paths[SCENE], [*then, self._complete])
            tasks.start("Importing", work, lambda error: self._failed(str(error) or type(error).__name__))

    def _failed(self, text: str) -> None:
        """Say why in the panel; what the viewport has shown of the scene so far goes."""
        global last_error
        last_error = text
        client.growing.end(self._job)

    def _set_world(self, obj: bpy.types.Object, clip: Path) -> None:
        from .scene_import.importer import import_world_clip

        import_world_clip(bpy.data.scenes[self._scene_name], clip, obj)

    def _complete(self, obj: bpy.types.Object) -> None:
        global last_import
        last_import = obj.name
        client.growing.end(self._job)  # the finished one is here
        safe_walk.remember(obj)
        obj.holotime.made = self._made
        entry = client.ledger.entries.get(self._job)
        if entry:
            entry.imported = True
            client.ledger.save()
        if not bpy.app.background:
            bpy.ops.ed.undo_push(message="Import HoloTime Scene")


def summary_of(report: Path | None) -> str:
    """Backends, models and notes of a report.json, as JSON; empty when it cannot be read."""
    try:
        data = json.loads(report.read_text(encoding="utf-8")) if report else {}
        return json.dumps({name: data[name] for name in ("backends", "models", "notes") if name in data})
    except (OSError, ValueError, TypeError):
        return ""


class FetchVideo:
    """Fetch the file of a ``render`` or ``export`` job to a path."""

    def __init__(self, path: str | Path = "") -> None:
        self._path = path

    def __call__(self, job: client.Job) -> None:
        """Begin with a job that has succeeded."""
        global last_error
        name = next((name for name in job.results if name.endswith(".mp4")), next(iter(job.results)))
        try:
            path = Path(self._path) if self._path else storage.results_folder(job.id) / name
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            last_error = f"The result cannot be written to {error.filename} ({error.strerror}). Choose another place."
            return

        def arrived(result: Any) -> None:
            global last_error, last_video
            last_error = client.refusal(result)
            last_video = "" if last_error else str(path)

        client.fetch(job, name, path, arrived)


class FetchPanorama:
    """Fetch the picture of a ``panorama`` job, and make it the panorama of the scene of that name."""

    def __init__(self, scene_name: str, path: str | Path) -> None:
        self._scene_name, self._path = scene_name, Path(path)

    def __call__(self, job: client.Job) -> None:
        """Begin with a job that has succeeded."""
        global last_error
        name = next(name for name in job.results if name.endswith(".png"))
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            last_error = f"The panorama cannot be written to {error.filename} ({error.strerror}). Save elsewhere."
            return

        def arrived(result: Any) -> None:
            global last_error
            last_error = client.refusal(result)
            if not last_error:
                use_panorama(self._scene_name, self._path)

        client.fetch(job, name, self._path, arrived)


def use_panorama(scene_name: str, path: Path) -> None:
    """Make a file the panorama of a scene, and show it."""
    from .scene_import.importer import portable
    from .viewport import panorama_view

    scene = bpy.data.scenes.get(scene_name)
    if scene and path.is_file():
        scene.holotime.panorama = portable(path)
        panorama_view.refresh()
        if not bpy.app.background:
            bpy.ops.ed.undo_push(message="Make HoloTime Panorama")


def failed(error: Exception) -> None:
    """A task could not be done: say why in the panel."""
    global last_error
    last_error = str(error) or type(error).__name__


def on_success_of(entry: client.Entry) -> Callable[[client.Job], None] | None:
    """What to do when a job of this ledger entry succeeds."""
    if entry.kind in ("render", "export"):
        return FetchVideo(entry.output)
    if entry.kind == "panorama":
        return FetchPanorama(entry.scene, entry.output)
    return Import(entry.scene) if entry.auto_import else None


def known_again(job: client.Job, entry: client.Entry) -> None:
    """A job that an earlier Blender sent and that is not done yet: go on with it if its file is open here."""
    mine = entry.blend == bpy.data.filepath and entry.scene in bpy.data.scenes
    callback = on_success_of(entry) if mine and not job.done else None
    if callback:
        client.on_success(job, callback)


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
