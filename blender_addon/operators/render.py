"""Operators: set Cycles up for VR and compositing, light CG objects as the panorama is lit, catch their shadows."""

from pathlib import Path

import bpy

from .scene import active_scene_object, has_scene


class HOLOTIME_OT_setup_vr(bpy.types.Operator):
    """Set this scene up so that Cycles renders the video as it is set above: panoramic camera, spherical stereo, MP4"""

    bl_idname = "holotime.setup_vr"
    bl_label = "Set Up Cycles VR"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        """Change the scene; Render > Render Animation does the rest."""
        from ..cycles_setup import stereo

        settings = context.scene.holotime
        if settings.vr_projection not in stereo.SHAPES:
            why = {
                "perspective": "A flat video needs no setting up: render the animation with the scene's camera.",
                "cubemap": "Cycles renders no cube maps: choose another projection, or have the sidecar render it.",
            }
            self.report({"ERROR"}, why[settings.vr_projection])
            return {"CANCELLED"}
        try:
            stereo.set_up(
                context.scene,
                active_scene_object(context),
                projection=settings.vr_projection,
                width=settings.vr_width,
                eye_distance=settings.vr_eye_distance,
            )
        except TypeError:
            self.report({"ERROR"}, "This Blender has no Cycles, which renders panoramas.")
            return {"CANCELLED"}
        return {"FINISHED"}


class HOLOTIME_OT_setup_compositing(bpy.types.Operator):
    """Make layers and a compositing tree in which objects and splats hide each other, written as multi-layer EXR"""

    bl_idname = "holotime.setup_compositing"
    bl_label = "Set Up Compositing"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        """Only with a HoloTime scene."""
        return has_scene(cls, context)

    def execute(self, context):
        """Change the scene."""
        from ..cycles_setup import layers

        layers.set_up(context.scene)
        return {"FINISHED"}


class HOLOTIME_OT_estimate_light(bpy.types.Operator):
    """Light objects as the panorama is lit: an HDR environment and, where one is to be seen, a sun"""

    bl_idname = "holotime.estimate_light"
    bl_label = "Light from Panorama"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        """Estimate from the scene's panorama, else from the clip beside the HoloTime scene."""
        from ..lighting import apply

        scene, obj = context.scene, active_scene_object(context)
        path = bpy.path.abspath(scene.holotime.panorama) if scene.holotime.panorama else ""
        if not path and obj:
            path = str(Path(bpy.path.abspath(obj.holotime.source)).with_name("clip.mp4"))
        if not path or not Path(path).is_file():
            self.report({"ERROR"}, "There is no panorama to take the light from. Choose one in the World panel.")
            return {"CANCELLED"}
        try:
            light = apply.apply(scene, apply.pixels_of(path))
        except apply.LightError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        said = f"a sun of strength {light.strength:.1f}" if light.strength > 0.01 else "no sun: the light is soft"
        self.report({"INFO"}, f"Environment set; {said}")
        return {"FINISHED"}


class HOLOTIME_OT_add_shadow_catcher(bpy.types.Operator):
    """Let the splats catch the shadows of your objects (Cycles): a mesh in the shape of the world, rendered in a \
layer of its own; sets up compositing"""

    bl_idname = "holotime.add_shadow_catcher"
    bl_label = "Shadow Catcher"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        """Only with a HoloTime scene."""
        return has_scene(cls, context)

    def execute(self, context):
        """Make it for the active HoloTime scene."""
        from ..cycles_setup import layers
        from ..lighting import catcher

        catcher.make(context.scene, active_scene_object(context))
        layers.set_up(context.scene)
        return {"FINISHED"}


CLASSES = (
    HOLOTIME_OT_setup_vr,
    HOLOTIME_OT_setup_compositing,
    HOLOTIME_OT_estimate_light,
    HOLOTIME_OT_add_shadow_catcher,
)
