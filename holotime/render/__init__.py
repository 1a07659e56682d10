"""Render: from Gaussians at a time to pictures, frames and VR video.

``rasterize`` draws one picture. ``prepare`` keeps what depends only on the splats' shape and the camera, so that
colours can be changed and image residuals gathered back to the splats. ``render_frames`` follows a camera path,
``render_vr`` writes a 360 degree video. The plain twin of the kernels is ``holotime.render.torch_twin``.
"""

from holotime.render.cameras import (
    Camera,
    EquirectCamera,
    FaceCamera,
    FisheyeCamera,
    PerspectiveCamera,
    Picture,
    upright,
)
from holotime.render.frames import render_frame, render_frames, scene_time
from holotime.render.holes import fill_holes
from holotime.render.raster import Footprints, color_adjoint, prepare, rasterize
from holotime.render.spherical import Stereo, add_spherical
from holotime.render.vr import eye_cameras, render_vr

__all__ = [
    "Camera",
    "EquirectCamera",
    "FaceCamera",
    "FisheyeCamera",
    "Footprints",
    "PerspectiveCamera",
    "Picture",
    "Stereo",
    "add_spherical",
    "color_adjoint",
    "eye_cameras",
    "fill_holes",
    "prepare",
    "rasterize",
    "render_frame",
    "render_frames",
    "render_vr",
    "scene_time",
    "upright",
]
