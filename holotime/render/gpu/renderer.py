"""The GPU renderer: frames drawn on CUDA devices while earlier ones travel to the host.

A scene is packed once on every device. Each device has two streams, and a thread for each of them while a film is
drawn, so that one frame is copied (into pinned memory) while the next is drawn, and the host's wait for the number of a
frame's entries is another frame's time.
Frames are dealt to the devices in turn; at most two for each device are under way, which bounds the memory.
"""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields, replace
from queue import SimpleQueue

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from holotime import sphere
from holotime.errors import OutOfMemory
from holotime.render.cameras import Camera, EquirectCamera
from holotime.render.eyes import Panel
from holotime.render.gpu.blend import Optics, draw
from holotime.render.gpu.finish import finish
from holotime.render.gpu.project import pack
from holotime.render.project import rays
from holotime.render.views import COVERED, Frame, View, surrounding_camera, surrounding_height
from holotime.scene4d import Scene4D

UNDER_WAY = 2  # frames on each device at once

Tensors = tuple[Tensor, Tensor | None, Tensor | None]  # colour [H, W, 3], alpha [H, W], distance [H, W]


class DeviceRenderer:
    """Draws frames of one scene on one device; the results stay there. May be used from several threads."""

    def __init__(self, scene: Scene4D, device: torch.device) -> None:
        self.scene, self.device = scene, device
        self.packed = pack(scene, device)
        self._optics: dict[tuple, Optics] = {}
        self._grids: dict[tuple, Tensor] = {}
        self.streams: SimpleQueue[torch.cuda.Stream] = SimpleQueue()  # idle ones; memory is pooled by stream
        if device.type == "cuda":
            for _ in range(UNDER_WAY):
                self.streams.put(torch.cuda.Stream(device))
            torch.cuda.synchronize(device)  # the streams may read what was packed

    def optics(self, camera: Camera) -> Optics:
        """The camera's tables on the device, kept: they do not depend on its pose or eye.

        None is ever dropped, as another stream may still read it; a pinhole's are some kilobytes for each focal length.
        """
        names = (f.name for f in fields(camera) if f.name not in ("pose", "eye", "near", "far"))
        key = (type(camera).__name__, *(getattr(camera, name) for name in names))
        if key not in self._optics:
            self._optics[key] = Optics.of(camera, self.device)
        return self._optics[key]

    def frame(self, view: View, seconds: float) -> Tensors:
        """The frame's tensors on the device, in the current stream."""
        output, panels = view.output, view.layout
        width, height = view.size
        since = seconds / self.scene.duration
        t = since % 1.0 if self.scene.loop else min(max(since, 0.0), 1.0)
        dtype = torch.uint8 if output.dtype == "uint8" else torch.float32
        color = torch.empty(height, width, 3, dtype=dtype, device=self.device)
        alpha = torch.empty(height, width, device=self.device) if output.alpha else None
        distance = torch.empty(height, width, device=self.device) if output.distance != "none" else None
        filling = output.behind == "fill"
        surroundings: Tensor | None = None
        for panel in panels:
            camera = panel.camera
            optics = self.optics(camera)
            drawn = draw(self.packed, t, camera, optics, distance=filling or distance is not None)
            if alpha is not None:
                lit = drawn.alpha * optics.circle if optics.circle.numel() else drawn.alpha
                alpha[panel.rows, panel.columns] = lit
            if distance is not None:
                distance[panel.rows, panel.columns] = (
                    drawn.distance * _axial(optics) if output.distance == "planar" else drawn.distance
                )
            behind = output.behind
            if filling and view.projection == "cubemap" and float(drawn.alpha.min()) < COVERED:
                if surroundings is None:
                    surroundings = self._panorama(view, t)
                around = F.grid_sample(surroundings, self._grid(panel), "bilinear", "border", False)[0]
                drawn = replace(drawn, color=drawn.color + (1 - drawn.alpha) * around)
                behind = (0.0, 0.0, 0.0)
            wrap = isinstance(camera, EquirectCamera) and not camera.half
            finish(drawn, optics.circle, color, (panel.x, panel.y), behind, wrap=wrap)
        return color, alpha, distance

    def _grid(self, panel: Panel) -> Tensor:
        """[1, h, w, 2] where a cube face's rays meet the picture that ``_panorama`` makes, as ``grid_sample`` wants."""
        key = (panel.name, panel.camera.height)
        if key not in self._grids:
            height = surrounding_height(panel.camera.height)
            x, y = sphere.to_pixels(rays(panel.camera) @ sphere.cube_rotations()[panel.name].T, height, 2 * height)
            grid = np.stack([2 * (x + 1) / (2 * height + 2) - 1, 2 * y / height - 1], -1).astype(np.float32)
            self._grids[key] = torch.from_numpy(grid)[None].to(self.device)
        return self._grids[key]

    def _panorama(self, view: View, t: float) -> Tensor:
        """[1, 3, h, w + 2] a filled panorama with a column more on each side, for the holes of a cube map."""
        camera = surrounding_camera(view)
        optics = self.optics(camera)
        panorama = torch.empty(camera.height, camera.width, 3, device=self.device)
        finish(draw(self.packed, t, camera, optics), optics.circle, panorama, (0, 0), "fill", wrap=True)
        return F.pad(panorama.permute(2, 0, 1)[None], (1, 1, 0, 0), mode="circular")


