# SPDX-License-Identifier: GPL-3.0-or-later
"""HoloTime: panoramas become animated 4D worlds.

The heavy work runs in the sidecar, a separate process; this extension talks to it (``client``), imports what it makes
(``scene_import``), puts cameras on paths (``cameras``) and shows all of it in the 3D View's sidebar (``panels``).
Registering imports nothing heavy: numpy, ZeroMQ and msgpack are loaded when they are first needed.
"""

import bpy

from . import client, operators, panels, preferences, properties, pump_timer

CLASSES = (*properties.CLASSES, preferences.HoloTimePreferences, *operators.CLASSES, *panels.CLASSES)


def register() -> None:
    """Make the extension's classes and properties known to Blender."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.holotime = bpy.props.PointerProperty(type=properties.HoloTimeSceneSettings)
    bpy.types.Object.holotime = bpy.props.PointerProperty(type=properties.HoloTimeObjectSettings)


def unregister() -> None:
    """Undo register, leave the sidecar, and end one that was started from here."""
    pump_timer.stop()
    client.disconnect()
    client.stop_sidecar()
    del bpy.types.Object.holotime
    del bpy.types.Scene.holotime
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
