"""Operators: import a scene file, and a clip as the world."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty

from ..properties import RELATIVE


class HOLOTIME_OT_import_scene(bpy.types.Operator):
    """Import a HoloTime scene file as an object that moves by itself"""

    bl_idname = "holotime.import_scene"
    bl_label = "Import Scene"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(
        name="File", description="A scene .safetensors file", subtype="FILE_PATH", options=RELATIVE
    )
    filter_glob: StringProperty(default="*.safetensors", options={"HIDDEN"})
    prepare: BoolProperty(
        name="Set Up Rendering",
        description="Choose Cycles with settings for splats, and the Standard view transform that shows exact colours",
        default=True,
    )

    def invoke(self, context, event):
        """Ask for the file."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        """Import it and make it the active object."""
        from ..scene_import.importer import import_scene
        from ..scene_import.reader import SceneFileError

        try:
            obj = import_scene(context.scene, self.filepath, prepare=self.prepare)
        except SceneFileError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for other in context.selected_objects:
            other.select_set(False)
        obj.select_set(True)
        context.view_layer.objects.active = obj
        return {"FINISHED"}


class HOLOTIME_OT_set_world_clip(bpy.types.Operator):
    """Show a panoramic clip as the world's background, in step with the HoloTime scene"""

    bl_idname = "holotime.set_world_clip"
    bl_label = "Set World Clip"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(
        name="File",
        description="A panoramic video or image; empty: clip.mp4 beside the scene's file",
        subtype="FILE_PATH",
        options={"SKIP_SAVE", *RELATIVE},
    )
    filter_glob: StringProperty(default="*.mp4;*.mov;*.mkv;*.webm;*.png;*.jpg;*.jpeg;*.exr;*.hdr", options={"HIDDEN"})

    def invoke(self, context, event):
        """Ask for the file unless it lies where it is expected."""
        if self.filepath or self._beside(context):
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        """Make a new world from it."""
        from ..scene_import.importer import ImportFailed, find_scene_object, import_world_clip

        path = self.filepath or self._beside(context)
        if not path:
            self.report({"ERROR"}, "There is no clip.mp4 beside the scene's file. Choose the clip.")
            return {"CANCELLED"}
        try:
            import_world_clip(context.scene, path, find_scene_object(context.scene, context.object))
        except ImportFailed as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}

    def _beside(self, context) -> str:
        from ..scene_import.importer import find_scene_object

        obj = find_scene_object(context.scene, context.object)
        if obj is None or not obj.holotime.source:
            return ""
        clip = Path(bpy.path.abspath(obj.holotime.source)).with_name("clip.mp4")
        return str(clip) if clip.is_file() else ""


CLASSES = (HOLOTIME_OT_import_scene, HOLOTIME_OT_set_world_clip)
