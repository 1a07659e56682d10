"""Preferences of the extension: set up a sidecar of one's own, or use one that runs somewhere."""

import textwrap

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty


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
    show_log: BoolProperty(name="Show Log", description="Show what the set-up says", default=False)

    def draw(self, context: bpy.types.Context) -> None:
        """One of the two ways, and how it stands."""
        from . import client

        layout = self.layout
        layout.row().prop(self, "mode", expand=True)
        layout.use_property_split = True
        if self.mode == "OWN":
            self._own(layout, context)
        else:
            layout.prop(self, "connection_file")
            layout.operator("holotime.connect", icon="LINKED")
        box = layout.box()
        for line in client.link_text.splitlines():
            box.label(text=line, icon="CHECKMARK" if client.connected() else "UNLINKED")
        if client.connected():
            box.label(text=f"{client.server_name}; it can do: {', '.join(client.offers)}", icon="INFO")

    def _own(self, layout, context) -> None:
        from . import sidecar_setup
        from .operators.setup import environment_folder, library

        col = layout.column()
        col.prop(self, "base_python")
        col.prop(self, "environment")
        col.prop(self, "package")
        col.row().prop(self, "device", expand=True)
        folder = environment_folder(context)
        known, state = sidecar_setup.look(folder), sidecar_setup.state
        row = layout.row(align=True)
        text = "Repair or Update" if known else "Set Up the Sidecar"
        row.operator("holotime.setup_sidecar", text=text, icon="IMPORT").action = "make"
        if known:
            row.operator("holotime.setup_sidecar", text="Check", icon="CHECKMARK").action = "check"
            row.operator("holotime.setup_sidecar", text="Uninstall", icon="TRASH").action = "remove"
        if not library(context):
            layout.label(text="Choose the library: the folder of the project, or its wheel", icon="INFO")
        if state.running:
            layout.label(text=state.text, icon="SORTTIME")
        found = state.found or known.get("found", {})
        if found.get("torch"):
            gpu = f", {found['gpu']} ({found['memory_gb']} GB)" if found.get("gpu") else ""
            layout.label(
                text=f"HoloTime {found['holotime']}, torch {found['torch']}, {found['device'].upper()}{gpu}",
                icon="CHECKMARK",
            )
        for line in textwrap.wrap(state.problem, 90):
            layout.label(text=line, icon="ERROR")
        if state.log:
            layout.prop(self, "show_log", icon="TEXT", toggle=True)
            if self.show_log:
                box = layout.box()
                box.scale_y = 0.6
                for line in state.log[-12:]:
                    box.label(text=line[:110])
        layout.prop(self, "sidecar_python", text="Or one's own Python")
        layout.operator("holotime.start_sidecar", icon="PLAY")


def preferences(context: bpy.types.Context) -> HoloTimePreferences:
    """The extension's preferences."""
    return context.preferences.addons[__package__].preferences
