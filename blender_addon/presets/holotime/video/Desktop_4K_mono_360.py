import bpy

settings = bpy.context.scene.holotime

settings.vr_target = "desktop360"
settings.vr_quality = "STANDARD"
