import bpy

settings = bpy.context.scene.holotime

settings.frames = 24
settings.fps = 12.0
settings.strength = 2.0
settings.use_direction = False
