"""What the panels show and a .blend keeps: settings of a scene, and what an imported object was made from.

Names, ranges and defaults of the job settings are those of the sidecar's ``generate`` and ``render`` jobs.
"""

from math import radians

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

# Since 4.5 Blender warns when a path that begins with // is put into a property that does not say it may.
RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"}


def _camera_items(self, context):
    from .cameras.presets import enum_items

    return enum_items()


def _preset_chosen(self, context) -> None:
    self.load_camera_parameters()


class HoloTimeCameraParameter(bpy.types.PropertyGroup):
    """One parameter of a camera preset; its name is the parameter's."""

    def _clamp(self, context) -> None:
        clamped = min(max(self.value, self.minimum), self.maximum)
        clamped = float(round(clamped)) if self.integer else clamped
        if clamped != self.value:
            self.value = clamped

    title: StringProperty()
    unit: StringProperty()
    minimum: FloatProperty()
    maximum: FloatProperty()
    integer: BoolProperty()
    value: FloatProperty(name="Value", description="In the unit beside it", update=_clamp)


class HoloTimeSceneSettings(bpy.types.PropertyGroup):
    """Settings of the next job, camera and video of a scene."""

    panorama: StringProperty(
        name="Panorama",
        description="Equirectangular image (2:1) that becomes the world",
        subtype="FILE_PATH",
        options=RELATIVE,
    )
    prompt: StringProperty(name="Prompt", description="What the panorama shows; steers which parts move")
    fit: EnumProperty(
        name="Other Shapes",
        description="What to do with an image that is not 2:1",
        items=(
            ("refuse", "Refuse", "Say so and stop"),
            ("pad", "Pad", "Fill up what is missing at the top and bottom"),
            ("stretch", "Stretch", "Stretch the image to 2:1"),
        ),
    )
    width: IntProperty(
        name="Width",
        description="Width of the clip in pixels",
        default=1024,
        min=64,
        max=8192,
        step=32,
        subtype="PIXEL",
    )
    frames: IntProperty(name="Frames", description="Frames of the clip", default=24, min=1, max=600)
    fps: FloatProperty(name="Frame Rate", description="Frames of the clip per second", default=12.0, min=1.0, max=120.0)
    strength: FloatProperty(
        name="Strength", description="How much moves: 0 is still, 1 is natural", default=1.0, min=0.0, max=4.0
    )
    use_direction: BoolProperty(
        name="Set Direction", description="Choose where wind and water go instead of the default"
    )
    direction: FloatProperty(
        name="Direction",
        description="Where wind and water go: degrees from the panorama's centre to the right",
        subtype="ANGLE",
        min=radians(-360),
        max=radians(360),
    )
    seed: IntProperty(name="Seed", description="Another seed, another motion", min=0)
    budget: IntProperty(
        name="Splats", description="Splats in the scene at most", default=400_000, min=1_000, max=20_000_000
    )
    auto_import: BoolProperty(
        name="Import When Done", description="Bring the result into this scene as soon as it is ready", default=True
    )

    camera_preset: EnumProperty(
        name="Path", description="How the camera travels", items=_camera_items, update=_preset_chosen
    )
    camera_parameters: CollectionProperty(type=HoloTimeCameraParameter)

    vr_projection: EnumProperty(
        name="Projection",
        description="What the video shows",
        items=(
            ("ods", "360° Stereo", "Full sphere, left eye above right eye: for headsets"),
            ("equirect", "360° Mono", "Full sphere, one eye: for the web and flat players"),
        ),
    )
    vr_width: IntProperty(
        name="Width",
        description="Width of one eye's picture in pixels",
        default=2048,
        min=256,
        max=8192,
        subtype="PIXEL",
    )
    vr_eye_distance: FloatProperty(
        name="Eye Distance",
        description="Between the pupils, in metres",
        default=0.064,
        min=0.0,
        max=0.5,
        precision=3,
        subtype="DISTANCE",
        unit="LENGTH",
    )
    vr_output: StringProperty(
        name="Output",
        description="Video file to write; empty: beside the other results",
        subtype="FILE_PATH",
        options=RELATIVE,
    )

    def load_camera_parameters(self) -> None:
        """Put the chosen preset's parameters with their defaults into ``camera_parameters``."""
        from .cameras.presets import presets

        self.camera_parameters.clear()
        for parameter in presets()[self.camera_preset].parameters.values():
            item = self.camera_parameters.add()
            item.name, item.title, item.unit = parameter.name, parameter.title, parameter.unit
            item.minimum, item.maximum, item.integer = parameter.minimum, parameter.maximum, parameter.integer
            item.value = parameter.default


class HoloTimeObjectSettings(bpy.types.PropertyGroup):
    """What an object was imported from."""

    is_scene: BoolProperty(name="HoloTime Scene", description="This object plays a HoloTime scene")
    source: StringProperty(name="Source", description="The scene file", subtype="FILE_PATH", options=RELATIVE)
    duration: FloatProperty(name="Duration", description="Length of the clip in seconds")
    fps: FloatProperty(name="Frame Rate", description="Frames of the clip per second")
    loop: BoolProperty(name="Loop", description="The clip repeats without a jump")


CLASSES = (HoloTimeCameraParameter, HoloTimeSceneSettings, HoloTimeObjectSettings)
