"""Views: what is to be seen (projection, size, pose, what comes out), and renderers that draw them from a scene.

    view = View("ods", (5760, 5760), pose, output=Output(dtype="uint8"))
    draws = renderer("auto", scene)
    print(draws.backend, draws.note)
    for frame in draws.draw_many((replace(view, pose=p), k / fps) for k, p in enumerate(path)):
        encoder.write(frame.color)

Projections and their pictures (width x height; which part is which eye or face is in ``View.layout``):

    perspective   W x H      a pinhole; ``fov``, ``fit``, ``shift`` and ``clip`` as in Blender's camera
    equirect      2 H x H    the whole panorama, mono
    ods           W x W      omnidirectional stereo, left eye on top of the right, each W x W/2
    vr180         2 H x H    the front half of a panorama for each eye, left eye on the left
    fisheye       N x N      dome master, equidistant, black outside the circle; ``dome`` "up": zenith in the middle and
                             the front at the bottom edge, or "front": the front in the middle
    cubemap       3 N x 2 N  right left up / down front back (FFmpeg's v360 c3x2)

Backends: "cpu" is the numba rasterizer; "gpu" draws the same footprints with Triton on a CUDA device; "auto" takes the
GPU where there is one and says in ``note`` why not where there is none.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.errors import BackendUnavailable, InputError
from holotime.render import gpu
from holotime.render.cameras import (
    NEAR_PINHOLE,
    NEAR_SPHERE,
    EquirectCamera,
    FisheyeCamera,
    PerspectiveCamera,
    Picture,
    upright,
)
from holotime.render.eyes import Panel, cube, focal_length, raised, side_by_side, top_bottom
from holotime.render.holes import fill_holes
from holotime.render.project import image_circle, rays
from holotime.render.raster import rasterize
from holotime.scene4d import Gaussians, Scene4D

Projection = Literal["perspective", "equirect", "ods", "vr180", "fisheye", "cubemap"]
PROJECTIONS: tuple[str, ...] = get_args(Projection)
BACKENDS = ("auto", "cpu", "gpu")
FLAT = ("perspective", "cubemap")  # projections that have a planar depth
SHAPES = {"equirect": (2, 1), "ods": (1, 1), "vr180": (2, 1), "fisheye": (1, 1), "cubemap": (3, 2)}  # width : height
STEPS = {"equirect": 2, "ods": 2, "vr180": 4, "fisheye": 1, "cubemap": 3}  # the width is a multiple of this
COVERED = 0.99  # alpha from which a pixel needs nothing behind it
SURROUNDINGS = 1024  # most rows of the panorama that fills a cube map's holes
BAND = 256  # rows that are converted at a time
IPD = 0.064  # metres between the eyes of an average adult

Behind = Literal["fill", "transparent"] | tuple[float, float, float]


@dataclass(frozen=True)
class Output:
    """What a frame holds."""

    dtype: Literal["float32", "uint8"] = "float32"  # of the colours
    behind: Behind = "fill"  # where no splat is: the surroundings, nothing (straight alpha), or an sRGB colour
    alpha: bool = True  # with the share of each pixel that splats cover
    distance: Literal["none", "ray", "planar"] = "ray"  # metres from the eye along the ray, or along the optical axis

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "uint8"):
            raise InputError(f"Colours of type {self.dtype!r} cannot be given. Use float32 or uint8.")
        if self.distance not in ("none", "ray", "planar"):
            raise InputError(f"Unknown kind of distance {self.distance!r}. Use none, ray or planar.")
        color = np.asarray(self.behind, np.float64) if not isinstance(self.behind, str) else np.zeros(3)
        if (isinstance(self.behind, str) and self.behind not in ("fill", "transparent")) or color.shape != (3,):
            raise InputError(f"Behind the splats comes fill, transparent or three sRGB values, not {self.behind!r}.")


@dataclass(frozen=True, eq=False)  # a pose is an array: views are not compared
class View:
    """One picture to be drawn. Raises InputError where size and projection do not fit."""

    projection: Projection
    size: tuple[int, int]  # width and height of the whole picture, pixels
    pose: NDArray = field(default_factory=upright)  # [4, 4] camera-to-world, OpenCV axes, of the head
    ipd_m: float = IPD  # metres between the eyes (ods, vr180)
    fov: float = math.radians(90)  # radians: of the side that ``fit`` names (perspective)
    fit: Literal["auto", "horizontal", "vertical"] = "auto"  # Blender's sensor fit; auto is the longer side
    shift: tuple[float, float] = (0.0, 0.0)  # Blender's lens shift, in sides that ``fit`` names; positive: right, up
    clip: tuple[float, float] | None = None  # metres, nearest and farthest (depth for perspective); None: the defaults
    dome: Literal["up", "front"] = "up"  # what stands in the middle of a fisheye
    dome_angle: float = math.pi  # radians across the circle of a fisheye
    turning_eyes: bool = True  # vr180: eyes on the eye circle as in ods, or fixed as the lenses of a camera
    output: Output = field(default_factory=Output)

    def __post_init__(self) -> None:
        if self.projection not in PROJECTIONS:
            raise InputError(f"Unknown projection {self.projection!r}. Use one of: {', '.join(PROJECTIONS)}.")
        width, height = self.size
        if self.projection in SHAPES and self.size != size_of(self.projection, width):
            across, down = SHAPES[self.projection]
            raise InputError(
                f"A picture of {width} x {height} pixels does not fit the projection {self.projection}: it is "
                f"{across}:{down}, with a width that {STEPS[self.projection]} divides."
            )
        if not 0 <= self.ipd_m <= 1:
            raise InputError(f"An eye distance of {self.ipd_m} m is not plausible. People have about 0.064 m.")
        if self.fit not in ("auto", "horizontal", "vertical"):
            raise InputError(f"Unknown sensor fit {self.fit!r}. Use auto, horizontal or vertical.")
        if self.dome not in ("up", "front"):
            raise InputError(f"Unknown dome direction {self.dome!r}. Use up or front.")
        if self.output.distance == "planar" and self.projection not in FLAT:
            raise InputError(f"The projection {self.projection} has no planar depth. Ask for the ray distance.")
        if self.projection == "perspective" and not 0 < self.fov < math.pi:
            raise InputError(f"A pinhole sees less than 180 degrees, got {math.degrees(self.fov):.1f}.")
        _ = self.layout  # the cameras check the rest

    @cached_property
    def layout(self) -> tuple[Panel, ...]:
        """The cameras and the parts of the picture that they draw."""
        width, height = self.size
        near = NEAR_PINHOLE if self.projection == "perspective" else NEAR_SPHERE
        both = (near, math.inf) if self.clip is None else (float(self.clip[0]), float(self.clip[1]))
        if self.projection == "ods":
            return top_bottom(width, self.pose, self.ipd_m, *both)
        if self.projection == "vr180":
            return side_by_side(height, self.pose, self.ipd_m, *both, turning=self.turning_eyes)
        if self.projection == "cubemap":
            return cube(height // 2, self.pose, *both)
        if self.projection == "equirect":
            return (Panel("all", 0, 0, EquirectCamera(width, height, self.pose, 0.0, False, *both)),)
        if self.projection == "fisheye":
            pose = raised(self.pose) if self.dome == "up" else self.pose
            return (Panel("all", 0, 0, FisheyeCamera(width, self.dome_angle, pose, *both)),)
        focal = focal_length(width, height, self.fov, self.fit)
        side = 2 * focal * math.tan(0.5 * self.fov)
        axis = (-self.shift[0] * side, self.shift[1] * side)
        fov_x = 2 * math.atan(0.5 * width / focal)
        return (Panel("all", 0, 0, PerspectiveCamera(width, height, fov_x, self.pose, axis, *both)),)


def size_of(projection: str, width: int) -> tuple[int, int]:
    """(width, height) of a picture that is at most ``width`` wide in a projection whose shape is fixed."""
    across, down = SHAPES[projection]
    width = width // STEPS[projection] * STEPS[projection]
    return width, width * down // across


@dataclass(frozen=True)
class Frame:
    """A picture as it was asked for; rows from top to bottom."""

    color: NDArray  # [H, W, 3] sRGB: float32 (may leave [0, 1] a little) or uint8; straight where transparent
    alpha: NDArray[np.float32] | None  # [H, W] in [0, 1]
    distance: NDArray[np.float32] | None  # [H, W] metres, +inf where nothing is


class Renderer(Protocol):
    """Draws views of one scene."""

    backend: str  # "cpu" or "gpu"
    note: str  # what it runs on, and why it is not the GPU where that was wished

    def draw(self, view: View, seconds: float) -> Frame:
        """The scene at ``seconds`` after its beginning (a loop repeats, else it rests on its last moment)."""
        ...

    def draw_many(self, shots: Iterable[tuple[View, float]]) -> Iterator[Frame]:
        """Frames of ``shots`` in order, made a few ahead of being taken. A frame's arrays belong to the caller."""
        ...


