"""A thin wrapper that makes building node trees read like formulas."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import bpy

Socket = bpy.types.NodeSocket
COLUMN = 180  # pixels between nodes, so that a tree can be read when somebody opens it


class Graph:
    """Adds nodes to a tree. Wherever a value is wanted, a socket may stand and is linked."""

    def __init__(self, tree: bpy.types.NodeTree, count: int = 0) -> None:
        """``count``: how many nodes are there already."""
        self.tree = tree
        self._count = count

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
        outputs = self.add("ShaderNodeSeparateXYZ", {"Vector": vector}).outputs
        return [outputs[i] for i in range(3)]

    def random(self) -> Socket:
        """A number in [0, 1] for each element."""
        node = self.add("FunctionNodeRandomValue", data_type="FLOAT")
        return next(socket for socket in node.outputs if socket.type == "VALUE")  # the only one since 5.2

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


@dataclass(frozen=True)
class Wire:
    """An output of a planned node."""

    node: int
    key: Any  # name or index; a function of the outputs


class _Outputs:
    def __init__(self, node: int) -> None:
        self._node = node

    def __getitem__(self, key: Any) -> Wire:
        return Wire(self._node, key)


@dataclass(frozen=True)
class _Planned:
    node_type: str
    inputs: dict[Any, Any]
    settings: dict[str, Any]
    outputs: _Outputs


class Plan(Graph):
    """The same words, but nodes are only written down; :meth:`draw` makes them one at a time.

    A node costs half a millisecond, so a large tree made in one go would be felt. A function as an input's value is
    called when the node is made.
    """

    def __init__(self) -> None:
        self._nodes: list[_Planned] = []

    def add(self, node_type: str, inputs: dict[Any, Any] | None = None, **settings: Any) -> Any:
        """A node to be made."""
        planned = _Planned(node_type, inputs or {}, settings, _Outputs(len(self._nodes)))
        self._nodes.append(planned)
        return planned

    def random(self) -> Any:
        """A number in [0, 1] for each element."""
        outputs = self.add("FunctionNodeRandomValue", data_type="FLOAT").outputs
        return outputs[lambda found: next(socket for socket in found if socket.type == "VALUE")]

    def draw(self, find: Callable[[], bpy.types.NodeTree | None]) -> Generator[None, None, bool]:
        """Make the nodes in the empty tree that ``find`` gives, and pause after each.

        The tree is looked up anew after every pause: undo may have taken it or its nodes away. Then False.
        """
        names: list[str] = []
        for planned in self._nodes:
            tree = find()
            if tree is None or len(tree.nodes) != len(names):
                return False
            inputs = {key: self._value(tree, names, value) for key, value in planned.inputs.items()}
            names.append(Graph(tree, len(names)).add(planned.node_type, inputs, **planned.settings).name)
            yield
        return True

    def _value(self, tree: bpy.types.NodeTree, names: list[str], value: Any) -> Any:
        if isinstance(value, Wire):
            outputs = tree.nodes[names[value.node]].outputs
            return value.key(outputs) if callable(value.key) else outputs[value.key]
        return value() if callable(value) else value
