"""Scenes that jobs are training, brought here while they grow (docs/protocol.md, "The growing scene"). No bpy here.

The network thread fetches the parts, another thread reads and applies them, and a pump hands what came out of that to
whoever shows it: nothing of it is felt on the main thread.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .background import Background

Fetch = Callable[[Any, Path, Callable[[str], None]], None]  # (part, path, then): then("") or then(what went wrong)

prepare: Callable[[list[Path], Any], tuple[Any, Any]] | None = None
"""(files of the parts to apply, what the last call gave first or None) -> (state for the next call, what to show).

Called on another thread. Without it nothing is fetched.
"""
shown: list[Callable[[str, Any], None]] = []  # called in a pump with (job, what prepare gave to show)
ended: list[Callable[[str], None]] = []  # called in a pump when there is nothing to show of a job any more
problem = ""  # why a part could not be used, last; the next whole scene is tried all the same


@dataclass
class _Scene:
    """How far the scene of one job is here."""

    job: str
    folder: Path  # of the parts that are being fetched
    latest: Any  # Growing of the protocol; None: wait for the next
    run: str = ""
    number: int = -1  # of the last part that was applied
    state: Any = None  # of prepare
    files: list[Path] = field(default_factory=list)  # parts that come in or are being applied now
    working: Background | None = None


_scenes: dict[str, _Scene] = {}


def announced(event: Any, fetch: Fetch) -> None:
    """The server says which parts make a job's scene now."""
    if prepare is None:
        return
    scene = _scenes.get(event.job)
    if scene is None:
        scene = _scenes[event.job] = _Scene(event.job, Path(tempfile.mkdtemp(prefix="holotime_growing_")), event)
    scene.latest = event
    _go_on(scene, fetch)


def pump(fetch: Fetch) -> bool:
    """Take over what the threads have done; whether that was anything."""
    worked = False
    for scene in list(_scenes.values()):
        if scene.working and scene.working.done():
            worked = True
            _applied(scene)
            _go_on(scene, fetch)
    return worked


def busy() -> bool:
    """Whether a pump may soon have something to do."""
    return any(scene.files for scene in _scenes.values())


def end(job: str) -> None:
    """The job's scene grows no more: forget it."""
    scene = _scenes.pop(job, None)
    if scene:
        shutil.rmtree(scene.folder, ignore_errors=True)
        for listener in ended:
            listener(job)


def end_all() -> None:
    """Forget all of them."""
    for job in list(_scenes):
        end(job)


def _go_on(scene: _Scene, fetch: Fetch) -> None:
    """Fetch what is missing, unless that is under way."""
    event, function = scene.latest, prepare
    if scene.files or scene.working or event is None or function is None:
        return
    parts = event.missing(scene.run, scene.number)
    if not parts:
        return
    files = scene.files = [scene.folder / f"{part.number}-{part.sha256[:8]}.part" for part in parts]
    left, before = set(files), scene.state

    def came(path: Path, text: str) -> None:
        if _scenes.get(scene.job) is not scene:  # it has ended while this was on its way
            shutil.rmtree(scene.folder, ignore_errors=True)
            return
        if scene.files is not files:
            return  # another part failed before
        if text:  # a newer whole scene has replaced it: the event that says so follows, or is here already
            _forget_files(scene)
            if scene.latest is not event:
                _go_on(scene, fetch)
            return
        left.discard(path)
        if not left:
            scene.working = Background(lambda: (event.run, parts[-1].number, *function(files, before)))

    for part, path in zip(parts, files, strict=True):
        fetch(part, path, lambda text, path=path: came(path, text))


def _applied(scene: _Scene) -> None:
    global problem
    assert scene.working is not None
    working, scene.working = scene.working, None
    try:
        scene.run, scene.number, scene.state, result = working.result()
    except Exception as error:  # a damaged part, no memory: begin again with a whole one
        problem = str(error)
        scene.run, scene.number, scene.state, scene.latest = "", -1, None, None
    else:
        problem = ""
        for listener in shown:
            listener(scene.job, result)
    _forget_files(scene)


def _forget_files(scene: _Scene) -> None:
    for path in scene.files:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    scene.files = []
