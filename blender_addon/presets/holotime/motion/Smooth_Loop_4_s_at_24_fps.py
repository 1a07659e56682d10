import bpy

settings = bpy.context.scene.holotime

settings.frames = 96
settings.fps = 24.0
settings.strength = 1.0
settings.use_direction = False
