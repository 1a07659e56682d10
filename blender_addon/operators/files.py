"""Operators: where a scene's files are: find a lost one, write it anew, keep all of them beside the .blend."""

import shutil
from pathlib import Path

import bpy
from bpy.props import StringProperty

from .. import results, storage
from ..cameras import safe_walk
from ..client import tasks
from ..properties import RELATIVE
from .scene import active_scene_object, has_scene


def clip_image(scene: bpy.types.Scene) -> bpy.types.Image | None:
    """The clip that the scene's world shows, if it is one of ours."""
    tree = scene.world.node_tree if scene.world else None
    node = tree.nodes.get("Clip") if tree else None
    return getattr(node, "image", None)


def lost_files(scene: bpy.types.Scene, obj: bpy.types.Object) -> list[str]:
    """What is not where it should be, for people."""
    image = clip_image(scene)
    lost = []
    if not obj.holotime.source or not Path(bpy.path.abspath(obj.holotime.source)).is_file():
        lost.append("The scene's file is gone. The scene plays from the .blend all the same; only videos need it.")
    if image and image.filepath and not Path(bpy.path.abspath(image.filepath)).is_file():
        lost.append("The clip is gone, so the background is empty. Choose it anew with Set World.")
    return lost


class HOLOTIME_OT_relink_scene(bpy.types.Operator):
    """Choose where the scene's file lies now"""

    bl_idname = "holotime.relink_scene"
    bl_label = "Find the File"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(
        name="File", description="The scene's .safetensors file", subtype="FILE_PATH", options=RELATIVE
    )
    filter_glob: StringProperty(default="*.safetensors", options={"HIDDEN"})

    @classmethod
    def poll(cls, context):
        """Only with a scene."""
        return has_scene(cls, context)

    def invoke(self, context, event):
        """Ask for the file."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        """Check that it is this scene's, and keep its path."""
        from ..scene_import.importer import portable
        from ..scene_import.reader import SceneFileError, read_scene

        obj, path = active_scene_object(context), Path(bpy.path.abspath(self.filepath))
        try:
            count = len(read_scene(path))
        except SceneFileError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        here = len(obj.data.attributes["position"].data)
        if count != here:
            self.report({"ERROR"}, f"{path} is another scene: it has {count} splats, {obj.name} has {here}.")
            return {"CANCELLED"}
        obj.holotime.source = portable(path)
        safe_walk.remember(obj)
        return {"FINISHED"}


class HOLOTIME_OT_write_scene(bpy.types.Operator):
    """Write the scene's file anew from what this .blend holds"""

    bl_idname = "holotime.write_scene"
    bl_label = "Write the File"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(
        name="File", description="Where to write it; empty: where it was", subtype="FILE_PATH", options=RELATIVE
    )

    @classmethod
    def poll(cls, context):
        """Only with a scene."""
        return has_scene(cls, context)

    def execute(self, context):
        """Write, and keep the path."""
        from ..export.tensors import write_scene
        from ..scene_import.importer import portable
        from ..storage import beside

        obj = active_scene_object(context)
        path = Path(bpy.path.abspath(self.filepath or obj.holotime.source))
        try:
            if not self.filepath and not path.parent.is_dir():
                path = beside() / f"{bpy.path.clean_name(obj.name)}.safetensors"
            write_scene(obj, path)
        except OSError as error:
            self.report({"ERROR"}, f"{path} cannot be written ({error.strerror}). Choose another place.")
            return {"CANCELLED"}
        obj.holotime.source = portable(path)
        self.report({"INFO"}, f"Written: {path}")
        return {"FINISHED"}


class HOLOTIME_OT_keep_beside(bpy.types.Operator):
    """Copy the scene's file and its clip into a folder beside the .blend, and use them there by relative paths"""

    bl_idname = "holotime.keep_beside"
    bl_label = "Keep beside the .blend"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        """Only in a saved file."""
        if not has_scene(cls, context):
            return False
        cls.poll_message_set("Save the .blend first: the files go beside it")
        return bool(bpy.data.filepath)

    def execute(self, context):
        """Copy in the background; from scripts at once."""
        from .. import pump_timer

        scene, obj = context.scene, active_scene_object(context)
        image = clip_image(scene)
        named = {"scene": obj.holotime.source, "clip": image.filepath if image else ""}
        sources = {what: Path(bpy.path.abspath(name)) for what, name in named.items() if name}
        missing = [path for path in sources.values() if not path.is_file()]
        if missing:
            self.report({"ERROR"}, f"{missing[0]} is gone. Find it or write it anew first.")
            return {"CANCELLED"}
        results.last_error = ""
        task = tasks.start("Copying", _copy_steps(obj.name, image.name if image else "", sources), results.failed)
        if bpy.app.background:
            tasks.finish(task)
        else:
            pump_timer.start()
        if results.last_error:
            self.report({"ERROR"}, results.last_error)
            return {"CANCELLED"}
        return {"FINISHED"}


def _copy_steps(object_name: str, image_name: str, sources: dict[str, Path]) -> tasks.Work:
    """Copy each in a thread, then change the paths."""
    from ..scene_import.importer import Background, portable

    folder = storage.beside(bpy.path.clean_name(object_name))
    for i, path in enumerate(sources.values()):
        if path.parent != folder:
            copying = Background(lambda path=path: shutil.copyfile(path, folder / path.name))
            while not copying.done():
                yield tasks.Step(i / len(sources), path.name, idle=True)
            copying.result()
    obj, image = bpy.data.objects.get(object_name), bpy.data.images.get(image_name)
    if obj and "scene" in sources:
        obj.holotime.source = portable(folder / sources["scene"].name)
    if image and "clip" in sources:
        image.filepath = portable(folder / sources["clip"].name)


CLASSES = (HOLOTIME_OT_relink_scene, HOLOTIME_OT_write_scene, HOLOTIME_OT_keep_beside)
