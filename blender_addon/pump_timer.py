"""The timer that pumps the client while Blender has windows. In scripts ``client.wait`` does that."""

from collections.abc import Callable

import bpy

from . import client, job_list, results
from .client import tasks

BUSY_SECONDS, IDLE_SECONDS = 0.1, 0.5  # between pumps: while a job runs, and otherwise
TASK_SECONDS = 0.006  # between pumps while a task is under way: most of the time is Blender's


def start() -> None:
    """Pump from now on, also after another file is opened."""
    if redraw not in client.listeners:
        client.listeners += [job_list.sync, redraw]
    if results.known_again not in client.known_again:
        client.known_again.append(results.known_again)
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, persistent=True)


def soon(function: Callable[[], None]) -> None:
    """Call a function once, as soon as Blender is ready."""
    bpy.app.timers.register(function, first_interval=0.1)


def stop() -> None:
    """Pump no more."""
    client.listeners.clear()
    client.known_again.clear()
    tasks.cancel_all()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


def _tick() -> float | None:
    client.pump()
    if tasks.running:
        return TASK_SECONDS
    if client.growing.busy():
        return BUSY_SECONDS
    if not client.active():
        redraw()
        return None
    return IDLE_SECONDS if all(job.done for job in client.jobs.values()) and client.connected() else BUSY_SECONDS


def redraw() -> None:
    """Show what is new in the sidebars. The scene itself is left alone: drawing it may cost a lot."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in ("VIEW_3D", "PREFERENCES"):
                for region in area.regions:
                    if region.type == ("UI" if area.type == "VIEW_3D" else "WINDOW"):
                        region.tag_redraw()
