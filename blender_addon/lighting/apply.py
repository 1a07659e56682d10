"""The estimated light in a Blender scene: a world that lights without being seen, and a sun."""

import bpy
import numpy as np
from mathutils import Vector

from ..scene_import.graph import Graph
from .estimate import Light, estimate
from .let_through import let_light_through

SUN, ENVIRONMENT = "HoloTime Sun", "HoloTime Light"
SUN_ANGLE = 0.02  # radians: softer than the real sun, as haze makes it


class LightError(Exception):
    """No light can be estimated. The text says why and what to do."""


def pixels_of(path: str) -> np.ndarray:
    """[H, W, 3] display values in [0, 1] of a picture or a movie's first frame, first row on top."""
    try:
        image = bpy.data.images.load(path)
    except RuntimeError as error:
        raise LightError(f"{path} cannot be read as a picture. Choose the panorama in the World panel.") from error
    try:
        width, height = image.size
        if not width or not height:
            raise LightError(f"{path} holds no picture. Choose the panorama in the World panel.")
        values = np.empty(width * height * image.channels, np.float32)
        image.pixels.foreach_get(values)
        picture = values.reshape(height, width, image.channels)[::-1, :, :3]
        if image.is_float:  # linear: the estimate wants what a display shows
            picture = np.clip(
                np.where(picture <= 0.0031308, 12.92 * picture, 1.055 * np.maximum(picture, 1e-9) ** (1 / 2.4) - 0.055),
                0,
                1,
            )
        return picture
    finally:
        bpy.data.images.remove(image)


def apply(scene: bpy.types.Scene, picture: np.ndarray, heading: float = 0.0) -> Light:
    """Light the scene by a panorama's picture; what the camera sees of the world stays as it is."""
    light = estimate(picture)
    let_light_through(scene)
    _environment(scene, light)
    _sun(scene, light, heading)
    return light


def _environment(scene: bpy.types.Scene, light: Light) -> None:
    """Camera rays see the world as before; every other ray sees the HDR picture."""
    image = bpy.data.images.get(ENVIRONMENT)
    height, width = light.environment.shape[:2]
    if image is None or tuple(image.size) != (width, height):
        image = bpy.data.images.new(ENVIRONMENT, width, height, float_buffer=True, is_data=False)
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = light.environment[::-1]
    image.colorspace_settings.name = "Linear Rec.709"
    image.pixels.foreach_set(rgba.ravel())
    image.pack()
    if scene.world is None:
        scene.world = bpy.data.worlds.new("World")
    world = scene.world
    if bpy.app.version < (5, 0, 0):  # always on since 5.0, where setting it warns
        world.use_nodes = True
    tree = world.node_tree
    for node in [n for n in tree.nodes if n.get("holotime_light")]:
        if node.bl_idname == "ShaderNodeMixShader" and node.inputs[2].is_linked:
            tree.links.new(node.inputs[2].links[0].from_socket, _output(tree).inputs["Surface"])
        tree.nodes.remove(node)
    output = _output(tree)
    before = output.inputs["Surface"].links[0].from_socket if output.inputs["Surface"].is_linked else None
    g, first = Graph(tree), set(tree.nodes)
    look = g.add("ShaderNodeTexCoord").outputs["Generated"]
    # Blender's equirectangular texture has its centre along +X, ours along +Y: turn the lookup by a quarter.
    turned = g.add("ShaderNodeMapping", {"Vector": look, "Rotation": (0.0, 0.0, -1.5707963267948966)})
    texture = g.add("ShaderNodeTexEnvironment", {"Vector": turned.outputs["Vector"]}, image=image)
    shining = g.add("ShaderNodeBackground", {"Color": texture.outputs["Color"], "Strength": 1.0}).outputs[0]
    camera = g.add("ShaderNodeLightPath").outputs["Is Camera Ray"]
    mixed = g.add("ShaderNodeMixShader", {0: camera, 1: shining})
    if before:
        tree.links.new(before, mixed.inputs[2])
    tree.links.new(mixed.outputs[0], output.inputs["Surface"])
    for node in set(tree.nodes) - first:
        node["holotime_light"] = True


def _output(tree: bpy.types.NodeTree) -> bpy.types.Node:
    found = next((n for n in tree.nodes if n.bl_idname == "ShaderNodeOutputWorld"), None)
    return found or tree.nodes.new("ShaderNodeOutputWorld")


def _sun(scene: bpy.types.Scene, light: Light, heading: float) -> None:
    """The sun lamp; taken away where no sun is to be seen."""
    obj = next((o for o in scene.objects if o.get("holotime_sun")), None)
    if light.strength <= 0.01:
        if obj:
            bpy.data.objects.remove(obj)
        return
    if obj is None:
        obj = bpy.data.objects.new(SUN, bpy.data.lights.new(SUN, "SUN"))
        obj["holotime_sun"] = True
        scene.collection.objects.link(obj)
    obj.data.energy, obj.data.color, obj.data.angle = light.strength, light.color, SUN_ANGLE
    obj.rotation_euler = Vector(light.direction).to_track_quat("Z", "Y").to_euler()
    obj.location = 5.0 * Vector(light.direction)
