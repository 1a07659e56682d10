import bpy

settings = bpy.context.scene.holotime

settings.frames = 48
settings.fps = 12.0
settings.strength = 0.5
settings.use_direction = False
