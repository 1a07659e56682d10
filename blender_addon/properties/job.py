"""Settings of the next ``generate`` job. Names, ranges and defaults are those of the sidecar's job."""

from math import radians

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..models import ANIMATORS, PANORAMAS, items
from .common import RELATIVE

OWN_MODEL = ("OWN", "Another", "A model of your own, by its hub id or folder")


class HoloTimeStroke(bpy.types.PropertyGroup):
    """One stroke of the motion brush; its directions from the eye are the ID property ``path``, [x, y, z, ...]."""

    kind: EnumProperty(
        name="Kind",
        description="What the stroke does",
        items=(("MOVE", "Move", "Things move along the stroke"), ("FREEZE", "Freeze", "Things stand still")),
    )
    radius: FloatProperty(name="Radius", description="Half of the stroke's width", subtype="ANGLE", default=0.1)
    speed: FloatProperty(name="Speed", description="Degrees that things move in a second", default=6.0)


class WorldSettings:
    """Where the panorama comes from."""

    world_source: EnumProperty(
        name="Source",
        description="Where the panorama comes from",
        items=(
            ("IMAGE", "Image", "A 360° picture in a file", "IMAGE_DATA", 0),
            ("ENVIRONMENT", "World", "This scene's own world environment", "WORLD", 1),
            ("RENDER", "Scene", "A 360° render of this scene, from its camera", "SCENE", 2),
            ("PROMPT", "Text", "A sentence, turned into a panorama by the sidecar", "TEXT", 3),
            ("PHOTO", "Photo", "An ordinary photo, continued all around by the sidecar", "CAMERA_DATA", 4),
        ),
    )
    panorama: StringProperty(
        name="Panorama",
        description="Equirectangular image (2:1) that becomes the world",
        subtype="FILE_PATH",
        options=RELATIVE,
    )
    prompt: StringProperty(name="Prompt", description="What the panorama shows; steers which parts move")
    panorama_model: EnumProperty(
        name="Model", description="What draws the panorama", items=(*items(PANORAMAS), OWN_MODEL)
    )
    panorama_own_model: StringProperty(
        name="Own Model",
        description="A hub id, or the folder of a diffusers pipeline on the sidecar's computer",
    )
    photo: StringProperty(
        name="Photo",
        description="An ordinary photo; what it does not show is drawn by the model",
        subtype="FILE_PATH",
        options=RELATIVE,
    )
    photo_fov: FloatProperty(
        name="Field of View",
        description="What the photo sees from left to right; 0: as its file says",
        subtype="ANGLE",
        min=0.0,
        max=radians(170),
    )
    photo_yaw: FloatProperty(
        name="Heading",
        description="Where the photo looks, from the panorama's middle to the right",
        subtype="ANGLE",
        min=radians(-360),
        max=radians(360),
    )
    photo_pitch: FloatProperty(
        name="Pitch", description="Where the photo looks, upwards", subtype="ANGLE", min=radians(-90), max=radians(90)
    )
    fit: EnumProperty(
        name="Other Shapes",
        description="What to do with an image that is not 2:1",
        items=(
            ("refuse", "Refuse", "Say so and stop"),
            ("pad", "Pad", "Fill up what is missing at the top and bottom"),
            ("stretch", "Stretch", "Stretch the image to 2:1"),
        ),
    )
    capture_width: IntProperty(
        name="Width",
        description="Width of the panorama that is rendered, in pixels",
        default=2048,
        min=64,
        max=16384,
        subtype="PIXEL",
    )
    capture_samples: IntProperty(
        name="Samples", description="Cycles samples of the panorama that is rendered", default=32, min=1, max=4096
    )
    show_panorama: BoolProperty(
        name="Show in Viewport",
        description="Show the panorama around the eye behind everything in the 3D View; the scene is not changed",
        update=lambda self, context: _panorama_view(),
    )


class MotionSettings:
    """How the world moves."""

    animator: EnumProperty(
        name="Animator",
        description="What makes the picture move",
        items=items(ANIMATORS),
    )
    video_model: StringProperty(
        name="Own Model",
        description="Another model of this family: name, hub id, or folder on the sidecar's computer; empty: the usual",
    )
    video_loop: EnumProperty(
        name="Repeat",
        description="How the clip of a video model is made to repeat",
        items=(
            ("none", "Not at All", "It has a beginning and an end"),
            ("fade", "Fade", "The end is blended into the beginning"),
            ("bounce", "Bounce", "It plays forth and back"),
        ),
    )
    diffusion_quality: EnumProperty(
        name="Quality",
        description="How the diffusion model works",
        items=(("exact", "Exact", "Every step as published"), ("fast", "Fast", "Fewer or cheaper steps")),
    )
    diffusion_memory: EnumProperty(
        name="Memory",
        description="How much of the graphics card the diffusion model may take",
        items=(
            ("auto", "Automatic", "What fits"),
            ("low", "Low", "8 GB do; slower"),
            ("high", "High", "Everything stays on the card"),
        ),
    )
    enhance_fps: FloatProperty(
        name="More Frames",
        description="Frames per second to which the clip is interpolated; 0: as it is",
        min=0.0,
        max=240.0,
        precision=2,
    )
    enhance_scale: EnumProperty(
        name="Enlarge",
        description="How many times as wide and high the clip is made, by super-resolution where its model is there",
        items=(("1", "Off", "As it is"), ("2", "2 ×", "Twice as wide"), ("4", "4 ×", "Four times as wide")),
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

    strokes: CollectionProperty(type=HoloTimeStroke, description="The strokes of the motion brush")
    show_strokes: BoolProperty(
        name="Show Strokes",
        description="Draw the strokes of the motion brush around the eye in the 3D View",
        default=True,
        update=lambda self, context: _redraw(),
    )
    brush_radius: FloatProperty(
        name="Radius",
        description="Half of the brush's width, as an angle seen from the eye",
        subtype="ANGLE",
        default=radians(6),
        min=radians(0.5),
        max=radians(45),
    )
    brush_speed: FloatProperty(
        name="Speed",
        description="Degrees that things under the stroke move in a second",
        default=6.0,
        min=0.0,
        max=20.0,
    )
    freeze_image: PointerProperty(
        type=bpy.types.Image,
        name="Freeze Mask",
        description="Panorama-shaped image: what is painted in it (red) stands still",
    )
    freeze_object: PointerProperty(
        type=bpy.types.Object,
        name="Freeze Object",
        description="Whatever this object covers, seen from the eye, stands still",
        poll=lambda self, obj: obj.type in {"MESH", "CURVE", "SURFACE", "META", "FONT"},
    )


class QualitySettings:
    """How large and how fine."""

    width: IntProperty(
        name="Width",
        description="Width of the clip in pixels",
        default=1024,
        min=64,
        max=8192,
        step=32,
        subtype="PIXEL",
    )
    budget: IntProperty(
        name="Splats", description="Splats in the scene at most", default=400_000, min=1_000, max=20_000_000
    )
    auto_import: BoolProperty(
        name="Import When Done", description="Bring the result into this scene as soon as it is ready", default=True
    )


def _panorama_view() -> None:
    from ..viewport import panorama_view

    panorama_view.refresh()


def _redraw() -> None:
    from ..viewport import strokes_view

    strokes_view.refresh()
