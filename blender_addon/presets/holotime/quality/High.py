import bpy

settings = bpy.context.scene.holotime

settings.width = 2048
settings.budget = 1500000
