"""All operators. Each can be run from Python under the same name; what takes long runs in the sidecar."""

from . import camera, connection, jobs, scene, video

CLASSES = (*connection.CLASSES, *jobs.CLASSES, *scene.CLASSES, *camera.CLASSES, *video.CLASSES)