def _axial(optics: Optics) -> Tensor:
    """[H, W] views.axial of a pinhole or a cube face."""
    return torch.rsqrt(1 + optics.columns[None, :, 0] ** 2 + optics.rows[:, None, 1] ** 2)


def fetch(tensors: Tensors) -> Frame:
    """A frame's tensors copied to the host through pinned memory; waits for the current stream."""
    color, alpha, distance = (None if x is None else _sent(x) for x in tensors)
    if tensors[0].is_cuda:
        torch.cuda.current_stream(tensors[0].device).synchronize()
    assert color is not None
    return Frame(color, alpha, distance)


def _sent(tensor: Tensor) -> NDArray:
    """A host array that ``tensor`` is being copied to; it owns its pinned memory, which is used again after it."""
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
    return host.copy_(tensor, non_blocking=True).numpy()


class GpuRenderer:
    """See ``views.Renderer``. Uses every CUDA device, or the given ones."""

    backend = "gpu"

    def __init__(self, scene: Scene4D, devices: list[torch.device] | None = None) -> None:
        if devices is None:
            devices = [torch.device("cuda", k) for k in range(torch.cuda.device_count())]
        with _memory_errors():
            self.devices = [DeviceRenderer(scene, device) for device in devices]
        names = [torch.cuda.get_device_name(d) for d in devices if d.type == "cuda"]
        self.note = f"Triton on {', '.join(names)}"
        self._interpreter = threading.Lock()  # Triton's interpreter, which stands in where a test has no GPU

    def _draw(self, device: DeviceRenderer, view: View, seconds: float) -> Frame:
        """One frame on ``device``, in a stream that nobody else uses."""
        with _memory_errors():
            if device.device.type != "cuda":
                with self._interpreter:
                    return fetch(device.frame(view, seconds))
            stream = device.streams.get()
            try:
                with torch.cuda.device(device.device), torch.cuda.stream(stream):
                    return fetch(device.frame(view, seconds))
            finally:
                device.streams.put(stream)

    def draw(self, view: View, seconds: float) -> Frame:
        """See :class:`holotime.render.views.Renderer`."""
        return self._draw(self.devices[0], view, seconds)

    def draw_many(self, shots: Iterable[tuple[View, float]]) -> Iterator[Frame]:
        """See :class:`holotime.render.views.Renderer`."""
        pools = [ThreadPoolExecutor(UNDER_WAY, thread_name_prefix="render") for _ in self.devices]
        waiting: deque[Future[Frame]] = deque()
        try:
            for k, (view, seconds) in enumerate(shots):
                turn = k % len(pools)
                waiting.append(pools[turn].submit(self._draw, self.devices[turn], view, seconds))
                if len(waiting) >= UNDER_WAY * len(pools):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for pool in pools:
                pool.shutdown(cancel_futures=True)


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Turns CUDA's out-of-memory error into the project's."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise OutOfMemory(
            f"The graphics card has no memory for this picture ({error}). Render it smaller, or with the CPU."
        ) from error
