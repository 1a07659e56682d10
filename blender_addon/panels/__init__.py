"""The panels of the tab HoloTime in the 3D View's sidebar, in the order of work."""

from . import cameras, generate, presets, render, scene, world

CLASSES = tuple(cls for module in (presets, world, generate, scene, cameras, render) for cls in module.CLASSES)
