"""A scene's splats on the graphics card: uploaded once, sorted when the view's direction or the time changes."""

from dataclasses import dataclass

import bpy
import numpy as np

from . import splat_shader
from .splat_sort import back_to_front, depths_at

TURNED = 0.9998  # cosine of the change of direction (about a degree) from which the order is made anew

_shader = None
_batch = None


@dataclass
class SplatArrays:
    """What is drawn of a scene; N splats, object space, display colours."""

    means: np.ndarray  # [N, 3] metres
    motion: np.ndarray  # [N, 3, 3] metres per t, t^2, t^3
    t_centers: np.ndarray  # [N]
    inverse_widths: np.ndarray  # [N] 1 / the time window's width; 0 is always
    opacities: np.ndarray  # [N] 0..1
    quats: np.ndarray  # [N, 4] wxyz
    omegas: np.ndarray  # [N, 4] per t
    scales: np.ndarray  # [N, 3] metres
    colors: np.ndarray  # [N, 3] sRGB

    def __len__(self) -> int:
        return len(self.means)

    def take(self, keep: np.ndarray) -> "SplatArrays":
        """Some of the splats."""
        return SplatArrays(**{name: value[keep] for name, value in vars(self).items()})


def arrays_of(mesh: bpy.types.Mesh) -> SplatArrays:
    """Read them back from an imported mesh. KeyError when it lacks an attribute."""
    count = len(mesh.vertices)

    def get(name: str, field: str, width: int) -> np.ndarray:
        out = np.empty(count * width, np.float32)
        mesh.attributes[name].data.foreach_get(field, out)
        return out.reshape(count, width) if width > 1 else out

    linear = get("splat_color", "color", 4)[:, :3]
    colors = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    return SplatArrays(
        means=get("position", "vector", 3),
        motion=np.stack([get(f"motion{k}", "vector", 3) for k in (1, 2, 3)], 1),
        t_centers=get("t_center", "value", 1),
        inverse_widths=np.exp(-np.minimum(get("t_log_scale", "value", 1), 9.0)),
        opacities=get("opacity", "value", 1),
        quats=get("rotation", "value", 4),
        omegas=get("omega", "color", 4),
        scales=get("scale", "vector", 3),
        colors=colors.astype(np.float32),
    )


class SplatDrawer:
    """Draws one scene. Make and use it only where a GPU context is: in draw handlers, or with an offscreen."""

    def __init__(self, arrays: SplatArrays) -> None:
        """Upload the splats."""
        self._means = arrays.means
        self._moving = np.flatnonzero(arrays.motion.any((1, 2)))  # most splats stand still: only these cost time
        self._motion, self._centers = arrays.motion[self._moving], arrays.t_centers[self._moving]
        self._count = len(arrays)
        self._data = _texture(_packed(arrays), "RGBA32F")
        self._order = None
        self._sorted: tuple[float, np.ndarray] | None = None
        self.sorts = 0  # how often the order was made

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
    ) -> None:
        """Blend the splats over what is there, hidden by what is nearer.

        modelview and projection [4, 4] (row-major, column vectors), viewport in pixels, time in [0, 1], low_pass
        the least standard deviation of a splat as an angle (radians) at the object's origin. ``linear``: the target
        takes linear light and encodes it itself, as the 3D View's does.
        """
        import gpu

        self.sort(modelview, time)
        shader, batch = _tools()
        flat = projection[3][3] == 1.0
        column = 3 if flat else 2
        lens = (projection[0][0], projection[1][1], projection[0][column], projection[1][column])
        gpu.state.blend_set("ALPHA_PREMULT")
        gpu.state.depth_test_set("LESS_EQUAL")
        gpu.state.depth_mask_set(False)
        try:
            shader.bind()
            shader.uniform_sampler("data", self._data)
            shader.uniform_sampler("order", self._order)
            for name, row in zip(("view_x", "view_y", "view_z"), modelview, strict=False):
                shader.uniform_float(name, tuple(row))
            shader.uniform_float("lens", lens)
            shader.uniform_float("depths", (projection[2][2], projection[2][3], float(flat), float(linear)))
            shader.uniform_float("viewport", viewport)
            for name, value in (("time", time), ("fade", opacity), ("size", size), ("widen", low_pass)):
                shader.uniform_float(name, value)
            batch.draw_instanced(shader, instance_count=self._count)
        finally:
            gpu.state.blend_set("NONE")
            gpu.state.depth_test_set("NONE")

    def sort(self, modelview: np.ndarray, time: float) -> None:
        """Make the order unless the last one still fits. Directions decide, not places: that is what depth is along."""
        away = -np.asarray(modelview, np.float32)[2, :3]
        axis = away / max(float(np.linalg.norm(away)), 1e-9)
        if self._sorted and self._sorted[0] == time and float(self._sorted[1] @ axis) > TURNED:
            return
        depth = self._means @ axis
        depth[self._moving] = depths_at(self._means[self._moving], self._motion, self._centers, time, axis)
        order = back_to_front(depth)
        self._order = _texture(order.astype(np.float32), "R32F")
        self._sorted = (time, axis)
        self.sorts += 1


def forget_shader() -> None:
    """Let go of the shader, for when the extension is switched off."""
    global _shader, _batch
    _shader = _batch = None


def _packed(arrays: SplatArrays) -> np.ndarray:
    """[N * TEXELS * 4] float32 in the order that the shader reads."""
    data = np.zeros((len(arrays), splat_shader.TEXELS, 4), np.float32)
    data[:, 0, :3], data[:, 0, 3] = arrays.means, arrays.t_centers
    data[:, 1:4, :3] = arrays.motion
    data[:, 1, 3], data[:, 2, 3] = arrays.opacities, arrays.inverse_widths
    data[:, 4], data[:, 5] = arrays.quats, arrays.omegas
    data[:, 6, :3], data[:, 7, :3] = arrays.scales, arrays.colors
    return data.reshape(-1)


def _texture(values: np.ndarray, layout: str):
    """A 2D texture of rows of WIDTH texels, filled up with zeros."""
    import gpu

    channels = 4 if layout == "RGBA32F" else 1
    rows = -(-len(values) // (channels * splat_shader.WIDTH))
    total = rows * splat_shader.WIDTH * channels
    if total != len(values):
        values = np.concatenate([values, np.zeros(total - len(values), np.float32)])
    buffer = gpu.types.Buffer("FLOAT", total, np.ascontiguousarray(values, np.float32))
    return gpu.types.GPUTexture((splat_shader.WIDTH, rows), format=layout, data=buffer)


def _tools():
    """(shader, batch of one quad), made at the first call."""
    global _shader, _batch
    if _shader is None:
        from gpu_extras.batch import batch_for_shader

        _shader = splat_shader.make()
        corners = [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)]
        _batch = batch_for_shader(_shader, "TRI_STRIP", {"corner": corners})
    return _shader, _batch
