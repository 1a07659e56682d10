"""Preferences of the extension: set up a sidecar of one's own, or use one that runs somewhere."""

import textwrap

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from .client import tasks


class HoloTimePreferences(bpy.types.AddonPreferences):
    """How to reach a sidecar, and how to make one."""

    bl_idname = __package__

    mode: EnumProperty(
        name="Sidecar",
        description="Where the heavy work is done",
        items=(
            ("OWN", "Set Up on This Computer", "A private environment outside Blender, started when it is needed"),
            ("OTHER", "Use a Sidecar at ...", "One that runs already, on this or another computer"),
        ),
    )
    base_python: StringProperty(
        name="Python",
        description="A Python 3.11 or newer from which the environment is made; empty: the newest that is found",
        subtype="FILE_PATH",
    )
    environment: StringProperty(
        name="Folder",
        description="Where the environment goes; empty: under the extension's own folder",
        subtype="DIR_PATH",
    )
    package: StringProperty(
        name="Library",
        description="Folder or wheel of the HoloTime library; empty: the one that came with the extension",
        subtype="FILE_PATH",
    )
    device: EnumProperty(
        name="Device",
        description="What the sidecar calculates on",
        items=(
            ("cpu", "CPU", "Any computer; graphics cards are not touched"),
            ("cuda", "CUDA", "An NVIDIA card; installs what is needed for it"),
        ),
    )
    sidecar_python: StringProperty(
        name="Python of the sidecar environment",
        description="The Python interpreter of an environment in which the holotime package is installed",
        subtype="FILE_PATH",
    )
    connection_file: StringProperty(
        name="Connection File",
        description="The file that a running sidecar wrote: its addresses and your key. Copy it from its computer",
        subtype="FILE_PATH",
    )
    address: StringProperty(
        name="Address",
        description="Name or address of the sidecar's computer; empty: the one that the connection file names",
    )
    show_log: BoolProperty(name="Show Log", description="Show what the set-up says", default=False)

    def draw(self, context: bpy.types.Context) -> None:
        """One of the two ways, and how it stands."""
        layout = self.layout
        layout.row().prop(self, "mode", expand=True)
        layout.use_property_split = True
        if self.mode == "OWN":
            self._own(layout, context)
        else:
            self._other(layout)
        _status(layout)

    def _other(self, layout) -> None:
        col = layout.column()
        col.prop(self, "connection_file", placeholder="connection.json that the sidecar wrote")
        col.prop(self, "address", placeholder="as in the file")
        layout.operator("holotime.connect", icon="LINKED")

    def _own(self, layout, context) -> None:
        from . import sidecar_setup
        from .operators.setup import environment_folder, library

        shipped = library(context)
        col = layout.column()
        col.prop(self, "base_python", placeholder="the newest that is found")
        col.prop(self, "environment", placeholder="in the extension's own folder")
        col.prop(self, "package", placeholder="the one that came along" if shipped else "choose it first")
        col.row().prop(self, "device", expand=True)
        folder = environment_folder(context)
        known, state = sidecar_setup.look(folder), sidecar_setup.state
        row = layout.row(align=True)
        text = "Repair or Update" if known else "Set Up the Sidecar"
        row.operator("holotime.setup_sidecar", text=text, icon="IMPORT").action = "make"
        if known:
            row.operator("holotime.setup_sidecar", text="Check", icon="CHECKMARK").action = "check"
            row.operator("holotime.setup_sidecar", text="Uninstall", icon="TRASH").action = "remove"
        if not shipped:
            layout.label(text="Choose the library: the folder of the project, or its wheel", icon="INFO")
        if not bpy.app.online_access:
            layout.label(text="Fetching packages needs Allow Online Access (System, Network)", icon="INTERNET_OFFLINE")
        if state.running:
            fraction = tasks.running[0].step.fraction if tasks.running else 0.0
            layout.progress(factor=fraction, text=state.text)
        found = state.found or known.get("found", {})
        if found.get("torch"):
            gpu = f", {found['gpu']} ({found['memory_gb']} GB)" if found.get("gpu") else ""
            text = f"Checked: HoloTime {found['holotime']}, torch {found['torch']}, {found['device'].upper()}{gpu}"
            layout.label(text=text, icon="CHECKMARK")
        elif known and not known.get("complete"):
            layout.label(text="The last set-up did not end well: repair it", icon="ERROR")
        for line in textwrap.wrap(state.problem, 90):
            layout.label(text=line, icon="ERROR")
        if state.log:
            layout.prop(self, "show_log", icon="TEXT", toggle=True)
            if self.show_log:
                box = layout.box()
                box.scale_y = 0.6
                for line in state.log[-12:]:
                    box.label(text=line[:110])
        layout.separator()
        layout.prop(self, "sidecar_python", text="Or Your Own Python", placeholder="one that has the library")
        layout.operator("holotime.start_sidecar", icon="PLAY")


def _status(layout) -> None:
    """How the sidecar is that Blender talks to."""
    from . import client

    box = layout.box()
    box.use_property_split = False
    for line in client.link_text.splitlines():
        box.label(text=line, icon="CHECKMARK" if client.connected() else "UNLINKED")
    if not client.connected():
        return
    client.watch_status()
    box.label(text=f"{client.server_name}: {', '.join(client.offers)}", icon="INFO")
    status = client.server_status
    if status is None:
        return
    waiting = status.counts.get("queued", 0)
    busy = f"{len(status.running)} running, {waiting} waiting" if status.running or waiting else "idle"
    room = f"{status.blob_bytes / 1e9:.1f} of {status.quota_bytes / 1e9:.0f} GB of files"
    box.label(text=f"Jobs: {busy}; {room}", icon="PREFERENCES")
    for worker in status.workers:
        used = f"{worker.memory / 1e9:.1f} GB of memory"
        if worker.gpu_total:
            used += f", {worker.gpu_memory / 1e9:.1f} of {worker.gpu_total / 1e9:.0f} GB on the graphics card"
        if worker.models:
            used += f", {worker.models / 1e9:.1f} GB of models kept"
        box.label(text=f"{worker.device.upper()}: {worker.state}, {used}", icon="MEMORY")


def preferences(context: bpy.types.Context) -> HoloTimePreferences:
    """The extension's preferences."""
    return context.preferences.addons[__package__].preferences
