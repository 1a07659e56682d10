"""A sphere around the eye on which the freeze mask is painted: the panorama, and red where the mask is."""

import math

import bpy

from ..scene_import.graph import Graph
from ..viewport.strokes_view import eye_of

NAME = "HoloTime Paint Sphere"
RADIUS = 20.0  # metres
SEGMENTS, RINGS = 64, 32


def paint_sphere(scene: bpy.types.Scene, mask: bpy.types.Image, panorama: str) -> bpy.types.Object:
    """The scene's paint sphere, made or brought up to date."""
    obj = next((o for o in scene.objects if o.get("holotime_paint_sphere")), None)
    if obj is None:
        obj = bpy.data.objects.new(NAME, _mesh())
        obj["holotime_paint_sphere"] = True
        obj.hide_render = True
        scene.collection.objects.link(obj)
    obj.location = eye_of(scene)
    obj.data.materials.clear()
    obj.data.materials.append(_material(mask, panorama))
    return obj


def _mesh() -> bpy.types.Mesh:
    """A sphere seen from inside; its UV map is the equirectangular projection, with vertices of its own at the seam."""
    mesh = bpy.data.meshes.new(NAME)
    points, faces, uvs = [], [], []
    for i in range(RINGS + 1):
        phi = math.pi * (0.5 - i / RINGS)
        for j in range(SEGMENTS + 1):
            lam = 2 * math.pi * (j / SEGMENTS - 0.5)
            look = (math.cos(phi) * math.sin(lam), math.cos(phi) * math.cos(lam), math.sin(phi))
            points.append(tuple(RADIUS * c for c in look))
    row = SEGMENTS + 1
    for i in range(RINGS):
        for j in range(SEGMENTS):
            corners = (i * row + j, i * row + j + 1, (i + 1) * row + j + 1, (i + 1) * row + j)
            faces.append(corners)
            uvs += [(c % row / SEGMENTS, 1 - c // row / RINGS) for c in corners]
    mesh.from_pydata(points, [], faces)
    layer = mesh.uv_layers.new(name="Panorama")
    layer.data.foreach_set("uv", [c for uv in uvs for c in uv])
    mesh.update()
    return mesh


def _material(mask: bpy.types.Image, panorama: str) -> bpy.types.Material:
    """The panorama with the mask over it; the mask's node is the active one, which is what Texture Paint paints."""
    material = bpy.data.materials.get(NAME) or bpy.data.materials.new(NAME)
    if bpy.app.version < (5, 0, 0):  # always on since 5.0, where setting it warns
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    g = Graph(tree)
    painted = g.add("ShaderNodeTexImage", image=mask)
    color = (0.2, 0.2, 0.2, 1.0)
    if panorama:
        image = bpy.data.images.load(panorama, check_existing=True)
        color = g.add("ShaderNodeTexImage", image=image).outputs["Color"]
    below = g.add("ShaderNodeEmission", {"Color": color}).outputs[0]
    above = g.add("ShaderNodeEmission", {"Color": painted.outputs["Color"]}).outputs[0]
    both = g.add("ShaderNodeMixShader", {0: painted.outputs["Alpha"], 1: below, 2: above}).outputs[0]
    g.add("ShaderNodeOutputMaterial", {"Surface": both})
    tree.nodes.active = painted
    return material
