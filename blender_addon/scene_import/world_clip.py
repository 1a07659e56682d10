"""The clip as the scene's world: stock nodes and one driver, in step with the splats at any frame rate of the scene.

Blender's image user shows one frame of a movie per frame of the scene. So it is pinned to a single frame, and a driver
(a simple expression, evaluated natively also where scripts may not run) chooses which: the clip's frame nearest to the
scene's time in seconds.
"""

from pathlib import Path

import bpy

from .graph import Graph

WORLD = "HoloTime World"
LIGHT_MAP = 256  # pixels of the map that Cycles samples the world's light by


def set_world_clip(
    scene: bpy.types.Scene, path: str | Path, *, fps: float, frames: int, loop: bool, offset: float
) -> bpy.types.World:
    """Make ``scene``'s world show the clip; it begins ``offset`` seconds into the timeline. A new world each time.

    ``frames`` 0 asks Blender how long the movie is. Raises RuntimeError when Blender cannot read the file.
    """
    image = bpy.data.images.load(str(path), check_existing=True)
    frames = frames or max(1, image.frame_duration)
    world = bpy.data.worlds.new(WORLD)
    if bpy.app.version < (5, 0, 0):  # always on since 5.0, where setting it warns
        world.use_nodes = True
    tree = world.node_tree
    tree.nodes.clear()
    g = Graph(tree)
    direction = g.add("ShaderNodeTexCoord").outputs["Generated"]
    # Blender's equirectangular texture has its centre along +X, ours along +Y: turn the lookup by a quarter.
    turned = g.add("ShaderNodeMapping", {"Vector": direction, "Rotation": (0.0, 0.0, -1.5707963267948966)})
    texture = g.add("ShaderNodeTexEnvironment", {"Vector": turned.outputs["Vector"]}, image=image, name="Clip")
    background = g.add("ShaderNodeBackground", {"Color": texture.outputs["Color"], "Strength": 1.0})
    g.add("ShaderNodeOutputWorld", {"Surface": background.outputs[0]})
    if image.source == "MOVIE":
        user = texture.image_user
        user.use_auto_refresh = True
        user.frame_duration, user.frame_start, user.use_cyclic = 1, 1, True
        _drive_frame(tree, texture, scene, fps, frames, loop, offset)
    if hasattr(world, "cycles"):
        # Only objects beside the splats are lit by it; the map made anew for each frame would cost a second otherwise.
        world.cycles.sampling_method, world.cycles.sample_map_resolution = "MANUAL", LIGHT_MAP
    scene.world = world
    return world


def _drive_frame(tree, texture, scene, fps: float, frames: int, loop: bool, offset: float) -> None:
    """frame_offset (0 is the movie's first frame) = nearest clip frame at the scene's time."""
    curve = tree.driver_add(f'nodes["{texture.name}"].image_user.frame_offset')
    driver = curve.driver
    driver.type = "SCRIPTED"
    for name, path in (("fps", "render.fps"), ("base", "render.fps_base")):
        variable = driver.variables.new()
        variable.name, variable.type = name, "SINGLE_PROP"
        variable.targets[0].id_type, variable.targets[0].id = "SCENE", scene
        variable.targets[0].data_path = path
    index = f"floor((frame*base/fps-{offset:.9g})*{fps:.9g}+0.5)"
    driver.expression = f"{index}-{frames}*floor({index}/{frames})" if loop else f"min(max({index},0),{frames - 1})"
