"""Render: from Gaussians at a time to pictures.

``rasterize`` draws one picture. ``prepare`` keeps what depends only on the splats' shape and the camera, so that
colours can be changed and image residuals gathered back to the splats. ``views`` draws whole pictures in every
projection, on the CPU or the GPU; ``holotime.video`` makes films of them. The plain twin of the kernels is
``holotime.render.torch_twin``.
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
from holotime.render.holes import fill_holes
from holotime.render.raster import Footprints, color_adjoint, prepare, rasterize

__all__ = [
    "Camera",
    "EquirectCamera",
    "FaceCamera",
    "FisheyeCamera",
    "Footprints",
    "PerspectiveCamera",
    "Picture",
    "color_adjoint",
    "fill_holes",
    "prepare",
    "rasterize",
    "upright",
]
