"""Draw handlers of the 3D View: added once, taken away when nothing needs them, errors shown instead of repeated."""

from collections.abc import Callable

import bpy

problem = ""  # why a view cannot be drawn on this computer; empty while all can

on_failure: list[Callable[[str], None]] = []  # called with the name of a view that cannot be drawn

_handles: dict[str, object] = {}


def on(name: str, draw: Callable[[], None]) -> None:
    """Call ``draw`` after every 3D View's scene was drawn, until :func:`off`. In a background Blender: nothing."""
    if name in _handles or bpy.app.background:
        return

    def guarded() -> None:
        global problem
        try:
            draw()
        except Exception as error:  # a handler that raises would fill the console at every redraw
            problem = f"The {name} cannot be drawn: {error}"
            off(name)
            bpy.app.timers.register(lambda: _tell(name), first_interval=0.0)

    _handles[name] = bpy.types.SpaceView3D.draw_handler_add(guarded, (), "WINDOW", "POST_VIEW")


def _tell(name: str) -> None:
    for function in on_failure:
        function(name)


def off(name: str) -> None:
    """Stop drawing it."""
    handle = _handles.pop(name, None)
    if handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(handle, "WINDOW")


def is_on(name: str) -> bool:
    """Whether it is being drawn."""
    return name in _handles


def off_all() -> None:
    """Stop drawing everything."""
    for name in list(_handles):
        off(name)


def redraw() -> None:
    """Have all 3D Views drawn again."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "WINDOW":
                        region.tag_redraw()


def redraw_soon() -> None:
    """The same, from a draw handler: a region that is being drawn cannot be asked to be drawn again."""
    if not bpy.app.timers.is_registered(redraw):
        bpy.app.timers.register(redraw, first_interval=0.01)
