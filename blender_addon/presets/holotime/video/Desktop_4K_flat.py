import bpy

settings = bpy.context.scene.holotime

settings.vr_target = "desktop4k"
settings.vr_quality = "STANDARD"
