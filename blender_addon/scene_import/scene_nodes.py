"""The Geometry Nodes group that plays a scene: stock nodes only, so it moves and renders without this extension.

With t the scene's time as a fraction of the clip and dt = t - t_center of each splat:

    position = p + motion1 dt + motion2 dt^2 + motion3 dt^3
    alpha    = opacity exp(-(dt / exp(t_log_scale))^2)
    rotation = normalize(q + dt omega)

(the lite model of Spacetime Gaussians, Li et al. 2024). Splats whose alpha is under a threshold are left out.

Two looks. *Points*: a point cloud, quick to draw. *Splats*: for each splat a square sheet through its centre that lies
in the polar plane of the camera, where the Gaussian is largest along each ray, cut off at CUT standard deviations.
With the material's falloff a sheet shows what the ellipsoid's exact projection shows (first order in size over
distance), and Cycles renders sheets about three times faster than instanced ellipsoids with a per-ray integral.
"""

from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

import bpy

from .graph import Graph, Plan, Socket
from .materials import CUT, points_material, splats_material

T = TypeVar("T")
GROUP = "HoloTime Scene"
MADE, UNFINISHED = "holotime_group", "holotime_unfinished"  # custom properties of a group
GROUP_VERSION = 2  # a file with an older group gets a new one beside it
POINT_FACTOR = 1.5  # radius of a point in standard deviations: neighbours overlap without gaps
EPSILON = 1e-6  # of the clip; keeps float rounding from wrapping the first frame of a loop to its end

# (name, socket type, default, lowest, highest, tooltip); the modifier shows them in this order
INPUTS = (
    ("Offset", "NodeSocketFloat", 0.0, -1e6, 1e6, "Time on the scene's timeline, in seconds, at which the clip begins"),
    ("Speed", "NodeSocketFloat", 1.0, -100.0, 100.0, "Playing speed: 1 is the clip's own, 2 is double, -1 backwards"),
    ("Loop", "NodeSocketBool", True, None, None, "Begin again after the end; otherwise the ends stand still"),
    ("Ping-Pong", "NodeSocketBool", False, None, None, "Play forth and back instead of beginning again"),
    ("Phase", "NodeSocketFloat", 0.0, -1.0, 1.0, "Where in the clip it begins: 0.5 is its middle"),
    ("Duration", "NodeSocketFloat", 1.0, 1e-3, 1e6, "Length of the clip in seconds at speed 1"),
    ("Opacity Threshold", "NodeSocketFloat", 1 / 255, 0.0, 1.0, "Splats less opaque than this are left out"),
    ("Opacity", "NodeSocketFloat", 1.0, 0.0, 1.0, "Factor on the opacity of all splats, to fade the world in and out"),
    ("Splat Size", "NodeSocketFloat", 1.0, 0.0, 100.0, "Factor on the size of splats and points"),
    (
        "Low Pass",
        "NodeSocketFloat",
        0.0,
        0.0,
        1.0,
        "Widens rendered splats by this angle at the eye, in radians, so that no gaps show between them",
    ),
    (
        "Viewport Density",
        "NodeSocketFloat",
        1.0,
        0.0,
        1.0,
        "Share of the splats drawn in the viewport; renders show all",
    ),
    (
        "Points in Viewport",
        "NodeSocketBool",
        True,
        None,
        None,
        "Draw the scene in the viewport; switched off while the extension draws true splats instead",
    ),
    (
        "Splats in Viewport",
        "NodeSocketBool",
        False,
        None,
        None,
        "Draw soft splats that face the active camera instead of points in the viewport; slower",
    ),
    (
        "Splats in Render",
        "NodeSocketBool",
        True,
        None,
        None,
        "Render soft splats that face the camera; off renders points: quicker, with hard edges",
    ),
)


