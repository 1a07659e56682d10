import bpy

settings = bpy.context.scene.holotime

settings.vr_target = "youtube8k"
settings.vr_quality = "STANDARD"
