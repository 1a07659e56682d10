import bpy

settings = bpy.context.scene.holotime

settings.width = 1024
settings.budget = 400000
