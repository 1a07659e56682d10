"""The two materials of a scene: soft splats for rendering and plain points for the viewport.

Both are shadeless: the panorama's light is in the colours already. Stock nodes, shared by all scenes in a file.
"""

import math

import bpy

from .graph import Graph, Socket

POINTS = "HoloTime Points"
SPLATS = "HoloTime Splats"
CUT = 2.3  # standard deviations at which a splat ends; each step further costs layers, which cost render time
BEHIND = 0.5  # display value that is assumed behind a splat


def points_material() -> bpy.types.Material:
    """Emission in the point's colour, transparent by its opacity."""
    return _existing(POINTS) or _shadeless(POINTS, lambda g: _attribute(g, "alpha", "Fac"))


def splats_material() -> bpy.types.Material:
    """A Gaussian across each sheet, lowered so that it ends at zero in a circle and not at a square's visible edge.

    opacity * max(0, (exp(-CUT^2/2 |corner|^2) - e) / (1 - e)), e = exp(-CUT^2/2), ``corner`` being -1..1 on the sheet.
    """

    def alpha(g: Graph) -> Socket:
        corner = _attribute(g, "corner", "Vector")
        gauss = g.math("EXPONENT", g.math("MULTIPLY", g.vector("DOT_PRODUCT", corner, corner), -0.5 * CUT * CUT))
        edge = math.exp(-0.5 * CUT * CUT)
        falloff = g.math("DIVIDE", g.math("SUBTRACT", gauss, edge), 1.0 - edge, clamp=True)
        return _for_linear_light(g, g.math("MULTIPLY", _attribute(g, "alpha", "Fac"), falloff))

    return _existing(SPLATS) or _shadeless(SPLATS, alpha)


def _for_linear_light(g: Graph, alpha: Socket) -> Socket:
    """The alpha that blends in linear light as ``alpha`` blends in display values.

    Splats are made to be blended in sRGB; Cycles blends light, where what is bright shines through dark splats far too
    much. With display value = sqrt(light), splat value c and value b behind it, blending light with
    alpha ((2 - alpha) b + alpha c) / (b + c) shows exactly alpha c + (1 - alpha) b. What b is cannot be known: BEHIND.
    """
    luma = g.vector("DOT_PRODUCT", _attribute(g, "splat_color", "Vector"), (0.2126, 0.7152, 0.0722))
    c = g.math("SQRT", luma)
    above = g.math("ADD", g.math("MULTIPLY", g.math("SUBTRACT", 2.0, alpha), BEHIND), g.math("MULTIPLY", alpha, c))
    return g.math("DIVIDE", g.math("MULTIPLY", alpha, above), g.math("ADD", c, BEHIND), clamp=True)


def _existing(name: str) -> bpy.types.Material | None:
    material = bpy.data.materials.get(name)
    return material if material and material.library is None else None


def _attribute(g: Graph, name: str, output: str) -> Socket:
    return g.add("ShaderNodeAttribute", attribute_type="GEOMETRY", attribute_name=name).outputs[output]


def _shadeless(name: str, make_alpha) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0, 0):  # always on since 5.0, where setting it warns
        material.use_nodes = True
    if hasattr(material, "cycles"):
        # Hundreds of thousands of sheets as lamps would cost minutes of light tree and light nothing visible.
        material.cycles.emission_sampling = "NONE"
    material.node_tree.nodes.clear()
    g = Graph(material.node_tree)
    emission = g.add("ShaderNodeEmission", {"Color": _attribute(g, "splat_color", "Color")}).outputs[0]
    clear = g.add("ShaderNodeBsdfTransparent").outputs[0]
    mixed = g.add("ShaderNodeMixShader", {0: make_alpha(g), 1: clear, 2: emission}).outputs[0]
    g.add("ShaderNodeOutputMaterial", {"Surface": mixed})
    return material
