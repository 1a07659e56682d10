"""What all panels of the tab HoloTime share."""

import textwrap
from pathlib import Path

from ..client import tasks
from ..operators.setup import SETTING_UP


class Panel:
    """In the 3D View's sidebar, tab HoloTime; properties with their names on the left."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "HoloTime"


def column(layout):
    """A column of properties in Blender's usual form."""
    col = layout.column()
    col.use_property_split = True
    col.use_property_decorate = False
    return col


def lines(layout, context, text: str, icon: str = "NONE") -> None:
    """A text of any length, wrapped to the sidebar's width."""
    scale = context.preferences.system.ui_scale
    width = max(24, int((context.region.width / scale - (56 if icon != "NONE" else 36)) / 6.1))
    col = layout.column(align=True)
    col.scale_y = 0.75
    parts = [line for part in text.splitlines() for line in textwrap.wrap(part, width)]
    for i, line in enumerate(parts):
        col.label(text=line, icon=icon if i == 0 else "BLANK1" if icon != "NONE" else "NONE")


def written(layout, path: str) -> None:
    """A file that was made, with a button that shows its folder."""
    row = layout.row(align=True)
    row.label(text=Path(path).name, icon="CHECKMARK")
    row.operator("wm.path_open", text="", icon="FILE_FOLDER").filepath = str(Path(path).parent)


def under_way(layout, *, setting_up: bool) -> None:
    """What Blender itself is doing in small steps: the sidecar being set up, or files coming and going."""
    for task in tasks.running:
        if (task.title == SETTING_UP) == setting_up:
            layout.progress(factor=task.step.fraction, text=f"{task.title}: {task.step.text}")


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def memory(count: float) -> str:
    """Bytes as people say them."""
    return f"{count / 1e9:.1f} GB"
