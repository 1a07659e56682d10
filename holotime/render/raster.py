"""The CPU rasterizer: footprints blended front to back, and the adjoint of that with respect to the colours.

Blending as in 3D Gaussian splatting (Kerbl et al. 2023): alpha = min(0.99, opacity exp(-q/2)), contributions under
1/255 skipped, weight = alpha T with T the transmittance so far, a pixel closed once T < 1e-4. (The published kernel
drops the splat that would close a pixel; here it still counts, which leaves no 1 % hole behind two opaque splats.)

Each splat visits only the pixels of its own box inside a tile. The picture does not depend on the number of threads.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holotime.errors import InputError
from holotime.render.cameras import Camera, Picture
from holotime.render.jit import compiled, spread
from holotime.render.project import LOW_PASS, project, ray_tables
from holotime.render.tiles import TILE, bin_tiles
from holotime.scene4d import Gaussians

ALPHA_MAX = 0.99
CLOSED = 1e-4  # transmittance at which a pixel is finished
TILES_PER_RANGE = 16
FAST = {"contract", "reassoc", "nsz", "arcp"}  # no assumption about NaN or infinity


@compiled(fastmath=FAST, error_model="numpy")
def _blend(
    start,
    stop,
    width,
    height,
    across,
    offsets,
    entries,
    footprints,
    boxes,
    rows,
    columns,
    bend,
    values,
    color,
    trans,
    distance,
    sums,
):
    """Blend tiles [start, stop) front to back.

    Forward (``sums`` [0, 4]): values [N, 3] are colours, added to ``color`` [H, W, 3] with the weights; likewise
    ``distance`` [H, W]. Adjoint (``sums`` [E, 4]): ``color`` is a residual image, gathered with the same weights into
    the sums of each entry (three channels, then the weight). ``trans`` [H, W] starts at 1, or at 0 where no light
    falls. ``bend`` [H, W] belongs to a fisheye (see ``ray_tables``), else it is empty.
    """
    half, most, closed = np.float32(-0.5), np.float32(ALPHA_MAX), np.float32(CLOSED)
    zero, one = np.float32(0.0), np.float32(1.0)
    forward, bent = len(sums) == 0, len(bend) > 0
    for tile in range(start, stop):
        left, top = (tile % across) * TILE, (tile // across) * TILE
        right, bottom = min(left + TILE, width), min(top + TILE, height)
        open_pixels = (right - left) * (bottom - top)
        for entry in range(offsets[tile], offsets[tile + 1]):
            s = entries[entry]
            f = footprints[s]
            ax, ay, az, bx, by, bz, ux, uy, uz = f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8]
            opacity, reach, far = f[9], f[10], f[11]
            red, green, blue = zero, zero, zero
            if forward:
                red, green, blue = values[s, 0], values[s, 1], values[s, 2]
            s0, s1, s2, s3 = zero, zero, zero, zero
            y0, y1 = max(top, boxes[s, 2]), min(bottom, boxes[s, 2] + boxes[s, 3])
            for part in range(2):  # the box, and what of it lies beyond the seam
                shift = 0 if part == 0 else width
                x0, x1 = max(left, boxes[s, 0] - shift), min(right, boxes[s, 0] + boxes[s, 1] - shift)
                if x1 <= x0:
                    continue
                for y in range(y0, y1):
                    r0, r1 = rows[y, 0], rows[y, 1]
                    apart, bpart, upart = ay * r1, by * r1, uy * r1
                    for x in range(x0, x1):
                        t = trans[y, x]
                        if t < closed:
                            continue
                        c0, c1 = r0 * columns[x, 0], bend[y, x] if bent else r0 * columns[x, 1]
                        u = ux * c0 + uz * c1 + upart
                        a = ax * c0 + az * c1 + apart
                        b = bx * c0 + bz * c1 + bpart
                        q = a * a + b * b
                        if u <= zero or q > reach * u * u:
                            continue
                        alpha = min(most, opacity * math.exp(half * q / (u * u)))
                        w = alpha * t
                        if forward:
                            color[y, x, 0] += w * red
                            color[y, x, 1] += w * green
                            color[y, x, 2] += w * blue
                            distance[y, x] += w * far
                        else:
                            s0 += w * color[y, x, 0]
                            s1 += w * color[y, x, 1]
                            s2 += w * color[y, x, 2]
                            s3 += w
                        t *= one - alpha
                        trans[y, x] = t
                        if t < closed:
                            open_pixels -= 1
            if not forward:
                sums[entry, 0], sums[entry, 1], sums[entry, 2], sums[entry, 3] = s0, s1, s2, s3
            if open_pixels == 0:
                break


@compiled()
def _collect(entries, sums, total):
    """Add the sums [E, 4] of the entries to their splats' totals [N, 4], always in the same order."""
    for entry in range(len(entries)):
        for k in range(4):
            total[entries[entry], k] += sums[entry, k]


