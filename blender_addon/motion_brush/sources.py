"""What a scene says about motion, gathered for the hint image: strokes, a painted mask, an object's silhouette."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import bpy
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from ..viewport.strokes_view import eye_of

if TYPE_CHECKING:
    import numpy as np

SIZE = (512, 1024)  # of the hint image: strokes are soft, more would not be seen
MASK_SIZE = (256, 512)  # rays from the eye for an object's silhouette
RED = 0.5  # how red a painted pixel must be to freeze
FREEZE_WORDS = ("freeze", "frozen", "still", "mask")  # in the name of an annotation layer


class BrushError(Exception):
    """Strokes or masks cannot be used. The text says why and what to do."""


def has_hint(scene: bpy.types.Scene) -> bool:
    """Whether the scene says anything about motion."""
    settings = scene.holotime
    return bool(len(settings.strokes) or settings.freeze_image or settings.freeze_object)


def write_hint(scene: bpy.types.Scene, path: Path) -> Path:
    """Draw the scene's hint image into a file."""
    from . import hint

    strokes = [_stroke(s) for s in scene.holotime.strokes if len(s.get("path", ())) >= 3]
    hint.write_png(path, hint.draw(strokes, frozen(scene), *SIZE))
    return path


def frozen(scene: bpy.types.Scene) -> "np.ndarray | None":
    """[H, W] bool of SIZE: what the painted mask and the freeze object hold still; None without either."""
    settings = scene.holotime
    masks = []
    if settings.freeze_image:
        masks.append(painted(settings.freeze_image))
    if settings.freeze_object:
        masks.append(_enlarge(silhouette(settings.freeze_object, eye_of(scene))))
    if not masks:
        return None
    return masks[0] if len(masks) == 1 else masks[0] | masks[1]


def painted(image: bpy.types.Image) -> "np.ndarray":
    """[H, W] bool of SIZE: where a freeze image is painted red."""
    import numpy as np

    width, height = image.size
    if not width or not height:
        raise BrushError(f"The freeze mask '{image.name}' holds no picture. Paint it anew, or leave it out.")
    pixels = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    pixels = pixels.reshape(height, width, image.channels)[::-1]
    red = pixels[..., 0] * (pixels[..., 3] if image.channels == 4 else 1.0)
    rows = ((np.arange(SIZE[0]) + 0.5) * height / SIZE[0]).astype(int)
    columns = ((np.arange(SIZE[1]) + 0.5) * width / SIZE[1]).astype(int)
    return red[rows][:, columns] > RED


def silhouette(obj: bpy.types.Object, eye: Vector) -> "np.ndarray":
    """[H, W] bool of MASK_SIZE: the pixels of the panorama that an object covers, seen from the eye."""
    import numpy as np

    graph = bpy.context.evaluated_depsgraph_get()
    tree = BVHTree.FromObject(obj, graph)
    height, width = MASK_SIZE
    mask = np.zeros(MASK_SIZE, bool)
    if tree is None:
        raise BrushError(f"'{obj.name}' has no faces, so it covers nothing. Choose another object to freeze.")
    to_object = obj.matrix_world.inverted_safe()
    start, turn = to_object @ eye, to_object.to_3x3()
    corners = [obj.matrix_world @ Vector(c) - eye for c in obj.bound_box]
    middle = sum(corners, Vector()) / 8
    if middle.length < 1e-6 or any(c.length < 1e-6 for c in corners):
        reach = -1.0
    else:
        reach = min(c.normalized().dot(middle.normalized()) for c in corners) - 1e-3
    inside = any(c.dot(middle) <= 0 for c in corners)  # the eye is in or beside the box: look everywhere
    axis = middle.normalized()
    for i in range(height):
        phi = math.pi * (0.5 - (i + 0.5) / height)
        for j in range(width):
            lam = 2 * math.pi * ((j + 0.5) / width - 0.5)
            look = Vector((math.cos(phi) * math.sin(lam), math.cos(phi) * math.cos(lam), math.sin(phi)))
            if (inside or look.dot(axis) >= reach) and tree.ray_cast(start, turn @ look)[0] is not None:
                mask[i, j] = True
    return mask


def strokes_from_annotations(scene: bpy.types.Scene) -> int:
    """Turn the scene's annotation strokes into brush strokes; how many came. BrushError when there are none to use.

    A layer whose name says freeze (or still, frozen, mask) freezes; all others move.
    """
    pencil = getattr(scene, "annotation", None) or getattr(scene, "grease_pencil", None)
    eye, settings, count, flat = eye_of(scene), scene.holotime, 0, 0
    for layer in pencil.layers if pencil else ():
        freeze = any(word in layer.info.lower() for word in FREEZE_WORDS)
        # The active frame is known only once the layer was drawn in a window.
        before = [f for f in layer.frames if f.frame_number <= scene.frame_current]
        frame = layer.active_frame or max(before, key=lambda f: f.frame_number, default=None)
        for drawn in frame.strokes if frame else ():
            if drawn.display_mode != "3DSPACE":
                flat += 1
                continue
            add_stroke(settings, [Vector(p.co) - eye for p in drawn.points], freeze)
            count += 1
    if not count:
        placed = " The strokes are drawn onto the screen: set the annotation tool's placement to 3D Cursor or Surface."
        raise BrushError(f"There are no annotation strokes in the scene's space.{placed if flat else ''}")
    return count


def add_stroke(settings, looks: list[Vector], freeze: bool) -> None:
    """Add a brush stroke along directions from the eye, with the brush's present radius and speed."""
    item = settings.strokes.add()
    item.kind = "FREEZE" if freeze else "MOVE"
    item.radius, item.speed = settings.brush_radius, settings.brush_speed
    item["path"] = [c for look in looks for c in look.normalized()]


def _stroke(item):
    """A stored stroke as the drawing code wants it."""
    import numpy as np

    from .hint import Stroke

    path = np.array(list(item["path"]), np.float32).reshape(-1, 3)
    return Stroke(path, item.radius, item.speed, item.kind == "FREEZE")


def _enlarge(mask: "np.ndarray") -> "np.ndarray":
    """A mask of MASK_SIZE at SIZE."""
    import numpy as np

    rows = (np.arange(SIZE[0]) * MASK_SIZE[0] // SIZE[0]).astype(int)
    columns = (np.arange(SIZE[1]) * MASK_SIZE[1] // SIZE[1]).astype(int)
    return mask[rows][:, columns]
