import bpy

settings = bpy.context.scene.holotime

settings.vr_target = "quest3"
settings.vr_quality = "STANDARD"
