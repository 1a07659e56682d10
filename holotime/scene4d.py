"""Scene4D: 3-D Gaussians that move, their evaluation at a time, and the file they live in.

One ``.safetensors`` file (format version 1, see docs/formats.md). For a time t in [0, 1] and dt = t - t_center:
mean = means + motion[0] dt + motion[1] dt^2 + motion[2] dt^3, opacity = sigmoid(o) exp(-(dt/exp(s))^2),
quaternion = normalize(q + dt omega) (Spacetime Gaussians, lite model). Colours are sRGB in [0, 1], without activation.
World: metres, Z up, eye at the origin. Quaternions are wxyz.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from holotime.errors import InputError
from holotime.files import write_whole

FORMAT_VERSION = 1
ALWAYS = 20.0  # a t_log_scale this large makes the window flat: the splat is there all the time
Array = NDArray[np.float32]


def _sorted_header(data: bytes) -> bytes:
    """The same safetensors file with its header's keys in order.

    safetensors writes the metadata in a random order, so one scene saved twice would be two different files, and a
    digest could not tell that a repeated job made the same.
    """
    size = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the format wants the tensors aligned
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


@dataclass(frozen=True)
class Gaussians:
    """3-D Gaussians at one time: what a rasterizer draws."""

    means: Array  # [N, 3] metres
    quats: Array  # [N, 4] wxyz, unit
    scales: Array  # [N, 3] standard deviations in metres
    opacities: Array  # [N] in [0, 1]
    colors: Array  # [N, 3] sRGB

    def __len__(self) -> int:
        return len(self.means)

    def covariances(self) -> Array:
        """[N, 3, 3] world covariances R S S^T R^T."""
        w, x, y, z = self.quats.T
        r = np.empty((len(self), 3, 3), np.float32)
        r[:, 0, 0], r[:, 0, 1], r[:, 0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
        r[:, 1, 0], r[:, 1, 1], r[:, 1, 2] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
        r[:, 2, 0], r[:, 2, 1], r[:, 2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)
        m = r * self.scales[:, None, :]
        return m @ m.transpose(0, 2, 1)


@dataclass
class Scene4D:
    """Moving Gaussians (lite model) with the time they cover and where they came from."""

    means: Array  # [N, 3] position at the splat's own time centre, metres
    motion: Array  # [N, 3, 3] linear, quadratic, cubic coefficients, metres per unit t
    quats: Array  # [N, 4] wxyz (need not be normalised)
    omegas: Array  # [N, 4] linear rate of the quaternion per unit t
    log_scales: Array  # [N, 3] log standard deviations in metres
    opacity_logits: Array  # [N]
    t_centers: Array  # [N] scene time at which the splat is strongest
    t_log_scales: Array  # [N] log width of the time window; ALWAYS for a splat that is there all the time
    colors: Array  # [N, 3] sRGB
    duration: float = 1.0  # seconds from t = 0 to t = 1
    fps: float = 12.0  # frames per second of the clip it was made from
    loop: bool = False  # t = 1 looks like t = 0
    provenance: dict[str, Any] = field(default_factory=dict)  # source digest, backends, seeds, versions
    safe_walk: dict[str, Any] | None = None  # how far the eye may move: holotime.safe_walk; None: not measured

    TENSORS: ClassVar[dict[str, tuple[int, ...]]] = {
        "means": (3,),
        "motion": (3, 3),
        "quats": (4,),
        "omegas": (4,),
        "log_scales": (3,),
        "opacity_logits": (),
        "t_centers": (),
        "t_log_scales": (),
        "colors": (3,),
    }

    def __post_init__(self) -> None:
        for name, tail in self.TENSORS.items():
            array = np.ascontiguousarray(getattr(self, name), np.float32)
            if array.shape != (len(self.means), *tail):
                raise InputError(f"Scene4D.{name} has shape {list(array.shape)}, want {[len(self.means), *tail]}.")
            setattr(self, name, array)

    def __len__(self) -> int:
        return len(self.means)

    def frame_times(self) -> Array:
        """[T] scene times of the frames of the clip that the scene was made from."""
        frames = max(1, round(self.duration * self.fps) + (0 if self.loop else 1))
        return (np.arange(frames) / (frames if self.loop else max(frames - 1, 1))).astype(np.float32)

    def _since(self, t: float) -> Array:
        """[N] time since each splat's centre at scene time ``t`` (wrapped in a loop, else clamped to [0, 1])."""
        return np.float32(t % 1.0 if self.loop else min(max(t, 0.0), 1.0)) - self.t_centers

    def window(self, t: float) -> Array:
        """[N] share in [0, 1] of its full opacity that each splat has at scene time ``t``."""
        return np.exp(-((self._since(t) / np.exp(self.t_log_scales)) ** 2))

    def opacity(self, t: float) -> Array:
        """[N] opacity in [0, 1] of each splat at scene time ``t``."""
        return self.window(t) / (1 + np.exp(-self.opacity_logits))

    def visible(self, t: float, *, min_opacity: float = 1 / 255) -> NDArray[np.int64]:
        """[M] indices of the splats that :meth:`at` returns for ``t``, in its order."""
        return np.flatnonzero(self.opacity(t) >= min_opacity)

    def at(self, t: float, *, min_opacity: float = 1 / 255) -> Gaussians:
        """The Gaussians at scene time ``t`` (wrapped in a loop, else clamped to [0, 1]); invisible ones left out."""
        opacity = self.opacity(t)
        keep = np.flatnonzero(opacity >= min_opacity)
        d = self._since(t)[keep, None]
        motion = self.motion[keep]
        quats = self.quats[keep] + d * self.omegas[keep]
        norm = np.linalg.norm(quats, axis=-1, keepdims=True)
        quats = np.where(norm > 1e-8, quats / np.maximum(norm, 1e-8), np.array([1, 0, 0, 0], np.float32))
        return Gaussians(
            means=self.means[keep] + d * (motion[:, 0] + d * (motion[:, 1] + d * motion[:, 2])),
            quats=quats.astype(np.float32),
            scales=np.exp(self.log_scales[keep]),
            opacities=opacity[keep].astype(np.float32),
            colors=self.colors[keep],
        )

    def select(self, index: NDArray) -> "Scene4D":
        """A scene with only the splats of ``index`` (boolean [N] or integers)."""
        return replace(self, **{name: getattr(self, name)[index] for name in self.TENSORS})

    def metadata(self) -> dict[str, str]:
        """What is written beside the tensors; every value is a string, as safetensors wants."""
        return {
            "format": "holotime-scene4d",
            "version": str(FORMAT_VERSION),
            "model": "lite",
            "duration": repr(float(self.duration)),
            "fps": repr(float(self.fps)),
            "loop": json.dumps(self.loop),
            "world": "right-handed z-up metres eye-at-origin",
            "provenance": json.dumps(self.provenance, sort_keys=True),
            **({"safe_walk": json.dumps(self.safe_walk, sort_keys=True)} if self.safe_walk else {}),
        }

    def digest(self) -> str:
        """sha256 in hex of everything that decides how the scene looks."""
        found = hashlib.sha256(repr((self.duration, self.fps, self.loop)).encode())
        for name in self.TENSORS:
            found.update(getattr(self, name).tobytes())
        return found.hexdigest()

    def save(self, path: Path | str) -> Path:
        """Write the scene; the file appears under its name only when it is complete."""
        return write_whole(path, _sorted_header(save({n: getattr(self, n) for n in self.TENSORS}, self.metadata())))

    @classmethod
    def load(cls, path: Path | str) -> "Scene4D":
        """Read a scene file. Raises InputError for anything that is not one."""
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path} does not exist. Give a scene .safetensors file.")
        try:
            with safe_open(str(path), "numpy") as file:
                meta = file.metadata() or {}
                if meta.get("format") != "holotime-scene4d":
                    raise InputError(f"{path} is a safetensors file but not a HoloTime scene.")
                if int(meta["version"]) > FORMAT_VERSION:
                    raise InputError(f"{path} was written by a newer HoloTime (format {meta['version']}). Update.")
                tensors = {name: file.get_tensor(name) for name in cls.TENSORS}
        except (SafetensorError, KeyError, ValueError) as error:
            raise InputError(f"{path} is not a readable HoloTime scene ({error}). It may be cut short.") from error
        return cls(
            **tensors,
            duration=float(meta["duration"]),
            fps=float(meta["fps"]),
            loop=json.loads(meta["loop"]),
            provenance=json.loads(meta.get("provenance", "{}")),
            safe_walk=json.loads(meta.get("safe_walk", "null")),
        )
