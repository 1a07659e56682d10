import bpy

settings = bpy.context.scene.holotime

settings.vr_target = "mobile360"
settings.vr_quality = "STANDARD"
