import bpy

settings = bpy.context.scene.holotime

settings.vr_projection = "perspective"
settings.vr_width = 1920
settings.vr_eye_distance = 0.064
