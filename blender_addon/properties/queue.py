"""The job list as Blender's list widget wants it: a copy of what the client knows, kept on the window manager."""

import bpy
from bpy.props import CollectionProperty, IntProperty, StringProperty


class HoloTimeQueueItem(bpy.types.PropertyGroup):
    """One row; its name is the job's id. Everything else is read from the client when the row is drawn."""

    title: StringProperty(name="Title", description="What the job makes")


class HoloTimeQueue(bpy.types.PropertyGroup):
    """The rows, newest first."""

    items: CollectionProperty(type=HoloTimeQueueItem, description="One row for each job, newest first")
    index: IntProperty(name="Job", description="The job that the buttons beside the list work on")
