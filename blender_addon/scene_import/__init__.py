"""Scene import: ``reader`` and ``splat_data`` know the file and need no bpy; the other modules make Blender data."""
