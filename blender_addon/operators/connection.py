"""Operators: reach a sidecar, start one, leave it."""

import json
import re
from pathlib import Path

import bpy
from bpy.props import StringProperty

from .. import client, pump_timer, storage
from ..preferences import preferences
from .setup import environment_folder

LOCAL = ("tcp://127.", "tcp://localhost:", "tcp://[::1]:", "ipc://")  # endpoints on this computer


def _cpu_only(context, python: str) -> bool:
    """Whether the artist set this environment up for the CPU; somebody's own Python decides for itself."""
    prefs = preferences(context)
    return prefs.device == "cpu" and Path(python).is_relative_to(environment_folder(context))


def begin_client() -> None:
    """Let the client know where it may keep its notes."""
    client.ledger.open(storage.user_folder())


def reachable(path: str, address: str) -> str:
    """The connection file to use: this one, or a copy that names ``address`` as the sidecar's computer.

    ClientError where Blender may not go online and the sidecar is not on this computer.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        endpoints = dict(data["addresses"])
    except (OSError, ValueError, KeyError, TypeError):
        return path  # the network thread says what is wrong with it
    if address:
        data["addresses"] = {
            name: re.sub(r"^tcp://.*:", f"tcp://{address}:", str(endpoint)) for name, endpoint in endpoints.items()
        }
        path = str(storage.user_folder("connections") / "changed.json")
        Path(path).touch(mode=0o600)
        Path(path).write_text(json.dumps(data), encoding="utf-8")
    elsewhere = [str(e) for e in data["addresses"].values() if not str(e).startswith(LOCAL)]
    if elsewhere and not bpy.app.online_access:
        raise client.ClientError(
            f"The sidecar is on another computer ({elsewhere[0]}), and Blender may not go online: allow online access "
            "(Preferences, System, Network)."
        )
    return path


class HOLOTIME_OT_connect(bpy.types.Operator):
    """Connect to a running sidecar through its connection file"""

    bl_idname = "holotime.connect"
    bl_label = "Connect"
    bl_options = {"REGISTER"}

    connection_file: StringProperty(
        name="Connection file",
        description="File that the sidecar wrote; empty: the one in the preferences",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )
    address: StringProperty(
        name="Address",
        description="Name or address of the sidecar's computer; empty: as in the preferences, or in the file",
        options={"SKIP_SAVE"},
    )

    def execute(self, context):
        """Begin to connect; the panel shows when the sidecar answers."""
        path = bpy.path.abspath(self.connection_file or preferences(context).connection_file)
        if not path:
            self.report({"ERROR"}, "No connection file is set. Choose it in the extension's preferences.")
            return {"CANCELLED"}
        try:
            begin_client()
            path = reachable(path, self.address or ("" if self.connection_file else preferences(context).address))
            client.connect(path, agent=f"blender {bpy.app.version_string}")
        except (client.ClientError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        pump_timer.start()
        return {"FINISHED"}


class HOLOTIME_OT_disconnect(bpy.types.Operator):
    """Leave the sidecar; its jobs go on, except in a sidecar that was started from here, which ends"""

    bl_idname = "holotime.disconnect"
    bl_label = "Disconnect"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        """Only while there is something to leave."""
        cls.poll_message_set("Not connected to a sidecar")
        return client.active()

    def execute(self, context):
        """Close the connection."""
        client.disconnect()
        client.stop_sidecar()
        return {"FINISHED"}


class HOLOTIME_OT_start_sidecar(bpy.types.Operator):
    """Start a sidecar on this computer with the Python of the preferences, and connect to it"""

    bl_idname = "holotime.start_sidecar"
    bl_label = "Start Sidecar"
    bl_options = {"REGISTER"}

    python: StringProperty(
        name="Python",
        description="Interpreter of the sidecar's environment; empty: the one in the preferences",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )

    def execute(self, context):
        """Start it; the panel shows when it is ready."""
        python = bpy.path.abspath(self.python or preferences(context).sidecar_python)
        try:
            begin_client()
            client.start_sidecar(python, storage.user_folder("sidecar"), gpu=not _cpu_only(context, python))
        except (client.ClientError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        pump_timer.start()
        return {"FINISHED"}


class HOLOTIME_OT_show_preferences(bpy.types.Operator):
    """Open the extension's preferences, where the sidecar is set up"""

    bl_idname = "holotime.show_preferences"
    bl_label = "Set Up the Sidecar"
    bl_options = {"REGISTER"}

    def execute(self, context):
        """Show them."""
        bpy.ops.preferences.addon_show(module=__package__.rpartition(".")[0])
        return {"FINISHED"}


CLASSES = (HOLOTIME_OT_connect, HOLOTIME_OT_disconnect, HOLOTIME_OT_start_sidecar, HOLOTIME_OT_show_preferences)
