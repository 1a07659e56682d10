"""The Blender half of the scene import: splat attributes to a mesh object that the node group plays."""

import bpy

from .reader import SceneFile
from .scene_nodes import scene_group
from .splat_data import Attribute, low_pass, point_attributes

MODIFIER = "HoloTime"


def make_mesh(name: str, attributes: list[Attribute]) -> bpy.types.Mesh:
    """A mesh of loose vertices that carries the attributes."""
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(attributes[0].values) // 3)
    for item in attributes:
        layer = mesh.attributes.get(item.name) or mesh.attributes.new(item.name, item.data_type, "POINT")
        layer.data.foreach_set(item.field, item.values)
    mesh.update()
    return mesh


def make_object(name: str, scene_file: SceneFile, offset: float) -> bpy.types.Object:
    """An object that plays the scene; the clip begins ``offset`` seconds into the timeline. Not yet in a collection."""
    obj = bpy.data.objects.new(name, make_mesh(name, point_attributes(scene_file)))
    modifier = obj.modifiers.new(MODIFIER, "NODES")
    modifier.node_group = scene_group()
    set_input(modifier, "Offset", offset)
    set_input(modifier, "Duration", scene_file.duration)
    set_input(modifier, "Loop", scene_file.loop)
    set_input(modifier, "Low Pass", low_pass(scene_file))
    obj.holotime.is_scene = True
    obj.holotime.duration = scene_file.duration
    obj.holotime.fps = scene_file.fps
    obj.holotime.loop = scene_file.loop
    return obj


def input_property(modifier: bpy.types.NodesModifier, name: str) -> tuple[bpy.types.bpy_struct, str]:
    """(owner, property) of a group input on a modifier, as a layout's ``prop`` wants them."""
    for item in modifier.node_group.interface.items_tree:
        if item.item_type == "SOCKET" and item.in_out == "INPUT" and item.name == name:
            if hasattr(modifier, "properties"):  # since 5.2; custom properties of the modifier before
                return getattr(modifier.properties.inputs, item.identifier), "value"
            return modifier, f'["{item.identifier}"]'
    raise KeyError(f"The node group {modifier.node_group.name!r} has no input {name!r}.")


def set_input(modifier: bpy.types.NodesModifier, name: str, value: float | bool) -> None:
    """Set a group input on a modifier, and have its object evaluated anew."""
    owner, prop = input_property(modifier, name)
    if prop == "value":
        owner.value = value
    else:
        owner[prop[2:-2]] = value
    modifier.id_data.update_tag()


def get_input(modifier: bpy.types.NodesModifier, name: str) -> float | bool:
    """Read a group input of a modifier."""
    owner, prop = input_property(modifier, name)
    return owner.path_resolve(prop)


def scene_modifier(obj: bpy.types.Object | None) -> bpy.types.NodesModifier | None:
    """The modifier that plays a HoloTime scene on an object, if it is one."""
    modifier = obj.modifiers.get(MODIFIER) if obj and obj.type == "MESH" else None
    return modifier if modifier and modifier.type == "NODES" and modifier.node_group else None