def surrounding_height(size: int) -> int:
    """Rows of the panorama that fills the holes of cube faces of ``size`` pixels: as fine as they, within reason."""
    return min(2 * size, SURROUNDINGS)


def surrounding_camera(view: View) -> EquirectCamera:
    """The camera of that panorama for a cube map."""
    height = surrounding_height(view.size[1] // 2)
    return EquirectCamera(2 * height, height, view.pose)


def axial(panel: Panel) -> NDArray[np.float32]:
    """[h, w] depth along the optical axis for each metre along the ray of a flat panel's pixels."""
    d = rays(panel.camera)
    return np.asarray(d[..., 2] / np.linalg.norm(d, axis=-1), np.float32)


class CpuRenderer:
    """The numba rasterizer."""

    backend = "cpu"

    def __init__(self, scene: Scene4D, note: str = "") -> None:
        self.scene, self.note = scene, note or "numba on the processor"
        self._now: tuple[float, Gaussians] | None = None

    def _at(self, seconds: float) -> Gaussians:
        if self._now is None or self._now[0] != seconds:
            self._now = seconds, self.scene.at(seconds / self.scene.duration)
        return self._now[1]

    def draw(self, view: View, seconds: float) -> Frame:
        """See :class:`Renderer`."""
        gaussians, output = self._at(seconds), view.output
        width, height = view.size
        color = np.empty((height, width, 3), output.dtype)
        alpha = np.empty((height, width), np.float32) if output.alpha else None
        distance = np.empty((height, width), np.float32) if output.distance != "none" else None
        around: NDArray | None = None
        for panel in view.layout:
            part = panel.rows, panel.columns
            picture = rasterize(gaussians, panel.camera)
            needs = self._needs_surroundings(view, picture)
            if needs and around is None:
                around = fill_holes(rasterize(gaussians, surrounding_camera(view)))
            finished = finish(picture, panel, output.behind, around if needs else None)
            color[part] = to_bytes(finished) if output.dtype == "uint8" else finished
            if alpha is not None:
                circle = image_circle(panel.camera)
                alpha[part] = picture.alpha if circle is None else picture.alpha * circle
            if distance is not None:
                distance[part] = picture.distance * (axial(panel) if output.distance == "planar" else 1)
        return Frame(color, alpha, distance)

    @staticmethod
    def _needs_surroundings(view: View, picture: Picture) -> bool:
        """Whether a face of a cube map has holes, which the six would each fill differently."""
        filled = view.projection == "cubemap" and view.output.behind == "fill"
        return filled and float(picture.alpha.min()) < COVERED

    def draw_many(self, shots: Iterable[tuple[View, float]]) -> Iterator[Frame]:
        """See :class:`Renderer`."""
        for view, seconds in shots:
            yield self.draw(view, seconds)


def to_bytes(color: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Colours [h, w, 3] as rounded bytes, a band of rows after the other: a headset's picture has 200 MB."""
    out = np.empty(color.shape, np.uint8)
    for row in range(0, len(color), BAND):
        band = slice(row, row + BAND)
        out[band] = np.clip(color[band], 0, 1) * 255 + 0.5
    return out


def finish(picture: Picture, panel: Panel, behind: Behind, around: NDArray | None = None) -> NDArray[np.float32]:
    """[h, w, 3] a drawn panel over what comes ``behind``; ``around`` is a filled panorama for a cube's holes."""
    camera = panel.camera
    if behind == "transparent":
        return np.divide(picture.color, np.maximum(picture.alpha, 1e-6)[..., None], dtype=np.float32)
    if behind != "fill":
        color = picture.color + (1 - picture.alpha)[..., None] * np.asarray(behind, np.float32)
    elif around is not None:  # the face's rays in the axes of the panorama that ``surrounding_camera`` sees
        x, y = sphere.to_pixels(rays(camera) @ sphere.cube_rotations()[panel.name].T, *around.shape[:2])
        far: NDArray[np.float32] = np.asarray(sphere.sample(around, x, y), np.float32)
        color = picture.color + (1 - picture.alpha)[..., None] * far
    else:
        color = fill_holes(picture, wrap=isinstance(camera, EquirectCamera) and not camera.half)
    circle = image_circle(camera)
    return color if circle is None else color * circle[..., None]


def chosen(backend: str) -> tuple[str, str]:
    """("cpu" or "gpu", why it is not the GPU, or "") that ``renderer`` takes for one of ``BACKENDS``.

    Raises InputError for an unknown backend, BackendUnavailable where the GPU was asked for by name and cannot run.
    """
    if backend not in BACKENDS:
        raise InputError(f"Unknown render backend {backend!r}. Use one of: {', '.join(BACKENDS)}.")
    reason = gpu.why_not() if backend != "cpu" else ""
    if reason is None:
        return "gpu", ""
    if backend == "gpu":
        raise BackendUnavailable(f"The GPU renderer cannot run: {reason}. Use the backend cpu, or auto.")
    return "cpu", reason


def renderer(backend: str, scene: Scene4D) -> Renderer:
    """A renderer of ``scene``; raises what :func:`chosen` raises."""
    name, reason = chosen(backend)
    if name == "gpu":
        from holotime.render.gpu.renderer import GpuRenderer

        return GpuRenderer(scene)
    return CpuRenderer(scene, f"numba on the processor, because {reason}" if reason else "")
