"""Procedural panoramas with exact labels, rendered on a GPU (CUDA) or on the CPU by one and the same source.

``native/`` holds the source: what a scene is (scene.h), kinds of scene (kinds/, one file each), how a ray meets it
(shapes.h, terrain.h), how it looks (surface.h, sky.h, pixel.h), and the entry points (panorama.cu). It is compiled
at first use. Scenes are laid out on the host from a seed and are the same on every machine; pixels differ by rounding.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

SOURCE = Path(__file__).parent / "native"
FAR_AWAY = 1e8  # metres; everything beyond is the sky
HELD_OUT = 0xC0000000  # seeds from here on are for validation and never trained on


@dataclass(frozen=True)
class Panoramas:
    """Rendered panoramas; B of them, H x W pixels, in the frame of the picture (Z up, the middle column along +Y)."""

    rgb: Tensor  # [B, H, W, 3] float32 linear
    distance: Tensor  # [B, H, W] float32 metres along the ray; more than FAR_AWAY = sky
    label: Tensor  # [B, H, W] uint8 class, in the order of holotime.perceive.CLASSES
    light: Tensor  # [B, H, W] uint8 1 = shines by itself (lamps, flames, lit windows, the sun, fireworks)
    normal: Tensor  # [B, H, W, 3] float32 unit, towards the eye
    motion: Tensor  # [B, H, W, 3] float32 tangent, radians per second: how what is seen here drifts
    eye: Tensor  # [B] float32 metres from the ground to the eye
    kind: Tensor  # [B] int32 index into Generator.kinds


def digest() -> str:
    """Of all native sources: a changed one is compiled anew."""
    files = sorted([*SOURCE.rglob("*.h"), *SOURCE.glob("*.cu")])
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]


def build(device: str, folder: Path | None = None, optimize: str = "-O2") -> Path:
    """Compile the renderer for "cuda" (nvcc) or "cpu" (g++) unless that was done before; returns the library's path.

    Raises FileNotFoundError without the compiler, RuntimeError with its output when it fails.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"holotime-panoramas-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / f"panorama-{device}-{platform.machine()}{optimize}-{digest()}.so"
    if library.exists():
        return library
    compiler = shutil.which("nvcc" if device == "cuda" else os.environ.get("CXX", "g++"))
    if compiler is None:
        raise FileNotFoundError(f"Building the generator for {device} needs {'nvcc' if device == 'cuda' else 'g++'}.")
    part = library.with_suffix(f".{os.getpid()}.part")
    if device == "cuda":
        chip = torch.cuda.get_device_capability() if torch.cuda.is_available() else (9, 0)
        flags = [
            optimize,
            "-Xptxas",
            optimize,
            "-std=c++17",
            f"-arch=sm_{chip[0]}{chip[1]}",
            "-shared",
            "-Xcompiler",
            "-fPIC,-fopenmp",
        ]
    else:
        flags = [optimize, "-fno-math-errno", "-fopenmp", "-std=c++17", "-shared", "-fPIC", "-x", "c++"]
    done = subprocess.run(
        [compiler, *flags, str(SOURCE / "panorama.cu"), "-o", str(part)], capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"The generator does not compile for {device}:\n{done.stderr[-4000:]}")
    part.rename(library)
    return library


class _Output(ctypes.Structure):
    """As in panorama.cu."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("rgb", "distance", "label", "light", "normal", "motion")]


class Generator:
    """Renders batches of panoramas on one device. Not for several threads at a time."""

    def __init__(self, device: str | torch.device = "cpu", library: Path | None = None) -> None:
        """Compiles the renderer at first use; ``library``: one that is compiled already."""
        self.device = torch.device(device)
        self._native = native = ctypes.CDLL(str(library or build(self.device.type)))
        native.panorama_kind_name.restype = ctypes.c_char_p
        self.kinds = tuple(native.panorama_kind_name(i).decode() for i in range(native.panorama_kinds()))
        self._scene_bytes = native.panorama_scene_bytes()
        self._staged: list[tuple[Tensor, torch.cuda.Event]] = []  # pinned scenes that a copy may still read

    def _host_buffer(self, count: int) -> Tensor:
        """[count * scene bytes] host memory that no copy reads any more; pinned for a GPU."""
        size = count * self._scene_bytes
        if self.device.type != "cuda":
            return torch.empty(size, dtype=torch.uint8)
        for i, (buffer, copied) in enumerate(self._staged):
            if buffer.numel() == size and copied.query():
                return self._staged.pop(i)[0]
        return torch.empty(size, dtype=torch.uint8, pin_memory=True)

    def render(
        self, seeds: Sequence[int], height: int = 256, *, samples: int = 4, kind: str | None = None, turn: int = 0,
        yaw: float = 0.0,
    ) -> Panoramas:  # fmt: skip
        """Panoramas of ``height`` x 2 ``height`` pixels, one for each seed.

        Args:
            samples: places in a pixel whose colours are averaged, 1 to 8.
            kind: a name of :attr:`kinds` for all of them; by default each seed decides.
            turn: columns by which the pictures are shifted to the right: exactly ``torch.roll`` of the pictures.
            yaw: radians by which the camera is turned, on top of the seed's own.
        """
        count, width = len(seeds), 2 * height
        numbers = (ctypes.c_uint32 * count)(*[s & 0xFFFFFFFF for s in seeds])
        wanted = (ctypes.c_int * count)(*[self.kinds.index(kind) if kind else -1] * count)
        eye, kinds = torch.empty(count), torch.empty(count, dtype=torch.int32)
        host = self._host_buffer(count)
        self._native.panorama_lay_out(
            ctypes.c_void_p(host.data_ptr()), numbers, wanted, ctypes.c_float(yaw), count, height,
            ctypes.c_void_p(eye.data_ptr()), ctypes.c_void_p(kinds.data_ptr()),
        )  # fmt: skip
        stream = ctypes.c_void_p(None)
        scenes = host
        if self.device.type == "cuda":
            scenes = host.to(self.device, non_blocking=True)
            copied = torch.cuda.Event()
            copied.record()
            self._staged.append((host, copied))
            stream = ctypes.c_void_p(torch.cuda.current_stream(self.device).cuda_stream)
        shape = (count, height, width)

        def empty(*more: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.empty(*shape, *more, dtype=dtype, device=self.device)

        out = Panoramas(
            rgb=empty(3), distance=empty(), label=empty(dtype=torch.uint8), light=empty(dtype=torch.uint8),
            normal=empty(3), motion=empty(3), eye=eye.to(self.device, non_blocking=True), kind=kinds,
        )  # fmt: skip
        pointers = _Output(*[getattr(out, name).data_ptr() for name, _ in _Output._fields_])
        error = self._native.panorama_render(
            ctypes.c_void_p(scenes.data_ptr()), count, width, height, turn % width, samples, pointers, stream
        )
        if error:
            raise RuntimeError(f"The panorama renderer failed with CUDA error {error}.")
        return out
