import bpy

settings = bpy.context.scene.holotime

settings.width = 512
settings.budget = 100000
