"""The Blender half of the scene import: splat attributes to a mesh object that the node group plays."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import bpy

from .reader import read_scene
from .scene_nodes import scene_group
from .splat_data import Attribute, low_pass, point_attributes

MODIFIER = "HoloTime"


@dataclass(frozen=True)
class Prepared:
    """A scene file turned into what Blender stores: made without bpy, so in any thread."""

    attributes: list[Attribute]
    duration: float
    fps: float
    loop: bool
    low_pass: float

    @classmethod
    def read(cls, path: str | Path) -> "Prepared":
        """Read a scene file. SceneFileError when it is not one."""
        scene_file = read_scene(path)
        attributes, widening = point_attributes(scene_file), low_pass(scene_file)
        return cls(attributes, scene_file.duration, scene_file.fps, scene_file.loop, widening)


def mesh_steps(prepared: Prepared, name: str) -> Generator[float, None, bpy.types.Mesh]:
    """Make a mesh of loose vertices that carries the attributes, a millisecond or two at a time; yields the fraction.

    The mesh is looked up by name after every pause: undo may have taken it away, and then it is begun again.
    """
    while True:
        mesh = bpy.data.meshes.new(name)
        mesh["holotime_filling"] = True
        key = mesh.name
        mesh.vertices.add(len(prepared.attributes[0].values) // 3)
        for i, item in enumerate(prepared.attributes):
            yield i / len(prepared.attributes)
            mesh = bpy.data.meshes.get(key)
            if mesh is None or "holotime_filling" not in mesh:
                break
            if item.name not in mesh.attributes:
                mesh.attributes.new(item.name, item.data_type, "POINT")
                yield (i + 0.5) / len(prepared.attributes)
                mesh = bpy.data.meshes.get(key)
                if mesh is None or "holotime_filling" not in mesh or item.name not in mesh.attributes:
                    break
            mesh.attributes[item.name].data.foreach_set(item.field, item.values)
        else:
            del mesh["holotime_filling"]
            mesh.update()
            return mesh


def make_object(name: str, mesh: bpy.types.Mesh, prepared: Prepared, offset: float) -> bpy.types.Object:
    """An object that plays the scene; the clip begins ``offset`` seconds into the timeline. Not yet in a collection."""
    obj = bpy.data.objects.new(name, mesh)
    modifier = obj.modifiers.new(MODIFIER, "NODES")
    modifier.node_group = scene_group()
    set_input(modifier, "Offset", offset)
    set_input(modifier, "Duration", prepared.duration)
    set_input(modifier, "Loop", prepared.loop)
    set_input(modifier, "Low Pass", prepared.low_pass)
    obj.holotime.is_scene = True
    obj.holotime.duration = prepared.duration
    obj.holotime.fps = prepared.fps
    obj.holotime.loop = prepared.loop
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
