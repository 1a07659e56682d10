import bpy

settings = bpy.context.scene.holotime

settings.vr_target = "vr180"
settings.vr_quality = "STANDARD"
