"""Settings of the next camera."""

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, FloatProperty, StringProperty


def _camera_items(self, context):
    from ..cameras.presets import enum_items

    return enum_items()


def _preset_chosen(self, context) -> None:
    self.load_camera_parameters()
    _show(self, context)


def _show(self, context) -> None:
    from ..viewport import path_view

    path_view.refresh()


class HoloTimeCameraParameter(bpy.types.PropertyGroup):
    """One parameter of a camera preset; its name is the parameter's."""

    def _clamp(self, context) -> None:
        clamped = min(max(self.value, self.minimum), self.maximum)
        clamped = float(round(clamped)) if self.integer else clamped
        if clamped != self.value:
            self.value = clamped
        _show(self, context)

    title: StringProperty()
    unit: StringProperty()
    minimum: FloatProperty()
    maximum: FloatProperty()
    integer: BoolProperty()
    value: FloatProperty(name="Value", description="In the unit beside it", update=_clamp)


class CameraSettings:
    """The preset path and its parameters."""

    camera_preset: EnumProperty(
        name="Path", description="How the camera travels", items=_camera_items, update=_preset_chosen
    )
    camera_parameters: CollectionProperty(type=HoloTimeCameraParameter, description="Parameters of the chosen path")
    camera_duration: FloatProperty(
        name="Duration",
        description="Length of the path in seconds; 0: the preset's own",
        default=0.0,
        min=0.0,
        max=3600.0,
        subtype="TIME_ABSOLUTE",
        unit="TIME_ABSOLUTE",
        update=_show,
    )
    show_path: BoolProperty(
        name="Show Path",
        description="Draw the chosen path and where the camera looks in the 3D View, before it is added",
        default=False,
        update=_show,
    )
    clamp_to_safe: BoolProperty(
        name="Stay in the Safe Volume",
        description="Shorten the path where it would leave the volume in which the world holds up",
        default=True,
        update=_show,
    )
    show_safe: BoolProperty(
        name="Show Safe Volume",
        description="Draw the volume in which the camera may travel before holes and smears show",
        default=False,
        update=_show,
    )

    def load_camera_parameters(self) -> None:
        """Put the chosen preset's parameters with their defaults into ``camera_parameters``."""
        from ..cameras.presets import presets

        self.camera_parameters.clear()
        self.camera_duration = presets()[self.camera_preset].duration
        for parameter in presets()[self.camera_preset].parameters.values():
            item = self.camera_parameters.add()
            item.name, item.title, item.unit = parameter.name, parameter.title, parameter.unit
            item.minimum, item.maximum, item.integer = parameter.minimum, parameter.maximum, parameter.integer
            item.value = parameter.default
