import bpy

settings = bpy.context.scene.holotime

settings.vr_projection = "ods"
settings.vr_width = 5760
settings.vr_eye_distance = 0.064
