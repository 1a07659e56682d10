"""Blender's own Gaussian splats (from 5.3 on): a point cloud that Blender draws and renders as splats.

Found by what this Blender's API has and not by its version. The same attributes as on a mesh, and ``radiance:base``,
the constant spherical harmonic of each channel and the opacity, which is what Blender draws. A node group of stock
nodes moves the points, turns them and fades them. When anything of that is refused, the scene is imported as a mesh
and :data:`problem` says why.
"""

from collections.abc import Generator

import bpy
import numpy as np

from .graph import Graph, Plan, Socket
from .scene_nodes import INPUTS, make_group, motion_of, rotation_at, visible_alpha, widened
from .splat_data import Attribute

TYPE, RADIANCE, BASE = "GAUSSIAN_SPLAT", "radiance:base", "base_radiance"
SH0 = 0.28209479177387814  # the constant spherical harmonic
GROUP, MADE, GROUP_VERSION = "HoloTime Native Splats", "holotime_native_group", 1
ONLY_SHEETS = ("Splats in Viewport", "Splats in Render", "Points in Viewport")  # inputs that this group does not need
problem = ""  # why a scene became a mesh although this Blender has native splats; empty while none has


def supported() -> bool:
    """Whether this Blender has native splats that can be made from Python."""
    cloud = bpy.types.PointCloud.bl_rna
    if "type" not in cloud.properties or "resize" not in cloud.functions:
        return False
    return TYPE in cloud.properties["type"].enum_items


def radiance(colors: np.ndarray, opacities: np.ndarray) -> np.ndarray:
    """[4 N] what Blender draws, from display colours [N, 3] and opacities [N]: colour = 1/2 + SH0 radiance."""
    return np.concatenate([(colors - 0.5) / SH0, opacities[:, None]], 1).astype(np.float32).reshape(-1)


def begin(name: str, count: int) -> bpy.types.PointCloud:
    """An empty cloud of splats."""
    cloud = bpy.data.pointclouds.new(name)
    cloud.resize(count)
    cloud.type = TYPE
    return cloud


def attributes(colors: np.ndarray, opacities: np.ndarray) -> list[Attribute]:
    """What a native splat has beyond the attributes on a mesh: what is drawn, and its colour for the node group."""
    values = radiance(colors, opacities)
    return [Attribute(RADIANCE, "FLOAT4", "vector", values), Attribute(BASE, "FLOAT_COLOR", "color", values)]


def group_steps() -> Generator[None, None, bpy.types.NodeTree]:
    """The node group that plays native splats, made when the file lacks it, a millisecond at a time."""
    inputs = [row for row in INPUTS if row[0] not in ONLY_SHEETS]
    return make_group(GROUP, MADE, GROUP_VERSION, inputs, _planned, ())


def _planned() -> Plan:
    plan = Plan()
    _build(plan)
    return plan


def _build(g: Graph) -> None:
    inputs = g.add("NodeGroupInput").outputs
    viewport = g.add("GeometryNodeIsViewport").outputs[0]
    t, dt, alpha = visible_alpha(g, inputs)
    cloud = g.store(inputs["Geometry"], "alpha", "FLOAT", alpha)
    visible = g.compare(g.attribute("alpha", "FLOAT"), "GREATER_EQUAL", inputs["Opacity Threshold"])
    density = g.switch("FLOAT", viewport, 1.0, inputs["Viewport Density"])
    shown = g.both(visible, g.compare(g.random(), "LESS_EQUAL", density))
    hidden = g.add("FunctionNodeBooleanMath", {0: shown}, operation="NOT").outputs[0]
    cloud = g.add("GeometryNodeDeleteGeometry", {"Geometry": cloud, "Selection": hidden}, domain="POINT").outputs[0]
    place = g.add("GeometryNodeSetPosition", {"Geometry": cloud, "Offset": motion_of(g, dt)}).outputs[0]
    turned = g.store(place, "rotation", "QUATERNION", rotation_at(g, t))
    sized = g.store(turned, "scale", "FLOAT_VECTOR", widened(g, inputs["Splat Size"], inputs["Low Pass"]))
    g.add("NodeGroupOutput", {"Geometry": _faded(g, sized)})


def _faded(g: Graph, cloud: Socket) -> Socket:
    """``radiance:base`` with the opacity of the time; its colour is the splat's display colour."""
    shown = g.add("FunctionNodeSeparateColor", {0: g.attribute(BASE, "FLOAT_COLOR")}, mode="RGB").outputs
    parts = {k: shown[k] for k in range(3)} | {3: g.attribute("alpha", "FLOAT")}
    color = g.add("FunctionNodeCombineColor", parts, mode="RGB").outputs[0]
    # 5.2's nodes cannot put four plain numbers together (a colour linked to four numbers loses the last one); stored as
    # a colour they stay what they are, and Blender converts attributes where it reads them
    return g.store(cloud, RADIANCE, "FLOAT_COLOR", color)