@dataclass(frozen=True)
class Footprints:
    """Splats projected and binned for one camera: draw them with any colours, or gather an image back to them.

    Made by :func:`prepare`. Sweeps that change only colours keep one of these and skip projection and sorting.
    """

    camera: Camera
    footprints: NDArray[np.float32]  # [N, 12] see project.py
    boxes: NDArray[np.int32]  # [N, 4] first column, columns, first row, rows
    offsets: NDArray[np.int64]  # [tiles + 1] where each tile's entries start
    entries: NDArray[np.int32]  # [E] splat indices, nearest first within a tile

    def _run(self, values: NDArray, color: NDArray, trans: NDArray, distance: NDArray, sums: NDArray) -> None:
        width, height = self.camera.width, self.camera.height
        rows, columns, bend = ray_tables(self.camera)
        if bend.size:
            trans[np.isnan(bend)] = 0
        spread(
            _blend,
            len(self.offsets) - 1,
            *(width, height, -(-width // TILE), self.offsets, self.entries, self.footprints, self.boxes),
            *(rows, columns, bend, values, color, trans, distance, sums),
            chunk=TILES_PER_RANGE,
        )

    def draw(self, colors: NDArray, background: NDArray | tuple | None = None) -> Picture:
        """The picture with ``colors`` [N, 3] over ``background`` [3] or [H, W, 3] (None: black, premultiplied)."""
        height, width = self.camera.height, self.camera.width
        colors = np.ascontiguousarray(colors, np.float32)
        if colors.shape != (len(self.footprints), 3):
            raise InputError(f"Colours have shape {list(colors.shape)}, want {[len(self.footprints), 3]}.")
        color = np.zeros((height, width, 3), np.float32)
        trans = np.ones((height, width), np.float32)
        distance = np.zeros((height, width), np.float32)
        self._run(colors, color, trans, distance, np.empty((0, 4), np.float32))
        bend = ray_tables(self.camera)[2]
        if bend.size:
            trans[np.isnan(bend)] = 1
        alpha = 1 - trans
        far = np.full_like(distance, np.inf)
        np.divide(distance, alpha, out=far, where=alpha > 0)
        if background is not None:
            color += trans[..., None] * np.asarray(background, np.float32)
        return Picture(color, alpha, far)

    def adjoint(self, residual: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Gather ``residual`` [H, W, 3] back to the splats: sums over pixels of weight * residual [N, 3], weight [N].

        The weights are those of :meth:`draw`, so the first is the gradient of <residual, picture> with respect to the
        colours, and colours += first / second is one step of a colour sweep. The result is the same in every run.
        """
        height, width = self.camera.height, self.camera.width
        residual = np.ascontiguousarray(residual, np.float32)
        if residual.shape != (height, width, 3):
            raise InputError(f"The residual has shape {list(residual.shape)}, want {[height, width, 3]}.")
        sums = np.zeros((len(self.entries) + 1, 4), np.float32)  # never empty: an empty one means forward
        nothing = np.empty((0, 3), np.float32)
        self._run(nothing, residual, np.ones((height, width), np.float32), np.empty((0, 0), np.float32), sums)
        total = np.zeros((len(self.footprints), 4), np.float64)
        _collect(self.entries, sums, total)
        total = total.astype(np.float32)
        return np.ascontiguousarray(total[:, :3]), np.ascontiguousarray(total[:, 3])


def prepare(gaussians: Gaussians, camera: Camera, *, low_pass: float = LOW_PASS) -> Footprints:
    """Project, sort and bin splats for a camera. ``low_pass`` is the blur variance in px^2 added to each footprint."""
    footprints, boxes, depths = project(gaussians, camera, low_pass)
    return Footprints(camera, footprints, boxes, *bin_tiles(depths, boxes, camera.width, camera.height))


def rasterize(
    gaussians: Gaussians, camera: Camera, *, background: NDArray | tuple | None = None, low_pass: float = LOW_PASS
) -> Picture:
    """Draw Gaussians as a camera sees them.

    ``background`` [3] or [H, W, 3] sRGB is put behind; without it the colour is premultiplied over black.
    ``low_pass`` is the blur variance in px^2 that keeps the smallest splat as wide as a pixel (0.3, as published).
    """
    return prepare(gaussians, camera, low_pass=low_pass).draw(gaussians.colors, background)


def color_adjoint(
    gaussians: Gaussians, camera: Camera, residual: NDArray, *, low_pass: float = LOW_PASS
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """:meth:`Footprints.adjoint` in one call: (sum of weight * residual [N, 3], sum of weight [N])."""
    return prepare(gaussians, camera, low_pass=low_pass).adjoint(residual)
