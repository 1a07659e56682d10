"""Operators: import a scene file, put a clip into the world, look from the eye, write the scene as a PLY sequence."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty

from .. import client, results
from ..cameras import safe_walk
from ..client import tasks
from ..properties import RELATIVE
from .jobs import NOT_CONNECTED


def active_scene_object(context) -> bpy.types.Object | None:
    """The HoloTime object that is meant: the active one, else the scene's newest."""
    from ..scene_import.importer import find_scene_object

    return find_scene_object(context.scene, context.object)


def has_scene(cls, context) -> bool:
    """A poll: whether there is a HoloTime scene."""
    cls.poll_message_set("There is no HoloTime scene here: generate or import one first")
    return any(obj.holotime.is_scene for obj in context.scene.objects)


def needs_sidecar_and_scene(cls, context) -> bool:
    """A poll: whether there is a sidecar to work for a HoloTime scene."""
    if not client.connected():
        cls.poll_message_set(NOT_CONNECTED)
        return False
    return has_scene(cls, context)


def scene_file(operator, obj: bpy.types.Object | None) -> Path | None:
    """The file of a HoloTime object; None, and an error on the operator, when it is not there."""
    path = Path(bpy.path.abspath(obj.holotime.source)) if obj else Path()
    if path.is_file():
        return path
    operator.report({"ERROR"}, f"The scene's file {path} is gone. Find it or write it anew (Scene panel, Files).")
    return None


def make_active(context, obj: bpy.types.Object) -> None:
    """Select this object alone."""
    for other in context.selected_objects:
        other.select_set(False)
    obj.select_set(True)
    context.view_layer.objects.active = obj


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
        from ..scene_import import native_splats
        from ..scene_import.importer import import_scene
        from ..scene_import.reader import SceneFileError

        try:
            obj = import_scene(context.scene, self.filepath, prepare=self.prepare)
        except SceneFileError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        safe_walk.remember(obj)
        make_active(context, obj)
        if native_splats.problem:
            self.report({"WARNING"}, native_splats.problem)
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
        from ..scene_import.importer import ImportFailed, import_world_clip

        path = self.filepath or self._beside(context)
        if not path:
            self.report({"ERROR"}, "There is no clip.mp4 beside the scene's file. Choose the clip.")
            return {"CANCELLED"}
        try:
            import_world_clip(context.scene, path, active_scene_object(context))
        except ImportFailed as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}

    def _beside(self, context) -> str:
        obj = active_scene_object(context)
        if obj is None or not obj.holotime.source:
            return ""
        clip = Path(bpy.path.abspath(obj.holotime.source)).with_name("clip.mp4")
        return str(clip) if clip.is_file() else ""


class HOLOTIME_OT_select_scene(bpy.types.Operator):
    """Make this HoloTime scene the active object"""

    bl_idname = "holotime.select_scene"
    bl_label = "Select Scene"
    bl_options = {"REGISTER", "UNDO"}

    obj: StringProperty(name="Object", description="Name of the object")

    def execute(self, context):
        """Select it alone."""
        obj = context.scene.objects.get(self.obj)
        if obj is None:
            self.report({"ERROR"}, f"There is no object '{self.obj}' in this scene.")
            return {"CANCELLED"}
        make_active(context, obj)
        return {"FINISHED"}


class HOLOTIME_OT_view_from_eye(bpy.types.Operator):
    """Look at the world from where it was seen; from elsewhere it is a torn shell"""

    bl_idname = "holotime.view_from_eye"
    bl_label = "View from the Eye"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        """Only with a scene."""
        return has_scene(cls, context)

    def execute(self, context):
        """Move the 3D Views there, out of a camera too."""
        from ..scene_import import scene_setup

        if context.area and context.area.type == "VIEW_3D":
            context.space_data.region_3d.view_perspective = "PERSP"
        scene_setup.stand_at_eye(active_scene_object(context))
        return {"FINISHED"}


class HOLOTIME_OT_export_ply(bpy.types.Operator):
    """Write the moving scene as a sequence of PLY files, one a frame, as splat viewers read them"""

    bl_idname = "holotime.export_ply"
    bl_label = "Export PLY Sequence"
    bl_options = {"REGISTER"}

    directory: StringProperty(name="Folder", description="Where the files go", subtype="DIR_PATH", options=RELATIVE)
    frame_start: IntProperty(name="Start", description="First frame; 0: the scene's first", default=0, min=0)
    frame_end: IntProperty(name="End", description="Last frame; 0: the scene's last", default=0, min=0)

    @classmethod
    def poll(cls, context):
        """Only with a scene."""
        return has_scene(cls, context)

    def invoke(self, context, event):
        """Ask for the folder."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        """Write them in the background; from scripts at once."""
        from .. import pump_timer

        scene, obj = context.scene, active_scene_object(context)
        folder = Path(bpy.path.abspath(self.directory))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.report({"ERROR"}, f"{folder} cannot be made ({error.strerror}). Choose another place.")
            return {"CANCELLED"}
        frames = range(self.frame_start or scene.frame_start, (self.frame_end or scene.frame_end) + 1)
        results.last_error = ""
        task = tasks.start("Writing PLY", ply_steps(scene.name, obj.name, folder, frames), results.failed)
        if bpy.app.background:
            tasks.finish(task)
        else:
            pump_timer.start()
        if results.last_error:
            self.report({"ERROR"}, results.last_error)
            return {"CANCELLED"}
        return {"FINISHED"}


def ply_steps(scene_name: str, object_name: str, folder: Path, frames: range) -> tasks.Work:
    """Write each frame in a thread, so that a slow disk is not felt."""
    from ..export.tensors import write_ply
    from ..scene_import.importer import Background
    from ..viewport.splat_gpu import arrays_of
    from ..viewport.splat_view import playing

    arrays = arrays_of(bpy.data.objects[object_name].data)
    stem = bpy.path.clean_name(object_name)
    for i, frame in enumerate(frames):
        obj, scene = bpy.data.objects.get(object_name), bpy.data.scenes.get(scene_name)
        if obj is None or scene is None:
            raise ValueError(f"'{object_name}' was deleted; frames {frames.start} to {frame - 1} were written.")
        state = playing(obj, scene, frame)
        path = folder / f"{stem}_{frame:04d}.ply"
        writing = Background(lambda path=path, state=state: write_ply(arrays, path, **state))
        while not writing.done():
            yield tasks.Step(i / len(frames), f"frame {frame}", idle=True)
        writing.result()


CLASSES = (
    HOLOTIME_OT_import_scene,
    HOLOTIME_OT_set_world_clip,
    HOLOTIME_OT_select_scene,
    HOLOTIME_OT_view_from_eye,
    HOLOTIME_OT_export_ply,
)
