import bpy

settings = bpy.context.scene.holotime

settings.vr_target = "NONE"
settings.vr_projection = "ods"
settings.vr_width = 1024
settings.vr_codec = "h264"
settings.vr_bits = "8"
settings.vr_quality = "DRAFT"
