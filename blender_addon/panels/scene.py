"""Scene: the imported worlds, how they play and look, where their files are."""

import json

import bpy

from ..models import ALLOWED, REFUSED
from ..operators.files import lost_files
from ..viewport import handlers
from .common import Panel, column, lines, under_way

NOTES = 8  # of a report that are shown; it has them all
PLAYBACK = (
    ("Offset", "Offset (s)"),
    ("Speed", "Speed"),
    ("Phase", "Phase"),
    ("Loop", "Loop"),
    ("Ping-Pong", "Ping-Pong"),
)
LOOK = (("Opacity", "Opacity"), ("Splat Size", "Size"))


def chosen(context):
    """(object, modifier) of the HoloTime scene that is meant; (None, None) without one."""
    from ..scene_import.importer import find_scene_object
    from ..scene_import.splat_object import scene_modifier

    obj = find_scene_object(context.scene, context.object)
    return obj, scene_modifier(obj)


def inputs(layout, modifier, names) -> None:
    """Inputs of the node group as properties."""
    from ..scene_import.splat_object import input_property

    for name, text in names:
        owner, prop = input_property(modifier, name)
        layout.prop(owner, prop, text=text)


class _NeedsScene(Panel):
    bl_parent_id = "HOLOTIME_PT_scene"

    @classmethod
    def poll(cls, context):
        """Only with a HoloTime scene."""
        return any(obj.holotime.is_scene for obj in context.scene.objects)


class HOLOTIME_PT_scene(Panel, bpy.types.Panel):
    """The imported worlds"""

    bl_idname = "HOLOTIME_PT_scene"
    bl_label = "Scene"

    def draw(self, context):
        """Import, and the list of scenes in the file."""
        layout = self.layout
        row = layout.row(align=True)
        row.operator("holotime.import_scene", icon="IMPORT")
        row.operator("holotime.set_world_clip", text="Set World", icon="WORLD")
        under_way(layout, setting_up=False)
        active, _ = chosen(context)
        scenes = [obj for obj in context.scene.objects if obj.holotime.is_scene]
        if not scenes:
            layout.label(text="No world yet: generate or import one", icon="INFO")
        col = layout.column(align=True)
        for obj in scenes:
            row = col.row(align=True)
            icon = "RADIOBUT_ON" if obj == active else "RADIOBUT_OFF"
            row.operator("holotime.select_scene", text=obj.name, icon=icon, depress=obj == active).obj = obj.name
            row.prop(obj, "hide_viewport", text="", emboss=True)
            row.prop(obj, "hide_render", text="", emboss=True)


class HOLOTIME_PT_look(_NeedsScene, bpy.types.Panel):
    """How the scene is drawn"""

    bl_idname = "HOLOTIME_PT_look"
    bl_label = "Look"

    def draw(self, context):
        """Points or splats, density, opacity and size."""
        obj, modifier = chosen(context)
        if modifier is None:
            return
        layout = self.layout
        if obj.type == "MESH":  # native splats are drawn by Blender
            layout.row(align=True).prop(obj.holotime, "display", expand=True)
        col = column(layout)
        inputs(col, modifier, (("Viewport Density", "Density"),))
        inputs(col, modifier, LOOK)
        if obj.type == "MESH":
            inputs(col, modifier, (("Splats in Render", "Render Splats"),))
        layout.operator("holotime.view_from_eye", icon="HIDE_OFF")
        if handlers.problem:
            lines(layout, context, handlers.problem, "ERROR")


class HOLOTIME_PT_playback(_NeedsScene, bpy.types.Panel):
    """When and how fast the scene plays"""

    bl_idname = "HOLOTIME_PT_playback"
    bl_label = "Playback"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """Time offset, speed, loop."""
        _, modifier = chosen(context)
        if modifier is not None:
            inputs(column(self.layout), modifier, PLAYBACK)


class HOLOTIME_PT_files(_NeedsScene, bpy.types.Panel):
    """Where the scene's files are, and how to take it elsewhere"""

    bl_idname = "HOLOTIME_PT_files"
    bl_label = "Files"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """The source, what to do when it is gone, export."""
        obj, _ = chosen(context)
        if obj is None:
            return
        layout = self.layout
        column(layout).prop(obj.holotime, "source", text="File")
        for text in lost_files(context.scene, obj):
            lines(layout, context, text, "ERROR")
        row = layout.row(align=True)
        row.operator("holotime.relink_scene", icon="FILE_FOLDER")
        row.operator("holotime.write_scene", icon="FILE_TICK")
        layout.operator("holotime.keep_beside", icon="PACKAGE")
        layout.operator("holotime.export_ply", icon="EXPORT")
        layout.operator_menu_enum("holotime.export_scene", "format", text="Export by the Sidecar", icon="EXPORT")


class HOLOTIME_PT_made(_NeedsScene, bpy.types.Panel):
    """Which backends and models made the scene, and what may be done with it"""

    bl_idname = "HOLOTIME_PT_made"
    bl_label = "How It Was Made"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """Backends, licences, notes."""
        obj, _ = chosen(context)
        made = json.loads(obj.holotime.made) if obj and obj.holotime.made else {}
        layout = self.layout
        if not made:
            layout.label(text="This scene came without a report", icon="INFO")
            return
        col = layout.column(align=True)
        for stage, backend in made.get("backends", {}).items():
            split = col.split(factor=0.36)
            split.label(text=stage.capitalize())
            split.label(text=str(backend))
        for model in made.get("models", []):
            words = {True: ALLOWED, False: REFUSED}.get(model.get("commercial_use"), "see its terms")
            icon = "ERROR" if model.get("commercial_use") is False else "INFO"
            lines(layout, context, f"{model.get('name')}, {model.get('licence')}: {words}", icon)
        for note in made.get("notes", [])[:NOTES]:
            lines(layout, context, str(note), "DOT")


CLASSES = (HOLOTIME_PT_scene, HOLOTIME_PT_look, HOLOTIME_PT_playback, HOLOTIME_PT_files, HOLOTIME_PT_made)
