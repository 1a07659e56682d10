"""What the panels show and a .blend keeps: settings of a scene, what an imported object was made from, the job list."""

import bpy

from .camera import CameraSettings, HoloTimeCameraParameter
from .common import RELATIVE
from .job import HoloTimeStroke, MotionSettings, QualitySettings, WorldSettings
from .objects import HoloTimeObjectSettings
from .queue import HoloTimeQueue, HoloTimeQueueItem
from .render import RenderSettings

__all__ = ["CLASSES", "RELATIVE", "register", "unregister"]


class HoloTimeSceneSettings(
    WorldSettings, MotionSettings, QualitySettings, CameraSettings, RenderSettings, bpy.types.PropertyGroup
):
    """Settings of the next job, camera and video of a scene."""


CLASSES = (
    HoloTimeStroke,
    HoloTimeCameraParameter,
    HoloTimeSceneSettings,
    HoloTimeObjectSettings,
    HoloTimeQueueItem,
    HoloTimeQueue,
)


def register() -> None:
    """Hang the groups onto Blender's types; their classes are registered already."""
    bpy.types.Scene.holotime = bpy.props.PointerProperty(type=HoloTimeSceneSettings)
    bpy.types.Object.holotime = bpy.props.PointerProperty(type=HoloTimeObjectSettings)
    bpy.types.WindowManager.holotime = bpy.props.PointerProperty(type=HoloTimeQueue)


def unregister() -> None:
    """Take them off again."""
    del bpy.types.WindowManager.holotime
    del bpy.types.Object.holotime
    del bpy.types.Scene.holotime
