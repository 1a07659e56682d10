"""View layers and a compositing tree in which CG objects stand in the scene.

Three layers are rendered: the splats with everything else held out, everything else with the splats held out, and the
world alone. A holdout leaves exactly the part of a pixel that the other layer fills, soft edges included, so

    picture = splats + rest + world * (1 - alpha of splats - alpha of rest)

is what one render of all would show, and each layer can be graded by itself. With a shadow catcher there is a fourth
layer without any splats: the catcher and, seen only by it, the objects. It is quick, so it gets many samples, and it
darkens the splats by its alpha. Every layer has a depth pass; all of it goes into one multi-layer EXR a frame.
"""

import bpy

from ..scene_import.graph import Graph

COLLECTION = "HoloTime"
SPLATS, REST, WORLD, SHADOWS = "HoloTime Splats", "HoloTime Objects", "HoloTime World", "HoloTime Shadows"
TREE = "HoloTime Compositing"
SAMPLES = {REST: 16, SHADOWS: 128}  # light on objects and their shadows are noisier than splats; both are denoised


def set_up(scene: bpy.types.Scene) -> bpy.types.NodeTree:
    """Make the collections, the layers, the output settings and the tree; run again it brings them up to date."""
    _collections(scene)
    catches = any(obj.get("holotime_catcher") for obj in scene.objects)
    names = (SPLATS, REST, WORLD, SHADOWS) if catches else (SPLATS, REST, WORLD)
    scene.render.film_transparent = True
    for name in names:
        layer = scene.view_layers.get(name) or scene.view_layers.new(name)
        layer.use, layer.use_pass_combined, layer.use_pass_z = True, True, name != WORLD
        layer.use_pass_environment = name == WORLD
        for child in layer.layer_collection.children:
            splats, shadows = child.collection.get("holotime_splats"), child.collection.get("holotime_shadows")
            child.exclude = name == WORLD or bool(splats if name == SHADOWS else shadows)
            child.holdout = (name == SPLATS and not splats) or (name == REST and bool(splats))
            child.indirect_only = name == SHADOWS and not shadows
        layer.samples = SAMPLES.get(name, 0)  # 0: the scene's
        if hasattr(layer, "cycles"):
            layer.cycles.use_denoising = name in SAMPLES
    if hasattr(scene, "cycles"):
        scene.cycles.use_denoising = True  # each layer says for itself whether it is
    for layer in scene.view_layers:
        layer.use = layer.name in names
    _exr(scene)
    tree = _tree(scene)
    _build(Graph(tree), tree, scene, names)
    return tree


def _collections(scene: bpy.types.Scene) -> None:
    """Splats in a collection of their own, the shadow catcher in another, what lay loose in the scene in a third."""
    for obj in list(scene.collection.objects):
        catcher = bool(obj.get("holotime_catcher"))
        mark = "splats" if obj.holotime.is_scene else "shadows" if catcher else "rest"
        _collection(scene, mark).objects.link(obj)
        scene.collection.objects.unlink(obj)


def _collection(scene: bpy.types.Scene, mark: str) -> bpy.types.Collection:
    found = next((c for c in scene.collection.children if c.get(f"holotime_{mark}")), None)
    if found is None:
        found = bpy.data.collections.new({"splats": COLLECTION, "shadows": SHADOWS, "rest": "Scene Objects"}[mark])
        found[f"holotime_{mark}"] = True
        scene.collection.children.link(found)
    return found


def _exr(scene: bpy.types.Scene) -> None:
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):  # since 5.0, and to be set before the format
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.color_depth, settings.exr_codec = "16", "ZIP"


def _tree(scene: bpy.types.Scene) -> bpy.types.NodeTree:
    """The scene's compositing tree, emptied. Since 5.0 it is a node group of its own."""
    if hasattr(scene, "compositing_node_group"):
        tree = scene.compositing_node_group
        if tree is None or not tree.get("holotime_compositing"):
            tree = bpy.data.node_groups.new(TREE, "CompositorNodeTree")
            tree["holotime_compositing"] = True
            tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
            scene.compositing_node_group = tree
        tree.nodes.clear()
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
    scene.render.use_compositing = True
    return tree


def _build(g: Graph, tree: bpy.types.NodeTree, scene: bpy.types.Scene, names: tuple[str, ...]) -> None:
    layers = {name: g.add("CompositorNodeRLayers", layer=name, scene=scene) for name in names}
    splats = layers[SPLATS].outputs["Image"]
    if SHADOWS in layers:
        splats = _mix(g, "MULTIPLY", splats, _math(g, "SUBTRACT", 1.0, layers[SHADOWS].outputs["Alpha"]))
    # Film transparency leaves the world out of every picture; its own pass has it.
    both = _mix(g, "ADD", splats, layers[REST].outputs["Image"])
    alpha = _math(g, "ADD", layers[SPLATS].outputs["Alpha"], layers[REST].outputs["Alpha"])
    left = _math(g, "SUBTRACT", 1.0, alpha)
    environment = next(s for s in layers[WORLD].outputs if s.name in _ENVIRONMENT and s.enabled)
    world = _mix(g, "MULTIPLY", environment, left)
    # Sums keep the alpha of their first part; the whole picture is opaque.
    channels = g.add("CompositorNodeSeparateColor", {0: _mix(g, "ADD", both, world)}).outputs
    whole = g.add("CompositorNodeCombineColor", {i: channels[i] for i in range(3)} | {3: 1.0}).outputs[0]
    if hasattr(scene, "compositing_node_group"):
        output = g.add("NodeGroupOutput")
        tree.links.new(whole, output.inputs[0])
    else:
        g.add("CompositorNodeComposite", {"Image": whole})
    g.add("CompositorNodeViewer", {"Image": whole})


_ENVIRONMENT = ("Env", "Environment")  # before 5.0 and since


def _mix(g: Graph, operation: str, a, b):
    """Colours combined channel by channel. Since 5.0 compositors use the nodes of shaders."""
    if bpy.app.version >= (5, 0, 0):
        node = g.add("ShaderNodeMix", data_type="RGBA", blend_type=operation)
        node.inputs[0].default_value = 1.0
        for socket, value in zip((node.inputs[6], node.inputs[7]), (a, b), strict=True):
            g.tree.links.new(value, socket)
        return node.outputs[2]
    return g.add("CompositorNodeMixRGB", {0: 1.0, 1: a, 2: b}, blend_type=operation).outputs[0]


def _math(g: Graph, operation: str, a, b):
    """Clamped arithmetic."""
    kind = "ShaderNodeMath" if bpy.app.version >= (5, 0, 0) else "CompositorNodeMath"
    return g.add(kind, {0: a, 1: b}, operation=operation, use_clamp=True).outputs[0]
