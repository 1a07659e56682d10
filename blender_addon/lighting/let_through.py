"""Splats that are seen and mirrored, but do not stand in the light."""

import bpy


def let_light_through(scene: bpy.types.Scene) -> None:
    """Let the estimated light reach CG objects: the splats of a world lie all around them and would shut it out.

    They are what the panorama shows, and so is the light; with both, everything would also be lit twice, and a shadow
    catcher would take every splat for an object that throws a shadow. Camera rays and mirrors still see them.
    """
    for obj in scene.objects:
        if obj.holotime.is_scene:
            obj.visible_shadow = obj.visible_diffuse = False
