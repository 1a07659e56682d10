import bpy

settings = bpy.context.scene.holotime

settings.vr_target = "NONE"
settings.vr_codec = "prores4444"
settings.vr_behind = "transparent"
