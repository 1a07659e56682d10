"""The Blender half of the scene import: splat attributes to a mesh object that the node group plays."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from . import native_splats
from .reader import read_scene
from .scene_nodes import finished, scene_group_steps
from .splat_data import Attribute, low_pass, point_attributes

MODIFIER = "HoloTime"
FILLING = "holotime_filling"  # custom property of data that is not complete yet


@dataclass(frozen=True)
class Prepared:
    """A scene file turned into what Blender stores: made without bpy, so in any thread."""

    attributes: list[Attribute]  # positions first
    native: list[Attribute]  # what native splats have beyond these; empty where there are none
    duration: float
    fps: float
    loop: bool
    low_pass: float

    @classmethod
    def read(cls, path: str | Path, native: bool) -> "Prepared":
        """Read a scene file; ``native``: also for native splats. SceneFileError when it is not one."""
        scene_file = read_scene(path)
        attributes, widening = point_attributes(scene_file), low_pass(scene_file)
        opacities = next(item.values for item in attributes if item.name == "opacity")
        more = native_splats.attributes(scene_file.tensors["colors"], opacities) if native else []
        return cls(attributes, more, scene_file.duration, scene_file.fps, scene_file.loop, widening)


Data = bpy.types.Mesh | bpy.types.PointCloud  # what carries the splats of an object


def data_steps(prepared: Prepared, name: str) -> Generator[float, None, Data]:
    """Make what carries the attributes, a millisecond or two at a time; yields the fraction.

    A point cloud of native splats where this Blender has them, else a mesh of loose vertices.
    """
    if prepared.native:
        attributes = prepared.attributes + prepared.native
        try:
            filled = yield from _fill(bpy.data.pointclouds, native_splats.begin, name, attributes)
            key = filled.name
            for _ in native_splats.group_steps():
                yield 1.0
            if key in bpy.data.pointclouds:
                native_splats.problem = ""
                return bpy.data.pointclouds[key]
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            native_splats.problem = f"This Blender's native splats are not as expected ({error}); made a mesh instead."
            for cloud in [cloud for cloud in bpy.data.pointclouds if FILLING in cloud or not cloud.users]:
                bpy.data.pointclouds.remove(cloud)
    filled = yield from _fill(bpy.data.meshes, _empty_mesh, name, prepared.attributes)
    filled.update()
    return filled


def _empty_mesh(name: str, count: int) -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(count)
    return mesh


def _fill(
    collection: Any, begin: Callable[[str, int], Data], name: str, attributes: list[Attribute]
) -> Generator[float, None, Data]:
    """Data of ``collection`` with these attributes, positions first.

    It is looked up by name after every pause: undo may have taken it away, and then it is begun again.
    """
    while True:
        data = begin(name, len(attributes[0].values) // 3)
        data[FILLING] = True
        key = data.name
        for i, item in enumerate(attributes):
            yield i / len(attributes)
            data = collection.get(key)
            if data is None or FILLING not in data:
                break
            if item.name not in data.attributes:
                data.attributes.new(item.name, item.data_type, "POINT")
                yield (i + 0.5) / len(attributes)
                data = collection.get(key)
                if data is None or FILLING not in data or item.name not in data.attributes:
                    break
            data.attributes[item.name].data.foreach_set(item.field, item.values)
        else:
            del data[FILLING]
            return data


def group_steps(data: Data) -> Generator[None, None, bpy.types.NodeTree]:
    """The node group that plays such data, a millisecond at a time."""
    return native_splats.group_steps() if isinstance(data, bpy.types.PointCloud) else scene_group_steps()


def make_object(name: str, data: Data, prepared: Prepared, offset: float) -> bpy.types.Object:
    """An object that plays the scene; the clip begins ``offset`` seconds into the timeline. Not yet in a collection."""
    obj = bpy.data.objects.new(name, data)
    modifier = obj.modifiers.new(MODIFIER, "NODES")
    modifier.node_group = finished(group_steps(data))
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
    modifier = obj.modifiers.get(MODIFIER) if obj and obj.type in ("MESH", "POINTCLOUD") else None
    return modifier if modifier and modifier.type == "NODES" and modifier.node_group else None
