"""What a .blend keeps about an imported object."""

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, StringProperty

from .common import RELATIVE


def _display_changed(self, context) -> None:
    from ..viewport import splat_view

    splat_view.apply_display(self.id_data)


class HoloTimeObjectSettings(bpy.types.PropertyGroup):
    """What an object was imported from, and how the viewport shows it."""

    is_scene: BoolProperty(name="HoloTime Scene", description="This object plays a HoloTime scene")
    source: StringProperty(name="Source", description="The scene file", subtype="FILE_PATH", options=RELATIVE)
    duration: FloatProperty(name="Duration", description="Length of the clip in seconds")
    fps: FloatProperty(name="Frame Rate", description="Frames of the clip per second")
    safe_walk: StringProperty(
        name="Safe Volume", description="How far a camera may go, as the sidecar measured it", options={"HIDDEN"}
    )
    made: StringProperty(
        name="How It Was Made", description="Backends, models and notes of the report, as JSON", options={"HIDDEN"}
    )
    loop: BoolProperty(name="Loop", description="The clip repeats without a jump")
    display: EnumProperty(
        name="Show As",
        description="How the viewport draws the scene; renders always show soft splats",
        items=(
            (
                "POINTS",
                "Points",
                "Coloured points: quick, and there without this extension",
                "OUTLINER_OB_POINTCLOUD",
                0,
            ),
            ("SPLATS", "Splats", "Soft splats, drawn by this extension: close to the render", "SHADING_TEXTURE", 1),
            ("NONE", "Hidden", "Nothing in the viewport", "HIDE_ON", 2),
        ),
        update=_display_changed,
    )
