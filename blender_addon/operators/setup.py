"""Operators: make, repair and remove the sidecar's private environment."""

from pathlib import Path

import bpy
from bpy.props import EnumProperty

from .. import pump_timer, sidecar_setup, storage
from ..client import tasks
from ..preferences import preferences

SETTING_UP = "Sidecar"  # title of the task
ACTIONS = (
    ("make", "Set Up", "Make the environment, or bring it up to date"),
    ("check", "Check", "Run a real kernel in it"),
    ("remove", "Uninstall", "Remove exactly what the set-up made"),
)


def environment_folder(context) -> Path:
    """Where the environment is, or will be."""
    chosen = preferences(context).environment
    return Path(bpy.path.abspath(chosen)) if chosen else storage.user_folder() / "environment"


def library(context) -> str:
    """The library that is installed: the chosen folder or wheel, else the one that came with the extension."""
    chosen = preferences(context).package
    if chosen:
        return bpy.path.abspath(chosen)
    shipped = sorted((Path(__file__).parents[1] / "library").glob("holotime-*"))
    return str(shipped[-1]) if shipped else ""


class HOLOTIME_OT_setup_sidecar(bpy.types.Operator):
    """Make a private environment for the sidecar, outside Blender, and check that it works by running it"""

    bl_idname = "holotime.setup_sidecar"
    bl_label = "Set Up the Sidecar"
    bl_options = {"REGISTER"}

    action: EnumProperty(name="Action", description="What to do", items=ACTIONS, options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context):
        """One at a time."""
        cls.poll_message_set("The set-up is under way")
        return not sidecar_setup.state.running

    def invoke(self, context, event):
        """Ask before anything is removed."""
        if self.action == "remove":
            return context.window_manager.invoke_confirm(self, event)
        return self.execute(context)

    def execute(self, context):
        """Begin; the preferences show how it goes."""
        prefs, folder = preferences(context), environment_folder(context)
        if self.action == "make" and not bpy.app.online_access:
            self.report({"ERROR"}, "Packages have to be fetched: allow online access (Preferences, System, Network).")
            return {"CANCELLED"}
        package = library(context)
        if self.action == "make" and not package:
            self.report({"ERROR"}, "Choose the folder or the wheel of the HoloTime library first.")
            return {"CANCELLED"}
        python = sidecar_setup.find_python(bpy.path.abspath(prefs.base_python) if prefs.base_python else "")
        if not python:
            self.report({"ERROR"}, "No Python 3.11 or newer was found. Install one from python.org, or choose it here.")
            return {"CANCELLED"}

        def work() -> tasks.Work:
            yield from sidecar_setup.steps(python, self_action, folder, package, device)
            if not sidecar_setup.state.problem and self_action == "make":
                prefs.sidecar_python = str(sidecar_setup.python_of(folder))
            elif not sidecar_setup.state.problem and self_action == "remove":
                prefs.sidecar_python = ""

        self_action, device = self.action, prefs.device
        task = tasks.start(SETTING_UP, work(), _failed)
        if bpy.app.background:
            tasks.finish(task)
            if sidecar_setup.state.problem:
                self.report({"ERROR"}, sidecar_setup.state.problem)
                return {"CANCELLED"}
        else:
            pump_timer.start()
        return {"FINISHED"}


def _failed(error: Exception) -> None:
    sidecar_setup.state.problem, sidecar_setup.state.running = str(error), False


CLASSES = (HOLOTIME_OT_setup_sidecar,)
