"""A thin wrapper that makes building node trees read like formulas."""

from typing import Any

import bpy

Socket = bpy.types.NodeSocket
COLUMN = 180  # pixels between nodes, so that a tree can be read when somebody opens it


class Graph:
    """Adds nodes to a tree. Wherever a value is wanted, a socket may stand and is linked."""

    def __init__(self, tree: bpy.types.NodeTree) -> None:
        self.tree = tree
        self._count = 0

    def add(self, node_type: str, inputs: dict[Any, Any] | None = None, **settings: Any) -> bpy.types.Node:
        """A node with properties ``settings`` and its inputs (by name or index) set or linked."""
        node = self.tree.nodes.new(node_type)
        node.location = (COLUMN * (self._count % 24), -260 * (self._count // 24))
        node.hide = True
        self._count += 1
        for name, value in settings.items():
            setattr(node, name, value)
        for key, value in (inputs or {}).items():
            if isinstance(value, Socket):
                self.tree.links.new(value, node.inputs[key])
            else:
                node.inputs[key].default_value = value
        return node

    def math(self, operation: str, *values: Any, clamp: bool = False) -> Socket:
        """Scalar math."""
        return self.add("ShaderNodeMath", dict(enumerate(values)), operation=operation, use_clamp=clamp).outputs[0]

    def vector(self, operation: str, *values: Any) -> Socket:
        """Vector math; the scalar output of operations that have one."""
        node = self.add("ShaderNodeVectorMath", dict(enumerate(values)), operation=operation)
        return node.outputs["Value" if operation in ("DOT_PRODUCT", "LENGTH", "DISTANCE") else "Vector"]

    def scale(self, vector: Any, factor: Any) -> Socket:
        """vector * scalar."""
        node = self.add("ShaderNodeVectorMath", {"Vector": vector, "Scale": factor}, operation="SCALE")
        return node.outputs["Vector"]

    def separate(self, vector: Any) -> list[Socket]:
        """The three components."""
        return list(self.add("ShaderNodeSeparateXYZ", {"Vector": vector}).outputs)

    def compare(self, a: Any, operation: str, b: Any) -> Socket:
        """A boolean from two floats (LESS_THAN, GREATER_EQUAL, ...)."""
        node = self.add("FunctionNodeCompare", {0: a, 1: b}, data_type="FLOAT", operation=operation)
        return node.outputs[0]

    def both(self, a: Any, b: Any) -> Socket:
        """Boolean and."""
        return self.add("FunctionNodeBooleanMath", {0: a, 1: b}, operation="AND").outputs[0]

    def switch(self, kind: str, condition: Any, false: Any, true: Any) -> Socket:
        """``true`` where the condition holds. ``kind`` is FLOAT, VECTOR, GEOMETRY, ..."""
        return self.add(
            "GeometryNodeSwitch", {"Switch": condition, "False": false, "True": true}, input_type=kind
        ).outputs[0]

    def attribute(self, name: str, data_type: str) -> Socket:
        """A named attribute of the geometry that is being worked on."""
        return self.add("GeometryNodeInputNamedAttribute", {"Name": name}, data_type=data_type).outputs["Attribute"]

    def store(self, geometry: Socket, name: str, data_type: str, value: Any) -> Socket:
        """Store a named attribute on the points."""
        inputs = {"Geometry": geometry, "Name": name, "Value": value}
        return self.add("GeometryNodeStoreNamedAttribute", inputs, data_type=data_type, domain="POINT").outputs[0]

    def remove(self, geometry: Socket, *names: str) -> Socket:
        """Forget named attributes."""
        for name in names:
            geometry = self.add("GeometryNodeRemoveAttribute", {"Geometry": geometry, "Name": name}).outputs[0]
        return geometry
