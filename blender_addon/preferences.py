"""Preferences of the extension: where the sidecar is."""

import bpy


class HoloTimePreferences(bpy.types.AddonPreferences):
    """How to reach a sidecar, and how to start one."""

    bl_idname = __package__

    sidecar_python: bpy.props.StringProperty(
        name="Python of the sidecar environment",
        description="The Python interpreter of an environment in which the holotime package is installed",
        subtype="FILE_PATH",
    )
    connection_file: bpy.props.StringProperty(
        name="Connection file",
        description="The file that a running sidecar wrote: its addresses and your key",
        subtype="FILE_PATH",
    )

    def draw(self, context: bpy.types.Context) -> None:
        """Both ways to a sidecar, and how it stands."""
        from . import client

        layout = self.layout
        layout.use_property_split = True
        box = layout.box()
        box.label(text="Start a sidecar on this computer")
        box.prop(self, "sidecar_python")
        box.operator("holotime.start_sidecar", icon="PLAY")
        box = layout.box()
        box.label(text="Or use one that is running")
        box.prop(self, "connection_file")
        box.operator("holotime.connect", icon="LINKED")
        for line in client.link_text.splitlines():
            layout.label(text=line)


def preferences(context: bpy.types.Context) -> HoloTimePreferences:
    """The extension's preferences."""
    return context.preferences.addons[__package__].preferences
