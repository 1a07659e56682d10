"""Render: from Gaussians at a time to pictures.

Cameras are 4x4 camera-to-world with OpenCV axes (x right, y down, z forward). An equirect camera's centre column looks
along its z axis, its right edge turns to its x axis. ``upright()`` is the pose of the panorama itself: eye at the
origin, centre along the world's +Y.
"""

from holotime.render.cameras import Camera, EquirectCamera, PerspectiveCamera, Picture, upright
from holotime.render.raster import Footprints, color_adjoint, prepare, rasterize

__all__ = [
    "Camera",
    "EquirectCamera",
    "Footprints",
    "PerspectiveCamera",
    "Picture",
    "color_adjoint",
    "prepare",
    "rasterize",
    "upright",
]
