"""What this extension draws into the 3D View itself: splats, the panorama, brush strokes, camera paths.

Each view is a module with ``refresh``: it adds or takes away its draw handler after what is in the file now. Nothing
here changes a scene; a file looks as it always did when the extension is not there.
"""
