"""All operators. Each can be run from Python under the same name; what takes long runs in the sidecar."""

from . import brush, camera, connection, export, files, jobs, presets, queue, render, scene, setup, video, world

MODULES = (connection, setup, world, brush, jobs, queue, scene, files, export, camera, video, render, presets)
CLASSES = tuple(cls for module in MODULES for cls in module.CLASSES)
