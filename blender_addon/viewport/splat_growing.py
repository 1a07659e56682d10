"""The scenes that are being trained, as true splats in the 3D View until the finished one is imported.

They are no part of the file: no object, nothing to undo or to save.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from .. import client
from ..client import growing
from . import handlers

NAME = "growing scene"


@dataclass(frozen=True)
class Picture:
    """What is shown of a job: made on another thread."""

    upload: Any  # of splat_gpu
    duration: float  # seconds
    loop: bool
    low_pass: float  # radians


@dataclass
class _View:
    picture: Picture
    drawer: Any = None  # of splat_gpu, once something was drawn


_views: dict[str, _View] = {}  # by job
_loaded = 0.0  # Unix seconds when this file was opened


def prepare(paths: list[Path], before: Any) -> tuple[Any, Picture]:
    """Apply the parts in these files to the scene file ``before``: (scene file, what to show). Any thread."""
    from ..scene_import.growing_part import apply, read_part
    from ..scene_import.splat_data import low_pass
    from .splat_arrays import SplatArrays
    from .splat_gpu import Upload

    for path in paths:
        before = apply(before, read_part(path))
    picture = Picture(Upload.of(SplatArrays.of(before.tensors)), before.duration, before.loop, low_pass(before))
    return before, picture


def show(job: str, picture: Picture) -> None:
    """Draw this from now on, if the job's scene is one of this file."""
    entry, known = client.ledger.get(job), client.jobs.get(job)
    mine = entry.blend == bpy.data.filepath or (known is not None and known.created > _loaded)
    if not mine or entry.scene not in bpy.data.scenes:
        return
    view = _views.setdefault(job, _View(picture))
    view.picture = picture
    if view.drawer:
        view.drawer.replace(picture.upload)
    handlers.on(NAME, _draw)
    handlers.redraw()


def hide(job: str) -> None:
    """Draw a job's scene no more."""
    if _views.pop(job, None) and not _views:
        handlers.off(NAME)
    handlers.redraw()


def clip_time(picture: Picture, scene: bpy.types.Scene) -> float:
    """t in [0, 1] that is shown at the scene's frame: as the import will have it, the clip begins with the range."""
    from .splat_sort import scene_time

    seconds = (scene.frame_current_final - scene.frame_start) * scene.render.fps_base / scene.render.fps
    mode = "loop" if picture.loop else "once"
    return scene_time(seconds, offset=0.0, speed=1.0, duration=picture.duration, phase=0.0, mode=mode)


def draw_view(
    view: _View, modelview: Any, projection: Any, viewport: tuple[float, float], t: float, *, linear: bool = True
) -> bool:
    """Draw it as far as it is on the graphics card, after bringing more of it there; whether more is left to do."""
    from .splat_gpu import UPLOAD_SECONDS, SplatDrawer

    if view.drawer is None:
        view.drawer = SplatDrawer()
        view.drawer.replace(view.picture.upload)
    more = view.drawer.go_on(UPLOAD_SECONDS)
    if not view.drawer.empty:
        view.drawer.draw(
            modelview, projection, viewport, time=t, low_pass=view.picture.low_pass, linear=linear, wait=False
        )
    return more or view.drawer.pending


def _draw() -> None:
    import numpy as np

    context = bpy.context
    view3d, region, more = context.region_data, context.region, False
    projection = np.array(view3d.window_matrix, np.float32)
    for job, view in _views.items():
        if client.ledger.get(job).scene == context.scene.name:
            modelview = np.array(view3d.view_matrix, np.float32)
            t = clip_time(view.picture, context.scene)
            more |= draw_view(view, modelview, projection, (region.width, region.height), t)
    if more:
        handlers.redraw_soon()


@persistent
def _after_load(*_args) -> None:
    global _loaded
    _loaded = time.time()
    for job in list(_views):
        hide(job)


def register() -> None:
    """Show what the client brings; without windows nothing has to be brought."""
    if not bpy.app.background:
        growing.prepare = prepare
    growing.shown.append(show)
    growing.ended.append(hide)
    bpy.app.handlers.load_post.append(_after_load)


def unregister() -> None:
    """Show nothing any more."""
    growing.prepare = None
    growing.shown.clear()
    growing.ended.clear()
    if _after_load in bpy.app.handlers.load_post:
        bpy.app.handlers.load_post.remove(_after_load)
    _views.clear()
    handlers.off(NAME)
