"""A scene's splats on the graphics card: uploaded piece by piece, sorted when direction or time change."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import bpy
import numpy as np

from ..client.background import Background
from . import splat_shader
from .splat_arrays import LONGEST_WIDTH, WIDTH, SplatArrays, planes
from .splat_sort import back_to_front, depths_at

__all__ = ["SplatArrays", "SplatDrawer", "Upload", "arrays_of", "reading"]

UPLOAD_SECONDS = 0.002  # of a redraw
TURNED = 0.9998  # cosine of the change of direction (about a degree) from which the order is made anew

_shader = None
_batch = None


def arrays_of(data: bpy.types.Mesh | bpy.types.PointCloud) -> SplatArrays:
    """Read them back from what was imported. KeyError when it lacks an attribute."""
    return reading(data)()


def reading(data: bpy.types.Mesh | bpy.types.PointCloud) -> Callable[[], SplatArrays]:
    """The same in two parts: Blender's values are copied now, quickly; the call, in any thread, does the rest."""
    count = len(data.attributes["position"].data)

    def get(name: str, field: str, width: int) -> np.ndarray:
        out = np.empty(count * width, np.float32)
        data.attributes[name].data.foreach_get(field, out)
        return out.reshape(count, width) if width > 1 else out

    linear, widths = get("splat_color", "color", 4), get("t_log_scale", "value", 1)
    motion = [get(f"motion{k}", "vector", 3) for k in (1, 2, 3)]
    rest = {
        "means": get("position", "vector", 3),
        "t_centers": get("t_center", "value", 1),
        "opacities": get("opacity", "value", 1),
        "quats": get("rotation", "value", 4),
        "omegas": get("omega", "color", 4),
        "scales": get("scale", "vector", 3),
    }

    def arrays() -> SplatArrays:
        c = linear[:, :3]
        colors = np.where(c <= 0.0031308, 12.92 * c, 1.055 * np.maximum(c, 1e-9) ** (1 / 2.4) - 0.055)
        return SplatArrays(
            motion=np.stack(motion, 1),
            inverse_widths=np.exp(-np.minimum(widths, LONGEST_WIDTH)),
            colors=colors.astype(np.float32),
            **rest,
        )

    return arrays


