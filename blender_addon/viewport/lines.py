"""Lines in the 3D View, of one colour and a width in pixels, with or without regard to what is nearer."""

import itertools
from collections.abc import Sequence

Point = tuple[float, float, float]
Strip = Sequence[Point]


def draw_strips(
    strips: Sequence[Strip], color: tuple[float, float, float, float], width: float = 2.0, *, hidden: bool = False
) -> None:
    """Draw polylines given in world space. ``hidden``: what stands in front hides them."""
    import bpy
    import gpu
    from gpu_extras.batch import batch_for_shader

    pairs = [p for strip in strips for a, b in itertools.pairwise(strip) for p in (a, b)]
    if not pairs:
        return
    shader = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
    batch = batch_for_shader(shader, "LINES", {"pos": pairs})
    region = bpy.context.region
    gpu.state.blend_set("ALPHA")
    gpu.state.depth_test_set("LESS_EQUAL" if hidden else "NONE")
    try:
        shader.bind()
        shader.uniform_float("viewportSize", (region.width, region.height))
        shader.uniform_float("lineWidth", width * bpy.context.preferences.system.ui_scale)
        shader.uniform_float("color", color)
        batch.draw(shader)
    finally:
        gpu.state.blend_set("NONE")
        gpu.state.depth_test_set("NONE")
