# SPDX-License-Identifier: GPL-3.0-or-later
"""HoloTime: panoramas become animated 4D worlds.

The heavy work runs in the sidecar, a separate process; this extension talks to it (``client``), imports what it makes
(``scene_import``), draws it (``viewport``) and puts cameras on paths (``cameras``); ``panels`` is its sidebar tab.
Registering imports nothing heavy: numpy, ZeroMQ and msgpack are loaded when they are first needed.
"""

from pathlib import Path

import bpy

from . import client, job_list, operators, panels, preferences, properties, pump_timer
from .viewport import handlers, panorama_view, splat_growing, splat_view

CLASSES = (*properties.CLASSES, preferences.HoloTimePreferences, *operators.CLASSES, *panels.CLASSES)


def register() -> None:
    """Make the extension's classes and properties known to Blender."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    properties.register()
    splat_view.register()
    splat_growing.register()
    pump_timer.soon(_first_look)
    bpy.utils.register_preset_path(str(Path(__file__).parent))


def _first_look() -> None:
    """What is left to do once Blender is ready: neither registering nor a panel may change a file."""
    from .cameras.presets import fill_in

    fill_in()
    splat_view.refresh()


def unregister() -> None:
    """Undo register, leave the sidecar, and end one that was started from here."""
    bpy.utils.unregister_preset_path(str(Path(__file__).parent))
    pump_timer.stop()
    client.disconnect()
    client.stop_sidecar()
    handlers.off_all()
    splat_growing.unregister()
    splat_view.unregister()
    panorama_view.forget()
    job_list.forget()
    properties.unregister()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
