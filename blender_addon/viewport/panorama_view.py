"""The panorama around the eye, drawn behind everything in the 3D View: a look at the world before it is made."""

import os

import bpy

from . import handlers

NAME = "panorama"
VERTEX = "void main() { ray = direction; gl_Position = vec4(corner, 0.9999999, 1.0); }"
FRAGMENT = """
void main() {
  vec3 d = normalize(ray);
  /* the centre of the panorama looks along +Y, its right edge turns to +X */
  vec2 at = vec2(atan(d.x, d.y) / 6.283185307 + 0.5, asin(clamp(d.z, -1.0, 1.0)) / 3.141592654 + 0.5);
  result = vec4(textureLod(panorama, at, 0.0).rgb, 1.0);  /* light: the 3D View encodes it for the display */
}
"""
_shader = None
_texture: tuple[tuple, object] | None = None  # (what it was made from, GPUTexture)


def refresh() -> None:
    """Draw while the scene wants it and has a panorama."""
    settings = bpy.context.scene.holotime
    if settings.show_panorama and settings.panorama:
        handlers.on(NAME, _draw)
    else:
        handlers.off(NAME)
        forget()
    handlers.redraw()


def forget() -> None:
    """Let go of what is on the graphics card."""
    global _shader, _texture
    _shader = _texture = None


def _draw() -> None:
    import gpu
    from gpu_extras.batch import batch_for_shader

    global _shader
    context = bpy.context
    settings, view = context.scene.holotime, context.region_data
    if (
        not settings.show_panorama or not view.is_perspective
    ):  # from everywhere at once there is no direction to look in
        return
    texture = _load(bpy.path.abspath(settings.panorama))
    if texture is None:
        return
    if _shader is None:
        _shader = _make()
    p, turn = view.window_matrix, view.view_matrix.to_3x3().transposed()
    corners = [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)]
    rays = []
    for x, y in corners:
        rays.append(tuple(turn @ _vector((x + p[0][2]) / p[0][0], (y + p[1][2]) / p[1][1])))
    batch = batch_for_shader(_shader, "TRI_STRIP", {"corner": corners, "direction": rays})
    gpu.state.depth_test_set("LESS_EQUAL")
    gpu.state.depth_mask_set(False)
    _shader.bind()
    _shader.uniform_sampler("panorama", texture)
    batch.draw(_shader)
    gpu.state.depth_test_set("NONE")


def _vector(x: float, y: float):
    from mathutils import Vector

    return Vector((x, y, -1.0))


def _load(path: str):
    """The panorama on the graphics card; None while there is no such file."""
    import gpu

    global _texture
    try:
        made_from = (path, os.stat(path).st_mtime_ns)
    except OSError:
        return None
    if _texture is None or _texture[0] != made_from:
        image = bpy.data.images.load(path)
        try:
            _texture = (made_from, gpu.texture.from_image(image))
        finally:
            bpy.data.images.remove(image)
    return _texture[1]


def _make():
    import gpu

    info = gpu.types.GPUShaderCreateInfo()
    info.sampler(0, "FLOAT_2D", "panorama")
    info.vertex_in(0, "VEC2", "corner")
    info.vertex_in(1, "VEC3", "direction")
    between = gpu.types.GPUStageInterfaceInfo("holotime_panorama")
    between.smooth("VEC3", "ray")
    info.vertex_out(between)
    info.fragment_out(0, "VEC4", "result")
    info.vertex_source(VERTEX)
    info.fragment_source(FRAGMENT)
    return gpu.shader.create_from_info(info)
