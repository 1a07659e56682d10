"""Operators of the motion brush: draw strokes in the 3D View, take them from annotations, paint a freeze mask."""

import bpy
from bpy.props import BoolProperty
from bpy_extras import view3d_utils
from mathutils import Vector

from ..motion_brush import sources
from ..viewport import strokes_view

MASK = "HoloTime Freeze"
MASK_WIDTH = 1024
STEP = 0.004  # least change of direction, in radians, that adds a point to a stroke


class HOLOTIME_OT_motion_brush(bpy.types.Operator):
    """Draw in the 3D View where things move. Drag: move along the stroke; Ctrl drag: freeze; [ and ]: brush size; \
Backspace: take back a stroke; Enter or Esc: done"""

    bl_idname = "holotime.motion_brush"
    bl_label = "Draw Motion"
    bl_options = {"REGISTER", "UNDO"}

    _STATUS = "Drag: move   Ctrl drag: freeze   [ ]: size   Backspace: take back   Enter: done"

    @classmethod
    def poll(cls, context):
        """Only in a 3D View."""
        cls.poll_message_set("Only in a 3D View's sidebar")
        return context.area is not None and context.area.type == "VIEW_3D"

    def invoke(self, context, event):
        """Begin to listen to the mouse."""
        self._looks: list[Vector] = []
        self._drawing = self._freeze = False
        self._region = next(r for r in context.area.regions if r.type == "WINDOW")
        context.scene.holotime.show_strokes = True
        context.window.cursor_modal_set("PAINT_BRUSH")
        context.workspace.status_text_set(self._STATUS)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        """One event: draw, change the size, take back, or end."""
        settings = context.scene.holotime
        if event.type in {"RET", "NUMPAD_ENTER", "ESC", "RIGHTMOUSE"} and event.value == "PRESS":
            return self._end(context)
        if event.type == "BACK_SPACE" and event.value == "PRESS" and len(settings.strokes):
            settings.strokes.remove(len(settings.strokes) - 1)
        elif event.type in {"LEFT_BRACKET", "RIGHT_BRACKET"} and event.value == "PRESS":
            settings.brush_radius *= 0.8 if event.type == "LEFT_BRACKET" else 1.25
        elif event.type == "LEFTMOUSE" and event.value == "PRESS" and self._over(event):
            self._drawing, self._freeze, self._looks = True, event.ctrl, [self._look(context, event)]
        elif event.type == "LEFTMOUSE" and event.value == "RELEASE" and self._drawing:
            self._drawing = False
            if len(self._looks) > 1 or self._freeze:
                sources.add_stroke(settings, self._looks, self._freeze)
        elif event.type == "MOUSEMOVE" and self._drawing:
            look = self._look(context, event)
            if look.angle(self._looks[-1], 0.0) > STEP:
                self._looks.append(look)
        else:
            return {"PASS_THROUGH"}
        strokes_view.refresh()
        return {"RUNNING_MODAL"}

    def execute(self, context):
        """From scripts there is no mouse."""
        self.report({"ERROR"}, "The motion brush needs a mouse. From scripts, use strokes_from_annotations.")
        return {"CANCELLED"}

    def _over(self, event) -> bool:
        """Whether the mouse is over the view itself and not over its sidebar."""
        region = self._region
        inside = 0 <= event.mouse_x - region.x < region.width and 0 <= event.mouse_y - region.y < region.height
        area = bpy.context.area
        bars = [r for r in area.regions if r.type in {"UI", "TOOLS", "HEADER", "TOOL_HEADER"} and r.width > 1]
        hit = any(0 <= event.mouse_x - r.x < r.width and 0 <= event.mouse_y - r.y < r.height for r in bars)
        return inside and not hit

    def _look(self, context, event) -> Vector:
        """The direction from the eye to what is under the mouse: the point where the view's ray leaves the sphere."""
        at = (event.mouse_x - self._region.x, event.mouse_y - self._region.y)
        view = context.space_data.region_3d
        start = view3d_utils.region_2d_to_origin_3d(self._region, view, at)
        ray = view3d_utils.region_2d_to_vector_3d(self._region, view, at).normalized()
        start = start - strokes_view.eye_of(context.scene)
        # |start + s ray| = DISTANCE, the farther of the two solutions; straight on for an eye outside that misses it.
        middle = start.dot(ray)
        under = middle * middle - start.length_squared + strokes_view.DISTANCE**2
        return (start + ray * (-middle + under**0.5)).normalized() if under > 0 else ray

    def _end(self, context):
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)
        strokes_view.refresh()
        return {"FINISHED"}


class HOLOTIME_OT_strokes_from_annotations(bpy.types.Operator):
    """Turn annotation strokes into motion strokes; a layer with 'freeze' in its name freezes what it covers"""

    bl_idname = "holotime.strokes_from_annotations"
    bl_label = "From Annotations"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        """Add a stroke for each."""
        try:
            count = sources.strokes_from_annotations(context.scene)
        except sources.BrushError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        strokes_view.refresh()
        self.report({"INFO"}, f"{count} strokes added")
        return {"FINISHED"}


class HOLOTIME_OT_clear_strokes(bpy.types.Operator):
    """Remove all strokes of the motion brush"""

    bl_idname = "holotime.clear_strokes"
    bl_label = "Clear Strokes"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        """Only while there are some."""
        cls.poll_message_set("There are no strokes")
        return len(context.scene.holotime.strokes) > 0

    def execute(self, context):
        """Remove them."""
        context.scene.holotime.strokes.clear()
        strokes_view.refresh()
        return {"FINISHED"}


class HOLOTIME_OT_paint_freeze_mask(bpy.types.Operator):
    """Paint in red, on the panorama around the eye, what must not move; uses Blender's own Texture Paint mode"""

    bl_idname = "holotime.paint_freeze_mask"
    bl_label = "Paint Mask"
    bl_options = {"REGISTER", "UNDO"}

    enter: BoolProperty(name="Enter Texture Paint", description="Begin to paint at once", default=True)

    def execute(self, context):
        """Make the mask image and a sphere to paint it on, and enter Texture Paint."""
        from ..motion_brush.paint_sphere import paint_sphere

        scene, settings = context.scene, context.scene.holotime
        image = settings.freeze_image
        if image is None:
            image = bpy.data.images.new(MASK, MASK_WIDTH, MASK_WIDTH // 2, alpha=True)
            image.generated_color = (0.0, 0.0, 0.0, 0.0)
            image.pack()  # painted pixels are saved with the .blend
            settings.freeze_image = image
        obj = paint_sphere(scene, image, bpy.path.abspath(settings.panorama) if settings.panorama else "")
        for other in context.selected_objects:
            other.select_set(False)
        obj.select_set(True)
        context.view_layer.objects.active = obj
        if self.enter:
            bpy.ops.object.mode_set(mode="TEXTURE_PAINT")
            self._red_brush(context)
        return {"FINISHED"}

    def _red_brush(self, context) -> None:
        paint = context.tool_settings.image_paint
        if paint.brush:  # none without a window, where the asset library is not loaded
            paint.brush.color = (1.0, 0.0, 0.0)
        unified = getattr(paint, "unified_paint_settings", None) or context.tool_settings.unified_paint_settings
        unified.color = (1.0, 0.0, 0.0)


CLASSES = (
    HOLOTIME_OT_motion_brush,
    HOLOTIME_OT_strokes_from_annotations,
    HOLOTIME_OT_clear_strokes,
    HOLOTIME_OT_paint_freeze_mask,
)
