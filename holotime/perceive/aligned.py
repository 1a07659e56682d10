"""Distance of a clip from a perspective depth network: views, stored predictions, alignment, one panorama a frame."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from holotime import sphere
from holotime.cache import StageCache, digest_of
from holotime.clip import Clip
from holotime.errors import BackendUnavailable
from holotime.perceive import GROUND, SKY, WATER
from holotime.perceive.align import align
from holotime.perceive.backends import Predictor
from holotime.perceive.coarse import Coarse
from holotime.perceive.fuse import fuse
from holotime.perceive.observe import Scene
from holotime.perceive.solve import AlignConfig
from holotime.perceive.views import VIEWS, Views, view_pictures
from holotime.progress import Progress, no_progress, part, track

VERSION = 1  # of the stored predictions
LEVELS = 65533  # of a stored prediction between its view's extremes; two more codes are infinity and not-a-number
INFINITE, UNKNOWN = 65534, 65535


@dataclass(frozen=True)
class ViewConfig:
    """How a panorama is shown to a perspective network."""

    size: int = 518  # pixels of a view's side
    ratio: float = 1.3  # 89.6 degrees: wider views agree better where each is a little wrong


class StoredPredictions:
    """Predictions of a clip's frames, made when first asked for and kept in files: a run that is cut off goes on."""

    def __init__(self, clip: Clip, predictor: Predictor, views: Views, cache: StageCache, device: str) -> None:
        self.clip, self.predictor, self.views, self.cache, self.device = clip, predictor, views, cache, device

    def __len__(self) -> int:
        return len(self.clip)

    def __getitem__(self, frame: int) -> Tensor:
        """[20, s, s] float32 on the CPU."""
        picture = np.ascontiguousarray(self.clip.frames[frame])
        look = [self.views.size, round(self.views.fov, 9), list(picture.shape)]
        pixels = hashlib.sha256(picture).hexdigest()  # type: ignore[arg-type]  # stubs: no buffer before 3.12
        key = digest_of(version=VERSION, model=self.predictor.digest, views=look, picture=pixels)
        made: list[Tensor] = []

        def make(folder: Path) -> None:
            made.append(self._predict(picture, frame))
            arrays = pack(made[0].numpy())
            np.savez(folder / "views.npz", **arrays)  # type: ignore[arg-type]  # none is named allow_pickle

        folder, _ = self.cache.get("views", key, make)
        with np.load(folder / "views.npz", allow_pickle=False) as file:
            # Always as stored, so that a resumed run computes with the same numbers as an unbroken one.
            return torch.from_numpy(unpack(file["codes"], file["low"], file["step"]))

    def _predict(self, picture: NDArray[np.uint8], frame: int) -> Tensor:
        panorama = torch.from_numpy(picture).permute(2, 0, 1).float().to(self.device) / 255
        out = self.predictor(view_pictures(panorama, self.views), frame).float().cpu()
        if out.shape != (VIEWS, self.views.size, self.views.size):
            want = [VIEWS, self.views.size, self.views.size]
            raise BackendUnavailable(f"{self.predictor.name} gave {list(out.shape)} for frame {frame}, not {want}.")
        if not torch.isfinite(out).any() and not torch.isinf(out).all():
            raise BackendUnavailable(
                f"{self.predictor.name} gave no finite depth for frame {frame}. Try another model."
            )
        return out


def pack(values: NDArray[np.float32]) -> dict[str, NDArray]:
    """Predictions [20, s, s] as 16-bit codes between each view's extremes; infinity and not-a-number have their own."""
    finite = np.isfinite(values)
    low = np.where(finite, values, np.inf).min((1, 2))
    high = np.where(finite, values, -np.inf).max((1, 2))
    low, high = (np.where(np.isfinite(a), a, 0).astype(np.float64) for a in (low, high))
    step = np.maximum((high - low) / LEVELS, 1e-30)
    codes = np.round((np.where(finite, values, 0) - low[:, None, None]) / step[:, None, None]).clip(0, LEVELS)
    codes = np.where(finite, codes, np.where(np.isinf(values), INFINITE, UNKNOWN)).astype(np.uint16)
    return {"codes": codes, "low": low, "step": step}


def unpack(codes: NDArray[np.uint16], low: NDArray, step: NDArray) -> NDArray[np.float32]:
    """What :func:`pack` kept."""
    values = (codes * step[:, None, None] + low[:, None, None]).astype(np.float32)
    values[codes == INFINITE] = np.inf
    values[codes == UNKNOWN] = np.nan
    return values


def aligned_distance(
    clip: Clip,
    static: Coarse,
    moving: NDArray[np.bool_],
    flow: NDArray[np.float16],
    seen: NDArray[np.bool_],
    predictor: Predictor,
    *,
    cache: Path | None = None,
    views: ViewConfig | None = None,
    config: AlignConfig | None = None,
    device: str = "cpu",
    progress: Progress = no_progress,
) -> tuple[NDArray[np.float32], str]:
    """Distance [T, H, W] in metres (+inf is sky) of a clip, and what made it.

    Args:
        static: what is known of the standing world, at full size [H, W]; sets the metre where there is no ground, and
            the sky where the network has no word for infinity.
        moving: [H, W] pixels that change at some time.
        flow, seen: optical flow to the next frame [T, H, W, 2], and what is still seen there [T, H, W].
        cache: folder in which predictions are kept; a temporary one if None.
    """
    views = views or ViewConfig()
    cameras = Views.icosahedron(views.size, views.ratio)
    if not moving.any() and len(clip) > 1:  # the frames are one picture
        one = Clip(clip.frames[:1], clip.fps)
        found, text = aligned_distance(
            one, static, moving, flow[:1], seen[:1], predictor, cache=cache, views=views, config=config, device=device,
            progress=progress,
        )  # fmt: skip
        return np.repeat(found, len(clip), 0), text

    sky = static.classes[..., SKY] >= 0.5
    fields = (np.exp(static.log_distance), sky, static.classes[..., GROUND], static.classes[..., WATER], moving)
    metres, above, ground, water, changing = (torch.from_numpy(np.ascontiguousarray(f)).to(device) for f in fields)
    there, visible = [torch.from_numpy(a).to(device) for a in (flow, seen)] if len(clip) > 1 else [None, None]
    scene = Scene(metres, above, ground, water, changing, there, visible, clip.loop)

    with TemporaryDirectory() as scratch:
        stored = StoredPredictions(clip, predictor, cameras, StageCache(cache or Path(scratch)), device)
        # Infinity is the network's own sky. Where it has none, the sky's finite depths must not take part.
        own_sky = False
        for t in track(range(len(clip)), part(progress, 0.0, 0.6), predictor.name):
            own_sky |= bool(torch.isinf(stored[t]).any())
        alignment = align(stored, predictor.kind, cameras, scene, config, progress=part(progress, 0.6, 0.8))
        rays = torch.from_numpy(sphere.directions(clip.height).copy()).to(device)
        report = part(progress, 0.8, 1.0)
        log = fuse(stored, alignment, cameras, rays, scene.moving, loop=clip.loop, progress=report).numpy()
    log = np.where(np.isnan(log), static.log_distance, log)
    distance = np.exp(np.minimum(log, 20), where=np.isfinite(log), out=np.full_like(log, np.inf))
    if not own_sky:
        distance[:, sky] = np.inf
    text = f"{predictor.name}, aligned (views differ by {100 * alignment.disagreement:.1f} %)"
    return distance.astype(np.float32), text


def default_device() -> str:
    """cuda where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"
