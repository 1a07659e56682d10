"""Settings of the next video. Names and ranges are those of the sidecar's ``render`` job."""

from bpy.props import EnumProperty, FloatProperty, IntProperty, StringProperty

from .common import RELATIVE


class RenderSettings:
    """What the sidecar or Cycles renders for headsets and screens."""

    vr_projection: EnumProperty(
        name="Projection",
        description="What the video shows",
        items=(
            ("ods", "360° Stereo", "Full sphere, left eye above right eye: for headsets"),
            ("equirect", "360° Mono", "Full sphere, one eye: for the web and flat players"),
            ("perspective", "Flat", "What the scene's camera sees, along its path"),
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