def finished(steps: Generator[object, None, T]) -> T:
    """What a generator gives in the end, at once."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


def scene_group() -> bpy.types.NodeTree:
    """The node group, made when the file lacks this version of it."""
    return finished(scene_group_steps())


def scene_group_steps() -> Generator[None, None, bpy.types.NodeTree]:
    """The same, a millisecond at a time."""
    return make_group(GROUP, MADE, GROUP_VERSION, INPUTS, _planned, (points_material, splats_material))


def _planned() -> Plan:
    plan = Plan()
    _build(plan)
    return plan


def make_group(
    name: str,
    mark: str,
    version: int,
    inputs: Sequence[tuple],
    planned: Callable[[], Plan],
    first: tuple[Callable[[], object], ...],
) -> Generator[None, None, bpy.types.NodeTree]:
    """A node group with these inputs (rows like INPUTS) and the planned nodes, or the one that the file has already.

    ``mark``: custom property that holds the version of a complete one.
    ``first`` are called before, each in a step of its own. Undo may take a half-made group away: it is begun again.
    """
    while True:
        for tree in bpy.data.node_groups:
            if tree.get(mark) == version and tree.library is None:
                return tree
        for function in first:
            function()
            yield
        key = _empty_group(name, inputs).name
        yield

        def unfinished(key: str = key) -> bpy.types.NodeTree | None:
            tree = bpy.data.node_groups.get(key)
            return tree if tree and UNFINISHED in tree else None

        complete = yield from planned().draw(unfinished)
        tree = unfinished()
        if tree and complete:
            del tree[UNFINISHED]
            tree[mark] = version
        elif tree:
            bpy.data.node_groups.remove(tree)  # undo took some of its nodes: begin again


def _empty_group(name: str, inputs: Sequence[tuple]) -> bpy.types.NodeTree:
    tree = bpy.data.node_groups.new(name, "GeometryNodeTree")
    tree[UNFINISHED] = True
    tree.is_modifier = True
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    for label, kind, default, low, high, tooltip in inputs:
        socket = tree.interface.new_socket(label, in_out="INPUT", socket_type=kind, description=tooltip)
        socket.default_value = default
        if low is not None:
            socket.min_value, socket.max_value = low, high
    return tree


def _build(g: Graph) -> None:
    inputs = g.add("NodeGroupInput").outputs
    viewport = g.add("GeometryNodeIsViewport").outputs[0]
    t, dt, alpha = visible_alpha(g, inputs)
    mesh = g.store(inputs["Geometry"], "alpha", "FLOAT", alpha)
    visible = g.compare(g.attribute("alpha", "FLOAT"), "GREATER_EQUAL", inputs["Opacity Threshold"])
    drawn = g.switch("FLOAT", inputs["Points in Viewport"], -1.0, inputs["Viewport Density"])
    density = g.switch("FLOAT", viewport, 1.0, drawn)
    shown = g.both(visible, g.compare(g.random(), "LESS_EQUAL", density))

    position = g.vector("ADD", g.add("GeometryNodeInputPosition").outputs[0], motion_of(g, dt))
    radius = g.math("MULTIPLY", g.attribute("radius", "FLOAT"), inputs["Splat Size"])
    points = g.add(
        "GeometryNodeMeshToPoints",
        {"Mesh": mesh, "Selection": shown, "Position": position, "Radius": g.math("MULTIPLY", radius, POINT_FACTOR)},
    ).outputs[0]

    splats_wanted = g.switch("BOOLEAN", viewport, inputs["Splats in Render"], inputs["Splats in Viewport"])
    plain = g.add("GeometryNodeSetMaterial", {"Geometry": points, "Material": points_material}).outputs[0]
    look = g.switch("GEOMETRY", splats_wanted, plain, _splats(g, points, t, inputs["Splat Size"], inputs["Low Pass"]))
    g.add("NodeGroupOutput", {"Geometry": look})


def visible_alpha(g: Graph, inputs) -> tuple[Socket, Socket, Socket]:
    """(t, time since each splat's centre, its opacity then)."""
    t = _clip_time(g, inputs)
    dt = g.math("SUBTRACT", t, g.attribute("t_center", "FLOAT"))
    # The width is clamped well below float overflow; 1e4 clips wide is as good as always.
    log_width = g.math("MINIMUM", g.attribute("t_log_scale", "FLOAT"), 9.0)
    ratio = g.math("MULTIPLY", dt, g.math("EXPONENT", g.math("MULTIPLY", log_width, -1.0)))
    window = g.math("EXPONENT", g.math("MULTIPLY", g.math("MULTIPLY", ratio, ratio), -1.0))
    return t, dt, g.math("MULTIPLY", g.math("MULTIPLY", g.attribute("opacity", "FLOAT"), window), inputs["Opacity"])


def motion_of(g: Graph, dt: Socket) -> Socket:
    """How far each splat has gone from its place at its own time centre."""
    path = g.attribute("motion3", "FLOAT_VECTOR")
    for name in ("motion2", "motion1"):
        path = g.vector("ADD", g.attribute(name, "FLOAT_VECTOR"), g.scale(path, dt))
    return g.scale(path, dt)


def rotation_at(g: Graph, t: Socket) -> Socket:
    """Each splat's rotation at scene time ``t``."""
    dt = g.math("SUBTRACT", t, g.attribute("t_center", "FLOAT"))
    q = g.add("FunctionNodeRotationToQuaternion", {0: g.attribute("rotation", "QUATERNION")}).outputs
    omega = g.add("FunctionNodeSeparateColor", {0: g.attribute("omega", "FLOAT_COLOR")}, mode="RGB").outputs
    moved = [g.math("ADD", q[i], g.math("MULTIPLY", omega[i], dt)) for i in range(4)]
    return g.add("FunctionNodeQuaternionToRotation", dict(enumerate(moved))).outputs[0]


def widened(g: Graph, size: Socket, low_pass: Socket) -> Socket:
    """Each splat's scale times ``size``, at least as large as ``low_pass`` (radians) looks from the eye."""
    own = g.attribute("scale", "FLOAT_VECTOR")
    distance = g.vector("LENGTH", g.add("GeometryNodeInputPosition").outputs[0])
    least = g.math("MULTIPLY", distance, low_pass)
    squared = g.vector("ADD", g.vector("MULTIPLY", own, own), g.math("MULTIPLY", least, least))
    return g.scale(g.vector("POWER", squared, (0.5, 0.5, 0.5)), size)


def _clip_time(g: Graph, inputs) -> Socket:
    """t in [0, 1]: the scene's seconds since Offset, at Speed, as a fraction of Duration, and Phase; then folded,
    wrapped or clamped."""
    seconds = g.math("SUBTRACT", g.add("GeometryNodeInputSceneTime").outputs["Seconds"], inputs["Offset"])
    clips = g.math("DIVIDE", g.math("MULTIPLY", seconds, inputs["Speed"]), inputs["Duration"])
    clips = g.math("ADD", clips, inputs["Phase"])
    wrapped = g.math("FRACT", g.math("ADD", clips, EPSILON))
    once = g.switch("FLOAT", inputs["Loop"], g.math("ADD", clips, 0.0, clamp=True), wrapped)
    return g.switch("FLOAT", inputs["Ping-Pong"], once, g.math("PINGPONG", clips, 1.0))


def _splats(g: Graph, points: Socket, t: Socket, size: Socket, low_pass: Socket) -> Socket:
    """A sheet for each point, facing the active camera; without a camera, facing the object's origin (the eye)."""
    rotation = rotation_at(g, t)
    position = g.add("GeometryNodeInputPosition").outputs[0]
    scale = widened(g, size, low_pass)
    camera = g.add("GeometryNodeInputActiveCamera").outputs[0]
    eye = g.add("GeometryNodeObjectInfo", {"Object": camera}, transform_space="RELATIVE").outputs["Location"]
    # In the space where the splat is the unit sphere, the polar plane is the plane square to the view direction.
    back = g.add("FunctionNodeInvertRotation", {0: rotation}).outputs[0]
    towards = g.add("FunctionNodeRotateVector", {0: g.vector("SUBTRACT", eye, position), 1: back}).outputs[0]
    # Times the product of the scales instead of divided by each: the same direction, and no division by zero.
    x, y, z = g.separate(scale)
    cofactors = g.add(
        "ShaderNodeCombineXYZ", {0: g.math("MULTIPLY", y, z), 1: g.math("MULTIPLY", x, z), 2: g.math("MULTIPLY", x, y)}
    ).outputs[0]
    normal = g.vector("NORMALIZE", g.vector("MULTIPLY", g.vector("NORMALIZE", towards), cofactors))
    steep = g.compare(g.math("ABSOLUTE", g.separate(normal)[2]), "GREATER_THAN", 0.9)
    helper = g.switch("VECTOR", steep, (0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
    first = g.vector("NORMALIZE", g.vector("CROSS_PRODUCT", normal, helper))
    second = g.vector("CROSS_PRODUCT", normal, first)
    reach = g.scale(scale, CUT)
    sides = [
        g.add("FunctionNodeRotateVector", {0: g.vector("MULTIPLY", side, reach), 1: rotation}).outputs[0]
        for side in (first, second)
    ]
    columns = [*map(g.separate, (*sides, (0.0, 0.0, 0.0), position))]
    entries: dict[int, object] = {4 * i + j: v for i, column in enumerate(columns) for j, v in enumerate(column)}
    matrix = g.add("FunctionNodeCombineMatrix", entries).outputs[0]

    sheet = g.add("GeometryNodeMeshGrid", {"Size X": 2.0, "Size Y": 2.0, "Vertices X": 2, "Vertices Y": 2}).outputs[0]
    sheet = g.store(sheet, "corner", "FLOAT_VECTOR", g.add("GeometryNodeInputPosition").outputs[0])
    sheet = g.add("GeometryNodeSetMaterial", {"Geometry": sheet, "Material": splats_material}).outputs[0]
    instances = g.add("GeometryNodeInstanceOnPoints", {"Points": points, "Instance": sheet}).outputs[0]
    instances = g.add("GeometryNodeSetInstanceTransform", {"Instances": instances, "Transform": matrix}).outputs[0]
    # Only colour and alpha are needed at the four corners of every sheet.
    used_up = ("motion1", "motion2", "motion3", "t_center", "t_log_scale", "opacity", "scale", "rotation", "omega")
    instances = g.remove(instances, *used_up)
    return g.add("GeometryNodeRealizeInstances", {"Geometry": instances}).outputs[0]
