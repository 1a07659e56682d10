"""Operator: the scene in other programs' formats, written by the sidecar."""

import uuid

import bpy
from bpy.props import EnumProperty, StringProperty

from .. import client, results
from ..properties import RELATIVE
from .scene import active_scene_object, needs_sidecar_and_scene, scene_file

JOB_KIND = "export"
FORMATS = (
    ("usd", "USD", "The moving scene as USD points with time samples"),
    ("4dgs", "4DGS", "The moving scene for viewers of 4D Gaussians"),
    ("ply_sequence", "PLY Sequence (zip)", "All frames as 3DGS files, in a zip"),
    ("ply", "PLY", "The first frame as a 3DGS file"),
    ("spz", "SPZ", "The first frame, compressed"),
    ("splat", "SPLAT", "The first frame for web viewers"),
)


class HOLOTIME_OT_export_scene(bpy.types.Operator):
    """Have the sidecar write the scene in another format"""

    bl_idname = "holotime.export_scene"
    bl_label = "Export"
    bl_options = {"REGISTER"}

    format: EnumProperty(name="Format", description="What to write", items=FORMATS)
    filepath: StringProperty(
        name="Output",
        description="File to write; empty: beside the other results",
        subtype="FILE_PATH",
        options={"SKIP_SAVE", *RELATIVE},
    )

    @classmethod
    def poll(cls, context):
        """Only with a scene and a sidecar that can."""
        if not needs_sidecar_and_scene(cls, context):
            return False
        cls.poll_message_set("This sidecar cannot export: update it")
        return JOB_KIND in client.offers

    def execute(self, context):
        """Send the job and return at once; the file is fetched when it is done."""
        scene, obj = context.scene, active_scene_object(context)
        source = scene_file(self, obj)
        if source is None:
            return {"CANCELLED"}
        output = bpy.path.abspath(self.filepath) if self.filepath else ""
        entry = client.Entry(f"{obj.name}, {self.format}", scene=scene.name, blend=bpy.data.filepath, output=output)
        job, params = uuid.uuid4().hex, {"format": self.format}
        client.submit(job, JOB_KIND, params, {"scene": str(source)}, results.FetchVideo(output), entry=entry)
        return {"FINISHED"}


CLASSES = (HOLOTIME_OT_export_scene,)
