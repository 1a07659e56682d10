"""The timer that pumps the client while Blender has windows. In scripts ``client.wait`` does that."""

import bpy

from . import client

BUSY_SECONDS, IDLE_SECONDS = 0.1, 0.5  # between pumps: while a job runs, and otherwise


def start() -> None:
    """Pump from now on, also after another file is opened."""
    if redraw not in client.listeners:
        client.listeners.append(redraw)
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, persistent=True)


def stop() -> None:
    """Pump no more."""
    if redraw in client.listeners:
        client.listeners.remove(redraw)
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


def _tick() -> float | None:
    client.pump()
    if not client.active():
        redraw()
        return None
    return IDLE_SECONDS if all(job.done for job in client.jobs.values()) and client.connected() else BUSY_SECONDS


def redraw() -> None:
    """Show what is new in the sidebars."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in ("VIEW_3D", "PREFERENCES"):
                area.tag_redraw()
