"""The sidecar: the server between Blender and the machine that does the heavy work."""