@dataclass(frozen=True)
class _Sorting:
    """What the order depends on; most splats stand still, and only those that move cost time."""

    means: np.ndarray  # [N, 3]
    moving: np.ndarray  # [M] indices
    motion: np.ndarray  # [M, 3, 3]
    centers: np.ndarray  # [M]

    def order(self, time: float, axis: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
        """([rows, WIDTH] splats from the farthest to the nearest along ``axis`` [3] at ``time``, these two)."""
        depth = self.means @ axis
        depth[self.moving] = depths_at(self.means[self.moving], self.motion, self.centers, time, axis)
        rows = -(-len(depth) // WIDTH)
        out = np.zeros(rows * WIDTH, np.float32)
        out[: len(depth)] = back_to_front(depth)
        return out.reshape(rows, WIDTH), time, axis


@dataclass(frozen=True)
class Upload:
    """Splats in the form that the card takes; made without it, so in any thread."""

    sorting: _Sorting
    planes: list[np.ndarray]

    @classmethod
    def of(cls, arrays: SplatArrays) -> "Upload":
        """All of these splats."""
        moving = np.flatnonzero(arrays.motion.any((1, 2)))
        sorting = _Sorting(arrays.means, moving, arrays.motion[moving], arrays.t_centers[moving])
        return cls(sorting, planes(arrays))


class SplatDrawer:
    """Draws one scene. Make and use it only where a GPU context is: in draw handlers, or with an offscreen."""

    def __init__(self, arrays: SplatArrays | None = None) -> None:
        """``arrays`` are uploaded now; without them there is nothing to draw until :meth:`upload` has brought some."""
        self._making: Background | None = None
        self._textures: list = []
        self._coming: tuple[_Sorting, list[np.ndarray], list] | None = None
        self._order = None
        self._sorted: tuple[float, np.ndarray] | None = None
        self._ordering: Background | None = None
        self.sorts = 0  # how often the order was made
        if arrays is not None:
            self.replace(Upload.of(arrays))
            while self.upload():
                pass

    def prepare(self, make: Callable[[], "Upload"]) -> None:
        """Draw what ``make`` gives, which runs on another thread, from when it is on the card."""
        self._making = Background(make)

    def go_on(self, seconds: float) -> bool:
        """Bring more to the card, for about so long and at least one texture; whether something is left to do."""
        if self._making and self._making.done():
            making, self._making = self._making, None
            self.replace(making.result())
        end = time.perf_counter() + seconds
        more = self.upload()
        while more and time.perf_counter() < end:
            more = self.upload()
        return more or self._making is not None

    def replace(self, upload: "Upload") -> None:
        """Draw these splats instead, from when they are all on the card; one that was under way is given up."""
        self._coming = (upload.sorting, list(upload.planes), [])

    def upload(self) -> bool:
        """Bring one more texture to the card (a millisecond or two); whether something is left to do."""
        if self._coming is None:
            return False
        sorting, left, here = self._coming
        here.append(_texture(left.pop(0), "RGBA32F"))
        if not left:
            if self._textures and len(sorting.means) != len(self._sorting.means):
                self._order = None
            self._sorting, self._textures, self._coming, self._sorted = sorting, here, None, None
            self._ordering = None
        return bool(left)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw yet."""
        return not self._textures

    def draw(
        self,
        modelview: np.ndarray,
        projection: np.ndarray,
        viewport: tuple[float, float],
        *,
        time: float,
        opacity: float = 1.0,
        size: float = 1.0,
        low_pass: float = 0.0,
        linear: bool = False,
        wait: bool = True,
    ) -> None:
        """Blend the splats over what is there, hidden by what is nearer.

        modelview and projection [4, 4] (row-major, column vectors), viewport in pixels, time in [0, 1], low_pass
        the least standard deviation of a splat as an angle (radians) at the object's origin. ``linear``: the target
        takes linear light and encodes it itself, as the 3D View's does. ``wait``: see :meth:`sort`.
        """
        import gpu

        self.sort(modelview, time, wait=wait)
        shader, batch = _tools()
        flat = projection[3][3] == 1.0
        column = 3 if flat else 2
        lens = (projection[0][0], projection[1][1], projection[0][column], projection[1][column])
        gpu.state.blend_set("ALPHA_PREMULT")
        gpu.state.depth_test_set("LESS_EQUAL")
        gpu.state.depth_mask_set(False)
        try:
            shader.bind()
            for k, texture in enumerate(self._textures):
                shader.uniform_sampler(f"data{k}", texture)
            shader.uniform_sampler("order", self._order)
            for name, row in zip(("view_x", "view_y", "view_z"), modelview, strict=False):
                shader.uniform_float(name, tuple(row))
            shader.uniform_float("lens", lens)
            shader.uniform_float("depths", (projection[2][2], projection[2][3], float(flat), float(linear)))
            shader.uniform_float("viewport", viewport)
            for name, value in (("time", time), ("fade", opacity), ("size", size), ("widen", low_pass)):
                shader.uniform_float(name, value)
            batch.draw_instanced(shader, instance_count=len(self._sorting.means))
        finally:
            gpu.state.blend_set("NONE")
            gpu.state.depth_test_set("NONE")

    def sort(self, modelview: np.ndarray, time: float, *, wait: bool = True) -> None:
        """Make the order unless the last one still fits. Directions decide, not places: that is what depth is along.

        Without ``wait`` it is made on another thread, the last one serves until then, and :attr:`pending` says so.
        """
        away = -np.asarray(modelview, np.float32)[2, :3]
        axis = away / max(float(np.linalg.norm(away)), 1e-9)
        if self._ordering and self._ordering.done():
            ordering, self._ordering = self._ordering, None
            self._take_order(*ordering.result())
        if self._sorted and self._sorted[0] == time and float(self._sorted[1] @ axis) > TURNED:
            return
        sorting = self._sorting
        if wait or self._order is None:
            self._take_order(*sorting.order(time, axis))
        elif self._ordering is None:
            self._ordering = Background(lambda: sorting.order(time, axis))

    @property
    def pending(self) -> bool:
        """Whether a better order is being made."""
        return self._ordering is not None

    def _take_order(self, order: np.ndarray, time: float, axis: np.ndarray) -> None:
        self._order = _texture(order, "R32F")
        self._sorted = (time, axis)
        self.sorts += 1


def forget_shader() -> None:
    """Let go of the shader, for when the extension is switched off."""
    global _shader, _batch
    _shader = _batch = None


def _texture(values: np.ndarray, layout: str):
    """A 2D texture of values [rows, WIDTH(, 4)]."""
    import gpu

    buffer = gpu.types.Buffer("FLOAT", values.size, values.reshape(-1))
    return gpu.types.GPUTexture((WIDTH, len(values)), format=layout, data=buffer)


def _tools():
    """(shader, batch of one quad), made at the first call."""
    global _shader, _batch
    if _shader is None:
        from gpu_extras.batch import batch_for_shader

        _shader = splat_shader.make()
        corners = [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)]
        _batch = batch_for_shader(_shader, "TRI_STRIP", {"corner": corners})
    return _shader, _batch
